#pragma once
// Judge: the two rules of docs/VERDICT.md over a stream of observations.
//
// Every observation is judged as it comes, by its own time and by nothing
// else: the same stream always gives the same verdict at the same observation,
// which is what `replay` and the simulation rely on. Nothing here decides what
// happens next. The controller's thread; no allocation per observation.

#include <cstdint>
#include <string_view>
#include <vector>

#include "controller/detector.h"
#include "controller/observe.h"
#include "controller/plan.h"
#include "controller/rollout.h"
#include "proxy/split/observation.h"

namespace serin {

enum class Rule : uint8_t {
  kNone,
  kWindowErrors,
  kWindowSlow,
  kSequentialErrors,
  kSequentialSlow,
  kDeadPool
};

// What a revert is filed under: the `reason` label of serin_reverts_total.
enum class RevertReason : uint8_t { kErrorRate, kLatency, kDeadPool, kOperator };
std::string_view Name(RevertReason reason);  // "error_rate", "latency", "dead_pool", "operator"

// Everything that `explain` needs to know about one look at the evidence.
struct Evidence {
  Counts window[kPoolCount];  // by PoolId
  double p95_us[kPoolCount] = {};
  Counts step;  // the canary's, in this step
  PoolId canary = PoolId::kGreen;
  double error_level = 0;  // highest detector as a share of its threshold, 0 to 1
  double slow_level = 0;
  double dead_level = 0;
  double expected_requests = 0;  // N
};

struct Verdict {
  Rule rule = Rule::kNone;
  bool common_cause = false;  // stable fails too, and no differently
  uint64_t number = 0;        // of the deciding observation since the rollout began, from 1
  Observation deciding;
  double theta = 0;  // of the detector that tripped (sequential rules)
  double level = 0;
  double threshold = 0;
  Evidence evidence;

  bool breach() const { return rule != Rule::kNone && !common_cause; }
  RevertReason reason() const;
};

// What of the judge survives a restart: evidence against the canary, and how
// far the plan's budget of false reverts is used. The window does not.
struct JudgeMemory {
  std::vector<double> error_levels;
  std::vector<double> slow_levels;
  double expected_requests = 0;
  int64_t counted = 0;
};

class Judge {
 public:
  explicit Judge(const Plan& plan);
  // New limits. Detector levels are kept where the detectors are the same.
  void SetPlan(const Plan& plan);

  // Follows the rollout: which pool, which weight, whether to judge at all. A
  // new rollout resets everything, a new step the step's counts only.
  void Follow(const Rollout& rollout);
  JudgeMemory Memory() const;
  void Recall(const JudgeMemory& memory);

  // Judges one observation; Rule::kNone unless it trips a rule.
  // The verdict is kept: see breach() and common_cause().
  void Observe(const Observation& observation);

  // The first verdict against the canary since Follow or Forgive, and the
  // first that found a common cause.
  const Verdict* breach() const { return breach_.rule != Rule::kNone ? &breach_ : nullptr; }
  const Verdict* common_cause() const { return common_.rule != Rule::kNone ? &common_ : nullptr; }
  void ForgetCommonCause() { common_ = Verdict(); }
  // The next good answer may be what trips a rule: the canary's window holds
  // more than half of the failures that it may hold. (The other rules are
  // tripped by failures only.) While this is false good answers can wait to be
  // judged, but no longer than a window takes to lose half of what it holds.
  bool NearLimit() const;

  // Lets the windows age while nothing comes; for reports. `until` must lie so
  // far back that no observation from before it can still come, or a replay
  // would not see what was judged.
  void Advance(Instant until) { observer_.Advance(until); }
  Evidence Look() const;
  const Counts& step() const { return step_; }
  // Highest of all detectors as a share of its threshold.
  double HighestEvidence() const;
  uint64_t observations() const { return number_; }
  // Requests per second of both pools, 0 when not known.
  double RequestRate() const { return observer_.RequestRate(); }
  // Canary's share of the requests routed by weight since the weight last
  // changed; negative without requests.
  double ObservedShare() const;

 private:
  enum class Signal { kErrors, kSlow };
  void Begin();
  void JudgeCanary(const Sample& sample, const Observation& observation);
  void JudgeStable(const Sample& sample, Instant at);
  void ConfigureDifference();
  void UpdateDifference(const Sample& sample);
  Rule WindowRule() const;
  bool StableFails(Signal signal) const;
  bool CommonCause(Rule rule, Instant at) const;
  void Declare(Rule rule, const Observation& observation);
  Verdict Describe(Rule rule, const Observation& observation) const;
  void UpdateExpected(Instant at);
  void SetExpected(double responses);
  double PlannedShareSeconds() const;

  Plan plan_;
  Observer observer_;
  DetectorBank errors_;
  DetectorBank slow_;
  DeadPoolRule dead_;
  DetectorBank stable_errors_;
  DetectorBank stable_slow_;
  DifferenceTest error_difference_;
  DifferenceTest slow_difference_;
  PoolId canary_ = PoolId::kGreen;
  int rollout_ = -1;  // SplitState::rollout, or none yet
  bool judging_ = false;
  Weight weight_;
  bool shadow_ = false;
  Epoch step_epoch_;
  Epoch weight_epoch_;
  Counts step_;
  int64_t routed_[kPoolCount] = {};  // since weight_epoch_
  int64_t counted_ = 0;              // the canary's, in this rollout
  uint64_t number_ = 0;
  double expected_ = 0;
  int64_t next_expected_at_ = 0;
  Instant stable_failed_at_[2] = {Instant::FromNanos(INT64_MIN / 2),
                                  Instant::FromNanos(INT64_MIN / 2)};  // by Signal
  Verdict breach_;
  Verdict common_;
};

}  // namespace serin
