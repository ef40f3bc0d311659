#pragma once
// The request line of HTTP/1 (RFC 9112 §3), strictly: one space between the
// parts, a version that is spelt out. llhttp sees the same bytes after us; we
// go first because it takes HTTP/0.9, RTSP and ICE for HTTP, and because a
// refusal needs the right status. Pure; any thread.

#include <string_view>

#include "proxy/message.h"
#include "proxy/parse/refusal.h"

namespace serin {

struct RequestLine {
  std::string_view method;  // a token; "" when not even that was found
  std::string_view target;  // bytes of kTargetChar only
  Protocol protocol = Protocol::kHttp11;
};

// `line` without its CRLF. What was found before a refusal is filled in.
// 400: malformed, HTTP/0.9. 505: well-formed, but neither 1.0 nor 1.1.
Refusal ParseRequestLine(std::string_view line, RequestLine& out);

}  // namespace serin
