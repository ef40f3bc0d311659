#include "proxy/ctl/documents.h"

#include <nlohmann/json.hpp>

namespace serin {
namespace {

using Json = nlohmann::ordered_json;

Json Parse(std::string_view text) { return Json::parse(text, nullptr, /*allow_exceptions=*/false); }

// The member `name` if it is there and of the type that is wanted.
template <typename T>
void Read(const Json& object, const char* name, T& target) {
  if (!object.is_object()) return;
  const auto it = object.find(name);
  if (it == object.end()) return;
  if constexpr (std::is_same_v<T, std::string>) {
    if (it->is_string()) target = it->template get<std::string>();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (it->is_boolean()) target = it->template get<bool>();
  } else {
    if (it->is_number()) target = it->template get<T>();
  }
}

Json Member(const Json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto it = object.find(name);
  return it == object.end() ? Json() : *it;
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

PoolDocument ReadPool(const Json& json) {
  PoolDocument pool;
  Read(json, "role", pool.role);
  Read(json, "state", pool.state);
  Read(json, "in_flight", pool.in_flight);
  Read(json, "requests", pool.requests);
  Read(json, "errors", pool.errors);
  Read(json, "slow", pool.slow);
  Read(json, "error_ratio", pool.error_ratio);
  Read(json, "p95_seconds", pool.p95_seconds);
  return pool;
}

}  // namespace

std::optional<StatusDocument> ParseStatus(std::string_view text) {
  const Json json = Parse(text);
  StatusDocument status;
  Read(json, "state", status.state);
  if (status.state.empty()) return std::nullopt;
  Read(json, "release", status.release);
  Read(json, "reason", status.reason);
  Read(json, "step", status.step);
  Read(json, "steps", status.steps);
  Read(json, "hold_remaining_seconds", status.hold_remaining_seconds);
  const Json weight = Member(json, "weight"), roles = Member(json, "roles"),
             evidence = Member(json, "evidence");
  Read(weight, "target", status.target);
  if (const Json observed = Member(weight, "observed"); observed.is_number())
    status.observed = observed.get<double>();
  Read(roles, "stable", status.stable);
  Read(roles, "canary", status.canary);
  const Json pools = Member(json, "pools");
  status.pools[Index(PoolId::kBlue)] = ReadPool(Member(pools, "blue"));
  status.pools[Index(PoolId::kGreen)] = ReadPool(Member(pools, "green"));
  Read(evidence, "errors", status.error_evidence);
  Read(evidence, "latency", status.latency_evidence);
  Read(json, "alarm", status.alarm);
  Read(json, "alarm_reason", status.alarm_reason);
  Read(json, "version", status.version);
  Read(json, "started_at", status.started_at);
  return status;
}

std::optional<std::vector<HistoryDocument>> ParseHistory(std::string_view text) {
  const Json entries = Member(Parse(text), "entries");
  if (!entries.is_array()) return std::nullopt;
  std::vector<HistoryDocument> history;
  for (const Json& json : entries) {
    HistoryDocument entry;
    Read(json, "at", entry.at);
    Read(json, "event", entry.event);
    Read(json, "release", entry.release);
    Read(json, "weight", entry.weight);
    Read(json, "state", entry.state);
    Read(json, "by", entry.by);
    Read(json, "reason", entry.reason);
    history.push_back(std::move(entry));
  }
  return history;
}

std::optional<std::string> ParseExplanation(std::string_view text) {
  const Json explanation = Member(Parse(text), "explanation");
  if (!explanation.is_string()) return std::nullopt;
  return explanation.get<std::string>();
}

std::string ParseError(std::string_view text) {
  std::string error;
  Read(Parse(text), "error", error);
  return error.empty() ? std::string(text) : error;
}

std::string ReplayBody(const ReplayDocument& replay) {
  const auto decision = [](const std::string& reason, uint64_t at) {
    return reason.empty() ? Json() : Json{{"reason", reason}, {"observation", at}};
  };
  Json json = {{"release", replay.release},
               {"observations", replay.observations},
               {"whole", replay.whole},
               {"common_causes", replay.common_causes},
               {"recorded", decision(replay.recorded, replay.recorded_at)},
               {"replayed", decision(replay.replayed, replay.replayed_at)},
               {"explanation", replay.text}};
  if (!replay.replayed.empty()) json["replayed"]["after_seconds"] = replay.replayed_after_seconds;
  return Dump(json) + "\n";
}

std::string StartBody(const std::string& release) { return Dump({{"release", release}}); }

std::string ErrorBody(const std::string& message) { return Dump({{"error", message}}) + "\n"; }

std::string VersionBody(const std::string& ctl, const std::string& daemon) {
  return Dump({{"serinctl", ctl}, {"serin", daemon.empty() ? Json() : Json(daemon)}}) + "\n";
}

}  // namespace serin
