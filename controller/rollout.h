#pragma once
// Where a rollout stands: the value that the journal keeps, that decisions
// read and that commands change. Values only; the controller's thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "proxy/base/instant.h"
#include "proxy/base/types.h"
#include "proxy/split/split_state.h"

namespace serin {

enum class RolloutState : uint8_t { kStable, kStepping, kHolding, kPaused, kBaking, kReverting, kReverted };
inline constexpr int kRolloutStateCount = 7;
std::string_view Name(RolloutState state);  // "stable", "stepping", …

// Steady and wall time of the same moment.
struct Now {
  Instant steady;
  absl::Time wall;
};

// One line of `history`: what was decided, by whom, why.
struct HistoryEntry {
  absl::Time at = {};
  std::string event = {};  // "start", "step", "revert", "weight", "finalise", …
  std::string release = {};
  Weight weight = {};                          // after it
  RolloutState state = RolloutState::kStable;  // after it
  std::string by = {};                         // "serin", or the operator ("uid 1000")
  std::string reason = {};
  std::string evidence = {};  // the numbers of that moment, while a canary was out
};
inline constexpr size_t kHistoryLimit = 1000;  // of `history`; a year of rollouts, 1.5 MB

struct Rollout {
  RolloutState state = RolloutState::kStable;
  std::string release;  // of the rollout under way or last finished
  // 1-based; 0: no step of a plan (nothing under way, or a weight set by hand).
  // While split.shadow: the step that shadowing comes before.
  int step = 0;
  SplitState split;       // what the workers are told
  Epoch first_epoch;      // observations of the canary's pool from before it are another release's
  Epoch step_epoch;       // requests routed before it are no evidence for this step
  absl::Duration held;    // how much of this step's hold has passed; stands still while paused
  bool baking = false;    // all traffic is on the canary; next is the swap of roles
  bool manual = false;    // the weight is an operator's, not the plan's
  bool undoable = false;  // the other pool still holds the previous release, warm
  bool warned = false;    // the warning for holding too long has been given for this step
  std::string reason;     // why this state, one sentence

  // A canary is out: it has a plan or a weight to come back to.
  bool active() const {
    return state == RolloutState::kStepping || state == RolloutState::kHolding ||
           state == RolloutState::kPaused || state == RolloutState::kBaking;
  }
  // The hold's clock runs.
  bool running() const { return active() && state != RolloutState::kPaused; }
  // The guard is on: the canary's pool has requests that say how it does.
  bool guarded() const { return active() && !split.idle(); }
};

}  // namespace serin
