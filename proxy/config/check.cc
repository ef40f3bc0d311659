// Rules between keys.

#include <algorithm>
#include <map>
#include <set>

#include "proxy/config/reader.h"

namespace serin {
namespace {

class Checker {
 public:
  Checker(const Config& config, const Origins& origins, const Place& whole, Diagnostics& diagnostics)
      : config_(config), origins_(origins), whole_(whole), diagnostics_(diagnostics) {}

  void CheckListeners();
  void CheckTls();
  void CheckPools();
  void CheckRollout();
  void CheckSplit();
  void CheckOperating();

 private:
  // Says it at the first of `paths` that was given.
  void Say(std::initializer_list<std::string> paths, std::string message) {
    diagnostics_.Add(origins_.Find(paths, whole_), std::move(message));
  }
  void ClaimAddress(const std::string& path, const std::string& address);

  const Config& config_;
  const Origins& origins_;
  const Place& whole_;
  Diagnostics& diagnostics_;
  std::map<std::string, std::string> claimed_;  // address → who listens there
};

// No two things may listen on one address.
void Checker::ClaimAddress(const std::string& path, const std::string& address) {
  if (address.ends_with(":0")) return;  // the kernel chooses
  const auto [it, fresh] =
      claimed_.emplace(address, path.starts_with("listen.") ? "another [[listen]]" : path);
  if (!fresh) Say({path}, fmt::format("{} is already taken by {}", address, it->second));
}

void Checker::CheckListeners() {
  const auto& listeners = config_.dataplane.listeners;
  if (listeners.empty() && !origins_.Bad("listen")) {
    Say({"listen"}, "there is nothing to listen on; at least one [[listen]] is needed");
  }
  for (size_t i = 0; i < listeners.size(); ++i) {
    const std::string path = fmt::format("listen.{}", i);
    if (origins_.Bad(path)) continue;
    if (!origins_.Given(path + ".address")) Say({path}, "[[listen]] lacks \"address\"");
    if (origins_.Good(path + ".address")) ClaimAddress(path + ".address", listeners[i].address.ToString());
    const bool tcp = listeners[i].address.kind == SocketAddress::Kind::kTcp;
    if (origins_.Good(path + ".mode") && origins_.Good(path + ".address") && tcp) {
      Say({path + ".mode"}, "listen.mode is for unix sockets; this one listens on TCP");
    }
    if (listeners[i].protocol == ListenProtocol::kFastCgi && listeners[i].proxy_protocol) {
      Say({path + ".proxy_protocol"},
          "listen.proxy_protocol is for http and https; FastCGI tells the client itself");
    }
  }
}

void Checker::CheckTls() {
  const auto& listeners = config_.dataplane.listeners;
  const auto& certificates = config_.tls.certificates;
  std::set<std::string> names;
  for (size_t i = 0; i < listeners.size(); ++i) {
    if (listeners[i].protocol != ListenProtocol::kHttps || origins_.Given("tls")) continue;
    if (origins_.Given("tls.certificate") || origins_.Given("tls.key")) continue;
    const std::string path = fmt::format("listen.{}", i);
    Say({path + ".protocol", path}, "https needs a [tls] section with \"certificate\" and \"key\"");
  }
  for (size_t i = 0; i < certificates.size(); ++i) {
    const std::string path = i == 0 ? "tls" : fmt::format("tls.certificates.{}", i);
    const std::string shown = i == 0 ? "[tls]" : "[[tls.certificates]]";
    const bool has_certificate = origins_.Given(path + ".certificate"),
               has_key = origins_.Given(path + ".key");
    const bool needed = i > 0 ? !origins_.Bad(path)
                              : origins_.Given(path + ".ocsp_response") ||
                                    (certificates.size() == 1 && origins_.Given("tls"));
    if (!has_certificate && (has_key || needed)) Say({path, path + ".key"}, shown + " lacks \"certificate\"");
    if (!has_key && (has_certificate || needed)) Say({path, path + ".certificate"}, shown + " lacks \"key\"");
    if (has_certificate && !names.insert(certificates[i].certificate).second) {
      Say({path + ".certificate"}, certificates[i].certificate + " is listed twice");
    }
  }
}

void Checker::CheckPools() {
  const DataplaneSettings& dataplane = config_.dataplane;
  for (const PoolId id : kPools) {
    const std::string path = fmt::format("pools.{}", Name(id));
    for (const char* name : {"address", "root"}) {
      if (!origins_.Given(fmt::format("{}.{}", path, name)))
        Say({path}, fmt::format("[{}] lacks \"{}\"", path, name));
    }
    const PoolSettings& pool = dataplane.pools[Index(id)];
    const std::string front = path + ".front_controller";
    if (pool.scripts == Scripts::kFrontController && pool.front_controller.empty()) {
      Say({front, path + ".scripts"},
          fmt::format("{}.scripts is \"front_controller\", but there is none", path));
    }
    if (pool.max_connections < dataplane.workers && !origins_.Bad(path + ".max_connections") &&
        !origins_.Bad("server.workers")) {
      Say({path + ".max_connections", "server.workers"},
          fmt::format("{0}.max_connections is {1}; expected at least one for each of the {2} workers", path,
                      pool.max_connections, dataplane.workers));
    }
    if (origins_.Good(path + ".address")) {
      const std::string address = pool.address.ToString();
      if (claimed_.contains(address)) {
        Say({path + ".address"}, fmt::format("{}.address: {} is where Serin itself listens", path, address));
      }
      if (address == pool.status_address) {
        Say({path + ".status_address"},
            fmt::format("{}.status_address is the pool's own address; expected that of pm.status_listen",
                        path));
      }
    }
  }
  const bool both = origins_.Good("pools.blue.address") && origins_.Good("pools.green.address");
  if (both && dataplane.pools[0].address == dataplane.pools[1].address) {
    Say({"pools.green.address"},
        "pools.green.address is the same as pools.blue.address; expected two different pools");
  }
}

void Checker::CheckRollout() {
  const SequentialPlan& sequential = config_.plan.sequential;
  const bool readable =
      !origins_.Bad("rollout.sequential.theta") && !origins_.Bad("rollout.sequential.correction");
  // Left alone, the detectors follow the limits by themselves.
  const bool given =
      origins_.Given("rollout.sequential.theta") || origins_.Given("rollout.sequential.correction");
  if (!sequential.enabled || !readable || !given) return;
  if (sequential.theta.size() != sequential.correction.size()) {
    Say({"rollout.sequential.correction", "rollout.sequential.theta"},
        fmt::format("rollout.sequential.correction has {} numbers and theta has {}; expected one for each",
                    sequential.correction.size(), sequential.theta.size()));
  }
  for (size_t i = 0; i < sequential.theta.size(); ++i) {
    const double before =
        i > 0 ? sequential.theta[i - 1] : std::max(config_.plan.max_error_ratio, config_.plan.max_slow_ratio);
    if (sequential.theta[i] > before) continue;
    Say({"rollout.sequential.theta", "rollout.max_error_rate", "rollout.max_slow_rate"},
        fmt::format(
            "rollout.sequential.theta: {} is not above {}; expected growing numbers above max_error_rate and "
            "max_slow_rate",
            sequential.theta[i], before));
    break;
  }
}

void Checker::CheckSplit() {
  for (size_t i = 0; i < config_.dataplane.split.pins.size(); ++i) {
    const std::string path = fmt::format("split.pin.{}", i);
    if (origins_.Bad(path) || origins_.Given(path + ".path") || origins_.Given(path + ".methods")) continue;
    Say({path}, "[[split.pin]] keeps everything on stable; expected \"path\" or \"methods\"");
  }
}

void Checker::CheckOperating() {
  const AccessLogSettings& log = config_.dataplane.access_log;
  const bool log_readable = !origins_.Bad("access_log.path") && !origins_.Bad("access_log.target");
  if (log_readable && log.target == AccessLogTarget::kFile && log.path.empty()) {
    Say({"access_log.target"}, "access_log.target is \"file\"; expected a \"path\" beside it");
  }
  if (log_readable && log.target != AccessLogTarget::kFile && !log.path.empty()) {
    Say({"access_log.path"}, "access_log.path is given, but access_log.target is not \"file\"");
  }
  if (!origins_.Bad("admin.socket")) ClaimAddress("admin.socket", "unix:" + config_.admin.socket);
  if (!origins_.Bad("metrics.address") && !config_.metrics.address.empty()) {
    ClaimAddress("metrics.address", config_.metrics.address);
  }
  const ClientLimits& limits = config_.dataplane.limits;
  if (limits.request_line > limits.head && !origins_.Bad("limits.request_line") &&
      !origins_.Bad("limits.head")) {
    Say({"limits.request_line", "limits.head"},
        fmt::format("limits.request_line is {}; expected at most limits.head, {}",
                    ShowSize(limits.request_line), ShowSize(limits.head)));
  }
}

}  // namespace

void CheckConfig(const Config& config, const Origins& origins, const Place& whole, Diagnostics& diagnostics) {
  Checker checker(config, origins, whole, diagnostics);
  checker.CheckOperating();
  checker.CheckListeners();
  checker.CheckTls();
  checker.CheckPools();
  checker.CheckRollout();
  checker.CheckSplit();
}

}  // namespace serin
