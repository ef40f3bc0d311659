#pragma once
// HTTP/2 (RFC 9113), by prior knowledge or ALPN: many requests at a time on one
// connection. Frames, HPACK and windows are Http2Codec's; here are requests and
// answers, limits and deadlines. Owned by its connection, on the worker's
// thread. Receive wants everything from the client's preface on.
//
// What is sent leaves at the end of the loop turn, all streams' frames in one
// write (Session::OnTurnEnd). Large pieces are the exception: what the client's
// window allows is lent to the output at once.
//
// Memory, whatever the client does: request bodies are in their spools, for at
// most kMaxStreams streams and 1 MiB beyond what the spools have taken; of an
// answer we keep what the window or the socket does not take, and hold the
// pools back (Stream::Unsent) when that is much.
//
// Re-entrancy: the handler is called with no codec on the stack, so that it may
// answer any stream from within OnRequest, OnSendable and OnClientGone. Streams
// are not re-used before the next Receive or OnTurnEnd.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/instant.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/message.h"
#include "proxy/parse/http2_codec.h"
#include "proxy/parse/http2_guard.h"
#include "proxy/parse/http2_head.h"
#include "proxy/parse/http2_stream.h"
#include "proxy/parse/refusal.h"
#include "proxy/parse/request_pool.h"
#include "proxy/session.h"

namespace serin {

class Http2Session final : public Session, private Http2Events {
 public:
  // All must outlive the session.
  Http2Session(const ConnectionInfo& info, const ClientLimits& limits, SessionOutput& output,
               RequestHandler& handler, RequestPool& pool);
  ~Http2Session() override;

  // Session
  void Receive(std::string_view bytes) override;
  // Without the client's frames there is no window and no way to know that it still
  // listens: true, and its streams are given up.
  bool ReceiveEof() override { return true; }
  void Abandon() override;
  void OnSent() override { Schedule(); }
  // Resets or answers (408) the streams whose deadline has passed; ends the
  // connection when it is idle or when a head is not completed.
  void OnTimeout() override;
  void OnTurnEnd() override;
  std::optional<Instant> Deadline() const override;
  // GOAWAY twice: the first asks for no more streams, the second, when the client has
  // heard the first, names the last one that is answered.
  void BeginDrain() override;
  bool WantsRead() const override { return !closed_; }
  SessionPhase phase() const override;

  // For tests: streams that the client has open, and objects kept for them.
  size_t open_streams() const { return open_; }
  size_t kept_streams() const { return objects_.size(); }

 private:
  friend class Http2Stream;
  using Phase = Http2Stream::Phase;
  using Queue = IntrusiveList<Http2Stream::QueueLink>;

  // Http2Events
  Http2Stream* OnHeadBegin(int32_t id) override;
  void OnTrailersBegin(Http2Stream& stream) override;
  void OnField(std::string_view name, std::string_view value) override;
  void OnHeadEnd(Http2Stream& stream, bool ended) override;
  void OnTrailersEnd(Http2Stream& stream, bool ended) override;
  void OnBody(Http2Stream& stream, std::string_view bytes, bool last) override;
  void OnBodyEnd(Http2Stream& stream) override;
  void OnPong() override;
  void OnIdleFrame() override { Spend(Http2Guard::kIdleFrame); }
  void OnBadFrame() override { Spend(Http2Guard::kMalformed); }
  void OnClosed(Http2Stream& stream) override;
  Data NextData(Http2Stream& stream, size_t max) override;
  bool WriteData(Http2Stream& stream, std::string_view frame_head, size_t size) override;
  void OnUnsendable(Http2Stream& stream) override;

  // Requests
  bool StoreBody(Http2Stream& stream, std::string_view bytes);
  bool StorePieces(Http2Stream& stream);
  void EndRequest(Http2Stream& stream);
  void Malformed(Http2Stream& stream);
  void Refuse(Http2Stream& stream, Refusal refusal);
  void Deliver();
  void Dispatch(Http2Stream& stream);
  void AnswerOptions(Http2Stream& stream);

  // Answers, for Http2Stream
  void StartAnswer(Http2Stream& stream, const ResponseHead& head);
  void SendBody(Http2Stream& stream, std::string_view bytes);
  void EndAnswer(Http2Stream& stream, bool whole);
  size_t Unsent(const Http2Stream& stream) const;

  void KeepBody(Http2Stream& stream, std::string_view bytes);
  void Lend(Http2Stream& stream, std::string_view bytes);
  void Resume(Http2Stream& stream);
  void Reset(Http2Stream& stream, Http2Error error);
  void Pump();
  void NoteProgress();
  void NotifySendable();
  void WantSendable(Http2Stream& stream);
  size_t FramingLimit() const;

  void Spend(int cost) { flooded_ = !guard_.Spend(cost) || flooded_; }
  void Schedule();
  void Close();
  Http2Stream& NewStream(int32_t id);
  void Release(Http2Stream& stream);
  void DropSpares();
  void ResetStalled();

  const ConnectionInfo& info_;
  const ClientLimits& limits_;
  SessionOutput& output_;
  RequestHandler& handler_;
  RequestPool& pool_;

  Http2Codec codec_;
  Http2Guard guard_;
  Http2Head head_;
  std::vector<std::unique_ptr<Http2Stream>> objects_;
  std::vector<Http2Stream*> spares_;
  IntrusiveList<Http2Stream> streams_;  // open
  Queue uploads_;                       // kBody, by deadline
  Queue ready_;                         // kReady, in the order of their arrival
  Queue gone_;                          // kResponding and closed: the handler is to be told
  size_t open_ = 0;
  size_t wanting_ = 0;     // streams that want OnSendable
  size_t kept_ = 0;        // bytes of all answers in memory
  uint64_t progress_ = 0;  // bytes of bodies framed by the last Pump
  size_t trailer_size_ = 0;
  Http2Stream* fields_of_ = nullptr;  // whose head or trailers are under way
  Instant head_began_;                // of those that last longer than one Receive
  Instant idle_since_;
  std::optional<Instant> stalled_since_;  // bytes are kept and none could be framed
  std::optional<Instant> drain_since_;    // and the client has not acknowledged it
  bool trailers_ = false;                 // fields_of_: trailers
  bool trailers_bad_ = false;
  bool flooded_ = false;
  bool scheduled_ = false;
  bool delivering_ = false;
  bool draining_ = false;
  bool ping_due_ = false;
  bool closed_ = false;
};

}  // namespace serin
