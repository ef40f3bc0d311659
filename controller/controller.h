#pragma once
// The controller: observe → judge → decide → apply → record, over values.
//
// One thread owns it (the controller's thread in proxy/server); every call but
// report() and History() is on that thread and takes the time as an argument,
// so that a whole rollout is a loop in a test. It reaches the outside through
// two things only: the split cell it stores to, and the Recorder it writes
// intents and results to. Whoever else wants to know reads the immutable
// Report of the last tick.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "controller/command.h"
#include "controller/plan.h"
#include "controller/rollout.h"
#include "proxy/base/instant.h"
#include "proxy/base/types.h"
#include "proxy/split/observation.h"
#include "proxy/split/split_state.h"

namespace serin {

// What a person or a metric may know: a copy, immutable once published.
struct PoolReport {
  Role role = Role::kStable;
  int64_t requests = 0;  // counted, in the window
  int64_t errors = 0;
  int64_t slow = 0;
  double error_ratio = 0;  // 0 without requests
  double p95_seconds = 0;  // 0 without requests
};

struct Report {
  RolloutState state = RolloutState::kStable;
  std::string release;  // of the rollout under way or last finished; may be empty
  int step = 0;         // 1-based; 0 outside a plan
  int steps = 0;
  absl::Duration hold_remaining;
  Weight target_weight;  // what the split says
  std::optional<double>
      observed_ratio;  // canary's share of routed requests in the window; none without requests
  SplitState split;
  PoolReport pools[kPoolCount];  // by PoolId
  std::string reason;            // why this state, one sentence
  std::string explanation;       // `explain`: one paragraph
  double error_evidence = 0;     // highest detector level as a share of its threshold, 0..1
  double slow_evidence = 0;
  bool alarm = false;            // a person should look: common cause, journal trouble, holds over the limit
  std::string alarm_reason;      // why; empty without an alarm
  double expected_requests = 0;  // N of the sequential rule
  int64_t step_requests = 0;     // counted canary requests in this step
  bool manual = false;           // the weight was set by hand
  bool undoable = false;         // `undo` would work
  uint64_t reverts_error_rate = 0;  // since the start of the process, by reason
  uint64_t reverts_latency = 0;
  uint64_t reverts_dead_pool = 0;
  uint64_t reverts_operator = 0;  // abort and undo
  uint64_t reverts_journal = 0;   // the journal could not be written
  uint64_t observations = 0;
};

class Recorder;  // controller/record.h: the journal behind an interface
struct Verdict;  // controller/judge.h

class Controller {
 public:
  // `cell` and `recorder` must outlive it. Nothing is stored before Restore.
  Controller(Plan plan, SplitCell& cell, Recorder& recorder);
  ~Controller();

  // Told of each new line of history, and of trouble that has no such line when
  // it begins (event "alarm") and ends ("alarm over"), with the report of that
  // moment. On the thread of whichever call it happens in; must not wait.
  using Listener = std::function<void(const HistoryEntry&, const Report&)>;
  // Before Restore.
  void Listen(Listener listener);

  // First call: takes up where the journal ended and stores the split. A
  // journal that cannot be read means stable, weight 0, and an alarm.
  void Restore(Now now);

  // Feeds what the workers saw, in any order within a tick. Each observation
  // is judged here and now; what follows from it happens in the next Tick.
  // Under 100 ns.
  void Observe(const Observation& observation);
  void Observe(const FailureDetail& detail);
  // An observation has tripped a rule: Tick must not wait.
  bool wants_tick() const;
  // A good answer may be what trips the next one: Observe and Tick within
  // milliseconds, not within 100.
  bool near_limit() const;

  // Judges, decides, applies, records. Call at least every 100 ms, and at once
  // after a failed observation of the canary.
  void Tick(Now now);

  // Legal in every state where the verb means something and idempotent;
  // FailedPrecondition or InvalidArgument with a sentence for people otherwise
  // (the table is in command.h). FailedPrecondition too when a canary would
  // get weight and the journal cannot be written.
  absl::Status Execute(const Command& command, Now now);

  // At the end: what Tick has not written yet of the recording.
  void FlushRecording();

  // New limits from a reload; a rollout under way continues under them, at its
  // weight until its next step.
  void SetPlan(Plan plan, Now now);

  // As of the last Restore, Execute or SetPlan, and at most 100 ms behind the
  // last Tick. Never null after Restore. Any thread.
  std::shared_ptr<const Report> report() const;
  // Newest last; the latest 1,000 at most. Any thread.
  std::vector<HistoryEntry> History() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace serin
