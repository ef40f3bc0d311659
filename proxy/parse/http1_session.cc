#include "proxy/parse/http1_session.h"

#include <cassert>
#include <charconv>

#include "proxy/parse/ascii.h"

namespace serin {
namespace {

// Read ahead of the request in flight: enough for any sane pipeline, and for
// seeing that the client has gone.
constexpr size_t kMaxPending = 64 * 1024;
// RFC 9112 §2.2 wants one empty line before a request borne with; some clients
// send a few. Beyond, it is a way to keep us busy.
constexpr int kMaxBlankLines = 8;
// A string below this is not worth a buffer of the pool's.
constexpr size_t kSmallString = 64;

}  // namespace

Http1Session::Http1Session(const ConnectionInfo& info, const ClientLimits& limits, SessionOutput& output,
                           RequestHandler& handler, RequestPool& pool)
    : info_(info), limits_(limits), output_(output), handler_(handler), pool_(pool) {}

// --- Receiving ---------------------------------------------------------------

void Http1Session::Receive(std::string_view bytes) {
  assert(!running_);
  if (state_ == State::kClosed || bytes.empty()) return;
  if (!pending_.empty()) {
    pending_.append(bytes);
    return Resume();
  }
  // The usual case: whole requests, parsed where they lie.
  const size_t consumed = Run(bytes);
  if (state_ != State::kClosed && consumed < bytes.size()) {
    if (pending_.capacity() < kSmallString) pending_ = pool_.TakeBuffer();
    pending_.assign(bytes.substr(consumed));
  }
  Settle();
}

// Goes on with what is pending, as far as it goes.
void Http1Session::Resume() {
  if (running_) return;  // Run is on the stack and will go on by itself
  if (!pending_.empty()) pending_.erase(0, Run(pending_));
  Settle();
}

// Parses until the bytes are used up or a request is in flight. Returns how
// many bytes were used.
size_t Http1Session::Run(std::string_view in) {
  running_ = true;
  size_t used = 0;
  for (;;) {
    const State before = state_;
    const size_t step = Step(in.substr(used));
    used += step;
    if (step == 0 && state_ == before) break;
  }
  running_ = false;
  return used;
}

size_t Http1Session::Step(std::string_view in) {
  switch (state_) {
    case State::kIdle:
      return in.empty() || draining_ || IsBlocked() ? 0 : BeginRequest(in);
    case State::kHead:
      return in.empty() ? 0 : ReadHead(in);
    case State::kBody:
      return ReadBody(in);
    case State::kResponding:
      return 0;
    case State::kClosed:
      return in.size();
  }
  return 0;
}

// A client that pipelines and does not read must not fill our memory with
// answers: the next request waits until these have gone.
bool Http1Session::IsBlocked() {
  if (output_.Unsent() < limits_.send_buffer) return false;
  output_.Flush();
  return output_.Unsent() >= limits_.send_buffer;
}

size_t Http1Session::BeginRequest(std::string_view in) {
  if (in.front() == '\r' && blank_lines_ < kMaxBlankLines) {
    if (in.size() == 1) return 0;
    if (in[1] == '\n') {
      ++blank_lines_;
      return 2;
    }
  }
  blank_lines_ = 0;
  request_ = pool_.Take();
  request_->connection = &info_;
  state_ = State::kHead;
  // TLS to a plain port, a PROXY v2 header, bare line ends: no need to wait for a line.
  if (!Is(kTokenChar, in.front())) {
    Refuse(Refusal::kBadRequest);
    return in.size();
  }
  head_.Start(*request_, pool_.scratch());
  return 0;
}

size_t Http1Session::ReadHead(std::string_view in) {
  size_t consumed = 0;
  const Refusal refusal = head_.Parse(in, limits_, consumed);
  if (refusal != Refusal::kNone) {
    Refuse(refusal);
    return in.size();
  }
  if (!head_.complete()) return consumed;
  body_.Start(head_.framing());
  state_ = State::kBody;
  if (head_.asks_to_continue()) Continue(in.substr(consumed));
  return consumed;
}

// RFC 9110 §10.1.1: not without a body, nor when it is already coming.
void Http1Session::Continue(std::string_view rest) {
  if (!body_.done() && rest.empty()) output_.Write("HTTP/1.1 100 Continue\r\n\r\n");
}

size_t Http1Session::ReadBody(std::string_view in) {
  std::string_view rest = in;
  const Refusal refusal = body_.Read(rest, request_->body, limits_, pool_.scratch());
  if (refusal != Refusal::kNone) {
    Refuse(refusal);
    return in.size();
  }
  if (body_.done()) Dispatch();
  return in.size() - rest.size();
}

void Http1Session::Dispatch() {
  state_ = State::kResponding;
  head_sent_ = broken_ = wants_sendable_ = false;
  context = nullptr;
  if (head_.asterisk()) return AnswerOptions();
  handler_.OnRequest(*this);
}

// OPTIONS * asks about the server and names no script (RFC 9110 §9.3.7).
void Http1Session::AnswerOptions() {
  ResponseHead head;
  head.fields.push_back({"Allow", kAllowedMethods});
  head.content_length = 0;
  SendHead(head);
  SendEnd();
}

// --- Answering ---------------------------------------------------------------

void Http1Session::SendHead(const ResponseHead& head) {
  assert(state_ == State::kResponding && !head_sent_);
  head_sent_ = true;
  request_->keep_alive = request_->keep_alive && !draining_ && !(eof_ && pending_.empty() && !running_);
  answer_ = PlanAnswer(head, request_->method() == "HEAD", request_->protocol, request_->keep_alive);
  request_->keep_alive = answer_.keep_alive;
  answer_left_ = answer_.content_length.value_or(0);
  std::string& out = pool_.scratch();
  out.clear();
  AppendAnswerHead(out, head, answer_, request_->protocol, pool_.date().Line());
  output_.Write(out);
}

void Http1Session::SendBody(std::string_view bytes) {
  assert(state_ == State::kResponding && head_sent_);
  if (bytes.empty() || broken_) return;
  switch (answer_.framing) {
    case AnswerFraming::kNoBody:
      return;
    case AnswerFraming::kClose:
      return output_.WriteBorrowed(bytes);
    case AnswerFraming::kLength:
      // More than was announced: a broken answer. The piece that exceeds it is
      // withheld, so that the client sees an answer cut short, not a good one.
      broken_ = bytes.size() > answer_left_;
      if (broken_) return;
      answer_left_ -= bytes.size();
      return output_.WriteBorrowed(bytes);
    case AnswerFraming::kChunked: {
      char size[18];
      char* end = std::to_chars(size, size + 16, bytes.size(), 16).ptr;
      *end++ = '\r';
      *end++ = '\n';
      output_.Write({size, static_cast<size_t>(end - size)});
      output_.WriteBorrowed(bytes);
      output_.Write("\r\n");
    }
  }
}

void Http1Session::SendEnd() {
  assert(state_ == State::kResponding);
  if (!head_sent_) return Abort();
  if (answer_.framing == AnswerFraming::kChunked) output_.Write("0\r\n\r\n");
  EndAnswer(!broken_ && (answer_.framing != AnswerFraming::kLength || answer_left_ == 0));
}

void Http1Session::Abort() {
  assert(state_ == State::kResponding);
  // Without framing an orderly close would make the torso look whole.
  if (head_sent_ && answer_.framing == AnswerFraming::kClose) output_.Reset();
  EndAnswer(false);
}

void Http1Session::EndAnswer(bool whole) {
  const bool keep = whole && request_->keep_alive && !draining_;
  pool_.Give(std::move(request_));
  state_ = State::kIdle;
  if (!keep) Close();
  Resume();
}

void Http1Session::OnSent() {
  if (state_ == State::kIdle) return Resume();
  if (state_ != State::kResponding || !wants_sendable_ || output_.Unsent() >= limits_.send_buffer / 2) return;
  wants_sendable_ = false;
  handler_.OnSendable(*this);
}

// --- Ending ------------------------------------------------------------------

void Http1Session::Refuse(Refusal refusal) {
  const uint16_t status = StatusOf(refusal);
  request_->keep_alive = false;
  std::string& out = pool_.scratch();
  out.clear();
  AppendRefusal(out, status, request_->method() == "HEAD", pool_.date().Line());
  output_.Write(out);
  handler_.OnRefused(*request_, status);
  output_.Linger();
  Close();
}

void Http1Session::Close() {
  if (!pending_.empty() || running_) output_.Linger();  // what follows will not be answered
  state_ = State::kClosed;
  pool_.Give(std::move(request_));
  output_.CloseWhenSent();
}

// After every run: an idle session holds nothing, and one that nothing can
// come to any more is closed.
void Http1Session::Settle() {
  if (state_ != State::kClosed && state_ != State::kResponding) {
    const bool over = state_ == State::kIdle ? (eof_ && !IsBlocked()) || draining_ : eof_;
    if (over) Close();
  }
  if (state_ == State::kClosed || pending_.empty()) ReleaseBuffer();
}

void Http1Session::ReleaseBuffer() {
  if (pending_.capacity() < kSmallString) return pending_.clear();
  pool_.GiveBuffer(std::move(pending_));
  pending_ = std::string();
}

bool Http1Session::ReceiveEof() {
  eof_ = true;
  if (state_ == State::kResponding || state_ == State::kClosed) return false;
  Settle();
  return output_.Unsent() == 0;
}

void Http1Session::Abandon() {
  if (state_ == State::kResponding) handler_.OnClientGone(*this);
  state_ = State::kClosed;
  pool_.Give(std::move(request_));
  if (!running_) ReleaseBuffer();
}

void Http1Session::OnTimeout() {
  switch (state_) {
    case State::kHead:
    case State::kBody:
      Refuse(Refusal::kTimeout);
      break;
    case State::kIdle:
      Close();
      break;
    case State::kResponding:
      Abandon();
      output_.Reset();
      break;
    case State::kClosed:
      return;
  }
  Settle();
}

void Http1Session::BeginDrain() {
  draining_ = true;
  if (!running_) Settle();
}

bool Http1Session::WantsRead() const {
  return !eof_ && (state_ == State::kHead || state_ == State::kBody || pending_.size() < kMaxPending);
}

SessionPhase Http1Session::phase() const {
  switch (state_) {
    case State::kIdle:
      return SessionPhase::kIdle;
    case State::kHead:
      return SessionPhase::kHead;
    case State::kBody:
      return SessionPhase::kBody;
    case State::kResponding:
      return SessionPhase::kResponding;
    case State::kClosed:
      return SessionPhase::kClosing;
  }
  return SessionPhase::kClosing;
}

}  // namespace serin
