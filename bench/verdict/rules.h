#pragma once
// The rules that are compared: ours, the naive ones, and models of what other
// controllers do by default. Each looks at one rollout's stream.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "controller/plan.h"
#include "controller/rollout.h"
#include "proxy/split/observation.h"

namespace serin::bench {

class RuleModel {
 public:
  virtual ~RuleModel() = default;
  // The canary's weight changed.
  virtual void OnStep(const Rollout&) {}
  // One response of either pool. True: reverted here.
  virtual bool OnResponse(const Observation& observation) = 0;
};

enum class RuleKind : int { kWindow20, kWindow100, kLookEachMinute, kFlagger, kArgo, kSequential, kSerin };
inline constexpr int kRuleCount = 7;
inline constexpr RuleKind kRules[kRuleCount] = {
    RuleKind::kWindow20, RuleKind::kWindow100,  RuleKind::kLookEachMinute, RuleKind::kFlagger,
    RuleKind::kArgo,     RuleKind::kSequential, RuleKind::kSerin};
std::string_view Name(RuleKind kind);

// `rate`: requests per second of both pools.
std::unique_ptr<RuleModel> MakeRule(RuleKind kind, const Plan& plan, double rate);

}  // namespace serin::bench
