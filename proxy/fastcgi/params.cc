#include "proxy/fastcgi/params.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "proxy/fastcgi/rewrite.h"

namespace serin {
namespace {

using enum CgiParam;

static_assert(kCgiParamCount <= 64);
constexpr uint64_t Bit(CgiParam id) { return id == kOther ? 0 : uint64_t{1} << Index(id); }
// What a FastCGI client in front of us cannot know better than we do; the
// second line, when it did not choose the script.
constexpr uint64_t kAlwaysOurs =
    Bit(kDocumentRoot) | Bit(kContentLength) | Bit(kScriptFilename) | Bit(kHttpHost);
constexpr uint64_t kOursWithScript =
    Bit(kScriptName) | Bit(kPathInfo) | Bit(kPathTranslated) | Bit(kDocumentUri);
// Those that PoolParams encodes; their values for a request that came by FastCGI.
constexpr std::string_view kGateway = "CGI/1.1";
constexpr std::string_view kRedirectOk = "200";  // PHP's cgi.force_redirect

constexpr std::string_view kLoopback = "127.0.0.1";
constexpr std::string_view kHttpPrefix = "HTTP_";

// A field name's byte as CGI spells it; 0 for one that has no place in a name.
constexpr std::array<char, 256> kCgiByte = [] {
  std::array<char, 256> table{};
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<uint8_t>(c)] = static_cast<char>(c - 'a' + 'A');
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<uint8_t>(c)] = c;
  for (char c = '0'; c <= '9'; ++c) table[static_cast<uint8_t>(c)] = c;
  table['-'] = '_';
  return table;
}();

bool IsAnyOf(std::string_view name, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// Fields that do not become HTTP_*: told by their length first, since nearly
// every field is asked.
bool IsWithheld(std::string_view name) {
  switch (name.size()) {
    case 0:
      return true;
    case 2:
      return name == "te";
    case 4:
      return name == "host";
    case 5:
      return name == "proxy";
    case 7:
      return IsAnyOf(name, {"upgrade", "trailer"});
    case 10:
      return IsAnyOf(name, {"connection", "keep-alive"});
    case 12:
      return name == "content-type";
    case 14:
      return IsAnyOf(name, {"content-length", "http2-settings"});
    case 16:
      return name == "proxy-connection";
    case 17:
      return name == "transfer-encoding";
    default:
      return false;
  }
}

// The port at the end of an authority taken off: "[::1]:80" → "[::1]".
std::string_view HostOf(std::string_view authority) {
  const size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos)
    return authority;
  return authority.substr(0, colon);
}

// Which names occur more than once: a bit per (length, first and last byte)
// that is set for all of them, and now and then for a name that is alone.
class Repeats {
 public:
  // `name_at`: of 0…count - 1.
  template <typename NameAt>
  Repeats(size_t count, NameAt name_at) {
    uint64_t once = 0;
    for (size_t i = 0; i < count; ++i) {
      const uint64_t bit = BitOf(name_at(i));
      twice_ |= once & bit;
      once |= bit;
    }
  }
  bool Possible(std::string_view name) const { return (twice_ & BitOf(name)) != 0; }

 private:
  static uint64_t BitOf(std::string_view name) {
    if (name.empty()) return 0;
    const size_t mix =
        name.size() * 7 + static_cast<uint8_t>(name.front()) * 3 + static_cast<uint8_t>(name.back());
    return uint64_t{1} << (mix & 63);
  }
  uint64_t twice_ = 0;
};

// One call of AppendParams. After the first pair that does not fit, nothing more is written.
class Appender {
 public:
  Appender(ParamsWriter& writer, const Request& request, const ParamsContext& context)
      : writer_(writer), request_(request), context_(context), skip_(context.pool->overridden()) {}

  bool Run() {
    if (request_.param_count() == 0) {
      if (!writer_.AddEncoded(context_.pool->encoded())) return false;
    } else {
      if (!writer_.AddEncoded(context_.pool->encoded_extra()) || !AddIncoming()) return false;
      AddConstants();
    }
    AddRequest();
    AddScript();
    AddConnection();
    AddFields();
    return ok_;
  }

