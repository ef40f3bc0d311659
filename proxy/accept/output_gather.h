#pragma once
// Collects what one connection is about to send, so that a head, its framing
// and the body slices leave in one writev. One per thread, lent to one
// connection at a time: an idle connection holds no buffer. What is all in our
// own buffer can be parked until the end of the turn, while the next connection
// gathers. One thread.

#include <sys/uio.h>

#include <cstring>
#include <string_view>

namespace serin {

class OutputGather {
 public:
  static constexpr int kMaxSlices = 64;            // far above a head and its records; below IOV_MAX
  static constexpr size_t kCopyBytes = 32 * 1024;  // heads and framing; bodies are borrowed
  // A short body behind its head makes one slice: cheaper than two for the kernel.
  static constexpr size_t kCheapToCopy = 1024;

  size_t size() const { return total_; }
  // False when there is no room: flush, what is parked too, and try again.
  bool AddCopy(std::string_view bytes) {
    if (bytes.size() > kCopyBytes - copied_ || (count_ == kMaxSlices && !ContinuesCopy())) return false;
    char* at = copy_ + copied_;
    std::memcpy(at, bytes.data(), bytes.size());
    copied_ += bytes.size();
    Append(at, bytes.size());
    return true;
  }
  bool AddBorrowed(std::string_view bytes) {
    if (bytes.size() <= kCheapToCopy && AddCopy(bytes)) return true;
    if (count_ == kMaxSlices) return false;
    Append(const_cast<char*>(bytes.data()), bytes.size());
    return true;
  }
  const iovec* slices() const { return slices_; }
  int count() const { return count_; }
  void Clear() {
    count_ = 0;
    total_ = 0;
    copied_ = parked_;
  }
  // Nothing of it is borrowed.
  bool CanPark() const { return count_ == 1 && slices_[0].iov_base == copy_ + parked_; }
  // Sets it aside; the bytes stay until Unpark.
  std::string_view Park() {
    const std::string_view bytes(copy_ + parked_, total_);
    parked_ = copied_;
    Clear();
    return bytes;
  }
  // Forgets all that is parked. Nothing may be gathered at the moment.
  void Unpark() {
    parked_ = 0;
    Clear();
  }

 private:
  bool ContinuesCopy() const { return count_ > 0 && End() == copy_ + copied_; }
  const char* End() const {
    const iovec& last = slices_[count_ - 1];
    return static_cast<const char*>(last.iov_base) + last.iov_len;
  }
  void Append(char* at, size_t size) {
    total_ += size;
    if (count_ > 0 && End() == at) {
      slices_[count_ - 1].iov_len += size;
    } else {
      slices_[count_++] = {at, size};
    }
  }

  iovec slices_[kMaxSlices];
  int count_ = 0;
  size_t copied_ = 0;
  size_t parked_ = 0;  // of copied_
  size_t total_ = 0;
  char copy_[kCopyBytes];
};

}  // namespace serin
