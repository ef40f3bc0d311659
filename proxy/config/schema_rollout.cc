// The keys of [rollout] and [shadow].

#include "proxy/config/schema.h"

namespace serin {
namespace {

using absl::Hours;
using absl::Milliseconds;
using absl::Minutes;
using absl::Seconds;

void ReadSteps(const Value& value, Config& c, Complaints& complaints) {
  const auto items = value.AsList();
  if (!items || items->empty() || items->size() > 100) {
    return complaints.Expected(value, "a list of 1 to 100 percentages such as [\"10%\", \"100%\"]");
  }
  std::vector<Weight> steps;
  for (const Value& item : *items) {
    const auto ratio = ParsePercent(item.AsString().value_or(""));
    const auto basis_points = static_cast<uint32_t>(ratio.value_or(0) * Weight::kFull + 0.5);
    if (!ratio || basis_points == 0 || basis_points > Weight::kFull) {
      complaints.Expected(item, "steps such as \"10%\", 0.01% to 100%");
    } else if (!steps.empty() && basis_points <= steps.back().basis_points()) {
      complaints.Expected(item,
                          fmt::format("more than the step before it, {}", ShowPercent(steps.back().ratio())));
    } else {
      steps.push_back(Weight::BasisPoints(basis_points));
    }
  }
  if (!complaints.any() && steps.back() != Weight::All()) {
    complaints.Expected(items->back(), "100% as the last step: the new release takes over at the end");
  }
  if (!complaints.any()) c.plan.steps = steps;
}

void ReadNumbers(const Value& value, double least, double most, std::vector<double>& numbers,
                 Complaints& complaints) {
  const std::string expected = fmt::format("{} to {}", least, most);
  const auto items = value.AsList();
  if (!items || items->empty() || items->size() > 8) {
    return complaints.Expected(value, "a list of 1 to 8 numbers, " + expected);
  }
  std::vector<double> read;
  for (const Value& item : *items) {
    const auto number = item.AsNumber();
    if (!number || *number < least || *number > most) complaints.Expected(item, "numbers, " + expected);
    read.push_back(number.value_or(0));
  }
  if (!complaints.any()) numbers = read;
}

Key<Config> WeightKey(const char* name, Weight Plan::*member) {
  return MakeKey<Config>(
      name,
      "a percentage such as \"10%\", 0% to 100%", [member](Config & c) -> auto& { return c.plan.*member; },
      [](const Value& value) -> std::optional<Weight> {
        const auto ratio = ParsePercent(value.AsString().value_or(""));
        if (!ratio || *ratio > 1) return std::nullopt;
        return Weight::BasisPoints(static_cast<uint32_t>(*ratio * Weight::kFull + 0.5));
      });
}

}  // namespace

void RolloutKeys(std::vector<Key<Config>>& keys) {
  using C = Config;
  const auto duration = [&](const char* name, absl::Duration least, absl::Duration most, auto member) {
    keys.push_back(
        DurationKey<C>(name, least, most, [member](C& c) -> absl::Duration& { return c.plan.*member; }));
  };
  keys.push_back(WordKey<C, PoolId>(
      "rollout.initial_stable", {{"blue", PoolId::kBlue}, {"green", PoolId::kGreen}},
      [](C & c) -> auto& { return c.plan.initial_stable; }));
  keys.push_back(WeightKey("rollout.initial_weight", &Plan::initial_weight));
  keys.push_back({"rollout.steps", ReadSteps});
  keys.push_back(WeightKey("shadow.share", &Plan::shadow));
  duration("shadow.hold", Seconds(0), Hours(24), &Plan::shadow_hold);
  duration("rollout.hold", Seconds(0), Hours(24 * 30), &Plan::hold);
  keys.push_back(PercentKey<C>(
      "rollout.max_error_rate", 0.0001, 0.5, [](C & c) -> auto& { return c.plan.max_error_ratio; }));
  duration("rollout.max_p95", Milliseconds(1), Minutes(10), &Plan::max_p95);
  keys.push_back(PercentKey<C>(
      "rollout.max_slow_rate", 0.0001, 0.5, [](C & c) -> auto& { return c.plan.max_slow_ratio; }));
  duration("rollout.window", Seconds(1), Minutes(10), &Plan::window);
  keys.push_back(IntegerKey<C>(
      "rollout.warm_up", 0, 100, [](C & c) -> auto& { return c.warm_up; }));
  keys.push_back(IntegerKey<C>(
      "rollout.min_requests", 1, 1'000'000, [](C & c) -> auto& { return c.plan.min_requests; }));
  keys.push_back(IntegerKey<C>(
      "rollout.min_step_requests", 0, 1'000'000, [](C & c) -> auto& { return c.plan.min_step_requests; }));
  keys.push_back(PercentKey<C>(
      "rollout.max_evidence", 0.01, 1, [](C & c) -> auto& { return c.plan.max_evidence; }));
  keys.push_back(IntegerKey<C>(
      "rollout.warn_after_holds", 1, 1000, [](C & c) -> auto& { return c.plan.warn_after_holds; }));
  keys.push_back(IntegerKey<C>(
      "rollout.client_burst_failures", 0, 8, [](C & c) -> auto& { return c.plan.client_burst_failures; }));
  duration("rollout.client_burst_window", Seconds(1), Minutes(10), &Plan::client_burst_window);
  duration("rollout.dead_pool_span", Seconds(0), Minutes(10), &Plan::dead_pool_span);
  keys.push_back(WordKey<C, OnCommonCause>(
      "rollout.on_common_cause", {{"pause", OnCommonCause::kPause}, {"revert", OnCommonCause::kRevert}},
      [](C & c) -> auto& { return c.plan.on_common_cause; }));
  keys.push_back(NumberKey<C>(
      "rollout.common_cause_factor", 1.1, 100, [](C & c) -> auto& { return c.plan.common_cause_rho; }));
  keys.push_back(BooleanKey<C>(
      "rollout.fatal_stderr_is_error", [](C & c) -> auto& { return c.dataplane.fatal_stderr_is_error; }));
  keys.push_back(BooleanKey<C>(
      "rollout.sequential.enabled", [](C & c) -> auto& { return c.plan.sequential.enabled; }));
  keys.push_back(PercentKey<C>(
      "rollout.sequential.alpha", 0.0001, 0.5, [](C & c) -> auto& { return c.plan.sequential.alpha; }));
  keys.push_back({"rollout.sequential.theta", [](const Value& value, C& c, Complaints& complaints) {
                    ReadNumbers(value, 0.0001, 0.9999, c.plan.sequential.theta, complaints);
                  }});
  keys.push_back({"rollout.sequential.correction", [](const Value& value, C& c, Complaints& complaints) {
                    ReadNumbers(value, -10, 0, c.plan.sequential.correction, complaints);
                  }});
}

}  // namespace serin
