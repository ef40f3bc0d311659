#pragma once
// The head of an HTTP/1 answer: how its body is framed, and the bytes. Pure;
// any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/message.h"

namespace serin {

enum class AnswerFraming : uint8_t {
  kNoBody,  // HEAD, 204, 205, 304: body bytes are thrown away
  kLength,  // Content-Length
  kChunked,
  kClose,  // HTTP/1.0 without a known length: the end of the connection is the end of the body
};

struct AnswerPlan {
  AnswerFraming framing = AnswerFraming::kNoBody;
  std::optional<uint64_t> content_length;  // to be announced
  bool keep_alive = false;
};

// RFC 9112 §6. `keep_alive`: the client wants it and we do. A 204 has no
// Content-Length (RFC 9110 §8.6), nor has a 304 of ours: a script's "0" would
// contradict the cached answer's. A 205 is announced as empty.
AnswerPlan PlanAnswer(const ResponseHead& head, bool is_head_request, Protocol protocol, bool keep_alive);

// Appends status line and fields. Left out: fields that frame the message or
// belong to the hop, and those that would break the head (IsWritable). A
// status outside 200–599 is written as 502. `date_line`: "Date: …\r\n", used
// when the backend sent none.
void AppendAnswerHead(std::string& out, const ResponseHead& head, const AnswerPlan& plan, Protocol protocol,
                      std::string_view date_line);

// Appends a whole answer that refuses a request and announces the close. Says
// what the status says, nothing else. `is_head_request`: without the page.
void AppendRefusal(std::string& out, uint16_t status, bool is_head_request, std::string_view date_line);

// The page of a refusal, for HTTP/2 as well, and its Content-Type.
void AppendRefusalPage(std::string& out, uint16_t status);
inline constexpr std::string_view kRefusalType = "text/html; charset=utf-8";

// Of the answer to OPTIONS *, and of a 405.
inline constexpr std::string_view kAllowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

}  // namespace serin
