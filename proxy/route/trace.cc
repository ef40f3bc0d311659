#include "proxy/route/trace.h"

#include <algorithm>
#include <optional>

namespace serin {
namespace {

constexpr size_t kMaxRequestId = 128;
// "00-" trace id (32) "-" parent id (16) "-" flags (2).
constexpr size_t kTraceId = 3, kParentId = 36, kFlags = 53, kTraceparent = 55;

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

// Never all zero: that means "no id".
char* PutHex(char* at, uint64_t number) {
  constexpr std::string_view kHex = "0123456789abcdef";
  if (number == 0) number = 1;
  for (int shift = 60; shift >= 0; shift -= 4) *at++ = kHex[number >> shift & 15];
  return at;
}

struct Found {
  std::optional<std::string_view> request_id, traceparent;
  bool several_ids = false, several_parents = false;
};

Found FindFields(const Request& request) {
  Found found;
  for (size_t i = 0; i < request.field_count(); ++i) {
    const auto [name, value] = request.field(i);
    if (name == "x-request-id") {
      found.several_ids = found.several_ids || found.request_id.has_value();
      found.request_id = value;
    } else if (name == "traceparent") {
      found.several_parents = found.several_parents || found.traceparent.has_value();
      found.traceparent = value;
    }
  }
  return found;
}

}  // namespace

bool IsRequestId(std::string_view text) {
  return !text.empty() && text.size() <= kMaxRequestId && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_';
  });
}

bool IsTraceparent(std::string_view text) {
  if (text.size() < kTraceparent) return false;
  const std::string_view version = text.substr(0, 2), trace = text.substr(kTraceId, 32),
                         parent = text.substr(kParentId, 16), flags = text.substr(kFlags, 2);
  if (!IsHex(version) || version == "ff" || !IsHex(trace) || !IsHex(parent) || !IsHex(flags)) return false;
  if (text[kTraceId - 1] != '-' || text[kParentId - 1] != '-' || text[kFlags - 1] != '-') return false;
  if (IsZero(trace) || IsZero(parent)) return false;
  if (text.size() == kTraceparent) return true;
  return version != "00" && text[kTraceparent] == '-';
}

void TraceIds::Note(const Request& request) {
  const Found found = FindFields(request);
  request_id_ = found.request_id.value_or("");
  traceparent_ = found.traceparent.value_or("");
  begun_request_id_ = begun_traceparent_ = false;
}

void TraceIds::Begin(const Request& request, RandomSource& random) {
  const Found found = FindFields(request);
  const bool has_parent = found.traceparent && !found.several_parents && IsTraceparent(*found.traceparent);
  const bool has_id = found.request_id && !found.several_ids && IsRequestId(*found.request_id);
  begun_traceparent_ = !has_parent;
  begun_request_id_ = !has_id;
  if (has_parent) traceparent_ = *found.traceparent;
  if (has_id) request_id_ = *found.request_id;
  if (has_parent && has_id) return;
  PutHex(PutHex(id_text_.data(), random.Next()), random.Next());
  if (!has_id) request_id_ = {id_text_.data(), id_text_.size()};
  if (has_parent) return;
  char* at = std::copy_n("00-", 3, parent_text_.data());
  at = std::copy_n(id_text_.data(), id_text_.size(), at);
  *at++ = '-';
  at = PutHex(at, random.Next());
  std::copy_n("-01", 3, at);
  traceparent_ = {parent_text_.data(), parent_text_.size()};
}

}  // namespace serin
