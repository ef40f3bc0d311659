#include "proxy/parse/head_parser.h"

#include <llhttp.h>

#include <utility>

#include "proxy/parse/ascii.h"
#include "proxy/parse/authority.h"
#include "proxy/parse/request_line.h"
#include "proxy/parse/target.h"

namespace serin {

// Lines reach llhttp whole, so a name and a value come in one piece each; a
// field is taken with its value, for llhttp tells of its end only when it has
// seen the next line, when our views may be dead.
struct LlhttpCallbacks {
  static HeadParser& Self(llhttp_t* parser) { return *static_cast<HeadParser*>(parser->data); }

  static int OnName(llhttp_t* parser, const char* at, size_t size) {
    HeadParser& self = Self(parser);
    if (!self.name_.empty()) return HPE_USER;  // the last one had no value: llhttp has changed
    self.name_ = {at, size};
    return 0;
  }
  static int OnValue(llhttp_t* parser, const char* at, size_t size) {
    HeadParser& self = Self(parser);
    if (self.late_value_) {
      self.late_value_ = false;
      return size == 0 ? 0 : HPE_USER;
    }
    if (self.name_.empty()) return HPE_USER;
    self.field_refusal_ = self.TakeField(self.name_, TrimBlanks({at, size}));
    self.name_ = {};
    return self.field_refusal_ == Refusal::kNone ? 0 : HPE_USER;
  }
  // The head is all we want: bodies are BodyReader's.
  static int OnHeadEnd(llhttp_t*) { return HPE_PAUSED; }

