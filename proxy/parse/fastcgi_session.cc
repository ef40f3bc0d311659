#include "proxy/parse/fastcgi_session.h"

#include <algorithm>
#include <cassert>
#include <charconv>

#include "proxy/parse/fastcgi_request.h"
#include "proxy/parse/field_rules.h"

namespace serin {
namespace {

// Content of a BEGIN_REQUEST (8 bytes) or of a GET_VALUES: the three names
// there are take 48 bytes.
constexpr size_t kMaxControl = 512;
constexpr size_t kBeginSize = 8;
// A string below this is not worth a buffer of the pool's.
constexpr size_t kSmallString = 64;

// nginx takes the end of a connection for the end of an answer, END_REQUEST or
// not, and would hand on a torso as if it were whole. A record of version 0 is
// an error to every FastCGI client.
constexpr std::string_view kNoRecord{"\0\0\0\0\0\0\0\0", kFcgiHeaderSize};

void AppendNumber(std::string& out, uint64_t number) {
  char digits[20];
  out.append(digits, static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, number).ptr - digits));
}

void AppendStatus(std::string& out, uint16_t status) {
  out.append("Status: ");
  AppendNumber(out, status);
  out.append(1, ' ').append(ReasonPhrase(status)).append("\r\n");
}

// A CGI head (RFC 3875 §6.3): the web server adds Date and framing.
void AppendCgiHead(std::string& out, const ResponseHead& head, const AnswerPlan& plan) {
  AppendStatus(out, head.status >= 200 && head.status <= 599 ? head.status : uint16_t{502});
  for (const Field& field : head.fields) {
    if (IsOurs(field.name) || !IsWritable(field.name, field.value)) continue;
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  if (plan.content_length) {
    out.append("Content-Length: ");
    AppendNumber(out, *plan.content_length);
    out.append("\r\n");
  }
  out.append("\r\n");
}

// A whole answer that refuses a request.
void AppendCgiRefusal(std::string& out, uint16_t status) {
  std::string page;
  AppendRefusalPage(page, status);
  AppendStatus(out, status);
  if (status == 405) out.append("Allow: ").append(kAllowedMethods).append("\r\n");
  out.append("Content-Type: text/html; charset=utf-8\r\nContent-Length: ");
  AppendNumber(out, page.size());
  out.append("\r\n\r\n").append(page);
}

}  // namespace

FastCgiSession::FastCgiSession(const ConnectionInfo& info, const ClientLimits& limits, SessionOutput& output,
                               RequestHandler& handler, RequestPool& pool, int max_connections)
    : info_(info),
      limits_(limits),
      output_(output),
      handler_(handler),
      pool_(pool),
      max_connections_(max_connections) {}

// --- Receiving ---------------------------------------------------------------

void FastCgiSession::Receive(std::string_view bytes) {
  assert(!receiving_);
  receiving_ = true;
  Piece piece;
  while (state_ != State::kClosed) {
    const FcgiRecordReader::Result result = records_.Next(bytes, piece);
    if (result == FcgiRecordReader::Result::kMore) break;
    if (result == FcgiRecordReader::Result::kBad) {
      Break();
      break;
    }
    Take(piece);
  }
  receiving_ = false;
}

void FastCgiSession::Take(const Piece& piece) {
  switch (piece.type) {
    case FcgiType::kBeginRequest:
      if (piece.id == 0 || piece.size != kBeginSize) return Break();
      if (Gather(piece)) TakeBegin(piece.id);
      return;
    case FcgiType::kAbortRequest:
      if (piece.last && Current(piece)) TakeAbort();
      return;
    case FcgiType::kParams:
      if (Current(piece)) TakeParams(piece);
      return;
    case FcgiType::kStdin:
      if (Current(piece)) TakeStdin(piece);
      return;
    case FcgiType::kData:
      return;  // of the role Filter only
    case FcgiType::kGetValues:
      if (piece.id != 0 || piece.size > kMaxControl) return Break();
      if (Gather(piece)) TakeValues();
      return;
    case FcgiType::kEndRequest:
    case FcgiType::kStdout:
    case FcgiType::kStderr:
    case FcgiType::kGetValuesResult:
    case FcgiType::kUnknownType:
      return Break();  // an application's, not a client's
  }
  if (!piece.last) return;
  std::string answer;
  AppendFcgiUnknownType(answer, piece.type);
  output_.Write(answer);
}

// Collects a small record; true when it is whole, in control_.
bool FastCgiSession::Gather(const Piece& piece) {
  if (piece.content.size() == piece.size) {
    control_.assign(piece.content);
  } else {
    control_.append(piece.content);
  }
  return piece.last;
}

