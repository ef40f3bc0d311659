#include "proxy/accept/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "proxy/base/log.h"

namespace serin {
namespace {

// Per readiness: enough to drain a burst, few enough that requests of open
// connections are not held up.
constexpr int kAcceptsPerTurn = 32;

int64_t PeerUid(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return -1;
  return credentials.uid;
}

}  // namespace

Listener::Listener(EventLoop& loop, int fd, const ListenerSettings& settings, OnAccept on_accept)
    : fd_(fd), settings_(settings), on_accept_(std::move(on_accept)) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  NameOf(storage, local_address_, local_port_);
  any_address_ = local_address_ == "0.0.0.0" || local_address_ == "::";
  watch_.Start(loop, fd, true, false, OnReady, this);
}

void Listener::OnReady(void* self, bool, bool) { static_cast<Listener*>(self)->AcceptSome(); }

void Listener::Finish() {
  const bool unix_socket = settings_.address.kind == SocketAddress::Kind::kUnix;
  // A unix socket goes on handing out its queue after shutdown(2), a TCP one
  // throws it away.
  if (unix_socket) ::shutdown(fd_, SHUT_RD);
  for (int left = settings_.backlog / kAcceptsPerTurn; AcceptSome() && left > 0; --left) {
  }
  if (!unix_socket) ::shutdown(fd_, SHUT_RD);
}

// True when there may be more.
bool Listener::AcceptSome() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    UniqueFd fd(::accept4(fd_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EINVAL) return false;  // shut down by another worker
      if (errno != EAGAIN) {
        // EMFILE and friends: level-triggered, so we would spin. The owner
        // resumes us on its next tick.
        LogWarning(std::string("cannot accept connections: ") + std::strerror(errno));
        Pause();
      }
      return false;
    }
    ConnectionInfo info;
    info.local_address = local_address_;
    info.local_port = local_port_;
    if (settings_.address.kind == SocketAddress::Kind::kUnix) {
      info.peer_uid = PeerUid(fd.get());
    } else {
      NameOf(peer, info.peer_address, info.peer_port);
      if (any_address_) {
        sockaddr_storage local{};
        socklen_t local_size = sizeof local;
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &local_size);
        NameOf(local, info.local_address, info.local_port);
      }
    }
    info.tls = settings_.protocol == ListenProtocol::kHttps;
    info.fastcgi = settings_.protocol == ListenProtocol::kFastCgi;
    info.proxy_header = settings_.proxy_protocol;
    on_accept_(std::move(fd), std::move(info));
  }
  return true;
}

}  // namespace serin
