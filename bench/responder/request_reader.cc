#include "bench/responder/request_reader.h"

#include <algorithm>

namespace serin::bench {
namespace {

constexpr size_t kHeader = 8;
constexpr unsigned char kBeginRequest = 1;
constexpr unsigned char kStdin = 5;
constexpr size_t kFlags = kHeader + 2;  // of BEGIN_REQUEST; bit 0: keep the connection

}  // namespace

std::optional<RequestReader::Request> RequestReader::Next(std::string_view& bytes) {
  while (!bytes.empty() && !broken_) {
    const size_t want = (size_ == 0 ? kHeader : size_) - have_;
    const size_t n = std::min(want, bytes.size());
    if (have_ < record_.size()) {
      std::copy_n(bytes.data(), std::min(n, record_.size() - have_), record_.begin() + have_);
    }
    bytes.remove_prefix(n);
    have_ += n;
    if (n < want) break;
    if (size_ == 0) {
      size_ = kHeader + (record_[4] << 8 | record_[5]) + record_[6];
      broken_ = record_[0] != 1;
      if (size_ > kHeader) continue;
    }
    const bool whole = EndRecord();
    have_ = size_ = 0;
    if (whole) return request_;
  }
  return std::nullopt;
}

// True when the record just finished was the empty STDIN: the request is whole.
bool RequestReader::EndRecord() {
  if (record_[1] == kBeginRequest) {
    request_.id = static_cast<uint16_t>(record_[2] << 8 | record_[3]);
    request_.keep_connection = (record_[kFlags] & 1) != 0;
  }
  return record_[1] == kStdin && (record_[4] | record_[5]) == 0;
}

}  // namespace serin::bench
