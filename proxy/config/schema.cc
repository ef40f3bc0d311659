#include "proxy/config/schema.h"

#include <pwd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "proxy/base/address.h"

namespace serin {
namespace {

using absl::Hours;
using absl::Milliseconds;
using absl::Minutes;
using absl::Seconds;

constexpr uint64_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

constexpr char kOcspResponse[] = "an absolute path, or \"\" for none";

bool IsAbsolutePath(std::string_view text) {
  return text.starts_with('/') && text.size() < 4096 && text.find('\0') == text.npos;
}

bool IsEmptyOrAbsolutePath(std::string_view text) { return text.empty() || IsAbsolutePath(text); }

bool IsAddressOrNone(const std::string& text) { return text.empty() || ParseSocketAddress(text).ok(); }

bool IsStatusPath(std::string_view text) {
  return text.starts_with('/') && text.size() < 256 && IsPrintable(text);
}

// Relative to the root, and staying there.
bool IsScriptName(std::string_view text) {
  return text.empty() || (text[0] != '/' && text.ends_with(".php") && text.find('\0') == text.npos &&
                          text.find("..") == text.npos);
}

void ServerKeys(std::vector<Key<Config>>& keys) {
  using C = Config;
  keys.push_back(IntegerKey<C>(
      "server.workers", 0, 256, [](C & c) -> auto& { return c.dataplane.workers; }));
  keys.push_back(IntegerKey<C>(
      "server.max_connections", 1, 1'000'000,
      [](C & c) -> auto& { return c.dataplane.max_client_connections; }));
  keys.push_back(DurationKey<C>(
      "server.drain_timeout", Seconds(0), Hours(1),
      [](C & c) -> auto& { return c.dataplane.drain_timeout; }));
  keys.push_back({"server.trusted_proxies", [](const Value& value, C& c, Complaints& complaints) {
                    if (auto networks = ReadNetworks(value, complaints))
                      c.dataplane.trusted_proxies = *std::move(networks);
                  }});
  keys.push_back(TextKey<C>(
      "server.pool_header", "the name of a header field, or \"\" for none", IsTokenOrNone,
      [](C & c) -> auto& { return c.dataplane.pool_header; }));
  keys.push_back(TextKey<C>(
      "server.server_header", "printable ASCII, or \"\" for none", IsPrintable,
      [](C & c) -> auto& { return c.dataplane.server_header; }));
  keys.push_back(BooleanKey<C>(
      "server.request_ids", [](C & c) -> auto& { return c.dataplane.request_ids; }));
  keys.push_back(WordKey<C, LogLevel>(
      "server.log_level",
      {{"debug", LogLevel::kDebug},
       {"info", LogLevel::kInfo},
       {"warning", LogLevel::kWarning},
       {"error", LogLevel::kError}},
      [](C & c) -> auto& { return c.log_level; }));
}

void LimitKeys(std::vector<Key<Config>>& keys) {
  using C = Config;
  keys.push_back(SizeKey<C>(
      "limits.request_line", 256, 60 * kKiB, [](C & c) -> auto& { return c.dataplane.limits.request_line; }));
  // FastCGI wants a name-value pair within one 64 KiB record.
  keys.push_back(SizeKey<C>(
      "limits.head", kKiB, 60 * kKiB, [](C & c) -> auto& { return c.dataplane.limits.head; }));
  keys.push_back(IntegerKey<C>(
      "limits.fields", 8, 1000, [](C & c) -> auto& { return c.dataplane.limits.field_count; }));
  keys.push_back(SizeKey<C>(
      "limits.body", 0, 1024 * kGiB, [](C & c) -> auto& { return c.dataplane.limits.body; }));
  keys.push_back(SizeKey<C>(
      "limits.chunk_line", 16, 16 * kKiB, [](C & c) -> auto& { return c.dataplane.limits.chunk_line; }));
  keys.push_back(SizeKey<C>(
      "limits.trailers", 0, 60 * kKiB, [](C & c) -> auto& { return c.dataplane.limits.trailers; }));
  keys.push_back(SizeKey<C>(
      "limits.body_memory", 0, 64 * kMiB, [](C & c) -> auto& { return c.dataplane.limits.spool.memory; }));
  keys.push_back(TextKey<C>(
      "limits.temporary_directory", "an absolute path", IsAbsolutePath,
      [](C & c) -> auto& { return c.dataplane.limits.spool.directory; }));
  keys.push_back(SizeKey<C>(
      "limits.send_buffer", 16 * kKiB, 64 * kMiB,
      [](C & c) -> auto& { return c.dataplane.limits.send_buffer; }));
  keys.push_back(SizeKey<C>(
      "limits.response_spill", 0, 1024 * kGiB,
      [](C & c) -> auto& { return c.dataplane.limits.response_spill; }));
  keys.push_back(DurationKey<C>(
      "limits.head_timeout", Milliseconds(100), Hours(1),
      [](C & c) -> auto& { return c.dataplane.limits.head_timeout; }));
  keys.push_back(DurationKey<C>(
      "limits.body_timeout", Milliseconds(100), Hours(24),
      [](C & c) -> auto& { return c.dataplane.limits.body_timeout; }));
  keys.push_back(DurationKey<C>(
      "limits.idle_timeout", Milliseconds(100), Hours(1),
      [](C & c) -> auto& { return c.dataplane.limits.idle_timeout; }));
  keys.push_back(DurationKey<C>(
      "limits.send_timeout", Milliseconds(100), Hours(1),
      [](C & c) -> auto& { return c.dataplane.limits.send_timeout; }));
}

void PoolKeys(PoolId id, std::vector<Key<Config>>& keys) {
  using C = Config;
  const std::string prefix = fmt::format("pools.{}.", Name(id));
  const auto pool = [id](C& c) -> PoolSettings& { return c.dataplane.pools[Index(id)]; };
  const auto duration = [&](const char* name, absl::Duration least, auto member) {
    keys.push_back(DurationKey<C>(prefix + name, least, Hours(24),
                                  [pool, member](C& c) -> absl::Duration& { return pool(c).*member; }));
  };
  keys.push_back(AddressKey<C>(
      prefix + "address", [pool](C & c) -> auto& { return pool(c).address; }));
  keys.push_back(TextKey<C>(
      prefix + "root", "an absolute path", IsAbsolutePath, [pool](C & c) -> auto& { return pool(c).root; }));
  keys.push_back(TextKey<C>(
      prefix + "front_controller",
      "the name of a .php file below the root such as \"index.php\", or \"\" for none",
      IsScriptName, [pool](C & c) -> auto& { return pool(c).front_controller; }));
  keys.push_back(WordKey<C, Scripts>(
      prefix + "scripts",
      {{"any", Scripts::kAny}, {"front_controller", Scripts::kFrontController}}, [pool](C & c) -> auto& {
        return pool(c).scripts;
      }));
  keys.push_back(IntegerKey<C>(
      prefix + "max_connections", 1, 10'000, [pool](C & c) -> auto& { return pool(c).max_connections; }));
  keys.push_back(IntegerKey<C>(
      prefix + "queue_size", 0, 1'000'000, [pool](C & c) -> auto& { return pool(c).queue_size; }));
  keys.push_back(WordKey<C, KeepAlive>(
      prefix + "keep_alive",
      {{"off", KeepAlive::kOff}, {"busy", KeepAlive::kBusy}, {"on", KeepAlive::kOn}}, [pool](C & c) -> auto& {
        return pool(c).keep_alive;
      }));
  keys.push_back(TextKey<C>(
      prefix + "health_path", "a path such as \"/ping\", or \"\" for none",
      [](const std::string& text) { return text.empty() || IsStatusPath(text); },
      [pool](C & c) -> auto& { return pool(c).health_path; }));
  keys.push_back(TextKey<C>(
      prefix + "status_address", "an address such as \"127.0.0.1:9002\" or \"unix:/path\", or \"\" for none",
      IsAddressOrNone, [pool](C & c) -> auto& { return pool(c).status_address; }));
  keys.push_back(TextKey<C>(
      prefix + "status_path", "a path such as \"/status\"",
      IsStatusPath, [pool](C & c) -> auto& { return pool(c).status_path; }));
  duration("queue_timeout", Seconds(0), &PoolSettings::queue_timeout);
  duration("keep_alive_timeout", Milliseconds(10), &PoolSettings::keep_alive_timeout);
  duration("connect_timeout", Milliseconds(10), &PoolSettings::connect_timeout);
  duration("send_timeout", Milliseconds(10), &PoolSettings::send_timeout);
  duration("read_timeout", Milliseconds(10), &PoolSettings::read_timeout);
  duration("total_timeout", Seconds(0), &PoolSettings::total_timeout);
}

// A user's name or number.
std::optional<uint32_t> ParseUser(const std::string& text) {
  uint32_t uid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), uid);
  if (error == std::errc() && end == text.data() + text.size()) return uid;
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16384> strings{};  // the size sysconf(_SC_GETPW_R_SIZE_MAX) suggests is 1 KiB
  if (getpwnam_r(text.c_str(), &entry, strings.data(), strings.size(), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  return found->pw_uid;
}

void OperatingKeys(std::vector<Key<Config>>& keys) {
  using C = Config;
  keys.push_back(WordKey<C, AccessLogTarget>(
      "access_log.target",
      {{"off", AccessLogTarget::kOff},
       {"stdout", AccessLogTarget::kStdout},
       {"file", AccessLogTarget::kFile}},
      [](C & c) -> auto& { return c.dataplane.access_log.target; }));
  keys.push_back(TextKey<C>(
      "access_log.path", "an absolute path", IsAbsolutePath,
      [](C & c) -> auto& { return c.dataplane.access_log.path; }));
  keys.push_back(TextKey<C>(
      "admin.socket", "an absolute path shorter than 108 bytes",
      [](const std::string& text) { return ParseSocketAddress("unix:" + text).ok(); },
      [](C & c) -> auto& { return c.admin.socket; }));
  keys.push_back(ModeKey<C>(
      "admin.mode", [](C & c) -> auto& { return c.admin.mode; }));
  keys.push_back({"admin.operators", [](const Value& value, C& c, Complaints& complaints) {
                    const auto items = value.AsList();
                    if (!items) return complaints.Expected(value, "a list of user names or numbers");
                    c.admin.operators.clear();
                    for (const Value& item : *items) {
                      const auto uid = ParseUser(item.AsString().value_or(""));
                      if (uid) c.admin.operators.push_back(*uid);
                      if (!uid) complaints.Expected(item, "users of this machine, by name or number");
                    }
                  }});
  keys.push_back(TextKey<C>(
      "metrics.address", "an address such as \"127.0.0.1:9145\" or \"unix:/path\", or \"\" for none",
      IsAddressOrNone, [](C & c) -> auto& { return c.metrics.address; }));
  keys.push_back(TextKey<C>(
      "state.directory", "an absolute path", IsAbsolutePath,
      [](C & c) -> auto& { return c.state_directory; }));
  // The reader keeps the first certificate for these three; [[tls.certificates]] adds more.
  const auto first = [](C& c) -> TlsSettings::Certificate& { return c.tls.certificates.front(); };
  keys.push_back(TextKey<C>(
      "tls.certificate", "an absolute path",
      IsAbsolutePath, [first](C & c) -> auto& { return first(c).certificate; }));
  keys.push_back(TextKey<C>(
      "tls.key", "an absolute path", IsAbsolutePath, [first](C & c) -> auto& { return first(c).key; }));
  keys.push_back(TextKey<C>(
      "tls.ocsp_response", kOcspResponse,
      IsEmptyOrAbsolutePath, [first](C & c) -> auto& { return first(c).ocsp_response; }));
  keys.push_back(WordKey<C, TlsSettings::Version>(
      "tls.min_version", {{"1.2", TlsSettings::Version::k12}, {"1.3", TlsSettings::Version::k13}},
      [](C & c) -> auto& { return c.tls.min_version; }));
}

}  // namespace

bool IsToken(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [&](char c) { return IsAlnum(c) || kMarks.find(c) != kMarks.npos; });
}

std::optional<std::vector<std::string>> ReadNetworks(const Value& value, Complaints& complaints) {
  const auto items = value.AsList();
  if (!items) {
    complaints.Expected(value, "a list of addresses and networks");
    return std::nullopt;
  }
  std::vector<std::string> networks;
  for (const Value& item : *items) {
    const std::array<std::string, 1> text = {item.AsString().value_or("")};
    if (AddressSet::Parse(text).ok()) {
      networks.push_back(text[0]);
    } else {
      complaints.Expected(item, "an address, a network such as \"10.0.0.0/8\", or \"unix:\"");
    }
  }
  return networks;
}

std::string ListWords(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += fmt::format("\"{}\"", words[i]);
  }
  return text;
}

Words<ListenProtocol> ListenProtocols() {
  return {{"http", ListenProtocol::kHttp},
          {"https", ListenProtocol::kHttps},
          {"fastcgi", ListenProtocol::kFastCgi}};
}

std::vector<Key<Config>> ConfigKeys() {
  std::vector<Key<Config>> keys;
  ServerKeys(keys);
  LimitKeys(keys);
  for (const PoolId pool : kPools) PoolKeys(pool, keys);
  RolloutKeys(keys);
  SplitKeys(keys);
  OperatingKeys(keys);
  WebhookKeys(keys);
  return keys;
}

std::vector<Key<ListenerSettings>> ListenerKeys() {
  using L = ListenerSettings;
  return {AddressKey<L>(
              "address", [](L & l) -> auto& { return l.address; }),
          WordKey<L, ListenProtocol>(
              "protocol", ListenProtocols(), [](L & l) -> auto& { return l.protocol; }),
          BooleanKey<L>(
              "proxy_protocol", [](L & l) -> auto& { return l.proxy_protocol; }),
          ModeKey<L>(
              "mode", [](L & l) -> auto& { return l.mode; }),
          IntegerKey<L>(
              "backlog", 1, 65535, [](L & l) -> auto& { return l.backlog; })};
}

std::vector<Key<TlsSettings::Certificate>> CertificateKeys() {
  using T = TlsSettings::Certificate;
  return {
      TextKey<T>(
          "certificate", "an absolute path", IsAbsolutePath, [](T & t) -> auto& { return t.certificate; }),
      TextKey<T>(
          "key", "an absolute path", IsAbsolutePath, [](T & t) -> auto& { return t.key; }),
      TextKey<T>(
          "ocsp_response", kOcspResponse, IsEmptyOrAbsolutePath,
          [](T & t) -> auto& { return t.ocsp_response; })};
}

std::string WhyNotParam(std::string_view name) {
  constexpr std::array<std::string_view, 8> kOurs = {"CONTENT_LENGTH",    "CONTENT_TYPE",   "DOCUMENT_ROOT",
                                                     "GATEWAY_INTERFACE", "REQUEST_METHOD", "SCRIPT_FILENAME",
                                                     "SCRIPT_NAME",       "HTTP_PROXY"};
  const bool spelled = !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
                       std::all_of(name.begin(), name.end(), [](char c) { return IsAlnum(c) || c == '_'; });
  if (!spelled) return "is not the name of a FastCGI param: letters, digits and _";
  if (std::find(kOurs.begin(), kOurs.end(), name) != kOurs.end()) return "is set by Serin itself";
  return {};
}

}  // namespace serin
