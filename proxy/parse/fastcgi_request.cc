#include "proxy/parse/fastcgi_request.h"

#include <charconv>

#include "proxy/parse/ascii.h"
#include "proxy/parse/authority.h"
#include "proxy/parse/fastcgi_records.h"
#include "proxy/parse/field_rules.h"
#include "proxy/parse/target.h"

namespace serin {
namespace {

constexpr std::string_view kHttpPrefix = "HTTP_";
// Web servers send 25; a site with client certificates or GeoIP some more.
// Later stations compare them with each other.
constexpr size_t kMaxParams = 256;
constexpr size_t kTargetRepeats = 4;
constexpr size_t kMaxName = 256;  // of a field

// As nginx lets them through: UTF-8 that is not encoded, but no control characters.
bool IsTargetText(std::string_view text) {
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  }
  return true;
}

class ParamsTaker {
 public:
  ParamsTaker(const ClientLimits& limits, std::string& scratch, Request& request)
      : limits_(limits), scratch_(scratch), request_(request) {}

  Refusal Run(std::string_view pairs) {
    std::string_view name, value;
    for (;;) {
      switch (NextFcgiPair(pairs, name, value)) {
        case FcgiPairResult::kBad:
          return Refusal::kBadRequest;
        case FcgiPairResult::kEnd:
          return Finish();
        case FcgiPairResult::kPair:
          break;
      }
      const Refusal refusal = name.starts_with(kHttpPrefix) ? TakeField(name, value) : TakeParam(name, value);
      if (refusal != Refusal::kNone) return refusal;
    }
  }
  std::optional<uint64_t> content_length() const { return content_length_; }

 private:
  Refusal TakeParam(std::string_view name, std::string_view value);
  Refusal TakeField(std::string_view param, std::string_view value);
  Refusal Finish();
  Refusal SetMethodAndTarget();
  Refusal SetPath();
  Refusal SetContentLength();

