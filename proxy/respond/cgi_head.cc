#include "proxy/respond/cgi_head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>

namespace serin {
namespace {

constexpr size_t kKeptCapacity = 16 * 1024;  // a head above this was an exception: give the memory back

// RFC 9110 §5.6.2; letters map to lower case, 0 for what is no token byte.
constexpr std::array<char, 256> kTokenByte = [] {
  std::array<char, 256> table{};
  for (char c : std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")) {
    table[static_cast<uint8_t>(c)] = c;
  }
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<uint8_t>(c)] = static_cast<char>(c - 'A' + 'a');
  return table;
}();

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

bool IsToken(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return kTokenByte[static_cast<uint8_t>(c)] != 0; });
}

bool IsConnectionField(std::string_view name) {
  const std::initializer_list<std::string_view> list = {
      "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"};
  return std::find(list.begin(), list.end(), name) != list.end();
}

// Does a comma-separated list name `lower`, in any case?
bool ListNames(std::string_view list, std::string_view lower) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (!item.empty() && IsBlank(item.front())) item.remove_prefix(1);
    while (!item.empty() && IsBlank(item.back())) item.remove_suffix(1);
    const auto same = [](char c, char l) { return kTokenByte[static_cast<uint8_t>(c)] == l; };
    if (std::equal(item.begin(), item.end(), lower.begin(), lower.end(), same)) return true;
  }
  return false;
}

}  // namespace

CgiHeadParser::Result CgiHeadParser::Feed(std::string_view bytes, size_t* consumed) {
  *consumed = 0;
  if (state_ == State::kBad) return Result::kBad;
  while (state_ == State::kReading) {
    if (*consumed == bytes.size()) return Result::kMore;
    const std::string_view rest = bytes.substr(*consumed);
    const size_t end = rest.find('\n');
    const size_t take = end == std::string_view::npos ? rest.size() : end + 1;
    if (text_.size() + take > kMaxHead) {
      state_ = State::kBad;
      return Result::kBad;
    }
    text_.append(rest.substr(0, take));
    *consumed += take;
    if (end == std::string_view::npos) continue;
    size_t line_end = text_.size() - 1;
    if (line_end > line_ && text_[line_end - 1] == '\r') --line_end;
    if (line_end == line_) {
      Finish();
      state_ = State::kDone;
    } else if (!ParseLine(line_, line_end)) {
      state_ = State::kBad;
    }
    line_ = text_.size();
  }
  return state_ == State::kDone ? Result::kDone : Result::kBad;
}

// The line without its end. False when the whole head must be refused.
bool CgiHeadParser::ParseLine(size_t begin, size_t end) {
  const std::string_view line = std::string_view(text_).substr(begin, end - begin);
  // Would be a line end, or the text's end, to somebody behind us.
  if (line.find('\r') != std::string_view::npos || line.find('\0') != std::string_view::npos) return false;
  // With cgi.rfc2616_headers PHP writes a status line in place of "Status:".
  if (begin == 0 && line.starts_with("HTTP/")) {
    const size_t blank = line.find(' ');
    return blank != std::string_view::npos && SetStatus(line.substr(blank + 1));
  }
  if (IsBlank(line.front())) return false;  // a folded line (RFC 9112 §5.2)
  const size_t colon = line.find(':');
  // PHP passes header('Foo') on as it is, and nginx lets it be. Prose is no head.
  if (colon == std::string_view::npos) return IsToken(line);
  size_t first = colon + 1;
  size_t last = line.size();
  while (first < last && IsBlank(line[first])) ++first;
  while (last > first && IsBlank(line[last - 1])) --last;
  return TakeField({static_cast<uint32_t>(begin), static_cast<uint32_t>(colon),
                    static_cast<uint32_t>(begin + first), static_cast<uint32_t>(last - first)});
}

// Keeps, uses or drops a field; false when the whole head must be refused.
bool CgiHeadParser::TakeField(Slice field) {
  bool carries = field.name_size > 0;
  for (size_t i = field.name; i < field.name + field.name_size; ++i) {
    const char lower = kTokenByte[static_cast<uint8_t>(text_[i])];
    carries = carries && lower != 0;
    if (lower != 0) text_[i] = lower;
  }
  const std::string_view name = NameOf(field);
  const std::string_view value = ValueOf(field);
  if (!carries) {
    // "Content-Length : 5" is not just another odd name: somebody may believe it.
    const std::string_view trimmed = name.substr(0, name.find_last_not_of(" \t") + 1);
    return trimmed != "content-length" && trimmed != "transfer-encoding" && trimmed != "status";
  }
  if (name == "status") return SetStatus(value);
  if (name == "content-length") return SetContentLength(value);
  const bool control = std::any_of(value.begin(), value.end(), [](char c) {
    return (static_cast<uint8_t>(c) < 0x20 && c != '\t') || c == 0x7F;
  });
  if (control) return true;
  if (fields_.size() == kMaxFields) return false;
  has_location_ = has_location_ || name == "location";
  has_connection_ = has_connection_ || name == "connection";
  fields_.push_back(field);
  return true;
}

// "404 Not Found": the phrase is ours to choose. Twice is fine if it is the same.
bool CgiHeadParser::SetStatus(std::string_view text) {
  uint16_t status = 0;
  if (text.size() < 3 || (text.size() > 3 && text[3] != ' ')) return false;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + 3, status);
  if (error != std::errc() || stop != text.data() + 3 || status < 200 || status > 599) return false;
  if (status_ != 0 && status_ != status) return false;
  status_ = status;
  return true;
}

bool CgiHeadParser::SetContentLength(std::string_view text) {
  uint64_t length = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, length);  // takes no sign for unsigned types
  if (text.empty() || error != std::errc() || stop != end) return false;
  if (content_length_ && *content_length_ != length) return false;
  content_length_ = length;
  return true;
}

void CgiHeadParser::Finish() {
  // RFC 3875 §6.2.3: a Location alone is a redirection. PHP adds the status itself.
  if (status_ == 0) status_ = has_location_ ? 302 : 200;
  for (Slice& field : fields_) {
    const std::string_view name = NameOf(field);
    if (name == "connection") continue;  // its list is still read below
    if (IsConnectionField(name) || NamedByConnection(name)) field.name_size = 0;
  }
  std::erase_if(fields_,
                [this](const Slice& field) { return field.name_size == 0 || NameOf(field) == "connection"; });
}

bool CgiHeadParser::NamedByConnection(std::string_view name) const {
  return has_connection_ && std::any_of(fields_.begin(), fields_.end(), [this, name](const Slice& field) {
           return NameOf(field) == "connection" && ListNames(ValueOf(field), name);
         });
}

void CgiHeadParser::Fill(ResponseHead& head) const {
  head.status = status_;
  head.content_length = content_length_;
  head.fields.clear();
  for (const Slice& field : fields_) head.fields.push_back({NameOf(field), ValueOf(field)});
}

void CgiHeadParser::Reset() {
  text_.clear();
  if (text_.capacity() > kKeptCapacity) text_.shrink_to_fit();
  fields_.clear();
  state_ = State::kReading;
  line_ = 0;
  status_ = 0;
  has_location_ = has_connection_ = false;
  content_length_.reset();
}

}  // namespace serin
