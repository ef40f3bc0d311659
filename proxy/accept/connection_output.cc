// The sending half of Connection: gathers, encrypts, sends, keeps the rest.

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>

#include "proxy/accept/connection.h"
#include "proxy/socket.h"

namespace serin {

void ConnectionHost::FlushOutput() {
  Connection* connection = sender;
  if (connection == nullptr) return;
  if (!gather.CanPark() || connection->state_ == Connection::State::kDropped) {
    connection->SendGathered();
    return connection->Settle();
  }
  sender = nullptr;
  const std::string_view bytes = gather.Park();
  connection->parked_ = bytes.size();
  parked_[parked_count_++] = {connection, bytes};
  if (parked_count_ == kMostParked) return SendParked();
  loop.AtTurnEnd(*this);
}

void ConnectionHost::SendParked() {
  for (int i = 0; i < parked_count_; ++i) parked_[i].connection->SendParked(parked_[i].bytes);
  parked_count_ = 0;
  gather.Unpark();
}

void Connection::OnWritable() {
  if (state_ == State::kDropped) return;
  const ssize_t n =
      ::send(fd_.get(), unsent_.data() + unsent_offset_, unsent_.size() - unsent_offset_, MSG_NOSIGNAL);
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) Drop();
    return;
  }
  CountSent(static_cast<size_t>(n));
  unsent_offset_ += static_cast<size_t>(n);
  timing_send_ = false;  // progress: a new deadline
  if (unsent_offset_ == unsent_.size()) {
    unsent_offset_ = 0;
    unsent_ = std::string();  // an idle connection holds no buffer
  } else if (unsent_offset_ > unsent_.size() / 2) {
    unsent_.erase(0, unsent_offset_);
    unsent_offset_ = 0;
  }
  if (session_) session_->OnSent();
}

// Makes the gather ours; false when bytes must be queued behind unsent_.
bool Connection::BecomeSender() {
  if (host_.sender != this) {
    if (!unsent_.empty()) return false;
    host_.FlushOutput();
    if (parked_ > 0) host_.SendParked();  // the last answer goes before this one
    if (!unsent_.empty()) return false;
    host_.sender = this;
  }
  return true;
}

// The gather is full: sends it, and all that is parked in it. False: our socket is full.
bool Connection::MakeRoom() {
  SendGathered();
  host_.SendParked();
  return BecomeSender();
}

void Connection::Write(std::string_view bytes) {
  if (state_ == State::kDropped || bytes.empty()) return;
  if (BecomeSender() && host_.gather.AddCopy(bytes)) return;
  if (unsent_.empty() && MakeRoom() && host_.gather.AddCopy(bytes)) return;
  KeepUnsent(bytes);
}

void Connection::WriteBorrowed(std::string_view bytes) {
  if (state_ == State::kDropped || bytes.empty()) return;
  if (BecomeSender() && host_.gather.AddBorrowed(bytes)) return;
  if (unsent_.empty() && MakeRoom() && host_.gather.AddBorrowed(bytes)) return;
  KeepUnsent(bytes);
}

size_t Connection::Unsent() const {
  return unsent_.size() - unsent_offset_ + parked_ + (host_.sender == this ? host_.gather.size() : 0);
}

void Connection::Flush() {
  if (host_.sender == this) {
    SendGathered();
    Settle();
  } else if (parked_ > 0) {
    host_.FlushOutput();
    host_.SendParked();
  }
}

void Connection::SendGathered() {
  if (host_.sender != this) return;
  OutputGather& gather = host_.gather;
  host_.sender = nullptr;
  Send({gather.slices(), static_cast<size_t>(gather.count())});
  gather.Clear();
}

// At the end of the turn: what was set aside for then.
void Connection::SendParked(std::string_view bytes) {
  parked_ = 0;
  const iovec slice{const_cast<char*>(bytes.data()), bytes.size()};
  Send({&slice, 1});
  Settle();
}

void Connection::Send(std::span<const iovec> slices) {
  if (slices.empty() || state_ == State::kDropped) return;
  if (tls_) return SendEncrypted(slices);
  SendPlain(slices);
}

// The last bytes of a connection leave with its FIN, in one segment: Settle shuts it down next.
int Connection::SendFlags() const { return state_ == State::kClosing ? MSG_MORE : 0; }

void Connection::SendPlain(std::span<const iovec> slices) {
  ssize_t n = unsent_.empty() ? SendSlices(fd_.get(), slices, SendFlags()) : 0;
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) return Drop();
    n = 0;
  }
  CountSent(static_cast<size_t>(n));
  AppendUnsent(unsent_, slices, static_cast<size_t>(n));
}

// Behind bytes that the socket has not taken yet.
void Connection::KeepUnsent(std::string_view bytes) {
  if (!tls_) {
    unsent_.append(bytes);
  } else if (!tls_->Encrypt(bytes, unsent_)) {
    Drop();
  }
}

// Small slices share a record: a head and a short body leave as one.
void Connection::SendEncrypted(std::span<const iovec> slices) {
  constexpr size_t kRecord = 16 * 1024;  // RFC 8446 §5.1
  host_.cipher.clear();
  std::string& plain = host_.plain;
  plain.clear();
  bool ok = true;
  for (const iovec& part : slices) {
    std::string_view slice(static_cast<const char*>(part.iov_base), part.iov_len);
    while (ok && !slice.empty()) {
      if (plain.empty() && slice.size() >= kRecord) {
        ok = tls_->Encrypt(slice.substr(0, slice.size() - slice.size() % kRecord), host_.cipher);
        slice.remove_prefix(slice.size() - slice.size() % kRecord);
        continue;
      }
      const size_t take = std::min(slice.size(), kRecord - plain.size());
      plain.append(slice.substr(0, take));
      slice.remove_prefix(take);
      if (plain.size() < kRecord) continue;
      ok = tls_->Encrypt(plain, host_.cipher);
      plain.clear();
    }
  }
  if (ok && !plain.empty()) ok = tls_->Encrypt(plain, host_.cipher);
  if (!ok) return Drop();
  SendRaw(host_.cipher);
}

// Sends bytes as they are; keeps what the socket does not take.
void Connection::SendRaw(std::string_view bytes) {
  if (!unsent_.empty()) {
    unsent_.append(bytes);
    return;
  }
  const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | SendFlags());
  if (n < 0 && errno != EAGAIN && errno != EINTR) return Drop();
  const size_t taken = n > 0 ? static_cast<size_t>(n) : 0;
  CountSent(taken);
  unsent_.append(bytes.substr(taken));
}

// What TLS itself has to say. The session's bytes have their own bound; who makes
// us say more than this beside them and does not read it is up to no good.
void Connection::SendReply(std::string_view bytes) {
  constexpr size_t kUnreadReplies = 256 * 1024;
  SendRaw(bytes);
  if (unsent_.size() - unsent_offset_ > limits_.send_buffer + kUnreadReplies) Drop();
}

void Connection::CloseTls() {
  host_.cipher.clear();
  tls_->Close(host_.cipher);
  if (!host_.cipher.empty()) SendRaw(host_.cipher);
}

}  // namespace serin
