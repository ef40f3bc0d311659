#pragma once
// The admin API's JSON as values, and the bodies that are sent to it. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/types.h"

namespace serin {

struct PoolDocument {
  std::string role;
  int64_t requests = 0, errors = 0, slow = 0;
  double error_ratio = 0, p95_seconds = 0;
  std::string state = {};  // "serving", "draining", "drained"; "": an older serin
  int64_t in_flight = 0;
};

// GET /v1/status, and the data of an event.
struct StatusDocument {
  std::string state, release, reason;
  int64_t step = 0, steps = 0;
  double hold_remaining_seconds = 0;
  double target = 0;
  std::optional<double> observed;
  std::string stable, canary;
  PoolDocument pools[kPoolCount];
  double error_evidence = 0, latency_evidence = 0;
  bool alarm = false;
  std::string alarm_reason;
  std::string version, started_at;
};

struct HistoryDocument {
  std::string at, event, release, state, by, reason;
  double weight = 0;
};

// nullopt for what is not such a document; fields that are missing keep their
// defaults, so that an older serinctl understands a newer serin.
std::optional<StatusDocument> ParseStatus(std::string_view json);
std::optional<std::vector<HistoryDocument>> ParseHistory(std::string_view json);
// GET /v1/explain: the paragraph.
std::optional<std::string> ParseExplanation(std::string_view json);
// The sentence of {"error": …}; the text itself if it is something else.
std::string ParseError(std::string_view json);

// What `replay --json` prints.
struct ReplayDocument {
  std::string release, text;
  bool whole = true;
  uint64_t observations = 0, common_causes = 0;
  std::string recorded, replayed;             // what it was reverted for: "error_rate", …; "" for nothing
  uint64_t recorded_at = 0, replayed_at = 0;  // number of the deciding observation
  double replayed_after_seconds = 0;
};
std::string ReplayBody(const ReplayDocument& replay);

// {"release": …}
std::string StartBody(const std::string& release);
std::string ErrorBody(const std::string& message);
// What `version --json` prints; `daemon` "" when none runs.
std::string VersionBody(const std::string& ctl, const std::string& daemon);

}  // namespace serin
