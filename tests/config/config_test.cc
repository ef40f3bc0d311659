#include "proxy/config/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace serin {
namespace {

// The least that is complete; tests add lines after it.
constexpr std::string_view kPools = R"([pools.blue]
address = "unix:/run/php/blue.sock"
root = "/srv/blue"
[pools.green]
address = "127.0.0.1:9002"
root = "/srv/green"
)";
constexpr std::string_view kListen = R"([[listen]]
address = "127.0.0.1:8080"
)";

std::string Complete(std::string_view more = "") {
  return std::string(more) + std::string(kListen) + std::string(kPools);
}

std::string Complaints(std::string_view text, const Environment& environment = {},
                       const std::vector<ConfigOverride>& overrides = {}) {
  const ConfigResult result = ParseConfig(text, "serin.toml", environment, overrides);
  EXPECT_EQ(result.ok(), result.diagnostics.empty());
  return result.Text();
}

Config Parsed(std::string_view text, const Environment& environment = {},
              const std::vector<ConfigOverride>& overrides = {}) {
  ConfigResult result = ParseConfig(text, "serin.toml", environment, overrides);
  EXPECT_TRUE(result.ok()) << result.Text();
  return result.config.value_or(Config());
}

TEST(ConfigTest, TakesTheLeastThatIsComplete) {
  const Config config = Parsed(Complete());
  ASSERT_EQ(config.dataplane.listeners.size(), 1u);
  EXPECT_EQ(config.dataplane.listeners[0].address.ToString(), "127.0.0.1:8080");
  EXPECT_EQ(config.dataplane.listeners[0].protocol, ListenProtocol::kHttp);
  EXPECT_EQ(config.dataplane.pools[0].address.ToString(), "unix:/run/php/blue.sock");
  EXPECT_EQ(config.dataplane.pools[1].address.ToString(), "127.0.0.1:9002");
  EXPECT_EQ(config.dataplane.pools[1].root, "/srv/green");
  EXPECT_EQ(config.plan.hold, absl::Minutes(5));
  EXPECT_TRUE(config.tls.certificates.empty());
}

