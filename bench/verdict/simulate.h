#pragma once
// One simulated rollout and many of them: every rule sees the same stream.

#include <array>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "bench/verdict/rules.h"
#include "controller/plan.h"

namespace serin::bench {

struct Scenario {
  double requests_per_second = 100;  // both pools
  double error = 0;                  // the canary's true rate...
  absl::Duration begins;             // ...from here on; before that 0.1 %
  absl::Duration length;             // zero: the whole plan
  double stable_error = 0.001;
  std::vector<RuleKind> rules;  // those to run
};

// When a rule reverted, counted from the beginning of the fault.
struct Outcome {
  bool reverted = false;
  bool before_fault = false;
  int64_t canary_requests = 0;
  int64_t bad_answers = 0;
  absl::Duration after;
};

using Outcomes = std::array<Outcome, kRuleCount>;

Outcomes SimulateOne(const Plan& plan, const Scenario& scenario, uint64_t seed);
// `count` rollouts with seeds seed, seed + 1, …, on all cores.
std::vector<Outcomes> Simulate(const Plan& plan, const Scenario& scenario, int count, uint64_t seed);

// Over those that reverted after the fault began.
double RevertedShare(const std::vector<Outcomes>& outcomes, RuleKind rule);
int64_t MedianRequests(const std::vector<Outcomes>& outcomes, RuleKind rule);
int64_t MedianBadAnswers(const std::vector<Outcomes>& outcomes, RuleKind rule);
absl::Duration MedianDelay(const std::vector<Outcomes>& outcomes, RuleKind rule);

}  // namespace serin::bench
