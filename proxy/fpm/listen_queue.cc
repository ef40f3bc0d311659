#include "proxy/fpm/listen_queue.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>

#include <cstring>
#include <string_view>
#include <vector>

#include "proxy/base/unique_fd.h"

namespace serin {
namespace {

constexpr size_t kBufferSize = 32 * 1024;  // what the kernel fills per message
constexpr int kMostMessages = 256;         // some 100,000 listening sockets

// The socket that is looked for: by its file where the kernel tells it, which
// holds for every spelling of the path, else by the path it was bound to.
struct Wanted {
  const std::string& path;
  struct stat file {};
  bool has_file = false;

  bool Is(const unix_diag_vfs* vfs, std::string_view name) const {
    // The kernel's own encoding of a device: 12 bits of major, 20 of minor.
    if (vfs != nullptr && has_file && vfs->udiag_vfs_ino == file.st_ino &&
        vfs->udiag_vfs_dev >> 20 == major(file.st_dev) &&
        (vfs->udiag_vfs_dev & 0xFFFFF) == minor(file.st_dev)) {
      return true;
    }
    return name == path;
  }
};

bool Ask(int fd) {
  struct {
    nlmsghdr header;
    unix_diag_req request;
  } message{};
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.request.sdiag_family = AF_UNIX;
  message.request.udiag_states = 1U << TCP_LISTEN;
  message.request.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN;
  return ::send(fd, &message, sizeof message, 0) == static_cast<ssize_t>(sizeof message);
}

// One socket of the dump: its queue, if it is the wanted one.
std::optional<uint32_t> QueueOf(const nlmsghdr* header, const Wanted& wanted) {
  const auto* message = reinterpret_cast<const unix_diag_msg*>(header + 1);
  auto left = static_cast<int>(header->nlmsg_len) - static_cast<int>(NLMSG_LENGTH(sizeof *message));
  const unix_diag_vfs* vfs = nullptr;
  const unix_diag_rqlen* queue = nullptr;
  std::string_view name;
  auto* attribute = reinterpret_cast<const rtattr*>(message + 1);
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    const size_t size = RTA_PAYLOAD(attribute);
    if (attribute->rta_type == UNIX_DIAG_NAME) {
      name = {static_cast<const char*>(RTA_DATA(attribute)), size};
      name = name.substr(0, name.find('\0'));
    } else if (attribute->rta_type == UNIX_DIAG_VFS && size >= sizeof *vfs) {
      vfs = static_cast<const unix_diag_vfs*>(RTA_DATA(attribute));
    } else if (attribute->rta_type == UNIX_DIAG_RQLEN && size >= sizeof *queue) {
      queue = static_cast<const unix_diag_rqlen*>(RTA_DATA(attribute));
    }
  }
  if (queue == nullptr || !wanted.Is(vfs, name)) return std::nullopt;
  return queue->udiag_rqueue;
}

}  // namespace

std::optional<uint32_t> UnixListenQueue(const std::string& path) {
  const UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd) return std::nullopt;
  const timeval patience{0, 200'000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  Wanted wanted{path};
  wanted.has_file = ::stat(path.c_str(), &wanted.file) == 0;
  if (!Ask(fd.get())) return std::nullopt;
  std::vector<char> buffer(kBufferSize);
  for (int i = 0; i < kMostMessages; ++i) {
    const ssize_t size = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (size <= 0) return std::nullopt;
    auto left = static_cast<unsigned>(size);
    const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data());
    for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY) return std::nullopt;  // NLMSG_DONE, NLMSG_ERROR
      if (const auto queue = QueueOf(header, wanted)) return queue;
    }
  }
  return std::nullopt;
}

}  // namespace serin
