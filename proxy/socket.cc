#include "proxy/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace serin {
namespace {

absl::Status Failure(const std::string& what) {
  return absl::UnavailableError((what + ": " + std::strerror(errno)).c_str());
}

// Removes the file of a listener that is gone. A live one is left alone.
absl::Status RemoveStale(const SocketAddress& address, const RawAddress& raw) {
  struct stat info {};
  if (::lstat(address.path.c_str(), &info) != 0) return absl::OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return absl::AlreadyExistsError((address.path + " exists and is not a socket").c_str());
  }
  UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(probe.get(), raw.get(), raw.size) == 0 || errno == EAGAIN) {
    return absl::AlreadyExistsError((address.path + ": another process is listening there").c_str());
  }
  ::unlink(address.path.c_str());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RawAddress> ToRaw(const SocketAddress& address) {
  RawAddress raw;
  if (address.kind == SocketAddress::Kind::kUnix) {
    auto* un = reinterpret_cast<sockaddr_un*>(&raw.storage);
    if (address.path.empty() || address.path.size() >= sizeof un->sun_path) {
      return absl::InvalidArgumentError(("socket path of unusable length: " + address.path).c_str());
    }
    un->sun_family = AF_UNIX;
    std::memcpy(un->sun_path, address.path.c_str(), address.path.size() + 1);
    raw.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.path.size() + 1);
    return raw;
  }
  auto* in4 = reinterpret_cast<sockaddr_in*>(&raw.storage);
  auto* in6 = reinterpret_cast<sockaddr_in6*>(&raw.storage);
  if (::inet_pton(AF_INET, address.host.c_str(), &in4->sin_addr) == 1) {
    in4->sin_family = AF_INET;
    in4->sin_port = htons(address.port);
    raw.size = sizeof *in4;
  } else if (::inet_pton(AF_INET6, address.host.c_str(), &in6->sin6_addr) == 1) {
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(address.port);
    raw.size = sizeof *in6;
  } else {
    return absl::InvalidArgumentError(("not a numeric address: " + address.host).c_str());
  }
  return raw;
}

void NameOf(const sockaddr_storage& storage, std::string& host, uint16_t& port) {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto& in4 = reinterpret_cast<const sockaddr_in&>(storage);
    ::inet_ntop(AF_INET, &in4.sin_addr, text, sizeof text);
    port = ntohs(in4.sin_port);
  } else if (storage.ss_family == AF_INET6) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(storage);
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {  // a dual-stack listener's IPv4 client is an IPv4 client
      ::inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], text, sizeof text);
    } else {
      ::inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
    }
    port = ntohs(in6.sin6_port);
  } else {
    port = 0;
  }
  host = text;
}

ssize_t SendSlices(int fd, std::span<const iovec> slices, int flags) {
  if (slices.size() == 1) return ::send(fd, slices[0].iov_base, slices[0].iov_len, MSG_NOSIGNAL | flags);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(slices.data());
  message.msg_iovlen = slices.size();
  return ::sendmsg(fd, &message, MSG_NOSIGNAL | flags);
}

void AppendUnsent(std::string& rest, std::span<const iovec> slices, size_t taken) {
  for (const iovec& slice : slices) {
    const size_t skip = std::min(taken, slice.iov_len);
    taken -= skip;
    rest.append(static_cast<const char*>(slice.iov_base) + skip, slice.iov_len - skip);
  }
}

absl::StatusOr<UniqueFd> Listen(const ListenerSettings& settings) {
  const std::string name = settings.address.ToString();
  absl::StatusOr<RawAddress> raw = ToRaw(settings.address);
  if (!raw.ok()) return raw.status();
  UniqueFd fd(::socket(raw->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Failure("socket for " + name);
  const bool unix_socket = settings.address.kind == SocketAddress::Kind::kUnix;
  const int on = 1;
  if (unix_socket) {
    if (absl::Status stale = RemoveStale(settings.address, *raw); !stale.ok()) return stale;
  } else {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    // Inherited by accepted sockets (tcp(7)): spares a call per connection.
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (::bind(fd.get(), raw->get(), raw->size) != 0) return Failure("cannot listen on " + name);
  if (unix_socket && ::chmod(settings.address.path.c_str(), settings.mode) != 0)
    return Failure("chmod " + name);
  if (::listen(fd.get(), settings.backlog) != 0) return Failure("cannot listen on " + name);
  return fd;
}

}  // namespace serin
