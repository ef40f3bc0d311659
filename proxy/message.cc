#include "proxy/message.h"

namespace serin {
namespace {

constexpr size_t kKeptCapacity = 16 * 1024;  // a head above this was an exception: give the memory back

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

}  // namespace

std::string_view Name(Protocol protocol) {
  switch (protocol) {
    case Protocol::kHttp10:
      return "HTTP/1.0";
    case Protocol::kHttp11:
      return "HTTP/1.1";
    case Protocol::kHttp2:
      return "HTTP/2.0";
    case Protocol::kFastCgi:
      return "FastCGI";
  }
  return "HTTP/1.1";
}

std::optional<std::string_view> Request::Find(std::string_view lower_name) const {
  for (const StoredField& f : fields_) {
    if (f.name.size == lower_name.size() && View(f.name) == lower_name) return View(f.value);
  }
  return std::nullopt;
}

Request::Slice Request::Store(std::string_view text) {
  const Slice slice{static_cast<uint32_t>(arena_.size()), static_cast<uint32_t>(text.size())};
  arena_.append(text);
  return slice;
}

void Request::AddField(std::string_view name, std::string_view value) {
  const Slice stored = Store(name);
  char* const text = arena_.data() + stored.offset;  // a plain pointer: the hot loop of a request's head
  for (uint32_t i = 0; i < stored.size; ++i) text[i] = Lower(text[i]);
  fields_.push_back({stored, Store(value)});
}

void Request::AddParam(std::string_view name, std::string_view value) {
  const Slice stored = Store(name);
  params_.push_back({stored, Store(value)});
}

void Request::Clear() {
  protocol = Protocol::kHttp11;
  connection = nullptr;
  keep_alive = false;
  body.Clear();
  arena_.clear();
  if (arena_.capacity() > kKeptCapacity) arena_.shrink_to_fit();
  fields_.clear();
  params_.clear();
  method_ = target_ = path_ = query_ = authority_ = Slice{};
}

std::string_view ReasonPhrase(uint16_t status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 207:
      return "Multi-Status";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 418:
      return "I'm a teapot";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 423:
      return "Locked";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    case 508:
      return "Loop Detected";
    case 511:
      return "Network Authentication Required";
    default:
      return "";
  }
}

}  // namespace serin
