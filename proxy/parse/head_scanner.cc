#include "proxy/parse/head_scanner.h"

#include <cstring>

namespace serin {

Refusal HeadScanner::Scan(std::string_view bytes, const ClientLimits& limits, size_t& whole) {
  request_line_ = {};
  whole = 0;
  while (!complete_) {
    const size_t from = whole + looked_at_;
    const void* found =
        from < bytes.size() ? std::memchr(bytes.data() + from, '\n', bytes.size() - from) : nullptr;
    if (found == nullptr) {
      looked_at_ = bytes.size() - whole;
      return CheckUnfinished(looked_at_, limits);
    }
    looked_at_ = 0;
    const auto end = static_cast<size_t>(static_cast<const char*>(found) - bytes.data());
    if (end == whole || bytes[end - 1] != '\r') return Refusal::kBadRequest;
    const Refusal refusal = TakeLine(bytes.substr(whole, end - 1 - whole), limits);
    if (refusal != Refusal::kNone) return refusal;
    whole = end + 1;
  }
  return Refusal::kNone;
}

Refusal HeadScanner::TakeLine(std::string_view line, const ClientLimits& limits) {
  size_ += line.size() + 2;
  if (lines_ == 0) {
    request_line_ = line;
    if (line.size() > limits.request_line) return Refusal::kTargetTooLong;
  } else if (line.empty()) {
    complete_ = true;
  } else if (line.front() == ' ' || line.front() == '\t' || line.front() == ':') {
    return Refusal::kBadRequest;
  }
  ++lines_;
  if (size_ > limits.head) return Refusal::kHeadTooLarge;
  // Neither the request line nor the empty one is a field.
  const uint32_t fields = lines_ - 1 - (complete_ ? 1 : 0);
  return fields > limits.field_count ? Refusal::kHeadTooLarge : Refusal::kNone;
}

// A line may go on for ever without its LF.
Refusal HeadScanner::CheckUnfinished(size_t size, const ClientLimits& limits) {
  if (lines_ == 0 && size > limits.request_line + 1) return Refusal::kTargetTooLong;  // + 1: its CR
  return size_ + size > limits.head ? Refusal::kHeadTooLarge : Refusal::kNone;
}

}  // namespace serin
