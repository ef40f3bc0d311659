#pragma once
// TLS on one connection: reads from the socket, decrypts; encrypts into a
// string that the connection sends like any other bytes, so that back-pressure
// and gathered writes work as without TLS. One thread.

#include <openssl/ssl.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "proxy/accept/tls_context.h"

namespace serin {

class TlsStream {
 public:
  enum class Result : uint8_t { kBytes, kNothing, kEnd, kBroken };

  // `fd` is borrowed for reading.
  static std::unique_ptr<TlsStream> Make(std::shared_ptr<const TlsContext> context, int fd);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Decrypts what has arrived into `out`. Handshake messages, tickets and
  // alerts that answer it are appended to `reply`, whatever the result.
  Result Receive(std::span<char> out, size_t& received, std::string& reply);
  // More may be received without the socket becoming readable.
  bool has_pending() const { return pending_; }
  // Appends `bytes` as records to `out`. False: the stream is broken.
  bool Encrypt(std::string_view bytes, std::string& out);
  // Appends close_notify (RFC 8446 §6.1).
  void Close(std::string& out);

  bool established() const { return SSL_is_init_finished(ssl_) != 0; }
  // "h2", "http/1.1" or "" (the client offered nothing).
  std::string_view protocol() const;

 private:
  TlsStream(std::shared_ptr<const TlsContext> context, SSL* ssl) : context_(std::move(context)), ssl_(ssl) {}

  std::shared_ptr<const TlsContext> context_;  // its server-name callback points into it
  SSL* ssl_;
  std::string* sink_ = nullptr;  // where records go during a call
  int reads_left_ = 0;           // of the socket, in this call
  bool pending_ = false;
  friend int WriteToSink(BIO* bio, const char* data, size_t size, size_t* written);
};

}  // namespace serin
