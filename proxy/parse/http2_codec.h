#pragma once
// nghttp2 in RAII: frames and HPACK on one side, events and orders on the
// other. It appears in this pair of files only. Checks frames, states and
// windows; heads and bodies are judged by the session. Owned by its session;
// one thread.
//
// nghttp2 must not be re-entered: events come from within Receive or Send, and
// during one of them orders may be given (they are queued), but neither of the
// two called.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "proxy/message.h"
#include "proxy/session.h"

struct nghttp2_session;

namespace serin {

class Http2Stream;

// RFC 9113 §7, those that we send.
enum class Http2Error : uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kCancel = 8,
  kEnhanceYourCalm = 11,
};

class Http2Events {
 public:
  // From Receive. The fields between a Begin and its End belong to it: no other
  // frame can come in between. `ended`: END_STREAM, the client sends no more.
  virtual Http2Stream* OnHeadBegin(int32_t id) = 0;
  virtual void OnTrailersBegin(Http2Stream& stream) = 0;
  virtual void OnField(std::string_view name, std::string_view value) = 0;
  virtual void OnHeadEnd(Http2Stream& stream, bool ended) = 0;
  virtual void OnTrailersEnd(Http2Stream& stream, bool ended) = 0;
  // `last`: of a frame with END_STREAM; OnBodyEnd follows.
  virtual void OnBody(Http2Stream& stream, std::string_view bytes, bool last) = 0;
  virtual void OnBodyEnd(Http2Stream& stream) = 0;
  virtual void OnPong() = 0;
  // A frame that moves nothing.
  virtual void OnIdleFrame() = 0;
  // A breach for which the stream, not the connection, is reset.
  virtual void OnBadFrame() = 0;

  // From Receive or Send: the stream is closed, in whatever way, and forgotten by the
  // codec.
  virtual void OnClosed(Http2Stream& stream) = 0;

  // From Send.
  struct Data {
    size_t size = 0;
    bool end = false;       // END_STREAM with these
    bool deferred = false;  // nothing now: Resume asks again
  };
  // How many of at most `max` bytes go into the next frame.
  virtual Data NextData(Http2Stream& stream, size_t max) = 0;
  // Writes a frame of that many bytes. False: no more for now.
  virtual bool WriteData(Http2Stream& stream, std::string_view frame_head, size_t size) = 0;
  // An answer's head could not be framed.
  virtual void OnUnsendable(Http2Stream& stream) = 0;

 protected:
  ~Http2Events() = default;
};

class Http2Codec {
 public:
  // Envoy's defaults for the edge: 100 streams, 64 KiB for each, 1 MiB for all.
  static constexpr uint32_t kMaxStreams = 100;
  static constexpr uint32_t kStreamWindow = 64 * 1024;
  static constexpr int32_t kConnectionWindow = 1024 * 1024;

  // `header_list`: SETTINGS_MAX_HEADER_LIST_SIZE. `events` must outlive the codec.
  Http2Codec(Http2Events& events, size_t header_list);
  ~Http2Codec();
  Http2Codec(const Http2Codec&) = delete;
  Http2Codec& operator=(const Http2Codec&) = delete;

  void Receive(std::string_view bytes);
  // Frames what may be sent, as long as `output` holds less than `limit` bytes.
  void Send(SessionOutput& output, size_t limit);
  // The connection is over: neither side may say more.
  bool finished() const;

  // Orders. Names in any case, the first field is ":status". `body`: whom to ask for
  // data; null: END_STREAM with the head. Both are copied.
  void SubmitAnswer(int32_t id, std::span<const Field> fields, Http2Stream* body);
  void SubmitContinue(int32_t id);  // 100
  void Resume(int32_t id);
  void Reset(int32_t id, Http2Error error);
  // Give back window for received bytes that have been dealt with: the stream's and
  // the connection's, or the connection's alone.
  void Consume(int32_t id, size_t bytes);
  void ConsumeUnseen(size_t bytes);
  // From now on the stream takes turns with others frame by frame. Otherwise one
  // answer follows the other, which is better for short ones.
  void Interleave(int32_t id);
  // Asks the client to open no more streams.
  void BeginDrain();
  // OnPong answers. Overtakes what is not yet framed.
  void SubmitPing();
  // Streams that open from now on are ignored; those open are answered.
  void Goaway();
  // GOAWAY and nothing after it. Not during Receive or Send.
  void Terminate(Http2Error error);

 private:
  friend struct Http2Callbacks;
  struct Delete {
    void operator()(nghttp2_session* session) const;
  };

  void CheckStreamId(int32_t id);

  Http2Events& events_;
  std::unique_ptr<nghttp2_session, Delete> session_;
  // Which streams the client skipped last: they may never be opened any more.
  int32_t last_id_ = -1, skipped_from_ = 0, skipped_to_ = -1;
  bool broke_rules_ = false;  // where nghttp2 lets it pass: a connection error, once Receive is over
  bool broken_ = false;       // receives no more
  bool failed_ = false;       // sends no more
};

}  // namespace serin