  const ClientLimits& limits_;
  std::string& scratch_;
  Request& request_;
  std::string_view method_, uri_, query_, length_, host_, script_name_, path_info_, document_uri_;
  size_t field_bytes_ = 0;
  std::optional<uint64_t> content_length_;
};

Refusal ParamsTaker::TakeParam(std::string_view name, std::string_view value) {
  const CgiParam id = FindCgiParam(name);
  switch (id) {
    // These four are what the request itself says later.
    case CgiParam::kRequestMethod:
      return method_ = value, Refusal::kNone;
    case CgiParam::kRequestUri:
      return uri_ = value, Refusal::kNone;
    case CgiParam::kQueryString:
      return query_ = value, Refusal::kNone;
    case CgiParam::kContentLength:
      return length_ = value, Refusal::kNone;
    case CgiParam::kScriptName:
      script_name_ = value;
      break;
    case CgiParam::kPathInfo:
      path_info_ = value;
      break;
    case CgiParam::kDocumentUri:
      document_uri_ = value;
      break;
    default:
      if (name.empty()) return Refusal::kNone;
  }
  if (request_.param_count() == kMaxParams) return Refusal::kHeadTooLarge;
  request_.AddParam(id, name, value);
  return Refusal::kNone;
}

Refusal ParamsTaker::TakeField(std::string_view param, std::string_view value) {
  char name[kMaxName];
  param.remove_prefix(kHttpPrefix.size());
  field_bytes_ += param.size() + value.size() + 4;  // as ": " and CRLF would make it
  if (field_bytes_ > limits_.head) return Refusal::kHeadTooLarge;
  if (param.empty() || param.size() > kMaxName) return Refusal::kNone;
  for (size_t i = 0; i < param.size(); ++i) {
    // A '-' in a param's name would become the same field as a '_'.
    if (param[i] == '-') return Refusal::kNone;
    name[i] = param[i] == '_' ? '-' : LowerAscii(param[i]);
  }
  const std::string_view field(name, param.size());
  switch (ClassifyField(field)) {
    case FieldKind::kHost:
      host_ = value;
      return Refusal::kNone;
    case FieldKind::kPlain:
      break;
    default:
      return Refusal::kNone;  // of the hop, or framing, which is CONTENT_LENGTH's here
  }
  if (field == "content-type") return Refusal::kNone;  // CONTENT_TYPE says it
  value = TrimBlanks(value);
  if (!AllAre(kValueChar, value)) return Refusal::kBadRequest;
  if (request_.field_count() == limits_.field_count) return Refusal::kHeadTooLarge;
  request_.AddField(field, value);
  return Refusal::kNone;
}

Refusal ParamsTaker::Finish() {
  if (!host_.empty()) {
    const auto authority = ParseAuthority(host_);
    if (!authority) return Refusal::kBadRequest;
    request_.set_authority(*authority);
  }
  Refusal refusal = SetMethodAndTarget();
  if (refusal == Refusal::kNone) refusal = SetPath();
  return refusal == Refusal::kNone ? SetContentLength() : refusal;
}

Refusal ParamsTaker::SetMethodAndTarget() {
  request_.set_method(method_);
  if (method_.empty() || !AllAre(kTokenChar, method_)) return Refusal::kBadRequest;
  if (!uri_.empty()) {
    if (method_.size() + uri_.size() > limits_.request_line) return Refusal::kTargetTooLong;
    request_.set_target(uri_);
  } else {
    if (document_uri_.empty()) {
      scratch_.assign(script_name_).append(path_info_);
    } else {
      scratch_.assign(document_uri_);
    }
    if (scratch_.empty()) scratch_.assign(1, '/');
    if (!query_.empty()) scratch_.append(1, '?').append(query_);
    request_.set_target(scratch_);
  }
  if (method_ == "CONNECT" || method_ == "TRACE") return Refusal::kMethodNotAllowed;
  if (!IsTargetText(request_.target()) || !IsTargetText(query_)) return Refusal::kBadRequest;
  if (query_.data() == nullptr) {  // not even empty: the client leaves it to us
    const size_t mark = uri_.find('?');
    if (mark != std::string_view::npos) query_ = uri_.substr(mark + 1);
  }
  request_.set_query(query_);
  return Refusal::kNone;
}

Refusal ParamsTaker::SetPath() {
  if (script_name_.starts_with('/')) {
    scratch_.assign(script_name_).append(path_info_);
    request_.set_path(scratch_);
    return Refusal::kNone;
  }
  if (document_uri_.starts_with('/')) {
    request_.set_path(document_uri_);
    return Refusal::kNone;
  }
  if (uri_.empty() || uri_ == "*") {  // OPTIONS *
    request_.set_path("/");
    return Refusal::kNone;
  }
  Target target;
  Refusal refusal = ParseTarget(method_, uri_, target);
  if (refusal == Refusal::kNone) refusal = NormalizePath(target.path, scratch_);
  request_.set_path(refusal == Refusal::kNone ? std::string_view(scratch_) : std::string_view("/"));
  return refusal;
}

Refusal ParamsTaker::SetContentLength() {
  if (length_.empty()) return Refusal::kNone;
  uint64_t length = 0;
  const char* end = length_.data() + length_.size();
  const auto [stop, error] = std::from_chars(length_.data(), end, length);
  if (stop != end || (error != std::errc() && error != std::errc::result_out_of_range))
    return Refusal::kBadRequest;
  if (error != std::errc() || length > limits_.body) return Refusal::kBodyTooLarge;
  content_length_ = length;
  return Refusal::kNone;
}

}  // namespace

size_t MaxFcgiParams(const ClientLimits& limits) {
  return limits.head + kTargetRepeats * limits.request_line;
}

Refusal ReadFcgiParams(std::string_view pairs, const ClientLimits& limits, std::string& scratch,
                       Request& request, std::optional<uint64_t>& content_length) {
  ParamsTaker taker(limits, scratch, request);
  const Refusal refusal = taker.Run(pairs);
  content_length = taker.content_length();
  return refusal;
}

}  // namespace serin
