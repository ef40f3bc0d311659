#include "bench/verdict/rules.h"

#include "controller/judge.h"
#include "controller/observe.h"

namespace serin::bench {
namespace {

// The code that the daemon runs, with one or both of its rules. The rate is
// known when the rollout begins, as it is where stable has been serving.
class OurJudge : public RuleModel {
 public:
  OurJudge(const Plan& plan, double requests_per_second, bool sees_stable)
      : judge_(plan), sees_stable_(sees_stable) {
    for (Weight step : plan.steps) {
      memory_.expected_requests += step.ratio() * absl::ToDoubleSeconds(plan.hold) * requests_per_second;
    }
  }
  void OnStep(const Rollout& rollout) override {
    judge_.Follow(rollout);
    if (rollout.step == 1) judge_.Recall(memory_);
  }
  bool OnResponse(const Observation& observation) override {
    if (!sees_stable_ && observation.role == Role::kStable) return false;
    judge_.Observe(observation);
    return judge_.breach() != nullptr;
  }

 private:
  Judge judge_;
  JudgeMemory memory_;
  bool sees_stable_;
};

// Looks at the last minute's share every so often, and reverts after so many
// failed looks. Without enough requests a look says nothing.
struct Looks {
  int64_t every_seconds;
  int failures;
  bool next_look_acts;  // what a look finds is acted on at the next one
  bool aligned;         // to the rollout's start; else the phase is anybody's guess
  int64_t least;
};

class PolledShare : public RuleModel {
 public:
  PolledShare(const Plan& plan, const Looks& looks)
      : limit_(plan.max_error_ratio),
        looks_(looks),
        every_(looks.every_seconds * 1'000'000'000),
        window_(absl::Minutes(1)) {}

  bool OnResponse(const Observation& observation) override {
    const int64_t at = observation.at.nanos();
    if (next_look_ == 0) next_look_ = looks_.aligned ? at + every_ : at + at % every_;
    for (; at >= next_look_; next_look_ += every_) {
      if (Look()) return true;
    }
    if (observation.role != Role::kCanary) return false;
    window_.Advance(observation.at);
    Counts counts;
    counts.outcomes = 1;
    counts.errors = observation.error;
    window_.Add(counts);
    return false;
  }

 private:
  bool Look() {
    window_.Advance(Instant::FromNanos(next_look_));
    const Counts& counts = window_.sum();
    const bool failed = counts.outcomes >= looks_.least && counts.error_ratio() > limit_;
    const bool acts = looks_.next_look_acts && failures_ >= looks_.failures;
    if (failed) ++failures_;
    return acts || (!looks_.next_look_acts && failures_ >= looks_.failures);
  }

  double limit_;
  Looks looks_;
  int64_t every_;
  SlidingCounts window_;
  int failures_ = 0;
  int64_t next_look_ = 0;
};

Plan WindowOnly(Plan plan, int64_t min_requests) {
  plan.sequential.enabled = false;
  plan.min_requests = min_requests;
  return plan;
}

Plan SequentialOnly(Plan plan) {
  plan.min_requests = INT64_MAX;
  return plan;
}

}  // namespace

std::string_view Name(RuleKind kind) {
  switch (kind) {
    case RuleKind::kWindow20:
      return "60 s window, min 20";
    case RuleKind::kWindow100:
      return "60 s window, min 100 (literal)";
    case RuleKind::kLookEachMinute:
      return "one look a minute";
    case RuleKind::kFlagger:
      return "Flagger model: 10 looks, every 10 s";
    case RuleKind::kArgo:
      return "Argo model: 4 looks, every 5 s";
    case RuleKind::kSequential:
      return "sequential, alpha = 10 %";
    case RuleKind::kSerin:
      return "Serin: literal + sequential";
  }
  return "";
}

std::unique_ptr<RuleModel> MakeRule(RuleKind kind, const Plan& plan, double rate) {
  switch (kind) {
    case RuleKind::kWindow20:
      return std::make_unique<OurJudge>(WindowOnly(plan, 20), rate, false);
    case RuleKind::kWindow100:
      return std::make_unique<OurJudge>(WindowOnly(plan, 100), rate, false);
    // A rate over the last minute, and a script that acts on what it saw a minute ago.
    case RuleKind::kLookEachMinute:
      return std::make_unique<PolledShare>(plan, Looks{60, 1, true, true, 20});
    // analysis: {interval: 10s, threshold: 10}, request-success-rate over 1m.
    case RuleKind::kFlagger:
      return std::make_unique<PolledShare>(plan, Looks{10, 10, false, false, 1});
    // A background analysis as fast as is sensible: interval 5s, failureLimit 3
    // (the fourth failure ends it), a Prometheus rate over 1m.
    case RuleKind::kArgo:
      return std::make_unique<PolledShare>(plan, Looks{5, 4, false, false, 1});
    case RuleKind::kSequential:
      return std::make_unique<OurJudge>(SequentialOnly(plan), rate, false);
    case RuleKind::kSerin:
      return std::make_unique<OurJudge>(plan, rate, true);
  }
  return nullptr;
}

}  // namespace serin::bench
