#pragma once
// What an answer's body has to wait for: the client's window and the socket.
// First bytes that are kept, then bytes that are lent for the length of one
// call and kept only if they could not be sent during it. One stream's, one
// thread.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/session.h"

namespace serin {

class Http2Body {
 public:
  size_t size() const { return kept() + lent_.size(); }
  // Of size(), what takes memory.
  size_t kept() const { return kept_.size() - offset_; }

  // Before the first Append: it could do with a buffer that may have capacity.
  bool needs_buffer() const { return kept_.empty() && !has_buffer(); }
  bool has_buffer() const { return kept_.capacity() >= kSmallString; }
  void set_buffer(std::string buffer) { kept_ = std::move(buffer); }

  void Append(std::string_view bytes) { kept_.append(bytes); }
  // `bytes` must live until Keep and until the output is flushed.
  void Lend(std::string_view bytes) { lent_ = bytes; }
  // Copies what is still lent.
  void Keep() {
    kept_.append(lent_);
    lent_ = {};
  }

  // Writes the first `size` bytes, at most size(): copies what is kept, for it may
  // move before the flush, and passes on the loan.
  void WriteTo(SessionOutput& output, size_t size) {
    const size_t from_kept = std::min(size, kept());
    if (from_kept > 0) {
      output.Write(std::string_view(kept_).substr(offset_, from_kept));
      offset_ += from_kept;
      Compact();
    }
    const std::string_view from_lent = lent_.substr(0, size - from_kept);
    if (from_lent.empty()) return;
    output.WriteBorrowed(from_lent);
    lent_.remove_prefix(from_lent.size());
  }

  // Empties it; the buffer is the caller's again.
  std::string Release() {
    lent_ = {};
    offset_ = 0;
    kept_.clear();
    return std::exchange(kept_, std::string());
  }

 private:
  static constexpr size_t kSmallString = 64;  // below this a string is not worth a buffer of the pool's

  // Amortised: every byte is moved at most once.
  void Compact() {
    if (offset_ == kept_.size()) {
      kept_.clear();
      offset_ = 0;
    } else if (offset_ > kept_.size() / 2) {
      kept_.erase(0, offset_);
      offset_ = 0;
    }
  }

  std::string kept_;
  size_t offset_ = 0;  // of kept_: written
  std::string_view lent_;
};

}  // namespace serin
