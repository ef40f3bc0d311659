#include "bench/verdict/simulate.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "proxy/base/hash.h"
#include "proxy/split/sequence.h"

namespace serin::bench {
namespace {

// SplitMix64: the seed names the stream, on any machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix64(seed ^ 0x5E21)) {}
  bool Chance(double p) {
    state_ += 0x9E3779B97F4A7C15ULL;
    return static_cast<double>(Mix64(state_) >> 11) * 0x1.0p-53 < p;
  }

 private:
  uint64_t state_;
};

Rollout RolloutAt(const Plan& plan, size_t step) {
  Rollout rollout;
  rollout.state = RolloutState::kStepping;
  rollout.split.rollout = 1;
  rollout.split.engaged = true;
  rollout.split.canary_weight = plan.steps[step];
  rollout.split.epoch = Epoch(static_cast<uint32_t>(step) + 1);
  rollout.first_epoch = Epoch(1);
  rollout.step_epoch = rollout.split.epoch;
  rollout.step = static_cast<int>(step) + 1;
  return rollout;
}

struct Runner {
  RuleKind kind;
  std::unique_ptr<RuleModel> rule;
};

template <typename Value>
Value Median(std::vector<Value> values) {
  if (values.empty()) return Value{};
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <typename Value, typename Get>
Value MedianOf(const std::vector<Outcomes>& outcomes, RuleKind rule, Get&& get) {
  std::vector<Value> values;
  for (const Outcomes& of : outcomes) {
    const Outcome& outcome = of[static_cast<size_t>(rule)];
    if (outcome.reverted && !outcome.before_fault) values.push_back(get(outcome));
  }
  return Median(std::move(values));
}

}  // namespace

Outcomes SimulateOne(const Plan& plan, const Scenario& scenario, uint64_t seed) {
  Outcomes outcomes;
  std::vector<Runner> running;
  for (RuleKind kind : scenario.rules)
    running.push_back({kind, MakeRule(kind, plan, scenario.requests_per_second)});
  Random random(seed);
  const Instant begin =
      Instant::FromNanos(1'000'000'000'000 + static_cast<int64_t>(Mix64(seed) % 60'000'000'000));
  const absl::Duration whole = plan.hold * static_cast<int64_t>(plan.steps.size());
  const absl::Duration length = scenario.length > absl::ZeroDuration() ? scenario.length : whole;
  const auto total = static_cast<int64_t>(absl::ToDoubleSeconds(length) * scenario.requests_per_second);
  const double gap_nanos = 1e9 / scenario.requests_per_second;
  const Instant fault_at = begin + scenario.begins;
  size_t step = plan.steps.size();
  Rollout rollout;
  int64_t canary_requests = 0;
  int64_t bad_answers = 0;
  for (int64_t i = 0; i < total && !running.empty(); ++i) {
    const int64_t offset = static_cast<int64_t>(static_cast<double>(i + 1) * gap_nanos);
    const size_t due =
        std::min(plan.steps.size() - 1, static_cast<size_t>(offset / absl::ToInt64Nanoseconds(plan.hold)));
    if (due != step) {
      step = due;
      rollout = RolloutAt(plan, step);
      for (Runner& runner : running) runner.rule->OnStep(rollout);
    }
    Observation observation;
    observation.at = Instant::FromNanos(begin.nanos() + offset);
    observation.epoch = rollout.split.epoch;
    observation.role = SequencePicksCanary(static_cast<uint64_t>(i), rollout.split.canary_weight)
                           ? Role::kCanary
                           : Role::kStable;
    observation.pool = rollout.split.pool(observation.role);
    observation.latency_us = 20000;
    observation.status = 200;
    const bool canary = observation.role == Role::kCanary;
    const bool faulty = observation.at >= fault_at;
    observation.error = random.Chance(!canary ? scenario.stable_error : faulty ? scenario.error : 0.001);
    if (canary && faulty) ++canary_requests;
    if (canary && faulty && observation.error) ++bad_answers;
    for (size_t r = 0; r < running.size();) {
      if (!running[r].rule->OnResponse(observation)) {
        ++r;
        continue;
      }
      outcomes[static_cast<size_t>(running[r].kind)] = {true, !faulty, canary_requests, bad_answers,
                                                        observation.at - fault_at};
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(r));
    }
  }
  return outcomes;
}

std::vector<Outcomes> Simulate(const Plan& plan, const Scenario& scenario, int count, uint64_t seed) {
  std::vector<Outcomes> outcomes(static_cast<size_t>(count));
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency()); ++t) {
    threads.emplace_back([&] {
      for (int i = next++; i < count; i = next++) {
        outcomes[static_cast<size_t>(i)] = SimulateOne(plan, scenario, seed + static_cast<uint64_t>(i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

double RevertedShare(const std::vector<Outcomes>& outcomes, RuleKind rule) {
  const auto reverted = std::count_if(outcomes.begin(), outcomes.end(), [rule](const Outcomes& of) {
    return of[static_cast<size_t>(rule)].reverted;
  });
  return static_cast<double>(reverted) / static_cast<double>(outcomes.size());
}

int64_t MedianRequests(const std::vector<Outcomes>& outcomes, RuleKind rule) {
  return MedianOf<int64_t>(outcomes, rule, [](const Outcome& outcome) { return outcome.canary_requests; });
}

int64_t MedianBadAnswers(const std::vector<Outcomes>& outcomes, RuleKind rule) {
  return MedianOf<int64_t>(outcomes, rule, [](const Outcome& outcome) { return outcome.bad_answers; });
}

absl::Duration MedianDelay(const std::vector<Outcomes>& outcomes, RuleKind rule) {
  return MedianOf<absl::Duration>(outcomes, rule, [](const Outcome& outcome) { return outcome.after; });
}

}  // namespace serin::bench