TEST(ConfigTest, ReadsEveryKindOfKey) {
  const Config config = Parsed(R"(
[server]
workers = 3
max_connections = 500
drain_timeout = "1m30s"
trusted_proxies = ["10.0.0.0/8", "unix:"]
pool_header = "X-Serin-Pool"
request_ids = false
log_level = "warning"
[limits]
body = "2GiB"
fields = 64
head_timeout = "250ms"
temporary_directory = "/var/tmp"
[[listen]]
address = "[::1]:8443"
protocol = "https"
proxy_protocol = true
backlog = 10
[[listen]]
address = "unix:/run/serin/fastcgi.sock"
protocol = "fastcgi"
mode = "0600"
[tls]
certificate = "/etc/a.pem"
key = "/etc/a.key"
min_version = "1.3"
ocsp_response = "/etc/a.ocsp"
[[tls.certificates]]
certificate = "/etc/b.pem"
key = "/etc/b.key"
[pools.blue]
address = "unix:/run/php/blue.sock"
root = "/srv/blue"
front_controller = ""
max_connections = 7
keep_alive = "on"
total_timeout = "2m"
status_address = "unix:/run/php/blue-status.sock"
status_path = "/fpm/status"
health_path = "/fpm/ping"
[pools.blue.params]
APP_ENV = "canary"
[pools.green]
address = "unix:/run/php/green.sock"
root = "/srv/green"
scripts = "front_controller"
[rollout]
initial_stable = "green"
initial_weight = "12.5%"
steps = ["0.5%", "100%"]
hold = "0s"
max_error_rate = "0.5%"
max_p95 = "800ms"
on_common_cause = "revert"
warm_up = 0
common_cause_factor = 3
[shadow]
share = "30%"
hold = "90s"
[rollout.sequential]
alpha = "1%"
theta = [0.1, 0.5]
correction = [-1, 0]
[split]
key = "header:X-Tenant"
override_header = ""
override_from = ["192.0.2.0/24", "unix:"]
override_secret = "0123456789abcdef"
[[split.pin]]
path = "/checkout"
methods = ["POST", "PUT"]
[[split.pin]]
path = "/admin/"
[rescue]
enabled = false
budget = "2%"
[access_log]
target = "file"
path = "/var/log/access.log"
[admin]
socket = "/tmp/admin.sock"
mode = "660"
operators = ["root", "1234"]
[metrics]
address = ""
[state]
directory = "/tmp/state"
)");
  const DataplaneSettings& dataplane = config.dataplane;
  EXPECT_EQ(dataplane.workers, 3);
  EXPECT_EQ(dataplane.max_client_connections, 500);
  EXPECT_EQ(dataplane.drain_timeout, absl::Seconds(90));
  EXPECT_EQ(dataplane.trusted_proxies, (std::vector<std::string>{"10.0.0.0/8", "unix:"}));
  EXPECT_EQ(dataplane.pool_header, "X-Serin-Pool");
  EXPECT_FALSE(dataplane.request_ids);
  EXPECT_EQ(config.log_level, LogLevel::kWarning);
  EXPECT_EQ(dataplane.limits.body, uint64_t{2} << 30);
  EXPECT_EQ(dataplane.limits.field_count, 64u);
  EXPECT_EQ(dataplane.limits.head_timeout, absl::Milliseconds(250));
  EXPECT_EQ(dataplane.limits.spool.directory, "/var/tmp");
  ASSERT_EQ(dataplane.listeners.size(), 2u);
  EXPECT_EQ(dataplane.listeners[0].protocol, ListenProtocol::kHttps);
  EXPECT_TRUE(dataplane.listeners[0].proxy_protocol);
  EXPECT_EQ(dataplane.listeners[0].backlog, 10);
  EXPECT_EQ(dataplane.listeners[1].protocol, ListenProtocol::kFastCgi);
  EXPECT_EQ(dataplane.listeners[1].mode, 0600u);
  EXPECT_EQ(config.tls.certificates,
            (std::vector<TlsSettings::Certificate>{{"/etc/a.pem", "/etc/a.key", "/etc/a.ocsp"},
                                                   {"/etc/b.pem", "/etc/b.key"}}));
  EXPECT_EQ(config.tls.min_version, TlsSettings::Version::k13);
  EXPECT_EQ(dataplane.pools[0].front_controller, "");
  EXPECT_EQ(dataplane.pools[0].max_connections, 7);
  EXPECT_EQ(dataplane.pools[0].keep_alive, KeepAlive::kOn);
  EXPECT_EQ(dataplane.pools[0].total_timeout, absl::Minutes(2));
  EXPECT_EQ(dataplane.pools[0].status_address, "unix:/run/php/blue-status.sock");
  EXPECT_EQ(dataplane.pools[0].status_path, "/fpm/status");
  EXPECT_EQ(dataplane.pools[0].health_path, "/fpm/ping");
  EXPECT_EQ(dataplane.pools[1].status_address, "");
  EXPECT_EQ(dataplane.pools[0].params,
            (std::vector<std::pair<std::string, std::string>>{{"APP_ENV", "canary"}}));
  EXPECT_EQ(dataplane.pools[1].scripts, Scripts::kFrontController);
  EXPECT_EQ(config.plan.initial_stable, PoolId::kGreen);
  EXPECT_EQ(config.plan.initial_weight, Weight::BasisPoints(1250));
  EXPECT_EQ(config.plan.steps, (std::vector<Weight>{Weight::BasisPoints(50), Weight::All()}));
  EXPECT_EQ(config.plan.hold, absl::ZeroDuration());
  EXPECT_DOUBLE_EQ(config.plan.max_error_ratio, 0.005);
  EXPECT_EQ(config.plan.max_p95, absl::Milliseconds(800));
  EXPECT_EQ(dataplane.slow_limit, absl::Milliseconds(800));
  EXPECT_EQ(config.plan.on_common_cause, OnCommonCause::kRevert);
  EXPECT_EQ(config.plan.common_cause_rho, 3);
  EXPECT_EQ(config.warm_up, 0);
  EXPECT_EQ(config.plan.shadow, Weight::Percent(30));
  EXPECT_EQ(config.plan.shadow_hold, absl::Seconds(90));
  EXPECT_EQ(dataplane.shadow, Weight::Percent(30));
  EXPECT_DOUBLE_EQ(config.plan.sequential.alpha, 0.01);
  EXPECT_EQ(config.plan.sequential.theta, (std::vector<double>{0.1, 0.5}));
  EXPECT_EQ(dataplane.split.key, SplitKey::kHeader);
  EXPECT_EQ(dataplane.split.header, "x-tenant");
  EXPECT_EQ(dataplane.split.override_header, "");
  EXPECT_TRUE(dataplane.split.override_from.ContainsPeer("192.0.2.200"));
  EXPECT_TRUE(dataplane.split.override_from.ContainsPeer(""));
  EXPECT_FALSE(dataplane.split.override_from.ContainsPeer("198.51.100.1"));
  EXPECT_EQ(dataplane.split.override_secret, "0123456789abcdef");
  ASSERT_EQ(dataplane.split.pins.size(), 2u);
  EXPECT_EQ(dataplane.split.pins[0].path, "/checkout");
  EXPECT_EQ(dataplane.split.pins[0].methods, (std::vector<std::string>{"POST", "PUT"}));
  EXPECT_EQ(dataplane.split.pins[1].path, "/admin/");
  EXPECT_TRUE(dataplane.split.pins[1].methods.empty());
  EXPECT_FALSE(config.dataplane.rescue.enabled);
  EXPECT_DOUBLE_EQ(config.dataplane.rescue.budget, 0.02);
  EXPECT_EQ(dataplane.access_log.target, AccessLogTarget::kFile);
  EXPECT_EQ(dataplane.access_log.path, "/var/log/access.log");
  EXPECT_EQ(config.admin.socket, "/tmp/admin.sock");
  EXPECT_EQ(config.admin.mode, 0660u);
  EXPECT_EQ(config.admin.operators, (std::vector<uint32_t>{0, 1234}));
  EXPECT_EQ(config.metrics.address, "");
  EXPECT_EQ(config.state_directory, "/tmp/state");
}

