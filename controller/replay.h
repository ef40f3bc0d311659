#pragma once
// Replay: runs a recording through the same judge, under the same limits or
// others, and says what would have been decided and at which observation.
// Pure; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controller/judge.h"
#include "controller/observation_log.h"
#include "controller/plan.h"

namespace serin {

struct ReplayResult {
  std::string release;
  bool whole = true;  // the recording was not cut short
  uint64_t observations = 0;
  int restarts = 0;
  std::optional<RecordedDecision> recorded;  // what ended the rollout then; none when nothing did
  std::optional<Verdict> replayed;           // what ends it under the given limits
  absl::Duration replayed_after;             // since the first observation
  uint64_t common_causes = 0;                // times that both pools failed alike
  Weight weight;                             // of the canary at the decision, or at the end
  Evidence at_end;                           // at the decision, or at the end
  std::string text;                          // all of it, as a paragraph for people
};

// The limits under which `recording` (a file's bytes) was made, to be changed
// and handed to Replay. InvalidArgument when it is not a recording.
absl::StatusOr<Plan> RecordedPlan(std::string_view recording);

// With the recorded limits, the same decision at the same observation. With
// others, one difference remains: a request that was reported while it was
// still in flight counts as slow under a longer max_p95 too, because how long
// it took in the end is not known.
absl::StatusOr<ReplayResult> Replay(std::string_view recording, const Plan& plan);

}  // namespace serin
