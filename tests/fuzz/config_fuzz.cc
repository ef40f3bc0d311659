// Whatever stands in a configuration file, a variable or a flag: it is either
// taken or complained about, each complaint is whole, and nothing crashes.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/config/units.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckResult(const serin::ConfigResult& result) {
  Require(result.ok() == result.diagnostics.empty());
  for (const serin::Diagnostic& diagnostic : result.diagnostics) {
    Require(!diagnostic.message.empty() && !diagnostic.place.name.empty());
    Require(diagnostic.ToString().ends_with('\n'));
  }
  if (!result.ok()) return;
  Require(!result.config->dataplane.listeners.empty());
  Require(result.config->plan.steps.back() == serin::Weight::All());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  CheckResult(serin::ParseConfig(text, "serin.toml"));
  // The rest of the input as the value of the key that the first byte names.
  static const std::vector<std::string> kKeys = serin::KnownConfigKeys();
  if (size > 0 && size < 200) {
    const std::string value = text.substr(1);
    CheckResult(
        serin::ParseConfig("", "", {{"SERIN_" + value, value}},
                           {{kKeys[data[0] % kKeys.size()], value, "--set"}, {"listen", value, "--listen"}}));
  }
  if (const auto duration = serin::ParseDuration(text)) Require(*duration >= absl::ZeroDuration());
  if (const auto ratio = serin::ParsePercent(text)) Require(*ratio >= 0 && *ratio <= 10);
  return 0;
}
