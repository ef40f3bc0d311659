#pragma once
// Where a request's body ends (RFC 9112 §6), decided from its framing fields
// alone and without any repair: whatever two parsers could read differently is
// a way to smuggle a request and refused. Pure; any thread.

#include <cstdint>
#include <string_view>

#include "proxy/message.h"
#include "proxy/parse/refusal.h"

namespace serin {

enum class BodyKind : uint8_t { kNone, kLength, kChunked };

// What the framing fields of one head said. Holds no views: a head may arrive
// in pieces.
class Framing {
 public:
  // Values as received, blanks trimmed.
  void AddContentLength(std::string_view value);
  void AddTransferEncoding(std::string_view value);

  // 400: any Content-Length that is not 1*DIGIT, several of them (even when
  // they agree), one beside Transfer-Encoding, Transfer-Encoding in HTTP/1.0,
  // "chunked" in any but the plain form. 413: more than `body_limit`.
  // 501: a coding that we do not know.
  Refusal Decide(Protocol protocol, uint64_t body_limit) const;

  // Valid when Decide had nothing against it.
  BodyKind kind() const {
    return encodings_ > 0 ? BodyKind::kChunked : length_ > 0 ? BodyKind::kLength : BodyKind::kNone;
  }
  bool has_length() const { return lengths_ > 0; }
  uint64_t length() const { return length_; }

 private:
  uint64_t length_ = 0;
  uint8_t lengths_ = 0, encodings_ = 0;  // how many fields, saturated at 2
  bool bad_length_ = false;
  bool plain_chunked_ = false;  // the last one was exactly "chunked"
  bool about_chunked_ = false;  // one of them had "chunked" somewhere
};

}  // namespace serin
