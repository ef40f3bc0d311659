#include "proxy/config/config.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "proxy/base/unique_fd.h"
#include "proxy/config/reader.h"

namespace serin {
namespace {

// A configuration is a page or two; more is a mistake (a device, a log).
constexpr size_t kLargestFile = 1024 * 1024;

// "" when the file could be read, otherwise why not.
std::string ReadWhole(const std::string& path, std::string& text) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return strerror(errno);
  std::string buffer(64 * 1024, '\0');
  for (;;) {
    const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return strerror(errno);
    if (n == 0) return {};
    text.append(buffer, 0, static_cast<size_t>(n));
    if (text.size() > kLargestFile) return "larger than 1 MiB";
  }
}

ConfigResult Finish(ConfigReader& reader) {
  // After a syntax error most keys are unknown: rules between them would only
  // complain about what was never read.
  if (reader.parsed()) CheckConfig(reader.config(), reader.origins(), reader.whole(), reader.diagnostics());
  ConfigResult result;
  result.diagnostics = reader.diagnostics().Take();
  if (!result.diagnostics.empty()) return result;
  Config& config = reader.config();
  auto& certificates = config.tls.certificates;
  if (certificates.front().certificate.empty()) certificates.erase(certificates.begin());
  config.dataplane.slow_limit = config.plan.max_p95;
  config.dataplane.shadow = config.plan.shadow;
  result.config = std::move(config);
  return result;
}

}  // namespace

Environment SerinEnvironment(const char* const* environ) {
  Environment found;
  for (; environ != nullptr && *environ != nullptr; ++environ) {
    const std::string_view entry = *environ;
    const size_t equals = entry.find('=');
    if (!entry.starts_with("SERIN_") || equals == entry.npos) continue;
    const std::string_view name = entry.substr(0, equals);
    if (name == "SERIN_CONFIG" || name.starts_with("SERIN_SERVICE_") || name.starts_with("SERIN_PORT"))
      continue;
    found.emplace_back(name, entry.substr(equals + 1));
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string ConfigResult::Text() const {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += diagnostic.ToString();
  return text;
}

ConfigResult ParseConfig(std::string_view text, const std::string& name, const Environment& environment,
                         const std::vector<ConfigOverride>& overrides) {
  ConfigReader reader(text, name);
  reader.ReadFile();
  reader.ReadEnvironment(environment);
  reader.ReadOverrides(overrides);
  return Finish(reader);
}

ConfigOverride ParseSet(const std::string& text) {
  const size_t equals = text.find('=');
  return {text.substr(0, equals), equals == std::string::npos ? "" : text.substr(equals + 1), "--set"};
}

ConfigResult LoadConfig(const std::string& path, const Environment& environment,
                        const std::vector<ConfigOverride>& overrides) {
  std::string text;
  const std::string problem = path.empty() ? "" : ReadWhole(path, text);
  if (problem.empty()) return ParseConfig(text, path, environment, overrides);
  ConfigResult result;
  result.diagnostics.push_back({{Place::Source::kFile, path, 0, 0}, "cannot be read: " + problem, ""});
  return result;
}

std::vector<std::string> KnownConfigKeys() {
  std::vector<std::string> names = {"pools.blue.params.*", "pools.green.params.*"};
  for (const auto& key : ConfigKeys()) names.push_back(key.name);
  for (const auto& key : ListenerKeys()) names.push_back("listen." + key.name);
  for (const auto& key : CertificateKeys()) names.push_back("tls.certificates." + key.name);
  for (const auto& key : PinKeys()) names.push_back("split.pin." + key.name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace serin
