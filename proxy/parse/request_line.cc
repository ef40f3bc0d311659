#include "proxy/parse/request_line.h"

#include "proxy/parse/ascii.h"

namespace serin {
namespace {

bool IsVersion(std::string_view text) {
  return text.size() == 8 && text.substr(0, 5) == "HTTP/" && IsDigit(text[5]) && text[6] == '.' &&
         IsDigit(text[7]);
}

}  // namespace

Refusal ParseRequestLine(std::string_view line, RequestLine& out) {
  const size_t method_end = line.find(' ');
  const std::string_view method = line.substr(0, method_end);
  if (method.empty() || !AllAre(kTokenChar, method)) return Refusal::kBadRequest;
  out.method = method;
  if (method_end == std::string_view::npos) return Refusal::kBadRequest;

  line.remove_prefix(method_end + 1);
  const size_t target_end = line.find(' ');
  const std::string_view target = line.substr(0, target_end);
  // '#' included: a fragment is never sent (RFC 9112 §3.2), and parsers differ
  // in where it ends the path.
  if (target.empty() || !AllAre(kTargetChar, target)) return Refusal::kBadRequest;
  out.target = target;
  if (target_end == std::string_view::npos) return Refusal::kBadRequest;  // HTTP/0.9

  const std::string_view version = line.substr(target_end + 1);
  if (version == "HTTP/1.1") return Refusal::kNone;
  if (version == "HTTP/1.0") {
    out.protocol = Protocol::kHttp10;
    return Refusal::kNone;
  }
  return IsVersion(version) ? Refusal::kVersionNotSupported : Refusal::kBadRequest;
}

}  // namespace serin
