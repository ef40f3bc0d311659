#include "bench/load/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace serin::bench {

TlsClients::TlsClients(bool resume) : resume_(resume) {
  context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_app_data(context_.get(), this);
  SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  if (resume) SSL_CTX_sess_set_new_cb(context_.get(), OnTicket);
}

int TlsClients::OnTicket(SSL* ssl, SSL_SESSION* session) {
  static_cast<TlsClients*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->ticket_.reset(session);
  return 1;  // it is ours now
}

std::unique_ptr<SSL, void (*)(SSL*)> TlsClients::Make(int fd) {
  std::unique_ptr<SSL, void (*)(SSL*)> ssl(SSL_new(context_.get()), SSL_free);
  SSL_set_fd(ssl.get(), fd);
  SSL_set_connect_state(ssl.get());
  if (resume_ && ticket_) {
    // A copy: OpenSSL would use a ticket once only, whether the server gives new ones or not.
    std::unique_ptr<SSL_SESSION, void (*)(SSL_SESSION*)> copy(SSL_SESSION_dup(ticket_.get()),
                                                              SSL_SESSION_free);
    SSL_set_session(ssl.get(), copy.get());
  }
  return ssl;
}

Client::State Client::Begin(std::string_view request, Instant since) {
  unsent_ = request;
  since_ = since;
  response_.Reset();
  if (!fd_ && Connect() == State::kBroken) return State::kBroken;
  return Continue();
}

Client::State Client::Connect() {
  fd_.Reset(::socket(address_.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd_.get(), address_.get(), address_.size) != 0 && errno != EINPROGRESS) return Break();
  epoll_event event{.events = EPOLLIN | EPOLLOUT, .data = {.ptr = this}};
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_.get(), &event);
  waiting_write_ = true;
  shaken_ = tls_ == nullptr;
  if (tls_ != nullptr) ssl_ = tls_->Make(fd_.get());
  return State::kBusy;
}

void Client::Close() {
  if (ssl_ && shaken_)
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN);  // or its session could not be resumed
  ssl_.reset();
  fd_.Reset();
}

Client::State Client::Break() {
  Close();
  return State::kBroken;
}

Client::State Client::OnReady() { return fd_ ? Continue() : State::kIdle; }

Client::State Client::Continue() {
  while (!shaken_) {
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) {
      shaken_ = true;
      ++handshakes_;
      resumed_ += static_cast<uint64_t>(SSL_session_reused(ssl_.get()));
      break;
    }
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_SYSCALL && errno == ENOTCONN) return Blocked(true);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return Break();
    return Blocked(error == SSL_ERROR_WANT_WRITE);
  }
  while (!unsent_.empty()) {
    ssize_t n = 0;
    if (ssl_) {
      n = SSL_write(ssl_.get(), unsent_.data(), static_cast<int>(unsent_.size()));
      if (n <= 0 && SSL_get_error(ssl_.get(), static_cast<int>(n)) != SSL_ERROR_WANT_WRITE) return Break();
    } else {
      n = ::send(fd_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) return Break();
    }
    if (n <= 0) return Blocked(true);
    unsent_.remove_prefix(static_cast<size_t>(n));
  }
  return Receive();
}

Client::State Client::Receive() {
  static char buffer[256 * 1024];
  for (;;) {
    ssize_t n = 0;
    if (ssl_) {
      n = SSL_read(ssl_.get(), buffer, sizeof buffer);
      if (n <= 0 && SSL_get_error(ssl_.get(), static_cast<int>(n)) == SSL_ERROR_WANT_READ)
        return Blocked(false);
    } else {
      n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) return Blocked(false);
    }
    if (n <= 0) return Break();
    received_ += static_cast<uint64_t>(n);
    if (!response_.Take({buffer, static_cast<size_t>(n)})) continue;
    if (response_.closes()) Close();
    return State::kDone;
  }
}

Client::State Client::Blocked(bool write) {
  if (write != waiting_write_) {
    waiting_write_ = write;
    epoll_event event{.events = EPOLLIN | (write ? uint32_t{EPOLLOUT} : 0), .data = {.ptr = this}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_.get(), &event);
  }
  return State::kBusy;
}

}  // namespace serin::bench
