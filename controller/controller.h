#pragma once
// The controller: observe → judge → decide → apply → record, over values.
//
// One thread owns it (the controller's thread in proxy/server); every call is
// on that thread and takes the time as an argument, so that a whole rollout is
// a loop in a test. It reaches the outside through two things only: the split
// cell it stores to, and the Recorder it writes intents and results to.
// Whoever else wants to know reads the immutable Report of the last tick.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "controller/plan.h"
#include "proxy/base/instant.h"
#include "proxy/base/types.h"
#include "proxy/split/observation.h"
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

// What a person or a metric may know: a copy, immutable once published.
struct PoolReport {
  Role role = Role::kStable;
  int64_t requests = 0;      // counted, in the window
  int64_t errors = 0;
  int64_t slow = 0;
  double error_ratio = 0;    // 0 without requests
  double p95_seconds = 0;    // 0 without requests
};

struct Report {
  RolloutState state = RolloutState::kStable;
  std::string release;              // of the rollout under way or last finished; may be empty
  int step = 0;                     // 1-based; 0 outside a plan
  int steps = 0;
  absl::Duration hold_remaining;
  Weight target_weight;             // what the split says
  std::optional<double> observed_ratio;  // canary's share of routed requests in the window; none without requests
  SplitState split;
  PoolReport pools[kPoolCount];     // by PoolId
  std::string reason;               // why this state, one sentence
  std::string explanation;          // `explain`: one paragraph
  double error_evidence = 0;        // highest detector level as a share of its threshold, 0..1
  double slow_evidence = 0;
  bool alarm = false;               // a person should look: common cause, journal trouble, holds over the limit
  uint64_t reverts_error_rate = 0;  // since the start of the process, by reason
  uint64_t reverts_latency = 0;
  uint64_t reverts_dead_pool = 0;
  uint64_t reverts_operator = 0;
  uint64_t observations = 0;
};

// One line of `history`: what was decided, by whom, why.
struct HistoryEntry {
  absl::Time at;
  std::string event;    // "start", "step", "revert", "weight", "finalise", …
  std::string release;
  Weight weight;        // after it
  RolloutState state = RolloutState::kStable;  // after it
  std::string by;       // "serin", or the operator ("uid 1000")
  std::string reason;
};

enum class Verb : uint8_t { kStart, kPause, kResume, kPromote, kPromoteFull, kAbort, kRetry, kUndo, kWeight };

struct Command {
  Verb verb = Verb::kStart;
  std::string release;  // kStart
  Weight weight;        // kWeight
  std::string by;       // who asked, for the record
};

class Recorder;  // controller/record.h: the journal behind an interface

class Controller {
 public:
  // `cell` and `recorder` must outlive it. Nothing is stored before Restore.
  Controller(Plan plan, SplitCell& cell, Recorder& recorder);
  ~Controller();

  // First call: takes up where the journal ended and stores the split. A
  // journal that cannot be read means stable, weight 0, and an alarm.
  void Restore(Now now);

  // Feeds what the workers saw, in any order within a tick.
  void Observe(const Observation& observation);
  void Observe(const FailureDetail& detail);

  // Judges, decides, applies, records. Call at least every 100 ms, and at once
  // after a failed observation of the canary.
  void Tick(Now now);

  // Legal in every state where the verb means something and idempotent;
  // FailedPrecondition or InvalidArgument with a sentence for people otherwise.
  absl::Status Execute(const Command& command, Now now);

  // New limits from a reload; a rollout under way continues under them.
  void SetPlan(Plan plan, Now now);

  // As of the last Restore, Tick, Execute or SetPlan. Never null after Restore.
  std::shared_ptr<const Report> report() const;
  // Newest last; the latest 1,000 at most.
  std::vector<HistoryEntry> History() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace serin