 private:
  void Add(CgiParam id, std::string_view value) {
    if ((skip_ & Bit(id)) == 0) ok_ = ok_ && writer_.Add(Name(id), value);
  }
  void AddNumber(CgiParam id, uint64_t value) {
    char digits[20];
    Add(id, {digits, static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr - digits)});
  }
  // The value in two parts, joined without a copy.
  void AddTwo(CgiParam id, std::string_view first, std::string_view second) {
    if ((skip_ & Bit(id)) == 0) AddJoined(Name(id), first, second);
  }
  void AddJoined(std::string_view name, std::string_view first, std::string_view second) {
    if (!ok_) return;
    char* at = writer_.Reserve(name.size(), first.size() + second.size());
    if (at == nullptr) {
      ok_ = false;
      return;
    }
    at = std::copy_n(name.data(), name.size(), at);
    at = std::copy_n(first.data(), first.size(), at);
    std::copy_n(second.data(), second.size(), at);
  }

  bool AddIncoming();
  void AddConstants();
  void AddRequest();
  void AddScript();
  void AddConnection();
  void AddFields();
  void AddField(size_t index, bool repeated);
  void AddTrace(std::string_view field, std::string_view param, std::string_view value);
  bool IsReplaced(std::string_view field) const;

  ParamsWriter& writer_;
  const Request& request_;
  const ParamsContext& context_;
  uint64_t skip_;  // standard params that somebody else gives
  bool ok_ = true;
};

// Params of a FastCGI client. Their number is bounded by the parser.
bool Appender::AddIncoming() {
  const uint64_t ours = kAlwaysOurs | (context_.front_script ? 0 : kOursWithScript) | skip_;
  const size_t count = request_.param_count();
  const auto other_name = [this](size_t i) {
    return request_.param_id(i) == kOther ? request_.param(i).name : std::string_view();
  };
  const Repeats repeats(count, other_name);
  const auto overridden = [&](size_t i) {
    if (request_.param_id(i) != kOther) return request_.IsOverridden(i);
    if (!repeats.Possible(other_name(i))) return false;
    size_t k = i + 1;
    while (k < count && request_.param(k).name != request_.param(i).name) ++k;
    return k < count;
  };
  for (size_t i = 0; i < count && ok_; ++i) {
    const Field param = request_.param(i);
    const uint64_t bit = Bit(request_.param_id(i));
    if ((bit & ours) != 0 || context_.pool->HasExtra(param.name)) continue;
    if (param.name.empty() || param.name.starts_with(kHttpPrefix)) continue;  // fields come as fields
    if (overridden(i)) continue;
    skip_ |= bit;
    if (const auto below = BelowFrontRoot(param.name, param.value, context_.front_root)) {
      AddJoined(param.name, context_.pool->root(), *below);
    } else {
      ok_ = writer_.Add(param.name, param.value);
    }
  }
  return ok_;
}

// What PoolParams has encoded, as far as the web server in front has not said it.
void Appender::AddConstants() {
  const std::string& root = context_.pool->root();
  Add(kGatewayInterface, kGateway);
  Add(kServerSoftware, context_.pool->server_software());
  Add(kRedirectStatus, kRedirectOk);
  Add(kDocumentRoot, root.empty() ? "/" : std::string_view(root));
}

void Appender::AddRequest() {
  Add(kServerProtocol, Name(request_.protocol));
  Add(kRequestMethod, request_.method());
  Add(kRequestUri, request_.target());
  Add(kRequestScheme, context_.https ? "https" : "http");
  Add(kQueryString, request_.query());
  if (request_.body.empty()) {
    Add(kContentLength, "");
  } else {
    AddNumber(kContentLength, request_.body.size());
  }
  Add(kContentType, request_.Find("content-type").value_or(""));
}

void Appender::AddScript() {
  const std::string& root = context_.pool->root();
  AddTwo(kScriptFilename, root, context_.script_name);
  Add(kScriptName, context_.script_name);
  Add(kDocumentUri, context_.script_name);
  if (context_.path_info.empty()) return;  // absent, as Apache has it: isset() then means "there is one"
  Add(kPathInfo, context_.path_info);
  AddTwo(kPathTranslated, root, context_.path_info);
}

void Appender::AddConnection() {
  const std::string_view server = context_.server_address.empty() ? kLoopback : context_.server_address;
  const uint16_t default_port = context_.https ? 443 : 80;
  Add(kRemoteAddr, context_.remote_address.empty() ? kLoopback : context_.remote_address);
  if (context_.remote_port != 0) AddNumber(kRemotePort, context_.remote_port);
  Add(kServerAddr, server);
  AddNumber(kServerPort, context_.server_port != 0 ? context_.server_port : default_port);
  Add(kServerName, context_.authority.empty() ? server : HostOf(context_.authority));
  if (context_.https) Add(kHttps, "on");
  if (!context_.authority.empty()) Add(kHttpHost, context_.authority);
}

void Appender::AddFields() {
  const Repeats repeats(request_.field_count(), [this](size_t i) { return request_.field(i).name; });
  const bool has_extra = context_.pool->has_http_extra();
  for (size_t i = 0; i < request_.field_count() && ok_; ++i) {
    const std::string_view name = request_.field(i).name;
    if (IsWithheld(name) || IsReplaced(name) || (has_extra && context_.pool->HasExtraForField(name)))
      continue;
    AddField(i, repeats.Possible(name));
  }
  AddTrace("x-request-id", "HTTP_X_REQUEST_ID", context_.request_id);
  AddTrace("traceparent", "HTTP_TRACEPARENT", context_.traceparent);
}

