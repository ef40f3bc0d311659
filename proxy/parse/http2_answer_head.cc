#include "proxy/parse/http2_answer_head.h"

#include <charconv>

#include "proxy/parse/ascii.h"
#include "proxy/parse/field_rules.h"

namespace serin {
namespace {

template <size_t kSize>
std::string_view Digits(char (&out)[kSize], uint64_t number) {
  return {out, static_cast<size_t>(std::to_chars(out, out + kSize, number).ptr - out)};
}

}  // namespace

Http2AnswerHead::Http2AnswerHead(const ResponseHead& head, std::optional<uint64_t> content_length,
                                 std::string_view date) {
  const uint16_t status = head.status >= 200 && head.status <= 599 ? head.status : uint16_t{502};
  fields_.push_back({":status", Digits(status_, status)});
  bool dated = false;
  for (const Field& field : head.fields) {
    if (IsOurs(field.name) || !IsWritable(field.name, field.value)) continue;
    dated = dated || EqualsIgnoreCase(field.name, "date");
    fields_.push_back(field);
  }
  if (!dated) fields_.push_back({"date", date});
  if (content_length) fields_.push_back({"content-length", Digits(length_, *content_length)});
}

}  // namespace serin
