#include "proxy/message.h"

#include <algorithm>
#include <iterator>

namespace serin {
namespace {

constexpr size_t kKeptCapacity = 16 * 1024;  // a head above this was an exception: give the memory back

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

struct Reason {
  uint16_t status;
  std::string_view phrase;
};

// By status, for the search.
constexpr Reason kReasons[] = {{100, "Continue"},
                               {101, "Switching Protocols"},
                               {103, "Early Hints"},
                               {200, "OK"},
                               {201, "Created"},
                               {202, "Accepted"},
                               {203, "Non-Authoritative Information"},
                               {204, "No Content"},
                               {205, "Reset Content"},
                               {206, "Partial Content"},
                               {207, "Multi-Status"},
                               {300, "Multiple Choices"},
                               {301, "Moved Permanently"},
                               {302, "Found"},
                               {303, "See Other"},
                               {304, "Not Modified"},
                               {307, "Temporary Redirect"},
                               {308, "Permanent Redirect"},
                               {400, "Bad Request"},
                               {401, "Unauthorized"},
                               {402, "Payment Required"},
                               {403, "Forbidden"},
                               {404, "Not Found"},
                               {405, "Method Not Allowed"},
                               {406, "Not Acceptable"},
                               {408, "Request Timeout"},
                               {409, "Conflict"},
                               {410, "Gone"},
                               {411, "Length Required"},
                               {412, "Precondition Failed"},
                               {413, "Content Too Large"},
                               {414, "URI Too Long"},
                               {415, "Unsupported Media Type"},
                               {416, "Range Not Satisfiable"},
                               {417, "Expectation Failed"},
                               {418, "I'm a teapot"},
                               {421, "Misdirected Request"},
                               {422, "Unprocessable Content"},
                               {423, "Locked"},
                               {425, "Too Early"},
                               {426, "Upgrade Required"},
                               {428, "Precondition Required"},
                               {429, "Too Many Requests"},
                               {431, "Request Header Fields Too Large"},
                               {451, "Unavailable For Legal Reasons"},
                               {500, "Internal Server Error"},
                               {501, "Not Implemented"},
                               {502, "Bad Gateway"},
                               {503, "Service Unavailable"},
                               {504, "Gateway Timeout"},
                               {505, "HTTP Version Not Supported"},
                               {507, "Insufficient Storage"},
                               {508, "Loop Detected"},
                               {511, "Network Authentication Required"}};

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

void Request::AddParam(CgiParam id, std::string_view name, std::string_view value) {
  const Slice stored = Store(name);
  params_.push_back({stored, Store(value), id});
  if (id != CgiParam::kOther) last_params_[Index(id)] = static_cast<uint16_t>(params_.size());
}

std::optional<std::string_view> Request::FindParam(CgiParam id) const {
  const size_t last = last_params_[Index(id)];
  if (last == 0) return std::nullopt;
  return View(params_[last - 1].value);
}

void Request::Clear() {
  protocol = Protocol::kHttp11;
  connection = nullptr;
  keep_alive = false;
  body.Clear();
  arena_.clear();
  if (arena_.capacity() > kKeptCapacity) arena_.shrink_to_fit();
  fields_.clear();
  if (!params_.empty()) last_params_.fill(0);
  params_.clear();
  method_ = target_ = path_ = query_ = authority_ = Slice{};
}

std::string_view ReasonPhrase(uint16_t status) {
  const auto found =
      std::lower_bound(std::begin(kReasons), std::end(kReasons), status,
                       [](const Reason& reason, uint16_t code) { return reason.status < code; });
  return found != std::end(kReasons) && found->status == status ? found->phrase : std::string_view();
}

}  // namespace serin