void FastCgiSession::TakeBegin(uint16_t id) {
  const auto byte = [this](size_t i) { return static_cast<uint8_t>(control_[i]); };
  const auto role = static_cast<uint16_t>(byte(0) << 8 | byte(1));
  const bool keep = (byte(2) & kFcgiKeepConnection) != 0;
  control_.clear();
  std::string answer;
  if (state_ != State::kIdle) {
    if (id == id_) return Break();  // two requests of one name
    AppendFcgiEnd(answer, id, FcgiStatus::kCantMultiplex);
    return output_.Write(answer);
  }
  if (role != kFcgiResponder) {
    AppendFcgiEnd(answer, id, FcgiStatus::kUnknownRole);
    output_.Write(answer);
    if (keep && !draining_) return;
    output_.Linger();  // its params are still to come
    return Close();
  }
  id_ = id;
  keep_ = keep;
  state_ = State::kParams;
  content_length_.reset();
  head_sent_ = broken_ = wants_sendable_ = false;
  request_ = pool_.Take();
  request_->connection = &info_;
  request_->protocol = Protocol::kFastCgi;
  request_->keep_alive = keep;
  params_ = pool_.TakeBuffer();
}

void FastCgiSession::TakeParams(const Piece& piece) {
  if (state_ != State::kParams) return Break();  // after their end
  if (piece.size > 0) {
    if (params_.size() + piece.content.size() > MaxFcgiParams(limits_)) return Refuse(Refusal::kHeadTooLarge);
    params_.append(piece.content);
    return;
  }
  const Refusal refusal = ReadFcgiParams(params_, limits_, pool_.scratch(), *request_, content_length_);
  if (refusal != Refusal::kNone) return Refuse(refusal);
  pool_.GiveBuffer(std::move(params_));
  params_ = std::string();
  state_ = State::kBody;
}

// The body is as long as STDIN: CONTENT_LENGTH may be absent, but may not
// disagree. A web server that lost part of it must not have it run.
void FastCgiSession::TakeStdin(const Piece& piece) {
  if (state_ == State::kResponding) return Break();  // after its end
  if (state_ != State::kBody) return Break();        // before the params' end
  Spool& body = request_->body;
  if (piece.size == 0) {
    if (content_length_ && body.size() != *content_length_) return Refuse(Refusal::kBadRequest);
    return Dispatch();
  }
  const uint64_t size = body.size() + piece.content.size();
  if (content_length_ && size > *content_length_) return Refuse(Refusal::kBadRequest);
  if (size > limits_.body) return Refuse(Refusal::kBodyTooLarge);
  if (!body.Append(piece.content)) Refuse(Refusal::kStorageFailed);
}

void FastCgiSession::TakeAbort() {
  if (state_ == State::kResponding) handler_.OnClientGone(*this);
  EndRequest(FcgiStatus::kRequestComplete);
}

void FastCgiSession::TakeValues() {
  std::string answer;
  AppendFcgiValues(answer, control_, max_connections_);
  control_.clear();
  output_.Write(answer);
}

void FastCgiSession::Dispatch() {
  state_ = State::kResponding;
  context = nullptr;
  handler_.OnRequest(*this);
}

// --- Answering ---------------------------------------------------------------

void FastCgiSession::SendHead(const ResponseHead& head) {
  assert(state_ == State::kResponding && !head_sent_);
  head_sent_ = true;
  request_->keep_alive = request_->keep_alive && !draining_;
  // "Chunked" then only means: as it comes, until END_REQUEST.
  answer_ = PlanAnswer(head, request_->method() == "HEAD", Protocol::kFastCgi, request_->keep_alive);
  answer_left_ = answer_.content_length.value_or(0);
  std::string& out = pool_.scratch();
  out.clear();
  AppendCgiHead(out, head, answer_);
  WriteStdout(out);
}

// Copies; in records of what fits into one.
void FastCgiSession::WriteStdout(std::string_view bytes) {
  std::string header;  // eight bytes: no allocation
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, kFcgiMaxContent);
    bytes.remove_prefix(part.size());
    header.clear();
    AppendFcgiHeader(header, FcgiType::kStdout, id_, part.size());
    output_.Write(header);
    output_.Write(part);
  }
}

