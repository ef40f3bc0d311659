// The files in conf/ are what people start from: they are read here.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "proxy/config/config.h"

namespace serin {
namespace {

std::string TreeFile(const std::string& name) {
  const std::string path = std::string(SERIN_SOURCE_DIR "/") + name;
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string ConfFile(const std::string& name) { return TreeFile("conf/" + name); }

// serin.toml with every default written out: "#name = …" loses its "#".
std::string Uncommented() {
  std::istringstream in(ConfFile("serin.toml"));
  std::string text;
  for (std::string line; std::getline(in, line);) {
    static const std::regex kDefault(R"(#([A-Za-z0-9_]+ = .*|\[.*\]))");
    text += std::regex_match(line, kDefault) ? line.substr(1) : line;
    text += "\n";
  }
  return text;
}

// Without the two that contradict another default.
std::string ConsistentDefaults() {
  std::string text = Uncommented();
  for (const std::string_view line : {"path = \"/var/log/serin/access.log\"\n", "mode = \"0666\"\n"}) {
    const size_t at = text.find(line);
    EXPECT_NE(at, std::string::npos) << line;
    if (at != std::string::npos) text.erase(at, line.size());
  }
  return text;
}

TEST(ConfFilesTest, TheExamplesAreComplete) {
  for (const char* name : {"serin.toml", "serin.minimal.toml"}) {
    const ConfigResult result = ParseConfig(ConfFile(name), name);
    EXPECT_TRUE(result.ok()) << result.Text();
  }
}

TEST(ConfFilesTest, EveryKeyInTheExampleIsKnown) {
  const ConfigResult result = ParseConfig(Uncommented(), "serin.toml");
  // Two things must be wrong when all keys are given: a mode for a TCP
  // listener, and a path beside target = "off".
  ASSERT_EQ(result.diagnostics.size(), 2u) << result.Text();
  EXPECT_TRUE(result.diagnostics[0].message.starts_with("listen.mode is for unix sockets")) << result.Text();
  EXPECT_TRUE(result.diagnostics[1].message.starts_with("access_log.path is given")) << result.Text();
}

TEST(ConfFilesTest, EveryKnownKeyIsInTheExample) {
  std::set<std::string> shown;
  std::istringstream in(Uncommented());
  std::string section;
  std::smatch match;
  for (std::string line; std::getline(in, line);) {
    if (std::regex_match(line, match, std::regex(R"(\[\[?([a-z._]+)\]\]?)"))) section = match[1];
    if (!std::regex_match(line, match, std::regex(R"(([A-Za-z0-9_]+) = .*)"))) continue;
    shown.insert(section + "." + (section.ends_with(".params") ? std::string("*") : match[1].str()));
  }
  for (std::string key : KnownConfigKeys()) {
    // [pools.green] has the same keys and refers to [pools.blue].
    if (key.starts_with("pools.green.")) key.replace(0, 12, "pools.blue.");
    EXPECT_TRUE(shown.count(key)) << key << " is not in conf/serin.toml";
  }
}

TEST(ConfFilesTest, EveryKnownKeyIsInTheManual) {
  const std::string manual = TreeFile("docs/CONFIGURATION.md");
  for (const std::string& key : KnownConfigKeys()) {
    const std::string name = key.substr(key.rfind('.') + 1);
    EXPECT_TRUE(name == "*" || manual.find("| `" + name + "` |") != manual.npos) << key;
  }
}

TEST(ConfFilesTest, TheDefaultsShownAreTheDefaults) {
  const std::string text = ConsistentDefaults();
  const ConfigResult result = ParseConfig(text, "serin.toml");
  ASSERT_TRUE(result.ok()) << result.Text();
  const Config& shown = *result.config;
  const Config ours;
  const DataplaneSettings &a = shown.dataplane, &b = ours.dataplane;
  EXPECT_EQ(a.workers, b.workers);
  EXPECT_EQ(a.max_client_connections, b.max_client_connections);
  EXPECT_EQ(a.drain_timeout, b.drain_timeout);
  EXPECT_EQ(a.trusted_proxies, b.trusted_proxies);
  EXPECT_EQ(a.pool_header, b.pool_header);
  EXPECT_EQ(a.request_ids, b.request_ids);
  EXPECT_EQ(a.server_header, b.server_header);
  EXPECT_EQ(a.fatal_stderr_is_error, b.fatal_stderr_is_error);
  EXPECT_EQ(a.slow_limit, b.slow_limit);
  EXPECT_EQ(a.access_log.target, b.access_log.target);
  ListenerSettings listener;
  listener.address = a.listeners.at(0).address;
  EXPECT_EQ(a.listeners.at(0), listener);
  const ClientLimits &la = a.limits, &lb = b.limits;
  EXPECT_EQ(la.request_line, lb.request_line);
  EXPECT_EQ(la.head, lb.head);
  EXPECT_EQ(la.field_count, lb.field_count);
  EXPECT_EQ(la.body, lb.body);
  EXPECT_EQ(la.chunk_line, lb.chunk_line);
  EXPECT_EQ(la.trailers, lb.trailers);
  EXPECT_EQ(la.spool.memory, lb.spool.memory);
  EXPECT_EQ(la.spool.directory, lb.spool.directory);
  EXPECT_EQ(la.send_buffer, lb.send_buffer);
  EXPECT_EQ(la.head_timeout, lb.head_timeout);
  EXPECT_EQ(la.body_timeout, lb.body_timeout);
  EXPECT_EQ(la.idle_timeout, lb.idle_timeout);
  EXPECT_EQ(la.send_timeout, lb.send_timeout);
  const PoolSettings &pa = a.pools[0], &pb = b.pools[0];
  EXPECT_EQ(pa.front_controller, pb.front_controller);
  EXPECT_EQ(pa.scripts, pb.scripts);
  EXPECT_EQ(pa.max_connections, pb.max_connections);
  EXPECT_EQ(pa.queue_size, pb.queue_size);
  EXPECT_EQ(pa.queue_timeout, pb.queue_timeout);
  EXPECT_EQ(pa.keep_alive, pb.keep_alive);
  EXPECT_EQ(pa.keep_alive_timeout, pb.keep_alive_timeout);
  EXPECT_EQ(pa.connect_timeout, pb.connect_timeout);
  EXPECT_EQ(pa.send_timeout, pb.send_timeout);
  EXPECT_EQ(pa.read_timeout, pb.read_timeout);
  EXPECT_EQ(pa.total_timeout, pb.total_timeout);
  EXPECT_EQ(pa.health_path, pb.health_path);
  EXPECT_EQ(shown.warm_up, ours.warm_up);
  EXPECT_EQ(a.shadow, b.shadow);
  EXPECT_EQ(pa.status_address, pb.status_address);
  EXPECT_EQ(pa.status_path, pb.status_path);
  EXPECT_EQ(a.split.key, b.split.key);
  EXPECT_EQ(a.split.cookie_name, b.split.cookie_name);
  EXPECT_EQ(a.split.cookie_max_age, b.split.cookie_max_age);
  EXPECT_EQ(a.split.override_header, b.split.override_header);
  EXPECT_EQ(a.split.override_cookie, b.split.override_cookie);
  EXPECT_EQ(a.rescue.enabled, b.rescue.enabled);
  EXPECT_EQ(a.rescue.budget, b.rescue.budget);
  EXPECT_EQ(shown.tls.min_version, ours.tls.min_version);
  EXPECT_EQ(shown.admin.socket, ours.admin.socket);
  EXPECT_EQ(shown.admin.mode, ours.admin.mode);
  EXPECT_EQ(shown.admin.operators, ours.admin.operators);
  EXPECT_EQ(shown.metrics.address, ours.metrics.address);
  EXPECT_EQ(shown.webhook.url, ours.webhook.url);
  EXPECT_EQ(shown.webhook.events, ours.webhook.events);
  EXPECT_EQ(shown.webhook.timeout, ours.webhook.timeout);
  EXPECT_EQ(shown.state_directory, ours.state_directory);
  EXPECT_EQ(shown.log_level, ours.log_level);
}

TEST(ConfFilesTest, TheDefaultPlanShownIsTheDefault) {
  const std::string text = ConsistentDefaults();
  const Plan a = ParseConfig(text, "serin.toml").config.value_or(Config()).plan, b;
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.max_evidence, b.max_evidence);
  EXPECT_EQ(a.hold, b.hold);
  EXPECT_EQ(a.max_error_ratio, b.max_error_ratio);
  EXPECT_EQ(a.max_p95, b.max_p95);
  EXPECT_EQ(a.max_slow_ratio, b.max_slow_ratio);
  EXPECT_EQ(a.window, b.window);
  EXPECT_EQ(a.min_requests, b.min_requests);
  EXPECT_EQ(a.min_step_requests, b.min_step_requests);
  EXPECT_EQ(a.warn_after_holds, b.warn_after_holds);
  EXPECT_EQ(a.client_burst_failures, b.client_burst_failures);
  EXPECT_EQ(a.client_burst_window, b.client_burst_window);
  EXPECT_EQ(a.dead_pool_span, b.dead_pool_span);
  EXPECT_EQ(a.common_cause_rho, b.common_cause_rho);
  EXPECT_EQ(a.on_common_cause, b.on_common_cause);
  EXPECT_EQ(a.sequential.enabled, b.sequential.enabled);
  EXPECT_EQ(a.sequential.alpha, b.sequential.alpha);
  EXPECT_EQ(a.sequential.theta, b.sequential.theta);
  EXPECT_EQ(a.sequential.correction, b.sequential.correction);
  EXPECT_EQ(a.initial_stable, b.initial_stable);
  EXPECT_EQ(a.initial_weight, b.initial_weight);
}

}  // namespace
}  // namespace serin