TEST(ConfigTest, ReportsEveryMistakeWithItsLineAndACaret) {
  EXPECT_EQ(Complaints(R"([server]
workers = "many"
log_level = "infos"
[pools.blue]
address = "unix:/run/php/blue.sock"
root = "srv/blue"
max_conections = 20
[pools.green]
address = "unix:/run/php/green.sock"
[rollout]
steps = ["10%", "120%", "5%", 50]
hold = 300
	max_p95 = "2 s"
)"),
            R"(serin.toml: there is nothing to listen on; at least one [[listen]] is needed
serin.toml:2:11: server.workers is "many"; expected a whole number, 0 to 256
  workers = "many"
            ^
serin.toml:3:13: server.log_level is "infos"; expected "debug", "info", "warning" or "error"; )"
            R"(did you mean "info"?
  log_level = "infos"
              ^
serin.toml:6:8: pools.blue.root is "srv/blue"; expected an absolute path
  root = "srv/blue"
         ^
serin.toml:7:1: unknown key "max_conections" in [pools.blue]; did you mean "max_connections"?
  max_conections = 20
  ^
serin.toml:8:1: [pools.green] lacks "root"
  [pools.green]
  ^
serin.toml:11:17: rollout.steps is "120%"; expected steps such as "10%", 0.01% to 100%
  steps = ["10%", "120%", "5%", 50]
                  ^
serin.toml:11:25: rollout.steps is "5%"; expected more than the step before it, 10%
  steps = ["10%", "120%", "5%", 50]
                          ^
serin.toml:11:31: rollout.steps is 50; expected steps such as "10%", 0.01% to 100%
  steps = ["10%", "120%", "5%", 50]
                                ^
serin.toml:12:8: rollout.hold is 300; expected a duration such as "250ms", "2s" or "5m", 0s to 30d
  hold = 300
         ^
)"
            "serin.toml:13:12: rollout.max_p95 is \"2 s\"; expected a duration such as \"250ms\", \"2s\" or "
            "\"5m\", "
            "1ms to 10m\n  \tmax_p95 = \"2 s\"\n  \t          ^\n");
}

TEST(ConfigTest, SaysWhereTheTomlBreaks) {
  EXPECT_EQ(
      Complaints("[server]\nworkers = 2 3\n", {{"SERIN_ROLLOUT_HOLD", "x"}}),
      "serin.toml:2:13: not TOML: Error while parsing key-value pair: expected a comment or whitespace, "
      "saw '3'\n"
      "  workers = 2 3\n"
      "              ^\n"
      "SERIN_ROLLOUT_HOLD: rollout.hold is \"x\"; expected a duration such as \"250ms\", \"2s\" or \"5m\", "
      "0s to 30d\n");
}

