#include "proxy/admin/admin_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "proxy/base/log.h"

namespace serin {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 5> kReads = {"/v1/status", "/v1/explain", "/v1/history", "/v1/events",
                                                    "/v1/healthz"};

struct ChangeRoute {
  std::string_view path;
  std::string_view verb;  // in the audit log
};
constexpr std::array<ChangeRoute, 13> kChanges = {{{"/v1/rollout/start", "start"},
                                                   {"/v1/rollout/pause", "pause"},
                                                   {"/v1/rollout/resume", "resume"},
                                                   {"/v1/rollout/promote", "promote"},
                                                   {"/v1/rollout/abort", "abort"},
                                                   {"/v1/rollout/retry", "retry"},
                                                   {"/v1/rollout/undo", "undo"},
                                                   {"/v1/weight", "weight"},
                                                   {"/v1/pool/blue/drain", "drain blue"},
                                                   {"/v1/pool/green/drain", "drain green"},
                                                   {"/v1/pool/blue/undrain", "undrain blue"},
                                                   {"/v1/pool/green/undrain", "undrain green"},
                                                   {"/v1/reload", "reload"}}};

// Text from outside may hold anything: what is no UTF-8 becomes U+FFFD.
std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

AdminAnswer Answer(uint16_t status, const Json& json) {
  AdminAnswer answer;
  answer.status = status;
  answer.body = Dump(json) + "\n";
  return answer;
}

AdminAnswer Error(uint16_t status, const std::string& message) {
  return Answer(status, {{"error", message}});
}

uint16_t HttpStatus(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

// Six digits are more than any of these is known to, and 0.3 stays 0.3.
double Rounded(double number) { return std::isfinite(number) ? std::round(number * 1e6) / 1e6 : 0; }

Json PoolJson(const PoolReport& pool, const PoolUse& use) {
  return {{"role", Name(pool.role)},
          {"state", Name(use.state)},
          {"in_flight", use.in_flight},
          {"requests", pool.requests},
          {"errors", pool.errors},
          {"slow", pool.slow},
          {"error_ratio", Rounded(pool.error_ratio)},
          {"p95_seconds", Rounded(pool.p95_seconds)}};
}

AdminAnswer History(std::vector<HistoryEntry> entries, size_t limit) {
  Json list = Json::array();
  for (size_t i = entries.size() > limit ? entries.size() - limit : 0; i < entries.size(); ++i) {
    const HistoryEntry& entry = entries[i];
    list.push_back({{"at", Rfc3339(entry.at)},
                    {"event", entry.event},
                    {"release", entry.release},
                    {"weight", Rounded(entry.weight.ratio())},
                    {"state", Name(entry.state)},
                    {"by", entry.by},
                    {"reason", entry.reason},
                    {"evidence", entry.evidence}});
  }
  return Answer(200, {{"entries", std::move(list)}});
}

// The fields of a body; every one must be asked for, or it is unknown.
class Body {
 public:
  // Nothing is the same as {}.
  explicit Body(std::string_view text) {
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return;
    std::set<std::string> seen;
    const auto refuse_twice = [&](int depth, Json::parse_event_t event, Json& parsed) {
      if (event != Json::parse_event_t::key || depth != 1) return true;
      const auto name = parsed.get<std::string>();
      if (!seen.insert(name).second) problem_ = fmt::format("\"{}\" is given twice", name);
      return true;
    };
    json_ = Json::parse(text, refuse_twice, /*allow_exceptions=*/false);
    if (json_.is_discarded()) {
      problem_ = "the body is not JSON";
    } else if (!json_.is_object()) {
      problem_ = "the body is not a JSON object";
    }
    if (!problem_.empty()) json_ = Json::object();
  }

  const Json* Take(const std::string& name) {
    taken_.insert(name);
    const auto it = json_.find(name);
    return it == json_.end() ? nullptr : &*it;
  }
  void Complain(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }
  // "" when all that was given was understood.
  std::string Problem() {
    for (const auto& [name, value] : json_.items()) {
      if (taken_.count(name) > 0) continue;
      std::string known;
      for (const std::string& take : taken_)
        known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", take);
      Complain(fmt::format("unknown key \"{}\"; expected {}", name, known.empty() ? "none" : known));
    }
    return problem_;
  }
  const Json& json() const { return json_; }

 private:
  Json json_ = Json::object();
  std::set<std::string> taken_;
  std::string problem_;
};

// A release's name is shown in terminals and written to journals: text without
// control characters, at most 128 bytes.
void ReadRelease(Body& body, Command& command) {
  const Json* release = body.Take("release");
  if (release == nullptr)
    return body.Complain("\"release\" is missing; expected the name of the release, such as \"v42\"");
  if (!release->is_string()) return body.Complain("\"release\" must be a string");
  command.release = release->get<std::string>();
  const bool printable = std::none_of(command.release.begin(), command.release.end(),
                                      [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (command.release.empty() || command.release.size() > 128 || !printable) {
    body.Complain("\"release\" must have 1 to 128 bytes and no control characters");
  }
}

// Percent, in steps of a basis point.
void ReadWeight(Body& body, Command& command) {
  const Json* canary = body.Take("canary");
  if (canary == nullptr) return body.Complain("\"canary\" is missing; expected a percentage, 0 to 100");
  if (!canary->is_number()) return body.Complain("\"canary\" must be a number, 0 to 100");
  const double percent = canary->get<double>();
  if (!(percent >= 0 && percent <= 100)) return body.Complain("\"canary\" must be a percentage, 0 to 100");
  const double basis_points = std::round(percent * 100);
  if (std::abs(percent * 100 - basis_points) > 1e-6) {
    return body.Complain("\"canary\" must be a percentage with at most two decimals");
  }
  command.weight = Weight::BasisPoints(static_cast<uint32_t>(basis_points));
}

// Fills `command` for the verbs that are the controller's; nullopt for the rest.
std::optional<Command> ReadCommand(std::string_view verb, Body& body) {
  Command command;
  if (verb == "start") {
    command.verb = Verb::kStart;
    ReadRelease(body, command);
  } else if (verb == "weight") {
    command.verb = Verb::kWeight;
    ReadWeight(body, command);
  } else if (verb == "promote") {
    const Json* full = body.Take("full");
    if (full != nullptr && !full->is_boolean()) body.Complain("\"full\" must be true or false");
    command.verb =
        full != nullptr && full->is_boolean() && full->get<bool>() ? Verb::kPromoteFull : Verb::kPromote;
  } else if (verb.starts_with("drain ") || verb.starts_with("undrain ")) {
    command.verb = verb.starts_with("drain ") ? Verb::kDrain : Verb::kUndrain;
    command.pool = verb.ends_with(" blue") ? PoolId::kBlue : PoolId::kGreen;
  } else {
    constexpr std::array<std::pair<std::string_view, Verb>, 5> kPlain = {{{"pause", Verb::kPause},
                                                                          {"resume", Verb::kResume},
                                                                          {"abort", Verb::kAbort},
                                                                          {"retry", Verb::kRetry},
                                                                          {"undo", Verb::kUndo}}};
    const auto it =
        std::find_if(kPlain.begin(), kPlain.end(), [&](const auto& pair) { return pair.first == verb; });
    if (it == kPlain.end()) return std::nullopt;
    command.verb = it->second;
  }
  return command;
}

void Audit(int64_t uid, std::string_view verb, const Json& arguments, const std::string& result) {
  LogInfo("audit " + Dump({{"uid", uid}, {"verb", verb}, {"args", arguments}, {"result", result}}));
}

// "limit=20" → 20; nullopt when it says anything else.
std::optional<size_t> ReadLimit(std::string_view query) {
  size_t limit = 1000;
  if (query.empty()) return limit;
  if (!query.starts_with("limit=")) return std::nullopt;
  query.remove_prefix(6);
  const auto [end, error] = std::from_chars(query.data(), query.data() + query.size(), limit);
  if (error != std::errc() || end != query.data() + query.size() || limit == 0) return std::nullopt;
  return limit;
}

}  // namespace

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

std::string_view Name(PoolState state) {
  switch (state) {
    case PoolState::kServing:
      return "serving";
    case PoolState::kDraining:
      return "draining";
    case PoolState::kDrained:
      return "drained";
  }
  return "serving";
}

std::string StatusJson(const Report& report, const ProcessInfo& process) {
  const Json observed = report.observed_ratio ? Json(Rounded(*report.observed_ratio)) : Json();
  return Dump(
      {{"state", Name(report.state)},
       {"release", report.release},
       {"step", report.step},
       {"steps", report.steps},
       {"hold_remaining_seconds", Rounded(absl::ToDoubleSeconds(report.hold_remaining))},
       {"weight", {{"target", Rounded(report.target_weight.ratio())}, {"observed", observed}}},
       {"roles", {{"stable", Name(report.split.stable_pool())}, {"canary", Name(report.split.canary_pool)}}},
       {"pools",
        {{"blue", PoolJson(report.pools[Index(PoolId::kBlue)], process.pools[Index(PoolId::kBlue)])},
         {"green", PoolJson(report.pools[Index(PoolId::kGreen)], process.pools[Index(PoolId::kGreen)])}}},
       {"reason", report.reason},
       {"alarm", report.alarm},
       {"alarm_reason", report.alarm_reason},
       {"manual", report.manual},
       {"undoable", report.undoable},
       {"step_requests", report.step_requests},
       {"expected_requests", Rounded(report.expected_requests)},
       {"evidence", {{"errors", Rounded(report.error_evidence)}, {"latency", Rounded(report.slow_evidence)}}},
       {"reverts",
        {{"error_rate", report.reverts_error_rate},
         {"latency", report.reverts_latency},
         {"dead_pool", report.reverts_dead_pool},
         {"operator", report.reverts_operator},
         {"journal", report.reverts_journal}}},
       {"epoch", report.split.epoch.value()},
       {"version", process.version},
       {"started_at", Rfc3339(process.started_at)},
       {"workers", process.workers}});
}

AdminApi::AdminApi(AdminBackend& backend, std::vector<uint32_t> operators)
    : backend_(backend), operators_(std::move(operators)) {}

AdminAnswer AdminApi::TooLarge() {
  return Error(413, fmt::format("the body is larger than {} bytes", kMaxBody));
}

bool AdminApi::MayChange(int64_t uid) const {
  // Root could change the list itself.
  if (operators_.empty() || uid == 0) return true;
  return std::any_of(operators_.begin(), operators_.end(),
                     [&](uint32_t allowed) { return uid == int64_t{allowed}; });
}

AdminAnswer AdminApi::Handle(const AdminRequest& request) {
  const bool read = std::find(kReads.begin(), kReads.end(), request.path) != kReads.end();
  const bool change = std::any_of(kChanges.begin(), kChanges.end(),
                                  [&](const ChangeRoute& route) { return route.path == request.path; });
  if (!read && !change) return Error(404, fmt::format("there is nothing at {}", request.path));
  const bool get = request.method == "GET" || request.method == "HEAD";
  if (read && get) return Read(request.path, request.query);
  if (change && request.method == "POST") return Change(request);
  const std::string allow = read ? "GET, HEAD" : "POST";
  AdminAnswer answer = Error(405, fmt::format("{} takes {} only", request.path, allow));
  answer.allow = allow;
  return answer;
}

AdminAnswer AdminApi::Read(std::string_view path, std::string_view query) {
  const bool history = path == "/v1/history";
  if (!history && !query.empty()) return Error(400, fmt::format("{} takes no parameters", path));
  if (history) {
    const std::optional<size_t> limit = ReadLimit(query);
    if (!limit) return Error(400, "/v1/history takes limit=N only, N at least 1");
    return History(backend_.GetHistory(), *limit);
  }
  AdminAnswer answer;
  if (path == "/v1/healthz") return Answer(200, {{"ok", true}});
  const std::shared_ptr<const Report> report = backend_.GetReport();
  if (path == "/v1/explain") {
    return Answer(200, {{"state", Name(report->state)},
                        {"reason", report->reason},
                        {"explanation", report->explanation},
                        {"alarm", report->alarm},
                        {"alarm_reason", report->alarm_reason}});
  }
  answer.subscribe = path == "/v1/events";
  answer.body = StatusJson(*report, backend_.GetProcessInfo()) + "\n";
  return answer;
}

AdminAnswer AdminApi::Change(const AdminRequest& request) {
  const auto route = std::find_if(kChanges.begin(), kChanges.end(), [&](const ChangeRoute& candidate) {
    return candidate.path == request.path;
  });
  Body body(request.body);
  std::optional<Command> command = ReadCommand(route->verb, body);
  std::string problem = body.Problem();
  if (problem.empty() && !request.query.empty())
    problem = fmt::format("{} takes no parameters", request.path);

  absl::Status status;
  if (!MayChange(request.peer_uid)) {
    status = absl::PermissionDeniedError(
        fmt::format("uid {} may not change anything; [admin] operators says who may", request.peer_uid));
  } else if (!problem.empty()) {
    status = absl::InvalidArgumentError(problem);
  } else if (command) {
    command->by = request.peer_uid >= 0 ? fmt::format("uid {}", request.peer_uid) : "unknown";
    status = backend_.Execute(*command);
  } else {
    status = backend_.Reload();
  }
  const std::string message(status.message().data(), status.message().size());
  Audit(request.peer_uid, route->verb, body.json(), status.ok() ? "ok" : message);
  if (!status.ok()) return Error(HttpStatus(status.code()), message);
  AdminAnswer answer;
  answer.body = StatusJson(*backend_.GetReport(), backend_.GetProcessInfo()) + "\n";
  return answer;
}

}  // namespace serin
