#include "proxy/fastcgi/backend_connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>

#include "proxy/socket.h"

namespace serin {
namespace {

// Reads of one connection in one turn: enough for the throughput of a large
// answer, few enough that the others get theirs.
constexpr int kReadsPerTurn = 4;
constexpr int kWritesPerTurn = 16;
// Records of a body that leave in one call: together less than a unix socket takes (208 KiB by default).
constexpr size_t kRecordsPerSend = 2;
// With so much still unsent the body waits: a pool that reads slowly must not fill our memory.
constexpr size_t kEnoughUnsent = 64 * 1024;
// How long a script that nobody waits for may go on before its connection is
// closed, which it notices at its next output.
constexpr absl::Duration kLinger = absl::Seconds(1);

BackendError ErrorOfConnect(int error) {
  return error == EAGAIN ? BackendError::kSaturated
                         : (error == ETIMEDOUT ? BackendError::kConnectTimeout : BackendError::kRefused);
}

}  // namespace

BackendError BackendConnection::Connect(const PoolSettings& settings) {
  absl::StatusOr<RawAddress> raw = ToRaw(settings.address);
  if (!raw.ok()) return BackendError::kRefused;
  fd_.Reset(::socket(raw->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) return BackendError::kRefused;
  if (raw->family() != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  answered_ = 0;
  connecting_ = false;
  if (::connect(fd_.get(), raw->get(), raw->size) == 0) return BackendError::kNone;
  // On a unix socket EAGAIN means that the backlog is full, not "under way".
  if (errno == EINPROGRESS) {
    connecting_ = true;
    return BackendError::kNone;
  }
  const BackendError error = ErrorOfConnect(errno);
  fd_.Reset();
  return error;
}

void BackendConnection::Send(BackendUser& user, const Spool& body, const PoolSettings& settings) {
  user_ = &user;
  body_ = &body;
  settings_ = &settings;
  decoder_.Reset(request_id());
  send_offset_ = 0;
  body_offset_ = 0;
  sending_ = true;
  body_ended_ = received_any_ = paused_ = false;
  total_deadline_ =
      settings.total_timeout > absl::ZeroDuration() ? host_.loop.now() + settings.total_timeout : Instant();
  ArmDeadline(connecting_ ? settings.connect_timeout : settings.send_timeout);
  if (connecting_) {
    watch_.Start(host_.loop, fd_.get(), false, true, OnReady, this);
  } else {
    host_.loop.AtTurnEnd(*this);
  }
}

void BackendConnection::ArmDeadline(absl::Duration limit) {
  Instant deadline = host_.loop.now() + limit;
  if (total_deadline_ != Instant()) deadline = std::min(deadline, total_deadline_);
  host_.wheel.Arm(*this, deadline);
}

void BackendConnection::OnReady(void* self, bool readable, bool writable) {
  auto* connection = static_cast<BackendConnection*>(self);
  if (connection->lingering_) return connection->Drop();
  if (connection->user_ == nullptr) {  // idle: PHP-FPM closed it, or sent what nobody asked for
    return connection->owner_.OnConnectionFree(*connection, Ended::kBroken);
  }
  if (connection->connecting_ && !connection->FinishConnect()) return;
  if (writable && connection->sending_) connection->Pump();
  if (readable && connection->user_ != nullptr && connection->open()) connection->Receive();
}

bool BackendConnection::FinishConnect() {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  connecting_ = false;
  if (error != 0) Fail(ErrorOfConnect(error));
  return error == 0;
}

// Sends until all is sent or the socket is full, and says what to wait for.
void BackendConnection::Pump() {
  Sent sent = Sent::kAll;
  for (int i = 0; i < kWritesPerTurn && sending_; ++i) {
    sent = SendSome();
    if (sent != Sent::kAll) break;
  }
  if (sent == Sent::kNoBody) return Fail(BackendError::kReset);
  if (sent == Sent::kBroken) {
    // PHP-FPM may have answered without reading the whole body: the answer, or
    // the end of the connection, is still to be read.
    sending_ = false;
  }
  if (!watch_.reading() && !watch_.writing()) {
    watch_.Start(host_.loop, fd_.get(), !paused_, sending_, OnReady, this);
  } else {
    watch_.Set(!paused_, sending_);
  }
  ArmDeadline(sending_ ? settings_->send_timeout : settings_->read_timeout);
}

// The next part of the body, at most one record's content; empty at its end.
// False when the spool's file cannot be read.
bool BackendConnection::NextBodyPart(std::string_view& part) {
  const uint64_t left = body_->size() - body_offset_;
  if (left == 0) return true;
  const std::string_view memory = body_->memory_view();
  if (body_offset_ < memory.size()) {
    part = memory.substr(body_offset_, kMaxStdin);
    return true;
  }
  const size_t want = std::min<uint64_t>({left, kMaxStdin, host_.send_scratch.size()});
  const int64_t n = body_->ReadAt(body_offset_, host_.send_scratch.first(want));
  if (n <= 0) return false;
  part = {host_.send_scratch.data(), static_cast<size_t>(n)};
  return true;
}

// One sendmsg: what is in the buffer, the next parts of the body, and the end of
// the body if that was the last. What the socket does not take is copied.
BackendConnection::Sent BackendConnection::SendSome() {
  std::string headers[kRecordsPerSend];  // of what follows a part: short enough not to be allocated
  iovec slices[1 + 2 * kRecordsPerSend];
  size_t count = 1;
  std::string* header = &send_buffer_;
  for (std::string& next : headers) {
    if (body_ended_ || send_buffer_.size() - send_offset_ > kEnoughUnsent) break;
    std::string_view part;
    if (!NextBodyPart(part)) return Sent::kNoBody;
    if (!part.empty()) AppendStdinHeader(*header, request_id(), static_cast<uint16_t>(part.size()));
    if (header != &send_buffer_) slices[count++] = {header->data(), header->size()};
    if (!part.empty()) slices[count++] = {const_cast<char*>(part.data()), part.size()};
    body_offset_ += part.size();
    body_ended_ = body_offset_ == body_->size();
    if (!part.empty()) header = &next;
    if (body_ended_) AppendStdinEnd(*header, request_id());
    // A part that was read from the file lies where the next one goes.
    if (body_offset_ >= body_->memory_view().size()) break;
  }
  if (header != &send_buffer_ && !header->empty()) slices[count++] = {header->data(), header->size()};
  slices[0] = {send_buffer_.data() + send_offset_, send_buffer_.size() - send_offset_};
  const ssize_t n = SendSlices(fd_.get(), std::span(slices).first(count));
  if (n < 0 && errno != EAGAIN && errno != EINTR) return Sent::kBroken;
  if (!KeepUnsent(std::span(slices).first(count), n > 0 ? static_cast<size_t>(n) : 0)) return Sent::kBlocked;
  if (body_ended_) sending_ = false;
  return Sent::kAll;
}

// Leaves in the buffer what has not been `taken` of the slices, of which the
// first is the buffer itself. True: nothing is left.
bool BackendConnection::KeepUnsent(std::span<const iovec> slices, size_t taken) {
  const size_t from_buffer = std::min(taken, slices.front().iov_len);
  taken -= from_buffer;
  send_offset_ += from_buffer;
  if (send_offset_ == send_buffer_.size()) {
    send_buffer_.clear();
    send_offset_ = 0;
  }
  AppendUnsent(send_buffer_, slices.subspan(1), taken);
  return send_buffer_.empty();
}

void BackendConnection::Receive() {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const ssize_t n = ::recv(fd_.get(), host_.receive_scratch.data(), host_.receive_scratch.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return Fail(received_any_ ? BackendError::kTruncated : BackendError::kReset);
    received_any_ = true;
    if (!TakeBlock({host_.receive_scratch.data(), static_cast<size_t>(n)})) return;
    if (paused_ || static_cast<size_t>(n) < host_.receive_scratch.size()) break;
  }
  if (!sending_ && !paused_) ArmDeadline(settings_->read_timeout);
}

// False when the request is over or the connection no longer ours to read.
bool BackendConnection::TakeBlock(std::string_view bytes) {
  size_t consumed = 0;
  const RecordDecoder::Result result = decoder_.Decode(bytes, *this, &consumed);
  if (user_ == nullptr) {  // gave up in the middle of the block
    if (lingering_ && result != RecordDecoder::Result::kMore)
      owner_.OnConnectionFree(*this, Ended::kAbandoned);
    return false;
  }
  switch (result) {
    case RecordDecoder::Result::kMore:
      user_->OnBlock();
      return user_ != nullptr;
    case RecordDecoder::Result::kError:
      Fail(BackendError::kProtocol);
      return false;
    case RecordDecoder::Result::kEnd:
      break;
  }
  if (decoder_.protocol_status() != RecordDecoder::kRequestComplete) {
    Fail(BackendError::kOverloaded);
    return false;
  }
  // Bytes behind END_REQUEST, or a body that PHP-FPM has not read to its end,
  // would be taken for part of the next request or answer.
  const bool reusable = consumed == bytes.size() && !sending_;
  ++answered_;
  BackendUser* user = std::exchange(user_, nullptr);
  owner_.OnConnectionFree(*this, reusable ? Ended::kWhole : Ended::kBroken);
  user->OnBackendEnd();
  return false;
}

void BackendConnection::OnStdout(std::string_view bytes) {
  if (user_ != nullptr) user_->OnStdout(bytes);
}

void BackendConnection::OnStderr(std::string_view bytes) {
  if (user_ != nullptr) user_->OnStderr(bytes);
}

void BackendConnection::Fail(BackendError error) {
  // Before the first record of our own answer, bad bytes are the last answer's.
  const bool stale = answered_ > 0 && !decoder_.started() &&
                     (error == BackendError::kReset || error == BackendError::kTruncated ||
                      error == BackendError::kProtocol);
  BackendUser* user = std::exchange(user_, nullptr);
  if (error == BackendError::kReadTimeout && !sending_) {
    Linger();
  } else {
    owner_.OnConnectionFree(*this, Ended::kBroken);
  }
  user->OnBackendError(error, stale);
}

void BackendConnection::Abort() {
  const bool sent = std::exchange(user_, nullptr) != nullptr && !sending_;
  if (sent) return Linger();
  // Not a byte of it has gone out yet: as good as before.
  if (EventLoop::TurnEnd::linked()) return owner_.OnConnectionFree(*this, Ended::kWhole);
  owner_.OnConnectionFree(*this, Ended::kBroken);
}

void BackendConnection::Linger() {
  lingering_ = true;
  body_ = nullptr;
  paused_ = false;
  if (!watch_.reading()) watch_.Start(host_.loop, fd_.get(), true, false, OnReady, this);
  host_.wheel.Arm(*this, host_.loop.now() + kLinger);
}

// Reads what nobody waits for, until its end.
void BackendConnection::Drop() {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const ssize_t n = ::recv(fd_.get(), host_.receive_scratch.data(), host_.receive_scratch.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    size_t consumed = 0;
    const auto result =
        n > 0 ? decoder_.Decode({host_.receive_scratch.data(), static_cast<size_t>(n)}, *this, &consumed)
              : RecordDecoder::Result::kError;
    if (result == RecordDecoder::Result::kMore) continue;
    const bool whole = result == RecordDecoder::Result::kEnd && consumed == static_cast<size_t>(n);
    lingering_ = false;
    answered_ += whole;
    return owner_.OnConnectionFree(*this, whole ? Ended::kWhole : Ended::kBroken);
  }
}

void BackendConnection::PauseReading() {
  paused_ = true;
  watch_.Set(false, sending_);
  // The client is slow, not PHP: its own send timeout ends this.
  TimerWheel::Disarm(*this);
}

void BackendConnection::ResumeReading() {
  if (!paused_) return;
  paused_ = false;
  if (!watch_.writing()) {
    watch_.Start(host_.loop, fd_.get(), true, sending_, OnReady, this);
  } else {
    watch_.Set(true, sending_);
  }
  ArmDeadline(settings_->read_timeout);
}

void BackendConnection::WaitIdle(Instant deadline) {
  EventLoop::TurnEnd::Unlink();
  sending_ = false;
  watch_.Set(true, false);
  host_.wheel.Arm(*this, deadline);
}

void BackendConnection::Close() {
  EventLoop::TurnEnd::Unlink();
  watch_.Stop();
  TimerWheel::Disarm(*this);
  fd_.Reset();
  send_buffer_.clear();
  body_ = nullptr;
  connecting_ = sending_ = lingering_ = false;
}

void BackendConnection::OnDeadline() {
  if (user_ == nullptr) return owner_.OnConnectionFree(*this, lingering_ ? Ended::kAbandoned : Ended::kWhole);
  if (connecting_) return Fail(BackendError::kConnectTimeout);
  if (sending_) return Fail(BackendError::kSendTimeout);
  Fail(BackendError::kReadTimeout);
}

}  // namespace serin
