#include "proxy/parse/http2_head.h"

#include <utility>

#include "proxy/parse/ascii.h"
#include "proxy/parse/authority.h"
#include "proxy/parse/field_rules.h"
#include "proxy/parse/method.h"
#include "proxy/parse/target.h"

namespace serin {
namespace {

// What each field counts beyond its bytes (RFC 9113 §6.5.2).
constexpr size_t kFieldOverhead = 32;
// A path or cookies above this were an exception: give the memory back.
constexpr size_t kKeptCapacity = 4 * 1024;

// §8.2.1: lower case, a token.
bool IsGoodName(std::string_view name) { return !name.empty() && AllAre(kLowerTokenChar, name); }

// §8.2.1: no control characters, no blank at either end.
bool IsGoodValue(std::string_view value) {
  return IsFieldValue(value) && TrimBlanks(value).size() == value.size();
}

bool SameHost(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (LowerAscii(a[i]) != LowerAscii(b[i])) return false;
  }
  return true;
}

void Empty(std::string& text) {
  text.clear();
  if (text.capacity() > kKeptCapacity) text.shrink_to_fit();
}

}  // namespace

void Http2Head::Start(Request& request) {
  request_ = &request;
  request.protocol = Protocol::kHttp2;
  request.keep_alive = true;
  framing_ = Framing();
  Empty(path_);
  Empty(cookie_);
  list_size_ = fields_ = 0;
  refusal_ = Refusal::kNone;
  malformed_ = regular_seen_ = false;
  method_seen_ = scheme_seen_ = path_seen_ = authority_seen_ = host_seen_ = cookie_seen_ = false;
  asterisk_ = continue_ = false;
}

void Http2Head::Add(std::string_view name, std::string_view value, const ClientLimits& limits) {
  if (malformed_ || refusal_ == Refusal::kHeadTooLarge) return;
  list_size_ += name.size() + value.size() + kFieldOverhead;
  if (list_size_ > limits.head) return Refuse(Refusal::kHeadTooLarge);
  if (!name.empty() && name.front() == ':') return AddPseudo(name, value, limits);
  regular_seen_ = true;
  if (!IsGoodName(name) || !IsGoodValue(value)) return Malform();
  if (++fields_ > limits.field_count) return Refuse(Refusal::kHeadTooLarge);
  AddRegular(name, value);
}

bool Http2Head::IsFirst(bool& seen) {
  if (seen) Malform();
  return !std::exchange(seen, true);
}

// §8.3: before all regular fields, once each, none but the four.
void Http2Head::AddPseudo(std::string_view name, std::string_view value, const ClientLimits& limits) {
  if (regular_seen_ || !IsGoodValue(value)) return Malform();
  if (name == ":method") {
    if (IsFirst(method_seen_)) TakeMethod(value);
  } else if (name == ":scheme") {
    if (!IsFirst(scheme_seen_)) return;
    if (value.empty()) return Malform();
    if (!EqualsIgnoreCase(value, "http") && !EqualsIgnoreCase(value, "https")) Refuse(Refusal::kBadRequest);
  } else if (name == ":path") {
    if (!IsFirst(path_seen_)) return;
    if (value.empty()) return Malform();
    if (value.size() > limits.request_line) return Refuse(Refusal::kTargetTooLong);
    path_ = value;
  } else if (name == ":authority") {
    if (IsFirst(authority_seen_)) TakeAuthority(value);
  } else {
    Malform();
  }
}

void Http2Head::TakeMethod(std::string_view value) {
  if (value.empty() || !AllAre(kTokenChar, value)) return Malform();
  constexpr size_t kLongestMethod = 32;  // well above all that are registered
  if (value.size() > kLongestMethod) return Refuse(Refusal::kNotImplemented);
  request_->set_method(value);
  if (!IsKnownMethod(value)) return Refuse(Refusal::kNotImplemented);
  // We tunnel nothing, and TRACE would show a script's cookies to whoever asks.
  if (value == "CONNECT" || value == "TRACE") Refuse(Refusal::kMethodNotAllowed);
}