bool Appender::IsReplaced(std::string_view field) const {
  switch (field.size()) {
    case 10:
      return !context_.traceparent.empty() && field == "tracestate";
    case 11:
      return !context_.traceparent.empty() && field == "traceparent";
    case 12:
      return !context_.request_id.empty() && field == "x-request-id";
    default:
      return false;
  }
}

void Appender::AddTrace(std::string_view field, std::string_view param, std::string_view value) {
  if (value.empty() || (context_.pool->has_http_extra() && context_.pool->HasExtraForField(field))) return;
  ok_ = ok_ && writer_.Add(param, value);
}

// Adds field number `index`, joined with the later ones of its name; nothing
// if it has been joined to an earlier one or CGI has no spelling for it.
void Appender::AddField(size_t index, bool repeated) {
  const auto [name, value] = request_.field(index);
  const std::string_view separator = name == "cookie" ? "; " : ", ";
  size_t size = value.size();
  if (repeated) {
    for (size_t i = 0; i < index; ++i) {
      if (request_.field(i).name == name) return;
    }
    for (size_t i = index + 1; i < request_.field_count(); ++i) {
      if (request_.field(i).name == name) size += separator.size() + request_.field(i).value.size();
    }
  }
  for (char c : name) {
    if (kCgiByte[static_cast<uint8_t>(c)] == 0) return;
  }
  char* at = writer_.Reserve(kHttpPrefix.size() + name.size(), size);
  if (at == nullptr) {
    ok_ = false;
    return;
  }
  at = std::copy_n(kHttpPrefix.data(), kHttpPrefix.size(), at);
  for (char c : name) *at++ = kCgiByte[static_cast<uint8_t>(c)];
  at = std::copy_n(value.data(), value.size(), at);
  if (size == value.size()) return;
  for (size_t i = index + 1; i < request_.field_count(); ++i) {
    const Field more = request_.field(i);
    if (more.name != name) continue;
    at = std::copy_n(separator.data(), separator.size(), at);
    at = std::copy_n(more.value.data(), more.value.size(), at);
  }
}

// "HTTP_X_REAL" is what field "x-real" becomes.
bool IsCgiNameOf(std::string_view param, std::string_view field) {
  if (param.size() != kHttpPrefix.size() + field.size() || !param.starts_with(kHttpPrefix)) return false;
  param.remove_prefix(kHttpPrefix.size());
  for (size_t i = 0; i < field.size(); ++i) {
    if (kCgiByte[static_cast<uint8_t>(field[i])] != param[i]) return false;
  }
  return true;
}

}  // namespace

PoolParams::PoolParams(std::string_view root, std::string_view server_software,
                       const std::vector<std::pair<std::string, std::string>>& extra)
    : root_(root), server_software_(server_software) {
  for (size_t i = 0; i < extra.size(); ++i) {
    const auto& [name, value] = extra[i];
    const auto same = [&name = name](const auto& other) { return other.first == name; };
    if (std::any_of(extra.begin() + static_cast<std::ptrdiff_t>(i) + 1, extra.end(), same)) continue;
    if (name.empty() || name == Name(kContentLength)) continue;
    AppendPair(encoded_, name, value);
    extra_names_.push_back(name);
    overridden_ |= Bit(FindCgiParam(name));
    has_http_extra_ = has_http_extra_ || name.starts_with(kHttpPrefix);
  }
  extra_size_ = encoded_.size();
  const std::pair<CgiParam, std::string_view> constants[] = {{kGatewayInterface, kGateway},
                                                             {kServerSoftware, server_software},
                                                             {kRedirectStatus, kRedirectOk},
                                                             {kDocumentRoot, root.empty() ? "/" : root}};
  for (const auto& [id, value] : constants) {
    if ((overridden_ & Bit(id)) == 0) AppendPair(encoded_, Name(id), value);
  }
}

bool PoolParams::HasExtra(std::string_view name) const {
  return std::find(extra_names_.begin(), extra_names_.end(), name) != extra_names_.end();
}

bool PoolParams::HasExtraForField(std::string_view field) const {
  return std::any_of(extra_names_.begin(), extra_names_.end(),
                     [field](const std::string& name) { return IsCgiNameOf(name, field); });
}

bool AppendParams(ParamsWriter& writer, const Request& request, const ParamsContext& context) {
  return Appender(writer, request, context).Run();
}

}  // namespace serin
