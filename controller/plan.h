#pragma once
// What an operator asks of a rollout: steps, holds and limits. Values only;
// config/ reads them from [rollout], the controller obeys them.

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "proxy/base/types.h"

namespace serin {

enum class OnCommonCause : uint8_t { kPause, kRevert };

// The sequential rule's constants; the reasons stand in docs/VERDICT.md.
struct SequentialPlan {
  bool enabled = true;
  double alpha = 0.10;  // chance of a false revert over a whole rollout at a true rate of exactly the limit
  std::vector<double> theta = {.06, .08, .12, .20, .45, .90};
  std::vector<double> correction = {-7.05, -5.13, -3.88, -2.94, -1.90, -0.87};  // c_j, one per theta
  friend bool operator==(const SequentialPlan&, const SequentialPlan&) = default;
};

struct Plan {
  std::vector<Weight> steps = {Weight::Percent(10), Weight::Percent(25), Weight::Percent(50),
                               Weight::Percent(75), Weight::Percent(100)};
  absl::Duration hold = absl::Minutes(5);  // at each step, and for the bake at the end
  Weight shadow;                           // of stable's GET and HEAD, copied before the first step; 0: off
  absl::Duration shadow_hold = absl::Minutes(1);  // at least this long
  double max_error_ratio = 0.05;                  // reverted above it
  absl::Duration max_p95 = absl::Seconds(2);      // slower than this is "slow"
  double max_slow_ratio = 0.05;                   // p95 over max_p95 means more than 5 % are slow
  absl::Duration window = absl::Seconds(60);      // of the literal rule
  int64_t min_requests = 100;                     // in the window, for the literal rule
  int64_t min_step_requests = 90;                 // counted canary requests before a step is left
  double max_evidence = 0.5;      // no step is left while a detector stands above this share of its threshold
  int warn_after_holds = 3;       // holds at one step before a warning
  int client_burst_failures = 3;  // more failures of one client in client_burst_window do not count
  absl::Duration client_burst_window = absl::Seconds(10);
  absl::Duration dead_pool_span = absl::Seconds(2);
  double common_cause_rho = 2.0;  // ρ of verdict.md, "Both fail"
  OnCommonCause on_common_cause = OnCommonCause::kPause;
  SequentialPlan sequential;
  PoolId initial_stable = PoolId::kBlue;  // first start only
  Weight initial_weight;                  // first start only
  friend bool operator==(const Plan&, const Plan&) = default;
};

}  // namespace serin
