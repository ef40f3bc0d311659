#pragma once
// The whole configuration: serin.toml, SERIN_* variables and flags, checked.
// Read and checked on the main thread; the parts are handed out as values.
// Every key is described in conf/serin.toml and docs/CONFIGURATION.md.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "controller/plan.h"
#include "proxy/base/log.h"
#include "proxy/config/diagnostic.h"
#include "proxy/settings.h"

namespace serin {

struct AdminSettings {
  std::string socket = "/run/serin/admin.sock";
  uint32_t mode = 0660;
  // Who may change things, as user ids; empty: everyone who may connect.
  std::vector<uint32_t> operators;
};

struct MetricsSettings {
  std::string address = "127.0.0.1:9145";  // as ParseSocketAddress takes it; "": not served
};

// Who is told of decisions and alarms as they happen.
struct WebhookSettings {
  std::string url;  // http or https; "": nobody
  // Words of WebhookEvents().
  std::vector<std::string> events = {"warn", "common_cause", "revert",   "abort",
                                     "undo", "promote",      "finalise", "alarm"};
  absl::Duration timeout = absl::Seconds(5);  // of one try
};
// The events of `history` as [webhook] spells them, and "alarm".
const std::vector<std::string>& WebhookEvents();

struct Config {
  DataplaneSettings dataplane;
  TlsSettings tls;
  Plan plan;
  int warm_up = 3;  // answers of a pool before it gets its first weight
  AdminSettings admin;
  MetricsSettings metrics;
  WebhookSettings webhook;
  std::string state_directory = "/var/lib/serin";
  LogLevel log_level = LogLevel::kInfo;
};

// A flag's value for one key, such as {"rollout.hold", "2m", "--set"}.
struct ConfigOverride {
  std::string key;    // dotted, as conf/serin.toml spells it; "listen" for the list of listeners
  std::string value;  // as an environment variable would give it
  std::string flag;   // what messages call it
};
// What "--set KEY=VALUE" says; without "=" the value is empty.
ConfigOverride ParseSet(const std::string& text);

// SERIN_ROLLOUT_HOLD=2m is {"SERIN_ROLLOUT_HOLD", "2m"}.
using Environment = std::vector<std::pair<std::string, std::string>>;
// The SERIN_* part of `environ`, but for SERIN_CONFIG (which names the file)
// and what Kubernetes injects for a service called serin (SERIN_SERVICE_*, SERIN_PORT*).
Environment SerinEnvironment(const char* const* environ);

struct ConfigResult {
  std::optional<Config> config;         // set if there is nothing to complain about
  std::vector<Diagnostic> diagnostics;  // by place: the file top to bottom, then variables, then flags
  bool ok() const { return config.has_value(); }
  // All diagnostics as `serin -t` prints them, each ending in a newline.
  std::string Text() const;
};

// Reads `path` ("": no file), then lets `environment` and then `overrides`
// replace single keys, then checks the whole. Reports every mistake; only TOML
// syntax errors end the reading of the file at the first one.
ConfigResult LoadConfig(const std::string& path, const Environment& environment,
                        const std::vector<ConfigOverride>& overrides);
// The same with the file's text in hand; `name` is what messages call it.
ConfigResult ParseConfig(std::string_view text, const std::string& name, const Environment& environment = {},
                         const std::vector<ConfigOverride>& overrides = {});

// Every key that exists, dotted and sorted: "access_log.path", …,
// "listen.address" for the keys of one [[listen]], "pools.blue.params.*".
std::vector<std::string> KnownConfigKeys();

}  // namespace serin
