#pragma once
// FastCGI in: a web server takes us for PHP-FPM (nginx's fastcgi_pass). One
// request at a time on a connection, kept open if the client asks for it.
// Owned by its connection, on the worker's thread.
//
// What is answered, by the specification: a request of another id while one is
// in flight: CANT_MPX_CONN; a role other than responder: UNKNOWN_ROLE;
// GET_VALUES and unknown types: their answers; ABORT_REQUEST: the handler hears
// OnClientGone, the client END_REQUEST. Records of a request that is not in
// flight are skipped. Anything else that is no FastCGI closes the connection.
//
// An answer that cannot be completed has no END_REQUEST. Since that alone is not
// enough for nginx, it ends with bytes that are no record: what the web server
// has sent on so far is then seen to be cut off.
//
// Re-entrancy: the handler may answer from within OnRequest.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/message.h"
#include "proxy/parse/answer_head.h"
#include "proxy/parse/fastcgi_records.h"
#include "proxy/parse/refusal.h"
#include "proxy/parse/request_pool.h"
#include "proxy/session.h"

namespace serin {

class FastCgiSession final : public Session, public Stream {
 public:
  // All must outlive the session. `max_connections`: what GET_VALUES is told.
  FastCgiSession(const ConnectionInfo& info, const ClientLimits& limits, SessionOutput& output,
                 RequestHandler& handler, RequestPool& pool, int max_connections);

  // Session
  void Receive(std::string_view bytes) override;
  bool ReceiveEof() override;
  void Abandon() override;
  void OnSent() override;
  void OnTimeout() override;
  void BeginDrain() override;
  bool WantsRead() const override;
  SessionPhase phase() const override;

  // Stream: of the request in flight
  Request& request() override { return *request_; }
  void SendHead(const ResponseHead& head) override;
  void SendBody(std::string_view bytes) override;
  void SendEnd() override;
  void Abort() override;
  size_t Unsent() const override { return output_.Unsent(); }
  void WantSendable() override { wants_sendable_ = true; }

 private:
  // kIdle and kClosed hold no request; in kResponding the handler has it.
  enum class State : uint8_t { kIdle, kParams, kBody, kResponding, kClosed };
  using Piece = FcgiRecordReader::Piece;

  void Take(const Piece& piece);
  bool Gather(const Piece& piece);
  void TakeBegin(uint16_t id);
  void TakeParams(const Piece& piece);
  void TakeStdin(const Piece& piece);
  void TakeAbort();
  void TakeValues();
  void Dispatch();
  bool Current(const Piece& piece) const { return state_ != State::kIdle && piece.id == id_; }

  void Refuse(Refusal refusal);
  void Break();
  void EndRequest(FcgiStatus status);
  void WriteStdout(std::string_view bytes);
  void ReleaseRequest();
  void Close();

  const ConnectionInfo& info_;
  const ClientLimits& limits_;
  SessionOutput& output_;
  RequestHandler& handler_;
  RequestPool& pool_;
  const int max_connections_;

  std::unique_ptr<Request> request_;
  std::string params_;   // the PARAMS stream so far
  std::string control_;  // BEGIN_REQUEST's or GET_VALUES's content so far
  std::optional<uint64_t> content_length_;
  uint64_t answer_left_ = 0;  // kLength: bytes still to come
  AnswerPlan answer_;
  FcgiRecordReader records_;
  uint16_t id_ = 0;  // of the request in flight
  State state_ = State::kIdle;
  bool keep_ = false;       // FCGI_KEEP_CONN
  bool receiving_ = false;  // Receive is on the stack
  bool head_sent_ = false;
  bool broken_ = false;  // the answer's body was longer than announced
  bool wants_sendable_ = false;
  bool draining_ = false;
};

}  // namespace serin
