#pragma once
// HTTP/1.1 and 1.0 (RFC 9112), one request at a time: what a client pipelines
// behind it waits, bounded. Owned by its connection, on the worker's thread.
// Idle, it holds no Request and no buffer: under 500 bytes in all.
//
// Re-entrancy: the handler may answer from within OnRequest. SendEnd and Abort
// may call OnRequest for the next pipelined request before they return; the
// handler must be done with the Stream when it calls them. The depth is
// bounded: only the outermost call goes on parsing, in a loop.

#include <memory>
#include <string>
#include <string_view>

#include "proxy/message.h"
#include "proxy/parse/answer_head.h"
#include "proxy/parse/body_reader.h"
#include "proxy/parse/head_parser.h"
#include "proxy/parse/refusal.h"
#include "proxy/parse/request_pool.h"
#include "proxy/session.h"

namespace serin {

class Http1Session final : public Session, public Stream {
 public:
  // All must outlive the session.
  Http1Session(const ConnectionInfo& info, const ClientLimits& limits, SessionOutput& output,
               RequestHandler& handler, RequestPool& pool);

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
  enum class State : uint8_t { kIdle, kHead, kBody, kResponding, kClosed };

  void Resume();
  size_t Run(std::string_view in);
  size_t Step(std::string_view in);
  size_t BeginRequest(std::string_view in);
  size_t ReadHead(std::string_view in);
  size_t ReadBody(std::string_view in);
  void Continue(std::string_view rest);
  void Dispatch();
  void AnswerOptions();
  bool IsBlocked();

  void Refuse(Refusal refusal);
  void EndAnswer(bool whole);
  void Close();
  void Settle();
  void ReleaseBuffer();

  const ConnectionInfo& info_;
  const ClientLimits& limits_;
  SessionOutput& output_;
  RequestHandler& handler_;
  RequestPool& pool_;

  std::unique_ptr<Request> request_;
  std::string pending_;  // received, not yet parsed
  HeadParser head_;
  BodyReader body_;

  uint64_t answer_left_ = 0;  // kLength: bytes still to come
  AnswerPlan answer_;
  State state_ = State::kIdle;
  uint8_t blank_lines_ = 0;  // skipped before this request
  bool running_ = false;     // Run is on the stack
  bool head_sent_ = false;
  bool broken_ = false;  // the answer's body was longer than announced
  bool wants_sendable_ = false;
  bool eof_ = false;  // the client sends nothing more
  bool draining_ = false;
};

}  // namespace serin
