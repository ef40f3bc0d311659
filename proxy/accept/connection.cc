#include "proxy/accept/connection.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

namespace serin {
namespace {

// A refused client may send this much, for this long, before we stop listening.
constexpr uint64_t kLingerBytes = 1024 * 1024;
constexpr absl::Duration kLingerTime = absl::Seconds(2);
// A client that connected in the moment of a shutdown has this long to say why:
// nginx has written a request to a new connection long before.
constexpr absl::Duration kDrainGrace = absl::Milliseconds(500);
// A client that has closed its side waits this long for more of its answer.
constexpr absl::Duration kHalfClosedTime = absl::Seconds(1);
// A deadline for "none": cheaper than taking the entry out of the wheel.
constexpr absl::Duration kNever = absl::Hours(24);

}  // namespace

void Connection::Start(ConnectionHost& host, const ClientLimits& limits, UniqueFd fd, ConnectionInfo info,
                       SessionMaker& maker, std::shared_ptr<const TlsContext> tls) {
  auto* connection =
      new Connection(host, limits, std::move(fd), std::move(info), maker);  // frees itself: OnTurnEnd
  if (connection->info_.proxy_header) connection->proxy_ = std::make_unique<ProxyHeaderReader>();
  if (tls) {
    connection->tls_ = TlsStream::Make(std::move(tls), connection->fd_.get());
    if (!connection->tls_) return connection->Drop();
  }
  connection->watch_.Start(host.loop, connection->fd_.get(), true, false, OnReady, connection);
  connection->UpdateDeadline();
}

Connection::Connection(ConnectionHost& host, const ClientLimits& limits, UniqueFd fd, ConnectionInfo info,
                       SessionMaker& maker)
    : host_(host), limits_(limits), fd_(std::move(fd)), info_(std::move(info)), maker_(maker) {
  host_.table.Add(table_link_);
}

Connection::~Connection() {
  maker_.OnConnectionClosed();
  host_.table.Remove(table_link_);
  watch_.Stop();
}

void Connection::OnTurnEnd() {
  if (state_ != State::kDropped) {
    session_->OnTurnEnd();
    host_.FlushOutput();
    return Settle();
  }
  if (session_) session_->Abandon();
  host_.FlushOutput();
  host_.SendParked();  // ours is thrown away (kDropped), the others' are sent
  delete this;
}

void Connection::Drop() {
  state_ = State::kDropped;
  watch_.Set(false, false);
  TimerWheel::Disarm(*this);
  host_.loop.AtTurnEnd(*this);
}

void Connection::BeginDrain() {
  if (state_ != State::kOpen) return;
  // A request that has already reached the socket is still to be answered.
  if (watch_.reading()) OnReadable();
  if (state_ != State::kOpen) return;
  draining_ = true;
  if (!session_) return host_.wheel.Arm(*this, host_.loop.now() + kDrainGrace);
  session_->BeginDrain();
  host_.FlushOutput();
  Settle();
}

void Connection::OnReady(void* self, bool readable, bool writable) {
  auto* connection = static_cast<Connection*>(self);
  if (writable) connection->OnWritable();
  if (readable && connection->state_ != State::kDropped) connection->OnReadable();
  connection->host_.FlushOutput();
  connection->Settle();
}

void Connection::OnReadable() {
  if (state_ != State::kOpen) return Discard();
  if (proxy_) return ReadProxyHeader();
  if (tls_) return ReadTls();
  const ssize_t n = ::recv(fd_.get(), host_.scratch.data(), host_.scratch.size(), 0);
  if (n > 0) {
    host_.received += static_cast<uint64_t>(n);
    OnBytes({host_.scratch.data(), static_cast<size_t>(n)});
  } else if (n == 0) {
    OnEof();
  } else if (errno != EAGAIN && errno != EINTR) {
    Drop();
  }
}

// Looks first, then takes the header and not a byte more: what follows it may
// be TLS, which reads for itself.
void Connection::ReadProxyHeader() {
  const ssize_t seen = ::recv(fd_.get(), host_.scratch.data(), host_.scratch.size(), MSG_PEEK);
  if (seen < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (seen <= 0) return Drop();
  std::string_view rest(host_.scratch.data(), static_cast<size_t>(seen));
  const ProxyHeaderReader::Result result = proxy_->Read(rest);
  const size_t taken = static_cast<size_t>(seen) - rest.size();
  if (result == ProxyHeaderReader::Result::kBad) return Drop();
  if (::recv(fd_.get(), host_.scratch.data(), taken, 0) != static_cast<ssize_t>(taken)) return Drop();
  if (result == ProxyHeaderReader::Result::kMore) return;
  if (const auto& named = proxy_->addresses()) {
    info_.peer_address = named->peer_address;
    info_.peer_port = named->peer_port;
    info_.local_address = named->local_address;
    info_.local_port = named->local_port;
    info_.trusted_peer = maker_.TrustsPeer(info_.peer_address);
  }
  proxy_.reset();
  OnReadable();
}

// Until OpenSSL holds nothing more: the socket will not wake us for that.
void Connection::ReadTls() {
  do {
    host_.FlushOutput();  // `cipher` is free
    host_.cipher.clear();
    size_t n = 0;
    const TlsStream::Result result = tls_->Receive(host_.scratch, n, host_.cipher);
    if (!host_.cipher.empty()) SendReply(host_.cipher);
    if (state_ != State::kOpen) return;
    switch (result) {
      case TlsStream::Result::kBytes:
        host_.received += n;
        OnBytes({host_.scratch.data(), n});
        break;
      case TlsStream::Result::kNothing:
        return;
      case TlsStream::Result::kEnd:
        return OnEof();
      case TlsStream::Result::kBroken:
        return unsent_.empty() ? Drop() : CloseWhenSent();
    }
  } while (state_ == State::kOpen && session_ && session_->WantsRead() && tls_->has_pending());
}

void Connection::OnBytes(std::string_view bytes) {
  if (session_) return session_->Receive(bytes);
  early_.append(bytes);
  session_ = maker_.MakeSession(*this, early_);
  if (!session_) return;
  const std::string early = std::move(early_);
  early_ = std::string();
  session_->Receive(early);
  if (draining_ && state_ == State::kOpen) session_->BeginDrain();
}

// The client has closed its sending side. With an answer still to come it may
// be a client that has said all it had to say, or one that has left: the kernel
// tells on a unix socket (POLLHUP), and on TCP only once it has answered what we
// send with a reset. So a TCP client gets a grace, and then its PHP worker is free.
void Connection::OnEof() {
  half_closed_ = true;
  const bool over = !session_ || session_->ReceiveEof();
  if (state_ != State::kOpen) return;
  pollfd state{fd_.get(), 0, 0};
  if (over || (::poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) != 0)) return Drop();
  sent_before_ = sent_;
}

// Closing: what the client still sends is read and thrown away.
void Connection::Discard() {
  const ssize_t n = ::recv(fd_.get(), host_.scratch.data(), host_.scratch.size(), 0);
  if (n > 0) discarded_ += static_cast<uint64_t>(n);
  if (n == 0) half_closed_ = true;
  const bool failed = n < 0 && errno != EAGAIN && errno != EINTR;
  if (failed || discarded_ > kLingerBytes || (n == 0 && state_ == State::kLingering)) Drop();
}

void Connection::CloseWhenSent() {
  if (state_ != State::kOpen) return;
  state_ = State::kClosing;
  BecomeSender();  // even with nothing to send: the flush to come settles us
}

void Connection::Reset() {
  if (state_ == State::kDropped) return;
  const linger abort{.l_onoff = 1, .l_linger = 0};  // close(2) sends RST (socket(7), SO_LINGER)
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  Drop();
}

// After every callback: what to wait for now, and until when.
void Connection::Settle() {
  if (state_ == State::kDropped) return;
  if (state_ == State::kClosing && !HasUnsent()) {
    if (tls_) CloseTls();
    if (state_ == State::kDropped) return;
    ::shutdown(fd_.get(), SHUT_WR);
    if (!linger_ || half_closed_) return Drop();
    state_ = State::kLingering;
    host_.wheel.Arm(*this, host_.loop.now() + kLingerTime);
  }
  const bool read = !half_closed_ && (state_ == State::kOpen ? !session_ || session_->WantsRead() : linger_);
  watch_.Set(read, !unsent_.empty());
  if (read && state_ == State::kOpen && tls_ && tls_->has_pending()) watch_.TriggerRead();
  UpdateDeadline();
}

void Connection::UpdateDeadline() {
  if (state_ == State::kLingering || (draining_ && !session_)) return;
  const Instant now = host_.loop.now();
  if (!unsent_.empty()) {
    if (!timing_send_) host_.wheel.Arm(*this, now + limits_.send_timeout);
    timing_send_ = true;
    timed_phase_ = SessionPhase::kClosing;
    return;
  }
  timing_send_ = false;
  if (half_closed_) {
    // Writing shows soon enough whether anybody is there.
    if (timed_phase_ != SessionPhase::kClosing || sent_ != sent_before_) {
      host_.wheel.Arm(*this, now + kHalfClosedTime);
    }
    sent_before_ = sent_;
    timed_phase_ = SessionPhase::kClosing;
    return;
  }
  const SessionPhase phase = session_                            ? session_->phase()
                             : proxy_ || tls_ || !early_.empty() ? SessionPhase::kHead
                                                                 : SessionPhase::kIdle;
  if (const auto deadline = session_ ? session_->Deadline() : std::nullopt) {
    timed_phase_ = phase;
    return host_.wheel.Arm(*this, *deadline);
  }
  // kIdle begins anew with every answered request; the other phases' limits
  // are for the whole of them, however slowly bytes drip in.
  if (phase == timed_phase_ && phase != SessionPhase::kIdle) return;
  timed_phase_ = phase;
  switch (phase) {
    case SessionPhase::kIdle:
      return host_.wheel.Arm(*this, now + limits_.idle_timeout);
    case SessionPhase::kHead:
      return host_.wheel.Arm(*this, now + limits_.head_timeout);
    case SessionPhase::kBody:
      return host_.wheel.Arm(*this, now + limits_.body_timeout);
    case SessionPhase::kResponding:
      return host_.wheel.Arm(*this, now + kNever);
    case SessionPhase::kClosing:
      return host_.wheel.Arm(*this, now + limits_.send_timeout);
  }
}

void Connection::OnDeadline() {
  if (timing_send_ || state_ != State::kOpen || !session_) return Drop();
  if (session_->Deadline()) {
    session_->OnTimeout();
    host_.FlushOutput();
    return Settle();
  }
  switch (timed_phase_) {
    case SessionPhase::kHead:
    case SessionPhase::kBody:
      session_->OnTimeout();
      host_.FlushOutput();
      return Settle();
    case SessionPhase::kResponding:
      return UpdateDeadline();
    case SessionPhase::kIdle:
    case SessionPhase::kClosing:
      return Drop();
  }
}

}  // namespace serin
