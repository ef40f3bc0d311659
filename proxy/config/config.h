#pragma once
// The whole configuration: serin.toml, SERIN_* variables and flags, checked.
// Read and checked on the main thread; the parts are handed out as values.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/plan.h"
#include "proxy/settings.h"

namespace serin {

struct AdminSettings {
  std::string socket = "/run/serin/admin.sock";
  uint32_t mode = 0660;
};

struct MetricsSettings {
  std::string address = "127.0.0.1:9145";  // "": not served
};

struct Config {
  DataplaneSettings dataplane;
  Plan plan;
  AdminSettings admin;
  MetricsSettings metrics;
  std::string state_directory = "/var/lib/serin";
  std::string log_level = "info";
};

}  // namespace serin
