// The CGI head parser, fed with anything, whole and in pieces: both ways must
// agree, and what it lets through can be written into a response.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/respond/cgi_head.h"

namespace {

using serin::CgiHeadParser;

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckHead(const serin::ResponseHead& head) {
  Require(head.status >= 200 && head.status <= 599);
  Require(head.fields.size() <= CgiHeadParser::kMaxFields);
  for (const serin::Field& field : head.fields) {
    Require(!field.name.empty());
    for (char c : field.name) Require(c > ' ' && c < 0x7F && c != ':' && !(c >= 'A' && c <= 'Z'));
    for (char c : field.value) Require((static_cast<unsigned char>(c) >= ' ' || c == '\t') && c != 0x7F);
    for (std::string_view withheld : {"content-length", "transfer-encoding", "connection", "status"}) {
      Require(field.name != withheld);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t piece = data[0] % 32 + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

  CgiHeadParser whole;
  size_t used = 0;
  const CgiHeadParser::Result result = whole.Feed(bytes, &used);
  Require(used <= bytes.size() && used <= CgiHeadParser::kMaxHead);

  CgiHeadParser pieces;
  CgiHeadParser::Result last = CgiHeadParser::Result::kMore;
  size_t total = 0;
  for (size_t at = 0; at < bytes.size() && last == CgiHeadParser::Result::kMore; at += piece) {
    size_t n = 0;
    last = pieces.Feed(bytes.substr(at, piece), &n);
    total += n;
  }
  Require(last == result);
  if (result != CgiHeadParser::Result::kDone) return 0;
  Require(total == used);
  serin::ResponseHead head, other;
  whole.Fill(head);
  pieces.Fill(other);
  CheckHead(head);
  Require(head.status == other.status && head.content_length == other.content_length);
  Require(head.fields.size() == other.fields.size());
  for (size_t i = 0; i < head.fields.size(); ++i) {
    Require(head.fields[i].name == other.fields[i].name && head.fields[i].value == other.fields[i].value);
  }
  return 0;
}
