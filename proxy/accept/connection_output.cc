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
  connection->SendGathered();
  connection->Settle();
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
    host_.sender = this;
  }
  return true;
}

void Connection::Write(std::string_view bytes) {
  if (state_ == State::kDropped || bytes.empty()) return;
  if (BecomeSender() && host_.gather.AddCopy(bytes)) return;
  SendGathered();
  if (unsent_.empty() && BecomeSender() && host_.gather.AddCopy(bytes)) return;
  KeepUnsent(bytes);
}

void Connection::WriteBorrowed(std::string_view bytes) {
  if (state_ == State::kDropped || bytes.empty()) return;
  if (BecomeSender() && host_.gather.AddBorrowed(bytes)) return;
  SendGathered();
  if (unsent_.empty() && BecomeSender() && host_.gather.AddBorrowed(bytes)) return;
  KeepUnsent(bytes);
}

size_t Connection::Unsent() const {
  return unsent_.size() - unsent_offset_ + (host_.sender == this ? host_.gather.size() : 0);
}

void Connection::Flush() {
  if (host_.sender == this) host_.FlushOutput();
}

void Connection::SendGathered() {
  if (host_.sender != this) return;
  OutputGather& gather = host_.gather;
  host_.sender = nullptr;
  if (gather.empty() || state_ == State::kDropped) return gather.Clear();
  if (tls_) return EncryptGathered();
  ssize_t n = SendSlices(fd_.get(), {gather.slices(), static_cast<size_t>(gather.count())});
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) {
      gather.Clear();
      return Drop();
    }
    n = 0;
  }
  CountSent(static_cast<size_t>(n));
  auto skip = static_cast<size_t>(n);
  if (skip < gather.size()) {
    for (int i = 0; i < gather.count(); ++i) {
      const iovec& slice = gather.slices()[i];
      if (skip >= slice.iov_len) {
        skip -= slice.iov_len;
        continue;
      }
      unsent_.append(static_cast<const char*>(slice.iov_base) + skip, slice.iov_len - skip);
      skip = 0;
    }
  }
  gather.Clear();
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
void Connection::EncryptGathered() {
  constexpr size_t kRecord = 16 * 1024;  // RFC 8446 §5.1
  OutputGather& gather = host_.gather;
  host_.cipher.clear();
  std::string& plain = host_.plain;
  plain.clear();
  bool ok = true;
  for (int i = 0; i < gather.count() && ok; ++i) {
    std::string_view slice(static_cast<const char*>(gather.slices()[i].iov_base), gather.slices()[i].iov_len);
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
  gather.Clear();
  if (!ok) return Drop();
  SendRaw(host_.cipher);
}

// Sends bytes as they are; keeps what the socket does not take.
void Connection::SendRaw(std::string_view bytes) {
  if (!unsent_.empty()) {
    unsent_.append(bytes);
    return;
  }
  const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
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