TEST(ConfigTest, SuggestsSectionsAndTheRightSectionForAKey) {
  EXPECT_EQ(Complaints(Complete("[rolout]\nhold = \"5m\"\n[server]\nmin_requests = 5\nzzz = 1\n")),
            "serin.toml:1:2: unknown section or key \"rolout\"; did you mean \"rollout\"?\n"
            "  [rolout]\n"
            "   ^\n"
            "serin.toml:4:1: unknown key \"min_requests\" in [server]; it belongs in [rollout]\n"
            "  min_requests = 5\n"
            "  ^\n"
            "serin.toml:5:1: unknown key \"zzz\" in [server]\n"
            "  zzz = 1\n"
            "  ^\n");
}

TEST(ConfigTest, SaysWhenASectionIsNoSection) {
  EXPECT_EQ(Complaints("rollout = 5\n[listen]\naddress = \"127.0.0.1:1\"\n" + std::string(kPools)),
            "serin.toml:1:11: rollout is 5; expected a section [rollout]\n"
            "  rollout = 5\n"
            "            ^\n"
            "serin.toml:2:1: listen is one section; write [[listen]], there may be several\n"
            "  [listen]\n"
            "  ^\n");
}

TEST(ConfigTest, PinsAndOverridesAreSaidPlainly) {
  EXPECT_EQ(Complaints(Complete("[split]\noverride_secret = \"short\"\noverride_from = [\"home\"]\n"
                                "[[split.pin]]\n[[split.pin]]\npath = \"checkout\"\nmethods = [\"post\"]\n"
                                "[[split.pin]]\nmethod = \"POST\"\n")),
            "serin.toml:2:19: split.override_secret is \"short\"; expected 16 to 128 letters, digits, \"-\", "
            "\"_\" or "
            "\".\", or \"\" for none\n"
            "  override_secret = \"short\"\n"
            "                    ^\n"
            "serin.toml:3:18: split.override_from is \"home\"; expected an address, a network such as "
            "\"10.0.0.0/8\", or \"unix:\"\n"
            "  override_from = [\"home\"]\n"
            "                   ^\n"
            "serin.toml:4:1: [[split.pin]] keeps everything on stable; expected \"path\" or \"methods\"\n"
            "  [[split.pin]]\n"
            "  ^\n"
            "serin.toml:6:8: split.pin.path is \"checkout\"; expected a path such as \"/checkout\"\n"
            "  path = \"checkout\"\n"
            "         ^\n"
            "serin.toml:7:12: split.pin.methods is \"post\"; expected a method in capitals such as \"POST\"\n"
            "  methods = [\"post\"]\n"
            "             ^\n"
            "serin.toml:8:1: [[split.pin]] keeps everything on stable; expected \"path\" or \"methods\"\n"
            "  [[split.pin]]\n"
            "  ^\n"
            "serin.toml:9:1: unknown key \"method\" in [[split.pin]]; did you mean \"methods\"?\n"
            "  method = \"POST\"\n"
            "  ^\n");
}

TEST(ConfigTest, ListenersNeedAddressesOfTheirOwn) {
  EXPECT_EQ(Complaints(std::string(kPools) + R"([[listen]]
protocol = "htpp"
[[listen]]
address = "localhost:80"
adress = "127.0.0.1:80"
[[listen]]
address = "127.0.0.1:80"
mode = "0600"
[[listen]]
address = "127.0.0.1:80"
[[listen]]
address = "unix:/run/serin/admin.sock"
protocol = "fastcgi"
proxy_protocol = true
[[listen]]
address = "127.0.0.1:9002"
)"),
            R"(serin.toml:5:11: pools.green.address: 127.0.0.1:9002 is where Serin itself listens
  address = "127.0.0.1:9002"
            ^
serin.toml:7:1: [[listen]] lacks "address"
  [[listen]]
  ^
serin.toml:8:12: listen.protocol is "htpp"; expected "http", "https" or "fastcgi"; did you mean "http"?
  protocol = "htpp"
             ^
serin.toml:10:11: listen.address: "localhost:80" is no address: the host must be a numeric address, such as )"
            R"(127.0.0.1, 0.0.0.0 or [::]
  address = "localhost:80"
            ^
serin.toml:11:1: unknown key "adress" in [[listen]]; did you mean "address"?
  adress = "127.0.0.1:80"
  ^
serin.toml:14:8: listen.mode is for unix sockets; this one listens on TCP
  mode = "0600"
         ^
serin.toml:16:11: 127.0.0.1:80 is already taken by another [[listen]]
  address = "127.0.0.1:80"
            ^
serin.toml:18:11: unix:/run/serin/admin.sock is already taken by admin.socket
  address = "unix:/run/serin/admin.sock"
            ^
serin.toml:20:18: listen.proxy_protocol is for http and https; FastCGI tells the client itself
  proxy_protocol = true
                   ^
)");
}