void Http2Head::TakeAuthority(std::string_view value) {
  const auto authority = ParseAuthority(value);
  if (!authority) return Refuse(Refusal::kBadRequest);
  request_->set_authority(*authority);
}

// Beside :authority it must say the same (§8.3.1): whoever is in front of us, or
// the script, could read the other one.
void Http2Head::TakeHost(std::string_view value) {
  const auto authority = ParseAuthority(value);
  if (!authority || std::exchange(host_seen_, true)) return Refuse(Refusal::kBadRequest);
  if (!authority_seen_) return request_->set_authority(*authority);
  if (!SameHost(request_->authority(), *authority)) Refuse(Refusal::kBadRequest);
}

void Http2Head::TakeCookie(std::string_view value) {
  if (std::exchange(cookie_seen_, true)) cookie_.append("; ");
  cookie_.append(value);
}

void Http2Head::AddRegular(std::string_view name, std::string_view value) {
  switch (ClassifyField(name)) {
    case FieldKind::kPlain:
      return name == "cookie" ? TakeCookie(value) : request_->AddField(name, value);
    case FieldKind::kDropped:
      return AddDropped(name, value);
    case FieldKind::kHost:
      return TakeHost(value);
    case FieldKind::kContentLength:
      return framing_.AddContentLength(value);
    case FieldKind::kExpect:
      continue_ = EqualsIgnoreCase(value, "100-continue");
      if (!continue_) Refuse(Refusal::kExpectationFailed);
      return;
    case FieldKind::kInvalid:
    case FieldKind::kConnection:  // §8.2.2: HTTP/2 has no fields of the hop
    case FieldKind::kTransferEncoding:
      return Malform();
  }
}

void Http2Head::AddDropped(std::string_view name, std::string_view value) {
  if (name == "keep-alive" || name == "proxy-connection" || name == "upgrade") return Malform();
  if (name == "te" && !EqualsIgnoreCase(value, "trailers")) Malform();
}

Http2Head::Verdict Http2Head::Finish(const ClientLimits& limits, bool ended, std::string& scratch) {
  // Of a head that was cut off at the limit it cannot be said what it lacked.
  const bool whole = refusal_ != Refusal::kHeadTooLarge;
  if (whole && !method_seen_) Malform();
  if (whole && request_->method() == "CONNECT") {
    if (scheme_seen_ || path_seen_) Malform();  // §8.5
  } else if (whole && (!scheme_seen_ || !path_seen_)) {
    Malform();
  }
  TakeTarget(scratch);
  if (cookie_seen_) request_->AddField("cookie", cookie_);
  const Refusal framing = framing_.Decide(Protocol::kHttp2, limits.body);
  if (framing == Refusal::kBadRequest || (ended && framing_.length() > 0)) Malform();
  if (!authority_seen_ && !host_seen_) Refuse(Refusal::kBadRequest);
  Refuse(framing);
  if (malformed_) return Verdict::kMalformed;
  return refusal_ == Refusal::kNone ? Verdict::kGood : Verdict::kRefused;
}

void Http2Head::TakeTarget(std::string& scratch) {
  const bool usable = refusal_ == Refusal::kNone && !malformed_ && AllAre(kTargetChar, path_);
  Target target;
  if (!usable || ParseTarget(request_->method(), path_, target) != Refusal::kNone ||
      target.form == TargetForm::kAbsolute || StoreTarget(target, scratch, *request_) != Refusal::kNone) {
    Refuse(Refusal::kBadRequest);
    return request_->set_target(path_);  // for the log
  }
  asterisk_ = target.form == TargetForm::kAsterisk;
}

bool IsGoodTrailer(std::string_view name, std::string_view value) {
  return IsGoodName(name) && IsGoodValue(value);
}

}  // namespace serin
