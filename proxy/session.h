#pragma once
// A session turns a client's bytes into requests and answers into bytes,
// without a socket: HTTP/1 (parse/http1_session), HTTP/2, FastCGI-in. The
// connection that owns it moves the bytes; the handler answers the requests.
// All on the worker's thread.
//
// Order of calls for a GET on HTTP/1:
//   connection → session.Receive("GET / …")         session → handler.OnRequest(stream)
//   handler → stream.SendHead, SendBody…, SendEnd   session → output.Write…
//   handler → stream.Flush                          connection writes to the socket
// For a request that is refused by a limit or a rule the session answers by
// itself and the handler never hears of it, but for OnRefused (to be counted).
// For a client that leaves: connection → session.ReceiveEof or Abandon,
// session → handler.OnClientGone(stream); the stream is dead after that call.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "proxy/base/instant.h"
#include "proxy/base/spool.h"
#include "proxy/message.h"

namespace serin {

// Bounds on what a client may send; from [limits] in the configuration.
struct ClientLimits {
  size_t request_line = 16 * 1024;  // method, target, version; 414 beyond
  size_t head = 60 * 1024;   // whole head; 431 beyond. FastCGI wants each pair within one 64 KiB record
  size_t field_count = 128;  // 431 beyond
  uint64_t body = 128ULL * 1024 * 1024;             // 413 beyond
  size_t chunk_line = 1024;                         // size and extensions of one chunk; 400 beyond
  size_t trailers = 8 * 1024;                       // 431 beyond
  Spool::Limits spool;                              // where bodies go
  absl::Duration head_timeout = absl::Seconds(15);  // first byte to end of head; 408
  absl::Duration body_timeout = absl::Minutes(5);   // end of head to end of body; 408
  absl::Duration idle_timeout = absl::Seconds(75);  // between requests
  absl::Duration send_timeout = absl::Seconds(60);  // no progress in writing to the client
  uint64_t response_spill = 1024ULL * 1024 * 1024;  // of an answer in a file, before PHP has to wait
  size_t send_buffer = 256 * 1024;  // unsent bytes per connection before the pool is held back
};

// One request's way back. Owned by the session; valid from OnRequest until
// SendEnd or Abort returns, or OnClientGone is called.
class Stream {
 public:
  virtual Request& request() = 0;
  // Once, before SendBody. Framing (Content-Length, chunked, close) is the
  // session's choice from head.content_length and the protocol.
  virtual void SendHead(const ResponseHead& head) = 0;
  // Borrowed bytes: they must stay valid until Flush returns.
  virtual void SendBody(std::string_view bytes) = 0;
  // The answer is whole. The stream and its request are gone after this call
  // returns; bytes lent to SendBody must still live until Flush. The next
  // pipelined request may reach OnRequest, on this same Stream, before it returns.
  virtual void SendEnd() = 0;
  // The answer cannot be completed: the client must see that it was cut off
  // (HTTP/1: close without the last chunk; HTTP/2: RST_STREAM). Gone after this.
  virtual void Abort() = 0;
  // Bytes accepted by SendBody and not yet taken by the socket.
  virtual size_t Unsent() const = 0;
  // Call OnSendable when Unsent has fallen below half of send_buffer.
  virtual void WantSendable() = 0;
  // The handler's own pointer, for its callbacks.
  void* context = nullptr;

 protected:
  ~Stream() = default;
};

class RequestHandler {
 public:
  // The request is complete, body included. May answer at once or later.
  virtual void OnRequest(Stream& stream) = 0;
  // The client left; the stream is dead when this returns.
  virtual void OnClientGone(Stream& stream) = 0;
  virtual void OnSendable(Stream& stream) = 0;
  // A request was answered by the session itself (400, 408, 413, 414, 431, 501,
  // 505 …). `request` holds what had been parsed; its method may be empty.
  virtual void OnRefused(const Request& request, uint16_t status) = 0;

 protected:
  ~RequestHandler() = default;
};

// The connection's side towards its session.
class SessionOutput {
 public:
  // Copies; for heads, framing and other small pieces.
  virtual void Write(std::string_view bytes) = 0;
  // Borrows until the next Flush.
  virtual void WriteBorrowed(std::string_view bytes) = 0;
  // Bytes written and not yet taken by the socket.
  virtual size_t Unsent() const = 0;
  // Hand to the socket what has been written; copies the rest.
  virtual void Flush() = 0;
  // Close once all that was written has been sent.
  virtual void CloseWhenSent() = 0;
  // The client may still be sending: read on for a while after the last byte,
  // or the answer is lost to a reset (RFC 9112 §9.6). Before CloseWhenSent.
  virtual void Linger() {}
  // Give up at once, unsent bytes included, so that the client sees a reset:
  // the only way to show that an answer without framing was cut off.
  virtual void Reset() { CloseWhenSent(); }
  // Asks for one call of Session::OnTurnEnd at the end of this loop turn.
  virtual void AtTurnEnd() {}

 protected:
  ~SessionOutput() = default;
};

// What the connection times out on, and with which limit.
enum class SessionPhase : uint8_t { kIdle, kHead, kBody, kResponding, kClosing };

class Session {
 public:
  virtual ~Session() = default;
  // Consumes all of `bytes` (what cannot be parsed yet is kept, bounded).
  virtual void Receive(std::string_view bytes) = 0;
  // The client closed its sending side. True when the connection may be
  // dropped at once; false when an answer is still to be sent.
  virtual bool ReceiveEof() = 0;
  // The connection broke: every stream's handler hears OnClientGone.
  virtual void Abandon() = 0;
  // The socket has taken bytes: Unsent has fallen.
  virtual void OnSent() = 0;
  // The limit of the current phase has passed: answer (408) or close.
  virtual void OnTimeout() = 0;
  // Asked for by SessionOutput::AtTurnEnd: a session of many streams frames here
  // what they were given during the turn, so that it leaves in one write. What
  // it writes is flushed at once.
  virtual void OnTurnEnd() {}
  // When OnTimeout is due, for a session whose deadlines are not those of one
  // phase (HTTP/2 has one for each stream). nullopt: by the phase.
  virtual std::optional<Instant> Deadline() const { return std::nullopt; }
  // Finish what is in flight, take nothing new, then close.
  virtual void BeginDrain() = 0;
  // False: do not read from the socket now (a request is in flight and enough
  // of the next ones is buffered).
  virtual bool WantsRead() const = 0;
  virtual SessionPhase phase() const = 0;
};

}  // namespace serin
