#include "proxy/parse/framing.h"

#include "proxy/parse/ascii.h"

namespace serin {
namespace {

// 18 digits cannot overflow, and are 10^18 bytes.
constexpr size_t kMaxLengthDigits = 18;

bool ContainsChunked(std::string_view value) {
  constexpr std::string_view kWord = "chunked";
  for (size_t i = 0; i + kWord.size() <= value.size(); ++i) {
    if (EqualsIgnoreCase(value.substr(i, kWord.size()), kWord)) return true;
  }
  return false;
}

}  // namespace

void Framing::AddContentLength(std::string_view value) {
  if (lengths_ < 2) ++lengths_;
  bad_length_ = bad_length_ || value.empty() || value.size() > kMaxLengthDigits;
  if (bad_length_) return;
  length_ = 0;
  for (char c : value) {
    bad_length_ = bad_length_ || !IsDigit(c);
    length_ = length_ * 10 + static_cast<uint64_t>(c - '0');
  }
}

void Framing::AddTransferEncoding(std::string_view value) {
  if (encodings_ < 2) ++encodings_;
  plain_chunked_ = EqualsIgnoreCase(value, "chunked");
  about_chunked_ = about_chunked_ || ContainsChunked(value);
}

Refusal Framing::Decide(Protocol protocol, uint64_t body_limit) const {
  if (encodings_ > 0) {
    if (lengths_ > 0 || protocol == Protocol::kHttp10) return Refusal::kBadRequest;
    if (!about_chunked_) return Refusal::kNotImplemented;
    return encodings_ == 1 && plain_chunked_ ? Refusal::kNone : Refusal::kBadRequest;
  }
  if (bad_length_ || lengths_ > 1) return Refusal::kBadRequest;
  return length_ > body_limit ? Refusal::kBodyTooLarge : Refusal::kNone;
}

}  // namespace serin