TEST(ConfigTest, HttpsNeedsCertificates) {
  const std::string https =
      "[[listen]]\naddress = \"127.0.0.1:443\"\nprotocol = \"https\"\n" + std::string(kPools);
  EXPECT_EQ(Complaints(https),
            "serin.toml:3:12: https needs a [tls] section with \"certificate\" and \"key\"\n"
            "  protocol = \"https\"\n"
            "             ^\n");
  EXPECT_EQ(Complaints(https + "[tls]\n[[tls.certificates]]\nkey = \"/k\"\n"),
            "serin.toml:11:1: [[tls.certificates]] lacks \"certificate\"\n"
            "  [[tls.certificates]]\n"
            "  ^\n");
  EXPECT_EQ(Complaints(https + "[tls]\ncertificate = \"/c\"\n"),
            "serin.toml:10:1: [tls] lacks \"key\"\n"
            "  [tls]\n"
            "  ^\n");
  EXPECT_EQ(Complaints(https + "[tls]\ncertificate = \"/c\"\nkey = \"/k\"\n"
                               "[[tls.certificates]]\ncertificate = \"/c\"\nkey = \"/k\"\n"),
            "serin.toml:14:15: /c is listed twice\n"
            "  certificate = \"/c\"\n"
            "                ^\n");
  const Config by_list = Parsed(https + "[[tls.certificates]]\ncertificate = \"/c\"\nkey = \"/k\"\n");
  EXPECT_EQ(by_list.tls.certificates, (std::vector<TlsSettings::Certificate>{{"/c", "/k"}}));
}

TEST(ConfigTest, ThePoolsAreTwo) {
  EXPECT_EQ(
      Complaints(std::string(kListen) + R"([server]
workers = 8
[pools.blue]
address = "127.0.0.1:9000"
root = "/srv/blue"
max_connections = 7
front_controller = ""
scripts = "front_controller"
[pools.green]
address = "127.0.0.1:9000"
root = "/srv/green"
[pools.green.params]
"APP-ENV" = "x"
SCRIPT_FILENAME = "/etc/passwd"
OK = 5
)"),
      R"(serin.toml:8:19: pools.blue.max_connections is 7; expected at least one for each of the 8 workers
  max_connections = 7
                    ^
serin.toml:9:20: pools.blue.scripts is "front_controller", but there is none
  front_controller = ""
                     ^
serin.toml:12:11: pools.green.address is the same as pools.blue.address; expected two different pools
  address = "127.0.0.1:9000"
            ^
serin.toml:15:1: pools.green.params: "APP-ENV" is not the name of a FastCGI param: letters, digits and _
  "APP-ENV" = "x"
  ^
serin.toml:16:1: pools.green.params: "SCRIPT_FILENAME" is set by Serin itself
  SCRIPT_FILENAME = "/etc/passwd"
  ^
serin.toml:17:6: pools.green.params.OK is 5; expected a string of at most 4096 bytes
  OK = 5
       ^
)");
}

TEST(ConfigTest, AStatusPageHasAnAddressOfItsOwn) {
  const std::string text = Complete() + "status_address = \"127.0.0.1:9002\"\nstatus_path = \"status\"\n";
  EXPECT_EQ(Complaints(text),
            "serin.toml:9:18: pools.green.status_address is the pool's own address; expected that of "
            "pm.status_listen\n"
            "  status_address = \"127.0.0.1:9002\"\n"
            "                   ^\n"
            "serin.toml:10:15: pools.green.status_path is \"status\"; expected a path such as \"/status\"\n"
            "  status_path = \"status\"\n"
            "                ^\n");
}

