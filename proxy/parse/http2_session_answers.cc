// The answers of an Http2Session: from the handler to the codec, within the
// client's windows and our bounds.

#include <algorithm>
#include <cassert>
#include <utility>

#include "proxy/parse/http2_answer_head.h"
#include "proxy/parse/http2_session.h"

namespace serin {
namespace {

// Larger pieces go out at once and without a copy; what is smaller waits for the
// end of the turn, and shares a write with the other streams'. A copy of 16 KiB
// costs less than a system call.
constexpr size_t kLendSize = 16 * 1024;
// From here on an answer takes turns with others.
constexpr uint64_t kLongAnswer = 64 * 1024;
// What a stream may keep even when the connection as a whole keeps too much: two
// blocked streams must not hold up a third whose window is open.
constexpr size_t kFairShare = 16 * 1024;
// "Date: " and CRLF around the date.
constexpr size_t kDateAt = 6, kDateSize = 29;

}  // namespace

void Http2Stream::SendHead(const ResponseHead& head) { session_.StartAnswer(*this, head); }
void Http2Stream::SendBody(std::string_view bytes) { session_.SendBody(*this, bytes); }
void Http2Stream::SendEnd() { session_.EndAnswer(*this, true); }
void Http2Stream::Abort() { session_.EndAnswer(*this, false); }
size_t Http2Stream::Unsent() const { return session_.Unsent(*this); }
void Http2Stream::WantSendable() { session_.WantSendable(*this); }

void Http2Session::StartAnswer(Http2Stream& stream, const ResponseHead& head) {
  Http2Stream::State& state = stream.state;
  assert(!state.head_sent);
  state.head_sent = true;
  state.answer = PlanAnswer(head, state.request->method() == "HEAD", Protocol::kHttp2, true);
  state.answer_left = state.answer.content_length.value_or(0);
  if (state.closed || closed_) return;
  const bool empty = state.answer.framing == AnswerFraming::kNoBody ||
                     (state.answer.framing == AnswerFraming::kLength && state.answer_left == 0);
  // While the client still sends, it is told to stop after our last byte (NextData).
  const bool head_only = empty && state.request_ended;
  const Http2AnswerHead answer(head, state.answer.content_length,
                               pool_.date().Line().substr(kDateAt, kDateSize));
  codec_.SubmitAnswer(state.id, answer.fields(), head_only ? nullptr : &stream);
  state.framed = head_only;
  Schedule();
}

void Http2Session::SendBody(Http2Stream& stream, std::string_view bytes) {
  Http2Stream::State& state = stream.state;
  assert(state.head_sent);
  if (bytes.empty() || state.broken || state.closed || closed_) return;
  if (state.answer.framing == AnswerFraming::kNoBody) return;
  if (state.answer.framing == AnswerFraming::kLength) {
    // More than was announced: a broken answer, to be reset.
    state.broken = bytes.size() > state.answer_left;
    if (state.broken) return;
    state.answer_left -= bytes.size();
  }
  const uint64_t before = std::exchange(state.answer_size, state.answer_size + bytes.size());
  if (before < kLongAnswer && state.answer_size >= kLongAnswer) codec_.Interleave(state.id);
  if (bytes.size() > kLendSize) return Lend(stream, bytes);
  KeepBody(stream, bytes);
  Resume(stream);
  Schedule();
}

void Http2Session::KeepBody(Http2Stream& stream, std::string_view bytes) {
  if (stream.body.needs_buffer()) stream.body.set_buffer(pool_.TakeBuffer());
  kept_ += bytes.size();
  stream.body.Append(bytes);
}

void Http2Session::Lend(Http2Stream& stream, std::string_view bytes) {
  stream.body.Lend(bytes);
  Resume(stream);
  Pump();
  if (stream.body.kept() < stream.body.size() && stream.body.needs_buffer()) {
    stream.body.set_buffer(pool_.TakeBuffer());
  }
  const size_t before = stream.body.kept();
  stream.body.Keep();
  kept_ += stream.body.kept() - before;
  NoteProgress();
  Schedule();
}

void Http2Session::EndAnswer(Http2Stream& stream, bool whole) {
  Http2Stream::State& state = stream.state;
  assert(state.phase == Phase::kResponding);
  whole = whole && state.head_sent && !state.broken &&
          (state.answer.framing != AnswerFraming::kLength || state.answer_left == 0);
  state.phase = Phase::kFinishing;
  stream.queue_link.Unlink();
  if (state.closed || closed_) return Release(stream);
  pool_.Give(std::move(state.request));
  if (whole) {
    guard_.Earn(Http2Guard::kAnswered);
    state.ended = true;
    Resume(stream);
  } else {
    state.framed = true;  // that it is not is no fault of the client's
    Reset(stream, Http2Error::kInternalError);
  }
  Schedule();
}

void Http2Session::Resume(Http2Stream& stream) {
  if (std::exchange(stream.state.deferred, false)) codec_.Resume(stream.state.id);
}

void Http2Session::Reset(Http2Stream& stream, Http2Error error) {
  codec_.Reset(stream.state.id, error);
  Schedule();
}

void Http2Session::OnUnsendable(Http2Stream& stream) { Reset(stream, Http2Error::kInternalError); }

// --- Framing -------------------------------------------------------------------

// What is framed can be neither reset nor overtaken: little, as long as the
// socket is not kept waiting.
size_t Http2Session::FramingLimit() const { return std::max<size_t>(limits_.send_buffer / 4, 1); }

void Http2Session::Pump() {
  progress_ = 0;
  const size_t limit = FramingLimit();
  for (;;) {
    codec_.Send(output_, limit);
    if (output_.Unsent() < limit) break;
    output_.Flush();
    if (output_.Unsent() >= limit) break;  // the socket takes no more
  }
  NoteProgress();
}

void Http2Session::NoteProgress() {
  if (kept_ == 0) {
    stalled_since_.reset();
  } else if (progress_ > 0 || !stalled_since_) {
    stalled_since_ = Instant::Now();
  }
}

Http2Events::Data Http2Session::NextData(Http2Stream& stream, size_t max) {
  Http2Stream::State& state = stream.state;
  const size_t size = std::min(stream.body.size(), max);
  const bool end = state.ended && size == stream.body.size();
  if (size == 0 && !end) {
    state.deferred = true;
    return {.deferred = true};
  }
  if (end) {
    state.framed = true;
    // RFC 9113 §8.1: the answer did not need the rest of the request.
    if (!state.request_ended) codec_.Reset(state.id, Http2Error::kNoError);
  }
  return {.size = size, .end = end};
}

bool Http2Session::WriteData(Http2Stream& stream, std::string_view frame_head, size_t size) {
  output_.Write(frame_head);
  const size_t before = stream.body.kept();
  stream.body.WriteTo(output_, size);
  kept_ -= before - stream.body.kept();
  progress_ += size;
  guard_.EarnBody(size);
  return output_.Unsent() < FramingLimit();
}

size_t Http2Session::Unsent(const Http2Stream& stream) const {
  const size_t own = stream.body.size() + output_.Unsent();
  const bool crowded = kept_ >= limits_.send_buffer && stream.body.kept() > kFairShare;
  return crowded ? std::max(own, limits_.send_buffer) : own;
}

void Http2Session::WantSendable(Http2Stream& stream) {
  if (!std::exchange(stream.state.wants_sendable, true)) ++wanting_;
  Schedule();  // it may be so already
}

void Http2Session::NotifySendable() {
  // One at a time: each may answer, and change the list.
  for (size_t tries = wanting_; tries > 0 && wanting_ > 0 && !closed_; --tries) {
    Http2Stream* sendable = nullptr;
    streams_.ForEach([&](Http2Stream& stream) {
      const bool is = stream.state.wants_sendable && Unsent(stream) < limits_.send_buffer / 2;
      if (is && sendable == nullptr) sendable = &stream;
    });
    if (sendable == nullptr) return;
    sendable->state.wants_sendable = false;
    --wanting_;
    handler_.OnSendable(*sendable);
  }
}

}  // namespace serin
