// What others may know of the controller: the report and its sentences.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "controller/controller_state.h"

namespace serin {
namespace {

// Between reports; a change of state is published at once.
constexpr absl::Duration kReportInterval = absl::Milliseconds(100);

}  // namespace

// A restart or a warning decides nothing, and a drain nothing about the release.
const HistoryEntry* Controller::State::LatestDecision() const {
  for (auto entry = history.rbegin(); entry != history.rend(); ++entry) {
    const std::string& event = entry->event;
    if (event != "restart" && event != "warn" && event != "drain" && event != "undrain") return &*entry;
  }
  return nullptr;
}

std::string Controller::State::Numbers(const Evidence& evidence) const {
  std::string text = ExplainEvidence(evidence, plan);
  const std::string top = causes.Top(rollout.split.canary_pool, kTopCauses);
  if (!top.empty()) text += fmt::format(" Commonest failures of the canary: {}.", top);
  return text;
}

// What is wrong with the records rather than with a rollout.
std::string Controller::State::Trouble() const {
  std::string text;
  if (!journal_trouble.empty()) text = "the journal cannot be written: " + journal_trouble;
  if (!restart_trouble.empty()) text += (text.empty() ? "" : "; ") + restart_trouble;
  return text;
}

std::string Controller::State::AlarmReason() const {
  std::string text = Trouble();
  if (rollout.warned) text += (text.empty() ? "" : "; ") + rollout.reason;
  return text;
}

std::string Controller::State::Reason(const Facts& facts) const {
  if (rollout.active() && rollout.split.drained()) return MissingEvidence(facts);
  const bool stepping = rollout.state == RolloutState::kStepping || rollout.state == RolloutState::kBaking;
  if (rollout.state == RolloutState::kHolding) {
    const std::string missing = MissingEvidence(facts);
    return missing.empty() ? rollout.reason : missing;
  }
  if (!stepping) return rollout.reason;
  if (rollout.split.shadow) {
    return fmt::format("shadowing: {} of {} copied requests answered, {} of {} held",
                       std::min(facts.step.outcomes, facts.step.timed), plan.min_step_requests,
                       FormatSpan(rollout.held), FormatSpan(plan.shadow_hold));
  }
  return fmt::format("{} of {} held, {} canary requests counted in this step", FormatSpan(rollout.held),
                     FormatSpan(plan.hold), std::min(facts.step.outcomes, facts.step.timed));
}

void Controller::State::Publish(Now now) {
  report_at = now.steady + kReportInterval;
  const Facts facts = GatherFacts();
  const Evidence evidence = judge.Look();
  auto next = std::make_shared<Report>();
  next->state = rollout.state;
  next->release = rollout.release;
  next->step = rollout.active() && !rollout.split.shadow ? rollout.step : 0;
  next->steps = static_cast<int>(plan.steps.size());
  if (rollout.active() && !rollout.manual) {
    next->hold_remaining = std::max(absl::ZeroDuration(), HoldAt(rollout, plan) - rollout.held);
  }
  next->target_weight = rollout.split.canary_weight;
  if (const double share = judge.ObservedShare(); share >= 0) next->observed_ratio = share;
  next->split = rollout.split;
  for (PoolId pool : kPools) {
    const Counts& counts = evidence.window[Index(pool)];
    PoolReport& of_pool = next->pools[Index(pool)];
    of_pool.role = pool == rollout.split.canary_pool ? Role::kCanary : Role::kStable;
    of_pool.requests = counts.outcomes;
    of_pool.errors = counts.errors;
    of_pool.slow = counts.slow;
    of_pool.error_ratio = counts.error_ratio();
    of_pool.p95_seconds = evidence.p95_us[Index(pool)] / 1e6;
  }
  Rollout told = rollout;
  told.reason = next->reason = Reason(facts);
  const HistoryEntry* latest = LatestDecision();
  // Of a rollout that is over, the numbers with which it ended: now there are none.
  const bool over = !rollout.active() && latest != nullptr && !latest->evidence.empty();
  next->explanation = Explain(told, latest != nullptr ? latest->at : absl::InfinitePast(), plan,
                              over ? "At that moment: " + latest->evidence : Numbers(evidence));
  next->error_evidence = std::max(evidence.error_level, evidence.dead_level);
  next->slow_evidence = evidence.slow_level;
  next->alarm_reason = AlarmReason();
  if (const std::string trouble = Trouble(); !trouble.empty()) {
    next->explanation += " Alarm: " + trouble + ".";
  }
  next->alarm = !next->alarm_reason.empty();
  next->expected_requests = evidence.expected_requests;
  next->step_requests = std::min(facts.step.outcomes, facts.step.timed);
  next->manual = rollout.manual;
  next->undoable = rollout.undoable;
  next->reverts_error_rate = reverts[static_cast<size_t>(RevertReason::kErrorRate)];
  next->reverts_latency = reverts[static_cast<size_t>(RevertReason::kLatency)];
  next->reverts_dead_pool = reverts[static_cast<size_t>(RevertReason::kDeadPool)];
  next->reverts_operator = reverts[static_cast<size_t>(RevertReason::kOperator)];
  next->reverts_journal = reverts_journal;
  next->observations = observations;
  {
    const std::lock_guard lock(mutex);
    report = next;
  }
  TellListener(now, *next);
}

void Controller::State::TellListener(Now now, const Report& told) {
  if (!listener) return;
  for (const HistoryEntry& entry : std::exchange(untold, {})) listener(entry, told);
  const std::string trouble = Trouble();
  if (trouble == told_trouble) return;
  const bool over = trouble.empty();
  listener({now.wall, over ? "alarm over" : "alarm", rollout.release, rollout.split.canary_weight,
            rollout.state, "serin", over ? told_trouble : trouble},
           told);
  told_trouble = trouble;
}

}  // namespace serin