TEST(ConfigTest, ThePlanEndsAtAllAndDetectorsLookAboveTheLimit) {
  EXPECT_EQ(Complaints(Complete("[rollout]\nsteps = [\"10%\", \"50%\"]\nmax_error_rate = \"7%\"\n"
                                "[rollout.sequential]\ncorrection = [-1]\ntheta = [0.06, 0.5]\n")),
            R"(serin.toml:2:17: rollout.steps is "50%"; expected 100% as the last step: the new )"
            R"(release takes over at the end
  steps = ["10%", "50%"]
                  ^
serin.toml:5:14: rollout.sequential.correction has 1 numbers and theta has 2; expected one for each
  correction = [-1]
               ^
serin.toml:6:9: rollout.sequential.theta: 0.06 is not above 0.07; expected growing numbers )"
            R"(above max_error_rate and )"
            R"(max_slow_rate
  theta = [0.06, 0.5]
          ^
)");
}

TEST(ConfigTest, DetectorsLeftAloneFollowTheLimits) {
  EXPECT_DOUBLE_EQ(Parsed(Complete("[rollout]\nmax_error_rate = \"10%\"\n")).plan.max_error_ratio, 0.1);
}

TEST(ConfigTest, KeysThatNeedEachOther) {
  EXPECT_EQ(Complaints(Complete(
                "[access_log]\ntarget = \"file\"\n[limits]\nrequest_line = \"32KiB\"\nhead = \"16KiB\"\n"
                "[server]\ntrusted_proxies = [\"10.0.0.0/33\", 5]\n[split]\nkey = \"cookies\"\n"
                "[admin]\noperators = [\"no such user\"]\n")),
            R"(serin.toml:2:10: access_log.target is "file"; expected a "path" beside it
  target = "file"
           ^
serin.toml:4:16: limits.request_line is 32KiB; expected at most limits.head, 16KiB
  request_line = "32KiB"
                 ^
serin.toml:7:20: server.trusted_proxies is "10.0.0.0/33"; expected an address, a network such )"
            R"(as "10.0.0.0/8", or "unix:"
  trusted_proxies = ["10.0.0.0/33", 5]
                     ^
serin.toml:7:35: server.trusted_proxies is 5; expected an address, a network such as "10.0.0.0/8", or "unix:"
  trusted_proxies = ["10.0.0.0/33", 5]
                                    ^
serin.toml:9:7: split.key is "cookies"; expected "cookie", "address", "header:NAME" or "none"; )"
            R"(did you mean "cookie"?
  key = "cookies"
        ^
serin.toml:11:14: admin.operators is "no such user"; expected users of this machine, by name or number
  operators = ["no such user"]
               ^
)");
}

TEST(ConfigTest, AWebhookNeedsAUrlAndWordsThatAreEvents) {
  EXPECT_EQ(Complaints(Complete("[webhook]\nurl = \"chat.example.com/hook\"\nevents = [\"reverts\"]\n"
                                "timeout = \"0s\"\n")),
            R"(serin.toml:2:7: webhook.url is "chat.example.com/hook"; expected a URL such as )"
            R"("https://chat.example.com/hooks/abc", or "" for none
  url = "chat.example.com/hook"
        ^
serin.toml:3:11: webhook.events is "reverts"; expected "start", "step", "hold", "warn", "common_cause", )"
            R"("revert", "abort", "undo", "retry", "pause", "resume", "weight", "promote", "finalise", )"
            R"("restart" or "alarm"; did you mean "revert"?
  events = ["reverts"]
            ^
serin.toml:4:11: webhook.timeout is "0s"; expected a duration such as "250ms", "2s" or "5m", 100ms to 1m
  timeout = "0s"
            ^
)");
  EXPECT_EQ(Complaints(Complete("[webhook]\nurl = \"https://\"\nevents = []\n")).empty(), false);
  EXPECT_EQ(Complaints(Complete("[webhook]\nurl = \"http://127.0.0.1:9000/x?y=z\"\nevents = []\n")), "");
}