void FastCgiSession::SendBody(std::string_view bytes) {
  assert(state_ == State::kResponding && head_sent_);
  if (bytes.empty() || broken_ || answer_.framing == AnswerFraming::kNoBody) return;
  if (answer_.framing == AnswerFraming::kLength) {
    // More than was announced: withheld, so that the client sees an answer cut
    // short, not a good one.
    broken_ = bytes.size() > answer_left_;
    if (broken_) return;
    answer_left_ -= bytes.size();
  }
  std::string header;  // eight bytes: no allocation
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, kFcgiMaxContent);
    bytes.remove_prefix(part.size());
    header.clear();
    AppendFcgiHeader(header, FcgiType::kStdout, id_, part.size());
    output_.Write(header);
    output_.WriteBorrowed(part);
  }
}

void FastCgiSession::SendEnd() {
  assert(state_ == State::kResponding);
  const bool whole =
      head_sent_ && !broken_ && (answer_.framing != AnswerFraming::kLength || answer_left_ == 0);
  if (!whole) return Abort();
  EndRequest(FcgiStatus::kRequestComplete);
}

void FastCgiSession::Abort() {
  assert(state_ == State::kResponding);
  if (head_sent_) output_.Write(kNoRecord);
  ReleaseRequest();
  Close();
}

// The empty STDOUT record and END_REQUEST; then the next request, or the end.
void FastCgiSession::EndRequest(FcgiStatus status) {
  std::string& end = pool_.scratch();
  end.clear();
  AppendFcgiHeader(end, FcgiType::kStdout, id_, 0);
  AppendFcgiEnd(end, id_, status);
  output_.Write(end);
  ReleaseRequest();
  state_ = State::kIdle;
  if (!keep_ || draining_) Close();
}

void FastCgiSession::OnSent() {
  if (state_ != State::kResponding || !wants_sendable_ || output_.Unsent() >= limits_.send_buffer / 2) return;
  wants_sendable_ = false;
  handler_.OnSendable(*this);
}

// --- Ending ------------------------------------------------------------------

// Answered by ourselves. What is left of the request is read and thrown away
// by the connection: a web server that cannot write does not read.
void FastCgiSession::Refuse(Refusal refusal) {
  const uint16_t status = StatusOf(refusal);
  request_->keep_alive = false;
  keep_ = false;
  std::string& out = pool_.scratch();
  out.clear();
  AppendCgiRefusal(out, status);
  WriteStdout(out);
  handler_.OnRefused(*request_, status);
  output_.Linger();
  EndRequest(FcgiStatus::kRequestComplete);
}

// Not FastCGI, or not as it may be spoken: nothing can be said in reply.
void FastCgiSession::Break() {
  if (state_ == State::kResponding) {
    handler_.OnClientGone(*this);
  } else {
    std::unique_ptr<Request> seen = request_ != nullptr ? std::move(request_) : pool_.Take();
    seen->connection = &info_;
    seen->protocol = Protocol::kFastCgi;
    handler_.OnRefused(*seen, StatusOf(Refusal::kBadRequest));
    pool_.Give(std::move(seen));
  }
  ReleaseRequest();
  Close();
}

void FastCgiSession::ReleaseRequest() {
  pool_.Give(std::move(request_));
  if (params_.capacity() >= kSmallString) pool_.GiveBuffer(std::move(params_));
  params_ = std::string();
}

void FastCgiSession::Close() {
  state_ = State::kClosed;
  control_ = std::string();
  output_.CloseWhenSent();
}

bool FastCgiSession::ReceiveEof() {
  if (state_ == State::kClosed) return false;
  if (state_ == State::kIdle) {
    Close();
    return output_.Unsent() == 0;
  }
  // No web server closes its side and waits: it has lost its own client.
  Abandon();
  return true;
}

void FastCgiSession::Abandon() {
  if (state_ == State::kResponding) handler_.OnClientGone(*this);
  ReleaseRequest();
  state_ = State::kClosed;
}

void FastCgiSession::OnTimeout() {
  switch (state_) {
    case State::kParams:
    case State::kBody:
      return Refuse(Refusal::kTimeout);
    case State::kIdle:
      return Close();  // a record's header in pieces
    case State::kResponding:
      Abandon();
      return output_.Reset();
    case State::kClosed:
      return;
  }
}

void FastCgiSession::BeginDrain() {
  draining_ = true;
  // What has begun to arrive is still answered.
  if (state_ == State::kIdle && !receiving_ && records_.between_records()) Close();
}

// A client that does not read must not fill our memory with answers.
bool FastCgiSession::WantsRead() const { return output_.Unsent() < limits_.send_buffer; }

SessionPhase FastCgiSession::phase() const {
  switch (state_) {
    case State::kIdle:
      return records_.between_records() ? SessionPhase::kIdle : SessionPhase::kHead;
    case State::kParams:
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
