#include "proxy/parse/answer_head.h"

#include <charconv>

#include "proxy/parse/ascii.h"
#include "proxy/parse/field_rules.h"

namespace serin {
namespace {

void AppendNumber(std::string& out, uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
}

void AppendStatusLine(std::string& out, uint16_t status) {
  out.append("HTTP/1.1 ");
  AppendNumber(out, status);
  out.append(1, ' ').append(ReasonPhrase(status)).append("\r\n");
}

void AppendContentLength(std::string& out, uint64_t length) {
  out.append("Content-Length: ");
  AppendNumber(out, length);
  out.append("\r\n");
}

}  // namespace

AnswerPlan PlanAnswer(const ResponseHead& head, bool is_head_request, Protocol protocol, bool keep_alive) {
  AnswerPlan plan;
  plan.keep_alive = keep_alive;
  if (head.status == 204 || head.status == 304) return plan;
  if (head.status == 205) {
    plan.content_length = 0;
    return plan;
  }
  plan.content_length = head.content_length;
  if (is_head_request) return plan;
  if (head.content_length) {
    plan.framing = AnswerFraming::kLength;
  } else if (protocol == Protocol::kHttp10) {
    plan.framing = AnswerFraming::kClose;
    plan.keep_alive = false;
  } else {
    plan.framing = AnswerFraming::kChunked;
  }
  return plan;
}

void AppendAnswerHead(std::string& out, const ResponseHead& head, const AnswerPlan& plan, Protocol protocol,
                      std::string_view date_line) {
  AppendStatusLine(out, head.status >= 200 && head.status <= 599 ? head.status : uint16_t{502});
  bool dated = false;
  for (const Field& field : head.fields) {
    if (IsOurs(field.name) || !IsWritable(field.name, field.value)) continue;
    dated = dated || EqualsIgnoreCase(field.name, "date");
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  if (!dated) out.append(date_line);
  if (plan.content_length) AppendContentLength(out, *plan.content_length);
  if (plan.framing == AnswerFraming::kChunked) out.append("Transfer-Encoding: chunked\r\n");
  if (!plan.keep_alive) {
    out.append("Connection: close\r\n");
  } else if (protocol == Protocol::kHttp10) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
}

void AppendRefusalPage(std::string& out, uint16_t status) {
  std::string title;
  AppendNumber(title, status);
  title.append(1, ' ').append(ReasonPhrase(status));
  out.append("<!doctype html>\n<title>").append(title);
  out.append("</title>\n<h1>").append(title).append("</h1>\n");
}

void AppendRefusal(std::string& out, uint16_t status, bool is_head_request, std::string_view date_line) {
  std::string page;
  AppendRefusalPage(page, status);
  AppendStatusLine(out, status);
  out.append(date_line);
  if (status == 405) out.append("Allow: ").append(kAllowedMethods).append("\r\n");
  out.append("Content-Type: ").append(kRefusalType).append("\r\n");
  AppendContentLength(out, page.size());
  out.append("Connection: close\r\n\r\n");
  if (!is_head_request) out.append(page);
}

}  // namespace serin
