#include "bench/load/response_reader.h"

#include <strings.h>

#include <algorithm>
#include <cstdlib>

namespace serin::bench {
namespace {

bool Matches(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

bool ResponseReader::Take(std::string_view bytes) {
  if (part_ == Part::kHead) {
    const size_t searched = head_.size() < 3 ? 0 : head_.size() - 3;
    head_.append(bytes);
    const size_t end = head_.find("\r\n\r\n", searched);
    if (end == std::string::npos) return false;
    bytes.remove_prefix(bytes.size() - (head_.size() - end - 4));
    head_.resize(end + 2);
    ReadHead(head_);
    head_.clear();
  }
  if (part_ == Part::kChunks) return TakeChunked(bytes);
  left_ -= std::min<uint64_t>(left_, bytes.size());
  return left_ == 0;
}

void ResponseReader::ReadHead(std::string_view head) {
  part_ = Part::kBody;
  status_ = std::atoi(head.data() + std::min<size_t>(head.size(), 9));
  for (size_t at = head.find("\r\n") + 2; at < head.size();) {
    const size_t end = head.find("\r\n", at);
    const std::string_view line = head.substr(at, end - at);
    at = end + 2;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = line.substr(std::min(line.size(), line.find_first_not_of(' ', colon + 1)));
    if (Matches(name, "content-length")) left_ = std::strtoull(value.data(), nullptr, 10);
    if (Matches(name, "transfer-encoding") && Matches(value, "chunked")) part_ = Part::kChunks;
    if (Matches(name, "connection") && Matches(value, "close")) closes_ = true;
  }
}

bool ResponseReader::TakeChunked(std::string_view bytes) {
  for (;;) {
    const size_t n = std::min<uint64_t>(left_, bytes.size());
    bytes.remove_prefix(n);
    left_ -= n;
    if (left_ > 0 || (bytes.empty() && !last_)) return false;
    if (last_) return true;
    const size_t end = bytes.find('\n');
    head_.append(bytes.substr(0, end));
    if (end == std::string_view::npos) return false;
    bytes.remove_prefix(end + 1);
    left_ = std::strtoull(head_.c_str(), nullptr, 16) + 2;  // and the line end behind it
    last_ = left_ == 2;
    head_.clear();
  }
}

}  // namespace serin::bench
