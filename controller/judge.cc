#include "controller/judge.h"

#include <algorithm>
#include <cmath>

namespace serin {
namespace {

// N before the rate is known, and at least: a plan that expects fewer canary
// requests is judged as if it expected these. Costs a small site one more bad
// answer of six, and spares it a threshold that moves while it looks.
constexpr double kLeastExpected = 10000;
// Stable is suspected when one of its detectors has reached this level: odds
// of 50 to 1 that it too is over the limit, which two failures in a row give.
const double kSuspicion = std::log(50.0);
// Fewer stable requests than this in the window say nothing by their share.
constexpr int64_t kLeastForShare = 20;

// Above, not at: 5 errors of 100 are within 5 %.
bool Exceeds(int64_t part, int64_t whole, double limit) {
  return static_cast<double>(part) > limit * static_cast<double>(whole) * (1 + 1e-12);
}

bool IsSlow(Rule rule) { return rule == Rule::kSequentialSlow || rule == Rule::kWindowSlow; }

}  // namespace

std::string_view Name(RevertReason reason) {
  switch (reason) {
    case RevertReason::kErrorRate:
      return "error_rate";
    case RevertReason::kLatency:
      return "latency";
    case RevertReason::kDeadPool:
      return "dead_pool";
    case RevertReason::kOperator:
      return "operator";
  }
  return "operator";
}

RevertReason Verdict::reason() const {
  const Counts& canary = evidence.window[Index(evidence.canary)];
  switch (rule) {
    case Rule::kWindowSlow:
    case Rule::kSequentialSlow:
      return RevertReason::kLatency;
    case Rule::kDeadPool:
      return RevertReason::kDeadPool;
    default:
      return canary.dead * 2 > canary.errors ? RevertReason::kDeadPool : RevertReason::kErrorRate;
  }
}

Judge::Judge(const Plan& plan) : plan_(plan), observer_(plan) { SetPlan(plan); }

void Judge::SetPlan(const Plan& plan) {
  plan_ = plan;
  observer_.SetPlan(plan);
  errors_.Configure(plan.max_error_ratio, plan.sequential);
  slow_.Configure(plan.max_slow_ratio, plan.sequential);
  stable_errors_.Configure(plan.max_error_ratio, plan.sequential);
  stable_slow_.Configure(plan.max_slow_ratio, plan.sequential);
  // The dead-pool rule is a rule of its own: it stands without the sequential one.
  SequentialPlan dead = plan.sequential;
  dead.enabled = true;
  dead_.Configure(plan.max_error_ratio, dead, plan.dead_pool_span);
  ConfigureDifference();
  SetExpected(std::max(expected_, kLeastExpected));
}

// Forgets everything but the rate of requests. Stable's past too: both pools
// are then compared over the same time, and a recording that begins here holds
// all that the judge knows.
void Judge::Begin() {
  const double expected = std::max(kLeastExpected, observer_.RequestRate() * PlannedShareSeconds());
  *this = Judge(plan_);
  SetExpected(expected);
}

void Judge::Follow(const Rollout& rollout) {
  const SplitState& split = rollout.split;
  if (rollout.guarded() && rollout_ != split.rollout) {
    Begin();
    rollout_ = split.rollout;
  }
  if (rollout.step_epoch != step_epoch_) step_ = Counts();
  if (split.canary_weight != weight_ || split.canary_pool != canary_) {
    weight_epoch_ = split.epoch;
    routed_[0] = routed_[1] = 0;
  }
  observer_.Follow(split.canary_pool, rollout.first_epoch);
  judging_ = rollout.guarded();
  if (!judging_) breach_ = common_ = Verdict();
  canary_ = split.canary_pool;
  weight_ = split.canary_weight;
  shadow_ = split.shadow;
  step_epoch_ = rollout.step_epoch;
  ConfigureDifference();
}

JudgeMemory Judge::Memory() const {
  JudgeMemory memory;
  for (size_t j = 0; j < errors_.size(); ++j) memory.error_levels.push_back(errors_.level(j));
  for (size_t j = 0; j < slow_.size(); ++j) memory.slow_levels.push_back(slow_.level(j));
  memory.expected_requests = expected_;
  memory.counted = counted_;
  return memory;
}

void Judge::Recall(const JudgeMemory& memory) {
  counted_ = std::max<int64_t>(memory.counted, 0);
  if (std::isfinite(memory.expected_requests))
    SetExpected(std::max(memory.expected_requests, kLeastExpected));
  errors_.SetLevels(memory.error_levels);
  slow_.SetLevels(memory.slow_levels);
}

void Judge::Observe(const Observation& observation) {
  ++number_;
  if (!observation.forced && !observation.shadow && observation.has_latency &&
      observation.epoch >= weight_epoch_) {
    ++routed_[Index(observation.pool)];
  }
  const Sample sample = observer_.Take(observation);
  if (!sample.counts()) return;
  if (observation.at.nanos() >= next_expected_at_) UpdateExpected(observation.at);
  if (sample.failed() && judging_) UpdateDifference(sample);
  if (!sample.canary) return JudgeStable(sample, observation.at);
  if (judging_) JudgeCanary(sample, observation);
}

// Copies are half of all requests at most, and how many fewer is not known here.
// Their share is not underrated, so that in doubt there is a pause: nobody's
// page depends on the canary meanwhile.
void Judge::ConfigureDifference() {
  const Weight share = shadow_ ? Weight::Percent(50) : weight_;
  error_difference_.Configure(share, plan_.common_cause_rho);
  slow_difference_.Configure(share, plan_.common_cause_rho);
}

void Judge::UpdateDifference(const Sample& sample) {
  if (sample.error) error_difference_.Update(sample.canary);
  if (sample.slow) slow_difference_.Update(sample.canary);
}

void Judge::JudgeStable(const Sample& sample, Instant at) {
  if (sample.outcome) stable_errors_.Update(sample.error);
  if (sample.timed) stable_slow_.Update(sample.slow);
  if (sample.error && StableFails(Signal::kErrors)) stable_failed_at_[0] = at;
  if (sample.slow && StableFails(Signal::kSlow)) stable_failed_at_[1] = at;
}

void Judge::JudgeCanary(const Sample& sample, const Observation& observation) {
  counted_ += sample.timed;
  if (observation.epoch >= step_epoch_) {
    step_.outcomes += sample.outcome;
    step_.errors += sample.error;
    step_.dead += sample.dead;
    step_.timed += sample.timed;
    step_.slow += sample.slow;
  }
  Rule rule = Rule::kNone;
  if (sample.timed && slow_.Update(sample.slow)) rule = Rule::kSequentialSlow;
  if (sample.outcome) {
    if (dead_.Update(sample.dead, observation.at)) rule = Rule::kDeadPool;
    // Without a pool there was no answer to judge: that is the dead-pool
    // rule's question, which waits for a reload to pass.
    if (!sample.dead && errors_.Update(sample.error)) rule = Rule::kSequentialErrors;
  }
  if (rule == Rule::kNone) rule = WindowRule();
  if (rule != Rule::kNone && breach_.rule == Rule::kNone) Declare(rule, observation);
}

// The literal rule. What an operator computes from the dashboard.
Rule Judge::WindowRule() const {
  const Counts& window = observer_.counts(canary_);
  if (window.outcomes >= plan_.min_requests &&
      Exceeds(window.errors, window.outcomes, plan_.max_error_ratio)) {
    // Were it not for a reload's moments, would it still be over?
    if (Exceeds(window.errors - window.dead, window.outcomes, plan_.max_error_ratio) ||
        observer_.DeadSpan(canary_) >= plan_.dead_pool_span) {
      return Rule::kWindowErrors;
    }
  }
  if (window.timed >= plan_.min_requests && Exceeds(window.slow, window.timed, plan_.max_slow_ratio)) {
    return Rule::kWindowSlow;
  }
  return Rule::kNone;
}

bool Judge::NearLimit() const {
  if (!judging_) return false;
  const Counts& window = observer_.counts(canary_);
  const auto near = [&](int64_t failed, int64_t known, double limit) {
    return Exceeds(failed, std::max(known, plan_.min_requests), limit / 2);
  };
  return near(window.errors, window.outcomes, plan_.max_error_ratio) ||
         near(window.slow, window.timed, plan_.max_slow_ratio);
}

bool Judge::StableFails(Signal signal) const {
  const Counts& stable = observer_.counts(Other(canary_));
  if (signal == Signal::kErrors) {
    return stable_errors_.Highest() >= kSuspicion ||
           (stable.outcomes >= kLeastForShare &&
            Exceeds(stable.errors, stable.outcomes, plan_.max_error_ratio));
  }
  return stable_slow_.Highest() >= kSuspicion ||
         (stable.timed >= kLeastForShare && Exceeds(stable.slow, stable.timed, plan_.max_slow_ratio));
}

// Stable fails too, and the failures are spread over the pools as the traffic
// is. Both are needed: with most traffic on the canary a handful of its
// failures can never look uneven, and doubt must end in a revert.
bool Judge::CommonCause(Rule rule, Instant at) const {
  const bool errors = !IsSlow(rule);
  if ((errors ? error_difference_ : slow_difference_).Seen()) return false;
  const Counts& stable = observer_.counts(Other(canary_));
  if ((errors ? stable.errors : stable.slow) == 0) return false;
  if (StableFails(errors ? Signal::kErrors : Signal::kSlow)) return true;
  // A window remembers an outage for as long as it is; so must the excuse.
  const bool window_rule = rule == Rule::kWindowErrors || rule == Rule::kWindowSlow;
  return window_rule && at - stable_failed_at_[errors ? 0 : 1] <= plan_.window;
}

void Judge::Declare(Rule rule, const Observation& observation) {
  const bool slow = IsSlow(rule);
  const bool common = plan_.on_common_cause == OnCommonCause::kPause && CommonCause(rule, observation.at);
  if (!common || common_.rule == Rule::kNone) {
    (common ? common_ : breach_) = Describe(rule, observation);
    (common ? common_ : breach_).common_cause = common;
  }
  if (!common) return;
  // What a common cause explains is no evidence against the canary. If it is
  // the canary's alone after all, the next handful of failures will say so.
  (slow ? slow_ : errors_).Reset();
  if (!slow) dead_.Reset();
}

Verdict Judge::Describe(Rule rule, const Observation& observation) const {
  Verdict verdict;
  verdict.rule = rule;
  verdict.number = number_;
  verdict.deciding = observation;
  verdict.evidence = Look();
  const bool slow = IsSlow(rule);
  if (rule != Rule::kWindowErrors && rule != Rule::kWindowSlow) {
    const DetectorBank& bank = rule == Rule::kDeadPool ? dead_.bank() : slow ? slow_ : errors_;
    const size_t leader = bank.Leader();
    verdict.theta = bank.theta(leader);
    verdict.level = bank.level(leader);
    verdict.threshold = bank.threshold(leader);
  }
  return verdict;
}

void Judge::UpdateExpected(Instant at) {
  next_expected_at_ = at.nanos() + 1'000'000'000;
  // Never less than before: a threshold that sank would revert without a failure.
  const double planned = observer_.RequestRate() * PlannedShareSeconds();
  SetExpected(std::max({expected_, planned, static_cast<double>(counted_)}));
}

void Judge::SetExpected(double responses) {
  expected_ = responses;
  errors_.SetExpected(responses);
  slow_.SetExpected(responses);
  dead_.SetExpected(responses);
  stable_errors_.SetExpected(responses);
  stable_slow_.SetExpected(responses);
}

double Judge::PlannedShareSeconds() const {
  double share_seconds = 0;
  const double hold = absl::ToDoubleSeconds(plan_.hold);
  for (Weight step : plan_.steps) share_seconds += step.ratio() * hold;
  if (plan_.steps.empty() || plan_.steps.back() < Weight::All()) share_seconds += hold;  // the bake
  return share_seconds;
}

Evidence Judge::Look() const {
  Evidence evidence;
  for (PoolId pool : kPools) {
    evidence.window[Index(pool)] = observer_.counts(pool);
    evidence.p95_us[Index(pool)] = observer_.p95_us(pool);
  }
  evidence.step = step_;
  evidence.canary = canary_;
  evidence.error_level = errors_.Evidence();
  evidence.slow_level = slow_.Evidence();
  evidence.dead_level = dead_.bank().Evidence();
  evidence.expected_requests = expected_;
  return evidence;
}

double Judge::HighestEvidence() const {
  return std::max({errors_.Evidence(), slow_.Evidence(), dead_.bank().Evidence()});
}

double Judge::ObservedShare() const {
  const int64_t all = routed_[0] + routed_[1];
  return all > 0 ? static_cast<double>(routed_[Index(canary_)]) / static_cast<double>(all) : -1;
}

}  // namespace serin
