#include "controller/decide.h"

#include <fmt/format.h>

#include <algorithm>

#include "controller/explain.h"

namespace serin {
namespace {

bool Exceeds(int64_t part, int64_t whole, double limit) {
  return static_cast<double>(part) > limit * static_cast<double>(whole) * (1 + 1e-12);
}

std::string MissingRequests(const Facts& facts) {
  const int64_t have = std::min(facts.step.outcomes, facts.step.timed);
  const int64_t need = facts.plan.min_step_requests;
  if (facts.rollout.split.shadow)
    return fmt::format("shadowing: {} of {} copied requests answered", have, need);
  const double rate = facts.request_rate * facts.rollout.split.canary_weight.ratio();
  std::string text = fmt::format("{} of {} canary requests counted in this step", have, need);
  if (rate * 3600 < 1) return text + "; there is too little traffic to say how long it takes";
  const double seconds = static_cast<double>(need - have) / rate;
  return text +
         fmt::format("; at {:.2g}/s the rest takes about {}", rate, FormatSpan(absl::Seconds(seconds)));
}

Decision Advance(const Facts& facts) {
  const Rollout& rollout = facts.rollout;
  std::string missing = MissingEvidence(facts);
  const absl::Duration hold = HoldAt(rollout, facts.plan);
  const bool shadow = rollout.split.shadow;
  if (missing.empty()) {
    std::string reason = fmt::format(
        "{} held for {} with {} {} requests, {} errors ({}) and {} slow ({})",
        shadow ? "shadowing" : FormatWeight(rollout.split.canary_weight), FormatSpan(rollout.held),
        facts.step.outcomes, shadow ? "copied" : "canary", facts.step.errors,
        FormatShare(facts.step.error_ratio()), facts.step.slow, FormatShare(facts.step.slow_ratio()));
    return {rollout.baking ? Action::kFinalise : Action::kAdvance, std::move(reason)};
  }
  if (rollout.state != RolloutState::kHolding) return {Action::kHold, std::move(missing)};
  if (!rollout.warned && facts.plan.warn_after_holds > 0 &&
      rollout.held >= hold * facts.plan.warn_after_holds) {
    return {Action::kWarn, fmt::format("held for {}, {} times the hold: {}", FormatSpan(rollout.held),
                                       facts.plan.warn_after_holds, missing)};
  }
  return {};
}

}  // namespace

absl::Duration HoldAt(const Rollout& rollout, const Plan& plan) {
  return rollout.split.shadow ? plan.shadow_hold : plan.hold;
}

std::string MissingEvidence(const Facts& facts) {
  if (facts.rollout.split.drained()) {
    return fmt::format("{0} is drained and takes no requests; serinctl undrain {0}",
                       Name(facts.rollout.split.canary_pool));
  }
  if (facts.rollout.split.shadow && facts.plan.shadow.is_zero()) {
    return "shadowing has been switched off meanwhile; serinctl promote begins without it";
  }
  const Counts& step = facts.step;
  if (std::min(step.outcomes, step.timed) < facts.plan.min_step_requests) return MissingRequests(facts);
  if (Exceeds(step.errors, step.outcomes, facts.plan.max_error_ratio)) {
    return fmt::format("{} of {} canary requests in this step failed ({}, limit {})", step.errors,
                       step.outcomes, FormatShare(step.error_ratio()),
                       FormatShare(facts.plan.max_error_ratio));
  }
  if (Exceeds(step.slow, step.timed, facts.plan.max_slow_ratio)) {
    return fmt::format("{} of {} canary requests in this step took longer than {} ({}, limit {})", step.slow,
                       step.timed, FormatSpan(facts.plan.max_p95), FormatShare(step.slow_ratio()),
                       FormatShare(facts.plan.max_slow_ratio));
  }
  if (facts.evidence > facts.plan.max_evidence) {
    return fmt::format("a detector stands at {:.0f} % of its threshold, and moving on needs {:.0f} % or less",
                       facts.evidence * 100, facts.plan.max_evidence * 100);
  }
  return "";
}

Decision Decide(const Facts& facts) {
  const Rollout& rollout = facts.rollout;
  if (!rollout.guarded()) return {};
  if (facts.breach != nullptr) return {Action::kRevert, ExplainBreach(*facts.breach, facts.plan)};
  if (facts.journal_lost) {
    return {Action::kRevert, "the journal cannot be written, so a revert could not be remembered"};
  }
  if (facts.common_cause != nullptr) {
    return {Action::kPause, ExplainCommonCause(*facts.common_cause, facts.plan)};
  }
  if (!rollout.running() || rollout.manual || rollout.step == 0) return {};
  if (rollout.held < HoldAt(rollout, facts.plan)) return {};
  return Advance(facts);
}

}  // namespace serin
