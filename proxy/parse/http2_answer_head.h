#pragma once
// The head of an HTTP/2 answer: the same fields that HTTP/1 would send, framing
// and hop left out (RFC 9113 §8.2.2, §8.3.2). Pure; any thread.

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "proxy/message.h"

namespace serin {

class Http2AnswerHead {
 public:
  // A status outside 200–599 becomes 502. Left out: fields of the hop, and those that
  // are no fields (IsWritable). `date`: used when the backend sent none. Views into
  // `head` and `date`; not to be copied or moved.
  Http2AnswerHead(const ResponseHead& head, std::optional<uint64_t> content_length, std::string_view date);
  Http2AnswerHead(const Http2AnswerHead&) = delete;
  Http2AnswerHead& operator=(const Http2AnswerHead&) = delete;

  const absl::InlinedVector<Field, 32>& fields() const { return fields_; }  // ":status" is the first

 private:
  absl::InlinedVector<Field, 32> fields_;
  char status_[3];
  char length_[20];
};

}  // namespace serin
