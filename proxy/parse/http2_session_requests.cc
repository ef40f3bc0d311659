// The requests of an Http2Session: from the codec's events to the handler.

#include <cassert>

#include "proxy/parse/http2_session.h"

namespace serin {
namespace {

// Pieces of a body below this are gathered once it has gone to a file: a client
// that sends single bytes must not buy a system call with each.
constexpr size_t kSmallPiece = 4 * 1024;
constexpr size_t kGatheredPieces = 16 * 1024;

}  // namespace

Http2Stream* Http2Session::OnHeadBegin(int32_t id) {
  Http2Stream& stream = NewStream(id);
  fields_of_ = &stream;
  trailers_ = false;
  head_.Start(*stream.state.request);
  return &stream;
}

void Http2Session::OnTrailersBegin(Http2Stream& stream) {
  fields_of_ = &stream;
  trailers_ = true;
  trailers_bad_ = false;
  trailer_size_ = 0;
}

void Http2Session::OnField(std::string_view name, std::string_view value) {
  if (fields_of_ == nullptr) return;
  if (!trailers_) return head_.Add(name, value, limits_);
  trailer_size_ += name.size() + value.size();
  // Beyond the limit they are not looked at.
  if (trailer_size_ <= limits_.trailers) trailers_bad_ = trailers_bad_ || !IsGoodTrailer(name, value);
}

void Http2Session::OnHeadEnd(Http2Stream& stream, bool ended) {
  fields_of_ = nullptr;
  head_began_ = Instant();
  Http2Stream::State& state = stream.state;
  const Http2Head::Verdict verdict = head_.Finish(limits_, ended, pool_.scratch());
  state.request_ended = ended;
  state.framing = head_.framing();
  state.asterisk = head_.asterisk();
  if (verdict == Http2Head::Verdict::kMalformed) return Malformed(stream);
  if (verdict == Http2Head::Verdict::kRefused) return Refuse(stream, head_.refusal());
  state.phase = Phase::kBody;
  if (ended) return EndRequest(stream);
  state.deadline = Instant::Now() + limits_.body_timeout;
  uploads_.PushBack(stream.queue_link);
  if (head_.asks_to_continue()) codec_.SubmitContinue(state.id);
}

void Http2Session::OnTrailersEnd(Http2Stream& stream, bool ended) {
  fields_of_ = nullptr;
  head_began_ = Instant();
  stream.state.request_ended = ended;
  if (stream.state.phase != Phase::kBody) return;
  if (trailers_bad_ || !ended) return Malformed(stream);  // RFC 9113 §8.1
  if (trailer_size_ > limits_.trailers) return Refuse(stream, Refusal::kHeadTooLarge);
  EndRequest(stream);
}

void Http2Session::OnBody(Http2Stream& stream, std::string_view bytes, bool last) {
  Http2Stream::State& state = stream.state;
  if (state.phase != Phase::kBody) return codec_.ConsumeUnseen(bytes.size());  // refused: it is told to stop
  state.received += bytes.size();
  if (state.framing.has_length() && state.received > state.framing.length()) {
    codec_.ConsumeUnseen(bytes.size());
    return Malformed(stream);  // RFC 9113 §8.1.1
  }
  if (state.received > limits_.body || !StoreBody(stream, bytes)) {
    codec_.ConsumeUnseen(bytes.size());
    return Refuse(stream, state.received > limits_.body ? Refusal::kBodyTooLarge : Refusal::kStorageFailed);
  }
  guard_.EarnBody(bytes.size());
  // The window opens as the spool takes the bytes. A stream that has ended needs none.
  if (last) {
    codec_.ConsumeUnseen(bytes.size());
  } else {
    codec_.Consume(state.id, bytes.size());
  }
}

// False: the spool's file cannot be written.
bool Http2Session::StoreBody(Http2Stream& stream, std::string_view bytes) {
  Http2Stream::State& state = stream.state;
  Spool& body = state.request->body;
  if (!body.in_memory() && bytes.size() < kSmallPiece) {
    if (state.pieces.empty() && state.pieces.capacity() < kSmallPiece) state.pieces = pool_.TakeBuffer();
    state.pieces.append(bytes);
    return state.pieces.size() < kGatheredPieces || StorePieces(stream);
  }
  return StorePieces(stream) && body.Append(bytes);
}

bool Http2Session::StorePieces(Http2Stream& stream) {
  if (stream.state.pieces.empty()) return true;
  const bool stored = stream.state.request->body.Append(stream.state.pieces);
  stream.state.pieces.clear();
  return stored;
}

void Http2Session::OnBodyEnd(Http2Stream& stream) {
  stream.state.request_ended = true;
  if (stream.state.phase == Phase::kBody) EndRequest(stream);
}

// All is there. It is handed on when the codec is off the stack; a client that
// resets it before that has cost nothing.
void Http2Session::EndRequest(Http2Stream& stream) {
  Http2Stream::State& state = stream.state;
  if (state.framing.has_length() && state.received != state.framing.length()) return Malformed(stream);
  if (!StorePieces(stream)) return Refuse(stream, Refusal::kStorageFailed);
  state.phase = Phase::kReady;
  ready_.PushBack(stream.queue_link);
}

// RFC 9113 §8.1.1: no answer, for it is not known what was asked.
void Http2Session::Malformed(Http2Stream& stream) {
  stream.queue_link.Unlink();
  stream.state.phase = Phase::kFinishing;
  handler_.OnRefused(*stream.state.request, StatusOf(Refusal::kBadRequest));
  Spend(Http2Guard::kMalformed);
  Reset(stream, Http2Error::kProtocolError);
}

void Http2Session::Refuse(Http2Stream& stream, Refusal refusal) {
  const uint16_t status = StatusOf(refusal);
  stream.queue_link.Unlink();
  handler_.OnRefused(*stream.state.request, status);
  std::string& page = pool_.scratch();
  page.clear();
  AppendRefusalPage(page, status);
  ResponseHead head;
  head.status = status;
  if (refusal == Refusal::kMethodNotAllowed) head.fields.push_back({"allow", kAllowedMethods});
  head.fields.push_back({"content-type", kRefusalType});
  head.content_length = page.size();
  StartAnswer(stream, head);
  if (stream.state.answer.framing == AnswerFraming::kLength) KeepBody(stream, page);
  stream.state.ended = true;
  stream.state.phase = Phase::kFinishing;
}

void Http2Session::Dispatch(Http2Stream& stream) {
  stream.state.phase = Phase::kResponding;
  if (stream.state.asterisk) return AnswerOptions(stream);
  handler_.OnRequest(stream);
}

// OPTIONS * asks about the server and names no script (RFC 9110 §9.3.7).
void Http2Session::AnswerOptions(Http2Stream& stream) {
  ResponseHead head;
  head.fields.push_back({"allow", kAllowedMethods});
  head.content_length = 0;
  StartAnswer(stream, head);
  EndAnswer(stream, true);
}

}  // namespace serin
