// The verdict's cost for each response of a rollout: the window, the histogram
// and the detectors of both signals.

#include <benchmark/benchmark.h>

#include "controller/judge.h"

namespace serin {
namespace {

// A healthy canary at 10 %, one response every 100 µs; one in 50 is an error.
void JudgeAResponse(benchmark::State& state) {
  const Plan plan;
  Judge judge(plan);
  Rollout rollout;
  rollout.state = RolloutState::kStepping;
  rollout.split.rollout = 1;
  rollout.split.canary_weight = Weight::Percent(10);
  rollout.split.epoch = Epoch(1);
  rollout.step_epoch = rollout.first_epoch = Epoch(1);
  judge.Follow(rollout);
  Observation seen;
  seen.epoch = Epoch(1);
  seen.status = 200;
  uint64_t number = 0;
  Instant now = Instant::FromNanos(1'000'000'000);
  for (auto _ : state) {
    ++number;
    now = now + absl::Microseconds(100);
    seen.at = now;
    seen.pool = number % 10 == 0 ? PoolId::kGreen : PoolId::kBlue;
    seen.role = number % 10 == 0 ? Role::kCanary : Role::kStable;
    seen.latency_us = static_cast<uint32_t>(2000 + number % 5000);
    seen.error = number % 500 == 0;
    judge.Observe(seen);
  }
  if (judge.breach() != nullptr) state.SkipWithError("a healthy canary was reverted");
}
BENCHMARK(JudgeAResponse);

}  // namespace
}  // namespace serin
