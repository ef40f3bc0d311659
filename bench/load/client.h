#pragma once
// One client connection of the load generator, with TLS or without.

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <string_view>

#include "bench/load/response_reader.h"
#include "proxy/base/instant.h"
#include "proxy/base/unique_fd.h"
#include "proxy/socket.h"

namespace serin::bench {

// Certificates are not checked. With `resume`, connections after the first
// present the latest session ticket.
class TlsClients {
 public:
  explicit TlsClients(bool resume);
  std::unique_ptr<SSL, void (*)(SSL*)> Make(int fd);

 private:
  static int OnTicket(SSL* ssl, SSL_SESSION* session);

  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_{nullptr, SSL_CTX_free};
  std::unique_ptr<SSL_SESSION, void (*)(SSL_SESSION*)> ticket_{nullptr, SSL_SESSION_free};
  const bool resume_;
};

class Client {
 public:
  enum class State : uint8_t { kIdle, kBusy, kDone, kBroken };

  Client(const RawAddress& address, int epoll, TlsClients* tls)
      : address_(address), epoll_(epoll), tls_(tls) {}

  // Sends the request, on a new connection if there is none. `since`: when its
  // time had come.
  State Begin(std::string_view request, Instant since);
  // The socket is ready. kDone once: the response is whole.
  State OnReady();
  void Close();

  Instant since() const { return since_; }
  bool connected() const { return static_cast<bool>(fd_); }
  const ResponseReader& response() const { return response_; }
  uint64_t received() const { return received_; }
  uint64_t handshakes() const { return handshakes_; }
  uint64_t resumed() const { return resumed_; }

 private:
  State Connect();
  State Continue();
  State Receive();
  State Blocked(bool write);
  State Break();

  const RawAddress& address_;
  const int epoll_;
  TlsClients* const tls_;
  UniqueFd fd_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_{nullptr, SSL_free};
  bool shaken_ = false;         // hands: TLS is set up
  bool waiting_write_ = false;  // what epoll has been asked for
  std::string_view unsent_;
  ResponseReader response_;
  Instant since_;
  uint64_t received_ = 0, handshakes_ = 0, resumed_ = 0;
};

}  // namespace serin::bench
