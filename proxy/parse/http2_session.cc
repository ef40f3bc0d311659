#include "proxy/parse/http2_session.h"

#include <algorithm>
#include <utility>

namespace serin {
namespace {

// Objects that a connection without open streams keeps for its next ones.
constexpr size_t kKeptSpares = 8;
constexpr size_t kSmallString = 64;  // not worth a place in the pool
// A client has this long to acknowledge that it is to open no more streams. Those
// that it opens later are ignored, and it may send them elsewhere.
constexpr absl::Duration kDrainTime = absl::Seconds(1);

}  // namespace

Http2Session::Http2Session(const ConnectionInfo& info, const ClientLimits& limits, SessionOutput& output,
                           RequestHandler& handler, RequestPool& pool)
    : info_(info),
      limits_(limits),
      output_(output),
      handler_(handler),
      pool_(pool),
      codec_(*this, limits.head),
      idle_since_(Instant::Now()) {}

Http2Session::~Http2Session() = default;

// --- The connection ------------------------------------------------------------

void Http2Session::Receive(std::string_view bytes) {
  if (closed_) return;
  codec_.Receive(bytes);
  if (flooded_) codec_.Terminate(Http2Error::kEnhanceYourCalm);
  if (fields_of_ == nullptr) {
    head_began_ = Instant();
  } else if (head_began_ == Instant()) {
    head_began_ = Instant::Now();
  }
  Schedule();
  Deliver();
}

void Http2Session::OnTurnEnd() {
  scheduled_ = false;
  if (closed_) return;
  Pump();
  if (std::exchange(ping_due_, false)) {
    // Not before: nghttp2 would send it ahead of the GOAWAY that it is to follow.
    codec_.SubmitPing();
    Pump();
  }
  if (flooded_) codec_.Terminate(Http2Error::kEnhanceYourCalm);
  Deliver();
  NotifySendable();
  if (codec_.finished()) return Close();
  if (open_ == 0) DropSpares();
}

void Http2Session::Schedule() {
  if (scheduled_ || closed_) return;
  scheduled_ = true;
  output_.AtTurnEnd();
}

// Both sides have said what they had to say. The client may not have noticed:
// without reading on for a while, a reset could take our GOAWAY from it.
void Http2Session::Close() {
  Abandon();
  output_.Linger();
  output_.CloseWhenSent();
}

void Http2Session::Abandon() {
  closed_ = true;
  while (!streams_.empty()) {
    Http2Stream& stream = streams_.front();
    stream.state.closed = true;
    if (stream.state.phase == Phase::kResponding) {
      stream.queue_link.Unlink();
      stream.state.phase = Phase::kFinishing;
      handler_.OnClientGone(stream);
    }
    Release(stream);
  }
}

void Http2Session::BeginDrain() {
  if (draining_ || closed_) return;
  draining_ = ping_due_ = true;
  drain_since_ = Instant::Now();
  codec_.BeginDrain();
  Schedule();
}

void Http2Session::OnPong() {
  if (!drain_since_) return;
  drain_since_.reset();
  codec_.Goaway();
}

SessionPhase Http2Session::phase() const {
  if (closed_) return SessionPhase::kClosing;
  if (fields_of_ != nullptr) return SessionPhase::kHead;
  if (!uploads_.empty()) return SessionPhase::kBody;
  return open_ == 0 ? SessionPhase::kIdle : SessionPhase::kResponding;
}

// --- Deadlines -----------------------------------------------------------------

std::optional<Instant> Http2Session::Deadline() const {
  if (closed_) return std::nullopt;
  std::optional<Instant> first;
  const auto add = [&first](Instant deadline) { first = std::min(deadline, first.value_or(deadline)); };
  if (head_began_ != Instant()) add(head_began_ + limits_.head_timeout);
  if (!uploads_.empty()) add(uploads_.front().stream.state.deadline);
  if (stalled_since_) add(*stalled_since_ + limits_.send_timeout);
  if (drain_since_) add(*drain_since_ + kDrainTime);
  // Neither PING nor anything else but a request makes a connection less idle.
  if (open_ == 0) add(idle_since_ + limits_.idle_timeout);
  return first;
}

void Http2Session::OnTimeout() {
  if (closed_) return;
  const Instant now = Instant::Now();
  while (!uploads_.empty() && uploads_.front().stream.state.deadline <= now) {
    Refuse(uploads_.front().stream, Refusal::kTimeout);
  }
  if (stalled_since_ && *stalled_since_ + limits_.send_timeout <= now) ResetStalled();
  if (drain_since_ && *drain_since_ + kDrainTime <= now) OnPong();
  if (head_began_ != Instant() && head_began_ + limits_.head_timeout <= now) {
    // HPACK's state depends on the rest of it: no other stream can go on.
    if (!trailers_) handler_.OnRefused(*fields_of_->state.request, StatusOf(Refusal::kTimeout));
    codec_.Terminate(Http2Error::kEnhanceYourCalm);
  } else if (open_ == 0 && idle_since_ + limits_.idle_timeout <= now) {
    codec_.Terminate(Http2Error::kNoError);
  }
  Schedule();
}

// The client takes nothing: what we keep for it is given up.
void Http2Session::ResetStalled() {
  stalled_since_.reset();
  streams_.ForEach([this](Http2Stream& stream) {
    if (stream.body.size() > 0) Reset(stream, Http2Error::kCancel);
  });
}

// --- Streams -------------------------------------------------------------------

Http2Stream& Http2Session::NewStream(int32_t id) {
  if (spares_.empty()) {
    objects_.push_back(std::make_unique<Http2Stream>(*this));
    spares_.push_back(objects_.back().get());
  }
  Http2Stream& stream = *spares_.back();
  spares_.pop_back();
  stream.state.id = id;
  stream.state.request = pool_.Take();
  stream.state.request->connection = &info_;
  stream.context = nullptr;
  streams_.PushBack(stream);
  ++open_;
  return stream;
}

void Http2Session::Release(Http2Stream& stream) {
  stream.Unlink();
  stream.queue_link.Unlink();
  if (fields_of_ == &stream) fields_of_ = nullptr;
  if (stream.state.wants_sendable) --wanting_;
  kept_ -= stream.body.kept();
  const bool has_buffer = stream.body.has_buffer();
  std::string buffer = stream.body.Release();
  if (has_buffer) pool_.GiveBuffer(std::move(buffer));
  if (stream.state.pieces.capacity() > kSmallString) pool_.GiveBuffer(std::move(stream.state.pieces));
  pool_.Give(std::move(stream.state.request));
  stream.state = Http2Stream::State();
  spares_.push_back(&stream);
  if (--open_ == 0) idle_since_ = Instant::Now();
}

// Nothing is open and no stream's function is on the stack.
void Http2Session::DropSpares() {
  if (objects_.size() <= kKeptSpares) return;
  objects_.resize(kKeptSpares);
  spares_.clear();
  for (const auto& object : objects_) spares_.push_back(object.get());
}

void Http2Session::OnClosed(Http2Stream& stream) {
  stream.state.closed = true;
  if (!stream.state.framed) Spend(Http2Guard::kReset);
  if (stream.state.phase != Phase::kResponding) return Release(stream);
  if (stream.state.framed) return;  // a head was all: the handler has only to say so
  gone_.PushBack(stream.queue_link);
  Schedule();
}

// Tells the handler what Receive and Pump have brought. Requests wait while much
// of the answers before them is still here.
void Http2Session::Deliver() {
  if (delivering_) return;
  delivering_ = true;
  while (!closed_) {
    if (!gone_.empty()) {
      Http2Stream& stream = gone_.PopFront().stream;
      stream.state.phase = Phase::kFinishing;
      handler_.OnClientGone(stream);
      Release(stream);
    } else if (!ready_.empty() && kept_ < limits_.send_buffer) {
      Dispatch(ready_.PopFront().stream);
    } else {
      break;
    }
  }
  delivering_ = false;
}

}  // namespace serin