  static constexpr llhttp_settings_t MakeSettings() {
    llhttp_settings_t settings{};
    settings.on_header_field = OnName;
    settings.on_header_value = OnValue;
    settings.on_headers_complete = OnHeadEnd;
    return settings;
  }
};

namespace {

constexpr llhttp_settings_t kSettings = LlhttpCallbacks::MakeSettings();

Refusal RefusalOf(llhttp_errno_t error) {
  switch (error) {
    case HPE_INVALID_METHOD:
    case HPE_INVALID_CONSTANT:
      return Refusal::kNotImplemented;  // a token, but no method; RTSP's methods
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE:
      return Refusal::kVersionNotSupported;
    default:
      return Refusal::kBadRequest;
  }
}

}  // namespace

HeadParser::HeadParser() : parser_(new llhttp_t{}) {}
HeadParser::~HeadParser() = default;
void HeadParser::Release::operator()(llhttp__internal_s* parser) const { delete parser; }

void HeadParser::Start(Request& request, std::string& scratch) {
  llhttp_init(parser_.get(), HTTP_REQUEST, &kSettings);
  parser_->data = this;
  request_ = &request;
  scratch_ = &scratch;
  scanner_.Reset();
  framing_ = Framing();
  options_ = ConnectionOptions();
  field_refusal_ = Refusal::kNone;
  name_ = {};
  late_value_ = false;
  host_seen_ = authority_in_target_ = asterisk_ = continue_ = false;
}

Refusal HeadParser::Parse(std::string_view in, const ClientLimits& limits, size_t& consumed) {
  const Refusal scanned = scanner_.Scan(in, limits, consumed);
  // The request line first, whatever follows it: a refusal is logged with its method.
  if (!scanner_.request_line().empty() && scanned != Refusal::kTargetTooLong) {
    const Refusal refusal = TakeRequestLine(scanner_.request_line());
    if (refusal != Refusal::kNone) return refusal;
  }
  if (scanned != Refusal::kNone) return scanned;
  if (consumed > 0) {
    const Refusal refusal = FeedLlhttp(in.substr(0, consumed));
    if (refusal != Refusal::kNone) return refusal;
  }
  return complete() ? Finish(limits) : Refusal::kNone;
}

Refusal HeadParser::TakeRequestLine(std::string_view line) {
  RequestLine parts;
  const Refusal refusal = ParseRequestLine(line, parts);
  request_->set_method(parts.method);
  request_->protocol = parts.protocol;
  if (refusal != Refusal::kNone) {
    request_->set_target(parts.target);
    return refusal;
  }
  const Refusal bad_target = TakeTarget(parts.method, parts.target);
  if (bad_target != Refusal::kNone) request_->set_target(parts.target);
  return bad_target;
}

Refusal HeadParser::TakeTarget(std::string_view method, std::string_view text) {
  // We tunnel nothing, and TRACE would show a script's cookies to whoever asks.
  if (method == "CONNECT" || method == "TRACE") return Refusal::kMethodNotAllowed;
  Target target;
  const Refusal refusal = ParseTarget(method, text, target);
  if (refusal != Refusal::kNone) return refusal;
  asterisk_ = target.form == TargetForm::kAsterisk;
  authority_in_target_ = target.form == TargetForm::kAbsolute;
  return StoreTarget(target, *scratch_, *request_);
}

Refusal HeadParser::FeedLlhttp(std::string_view lines) {
  const llhttp_errno_t error = llhttp_execute(parser_.get(), lines.data(), lines.size());
  if (field_refusal_ != Refusal::kNone) return field_refusal_;
  if (!complete()) {
    if (error != HPE_OK) return RefusalOf(error);
    if (name_.empty()) return Refusal::kNone;
    // "Name:" was the last line: llhttp still waits whether the next one
    // continues it, and will tell of the empty value then. It cannot (obs-fold).
    late_value_ = true;
    return TakeField(std::exchange(name_, {}), {});
  }
  if (error != HPE_PAUSED) return RefusalOf(error);
  // Two readers of one head: if they do not end at the same byte, neither is believed.
  return llhttp_get_error_pos(parser_.get()) == lines.data() + lines.size() ? Refusal::kNone
                                                                            : Refusal::kBadRequest;
}

Refusal HeadParser::TakeField(std::string_view name, std::string_view value) {
  switch (ClassifyField(name)) {
    case FieldKind::kPlain:
      request_->AddField(name, value);
      return Refusal::kNone;
    case FieldKind::kDropped:
      return Refusal::kNone;
    case FieldKind::kInvalid:
      return Refusal::kBadRequest;
    case FieldKind::kHost:
      return TakeHost(value);
    case FieldKind::kConnection:
      AddConnectionOptions(value, options_);
      return Refusal::kNone;
    case FieldKind::kContentLength:
      framing_.AddContentLength(value);
      return Refusal::kNone;
    case FieldKind::kTransferEncoding:
      framing_.AddTransferEncoding(value);
      return Refusal::kNone;
    case FieldKind::kExpect:
      return TakeExpect(value);
  }
  return Refusal::kBadRequest;
}

// One Host, valid, even when the target's authority overrides it (RFC 9112 §3.2.2).
Refusal HeadParser::TakeHost(std::string_view value) {
  const auto authority = ParseAuthority(value);
  if (host_seen_ || !authority) return Refusal::kBadRequest;
  host_seen_ = true;
  if (!authority_in_target_) request_->set_authority(*authority);
  return Refusal::kNone;
}

// An HTTP/1.0 client cannot have meant it (RFC 9110 §10.1.1).
Refusal HeadParser::TakeExpect(std::string_view value) {
  if (request_->protocol == Protocol::kHttp10) return Refusal::kNone;
  if (!EqualsIgnoreCase(value, "100-continue")) return Refusal::kExpectationFailed;
  continue_ = true;
  return Refusal::kNone;
}

Refusal HeadParser::Finish(const ClientLimits& limits) {
  if (!host_seen_ && request_->protocol == Protocol::kHttp11) return Refusal::kBadRequest;
  request_->keep_alive = keep_alive();
  return framing_.Decide(request_->protocol, limits.body);
}

bool HeadParser::keep_alive() const {
  if (options_.close) return false;
  return request_->protocol == Protocol::kHttp11 || options_.keep_alive;
}

}  // namespace serin
