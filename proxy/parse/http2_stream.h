#pragma once
// One request and its answer on an HTTP/2 connection. Its session owns it,
// recycles it, and does what is more than bookkeeping. One thread.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/instant.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/message.h"
#include "proxy/parse/answer_head.h"
#include "proxy/parse/framing.h"
#include "proxy/parse/http2_body.h"
#include "proxy/session.h"

namespace serin {

class Http2Session;

// A node of the session's list of open streams.
class Http2Stream final : public Stream, public ListNode {
 public:
  explicit Http2Stream(Http2Session& session) : session_(session) {}

  // Stream
  Request& request() override { return *state.request; }
  void SendHead(const ResponseHead& head) override;
  void SendBody(std::string_view bytes) override;
  void SendEnd() override;
  void Abort() override;
  size_t Unsent() const override;
  void WantSendable() override;

  // kResponding: the handler has it. kFinishing: the handler is done with it, or has
  // never heard of it; the rest of the answer, or the reset, is on its way.
  enum class Phase : uint8_t { kHead, kBody, kReady, kResponding, kFinishing };

  // The session's; made anew for each request.
  struct State {
    int32_t id = 0;
    Phase phase = Phase::kHead;
    std::unique_ptr<Request> request;
    Framing framing;
    Instant deadline;    // kBody: the request is to be whole by then
    std::string pieces;  // kBody: small ones, on their way to the spool's file
    uint64_t received = 0;
    AnswerPlan answer;
    uint64_t answer_left = 0;  // kLength: bytes still to come
    uint64_t answer_size = 0;  // bytes given to SendBody
    bool request_ended = false;
    bool asterisk = false;
    bool closed = false;  // the codec has forgotten it
    bool head_sent = false;
    bool deferred = false;  // the codec waits for Resume
    bool ended = false;     // the answer is whole: END_STREAM after the last byte
    bool framed = false;    // END_STREAM is on its way
    bool broken = false;    // the answer's body was longer than announced
    bool wants_sendable = false;
  };
  State state;
  Http2Body body;  // of the answer

  // In one of the session's queues, by its phase.
  struct QueueLink : ListNode {
    explicit QueueLink(Http2Stream& owner) : stream(owner) {}
    Http2Stream& stream;
  };
  QueueLink queue_link{*this};

 private:
  Http2Session& session_;
};

}  // namespace serin