TEST(ConfigTest, FlagsBeatVariablesBeatTheFile) {
  const std::string file = Complete("[rollout]\nhold = \"1m\"\nwindow = \"10s\"\nmin_requests = 1\n");
  const Config config = Parsed(file, {{"SERIN_ROLLOUT_HOLD", "2m"}, {"SERIN_ROLLOUT_WINDOW", "20s"}},
                               {{"rollout.hold", "3m", "--set"}});
  EXPECT_EQ(config.plan.hold, absl::Minutes(3));
  EXPECT_EQ(config.plan.window, absl::Seconds(20));
  EXPECT_EQ(config.plan.min_requests, 1);
}

TEST(ConfigTest, VariablesSayEverythingThatTheFileCan) {
  const Config config = ParseConfig("", "",
                                    {{"SERIN_LISTEN", "http://127.0.0.1:1, fastcgi://unix:/run/f.sock"},
                                     {"SERIN_POOLS_BLUE_ADDRESS", "unix:/b"},
                                     {"SERIN_POOLS_BLUE_ROOT", "/b"},
                                     {"SERIN_POOLS_GREEN_ADDRESS", "unix:/g"},
                                     {"SERIN_POOLS_GREEN_ROOT", "/g"},
                                     {"SERIN_POOLS_GREEN_MAX_CONNECTIONS", "3"},
                                     {"SERIN_RESCUE_ENABLED", "false"},
                                     {"SERIN_ROLLOUT_STEPS", "5%,100%"},
                                     {"SERIN_ROLLOUT_SEQUENTIAL_THETA", "0.1,0.2,0.3,0.4,0.5,0.6"},
                                     {"SERIN_SERVER_TRUSTED_PROXIES", ""}})
                            .config.value_or(Config());
  ASSERT_EQ(config.dataplane.listeners.size(), 2u);
  EXPECT_EQ(config.dataplane.listeners[1].protocol, ListenProtocol::kFastCgi);
  EXPECT_EQ(config.dataplane.listeners[1].address.path, "/run/f.sock");
  EXPECT_EQ(config.dataplane.pools[1].max_connections, 3);
  EXPECT_FALSE(config.dataplane.rescue.enabled);
  EXPECT_EQ(config.plan.steps, (std::vector<Weight>{Weight::Percent(5), Weight::All()}));
  EXPECT_EQ(config.plan.sequential.theta.size(), 6u);
  EXPECT_TRUE(config.dataplane.trusted_proxies.empty());
}

TEST(ConfigTest, NamesTheVariableOrFlagThatIsWrong) {
  EXPECT_EQ(
      Complaints(
          Complete(),
          {{"SERIN_LISTEN", "127.0.0.1:80"}, {"SERIN_ROLLOUT_HODL", "1m"}, {"SERIN_SERVER_WORKERS", "x"}},
          {{"rollout.hold", "soon", "--set rollout.hold"}, {"server.worker", "1", "--set server.worker"}}),
      R"(SERIN_LISTEN: listen is "127.0.0.1:80"; expected "http://127.0.0.1:8080", with http, )"
      R"(https or fastcgi before an address
SERIN_ROLLOUT_HODL: unknown variable; did you mean SERIN_ROLLOUT_HOLD?
SERIN_SERVER_WORKERS: server.workers is "x"; expected a whole number, 0 to 256
--set rollout.hold: rollout.hold is "soon"; expected a duration such as "250ms", "2s" or "5m", 0s to 30d
--set server.worker: unknown key "server.worker"; did you mean "server.workers"?
)");
}

TEST(ConfigTest, TakesSerinVariablesOnlyAndLeavesKubernetesOnesAlone) {
  const char* const environ[] = {"PATH=/bin",           "SERIN_CONFIG=/etc/x",       "SERIN_ROLLOUT_HOLD=a=b",
                                 "SERIN_SERVICE_HOST=", "SERIN_PORT_8080_TCP_PORT=", nullptr};
  EXPECT_EQ(SerinEnvironment(environ), (Environment{{"SERIN_ROLLOUT_HOLD", "a=b"}}));
}

TEST(ConfigTest, SaysWhyAFileCannotBeRead) {
  EXPECT_EQ(LoadConfig("/nonexistent/serin.toml", {}, {}).Text(),
            "/nonexistent/serin.toml: cannot be read: No such file or directory\n");
  EXPECT_EQ(LoadConfig("/", {}, {}).Text(), "/: cannot be read: Is a directory\n");
}

}  // namespace
}  // namespace serin
