#include "controller/replay.h"

#include <fmt/format.h>

#include "controller/explain.h"

namespace serin {
namespace {

std::string Tell(const ReplayResult& result, const Plan& plan) {
  std::string text = fmt::format("{} observations of {}", result.observations,
                                 result.release.empty() ? "a rollout" : "release " + result.release);
  if (!result.whole) text += " (the recording is cut short)";
  if (!result.recorded) {
    text += "; no rule ended it then. ";
  } else {
    text += fmt::format("; it was reverted at {} by observation {}. ", FormatWeight(result.recorded->weight),
                        result.recorded->number);
  }
  if (result.replayed) {
    const bool same = result.recorded && result.recorded->number == result.replayed->number;
    text += fmt::format(
        "Under these limits it would have been reverted {}, {} after the first one: {}. ",
        same ? "at the same observation"
             : fmt::format("at {} by observation {}", FormatWeight(result.weight), result.replayed->number),
        FormatSpan(result.replayed_after), ExplainBreach(*result.replayed, plan));
  } else {
    text += "Under these limits no rule would have ended it within the recording. ";
  }
  return text + ExplainEvidence(result.at_end, plan);
}

// `slow` as the other limit has it.
void JudgeTimeAnew(const Plan& recorded, const Plan& plan, Observation& observation) {
  if (!observation.has_latency || recorded.max_p95 == plan.max_p95) return;
  const bool in_flight = observation.slow && !observation.has_outcome;
  const bool longer = absl::Microseconds(observation.latency_us) > plan.max_p95;
  observation.slow = longer || (in_flight && plan.max_p95 > recorded.max_p95);
}

}  // namespace

absl::StatusOr<Plan> RecordedPlan(std::string_view recording) {
  std::optional<Plan> first;
  ReadObservationLog(recording, {.plan =
                                     [&](const Plan& plan) {
                                       if (!first) first = plan;
                                     },
                                 .rollout = {},
                                 .restart = {},
                                 .observation = {},
                                 .decision = {}});
  if (!first)
    return absl::InvalidArgumentError("this is no recording of observations, or nothing of it is whole");
  return *std::move(first);
}

absl::StatusOr<ReplayResult> Replay(std::string_view recording, const Plan& plan) {
  const absl::StatusOr<Plan> first = RecordedPlan(recording);
  if (!first.ok()) return first.status();
  Plan recorded = *first;
  ReplayResult result;
  auto judge = std::make_unique<Judge>(plan);
  Rollout rollout;
  std::optional<Instant> begin;
  ObservationEvents events;
  events.plan = [&](const Plan& changed) {
    // The limits were changed under way. A replay under the first ones follows.
    if (plan == recorded) judge->SetPlan(changed);
    recorded = changed;
  };
  events.rollout = [&](const Rollout& next) {
    rollout = next;
    if (result.release.empty()) result.release = next.release;
    if (!result.replayed && next.active()) judge->Follow(next);
  };
  events.restart = [&](const JudgeMemory& memory) {
    if (result.observations > 0) ++result.restarts;  // the first one is the beginning
    if (result.replayed) return;
    judge = std::make_unique<Judge>(plan);
    judge->Follow(rollout);
    judge->Recall(memory);
  };
  events.observation = [&](const Observation& seen) {
    ++result.observations;
    if (result.replayed) return;
    Observation observation = seen;
    JudgeTimeAnew(recorded, plan, observation);
    if (!begin) begin = observation.at;
    judge->Observe(observation);
    if (judge->common_cause() != nullptr) {
      ++result.common_causes;
      judge->ForgetCommonCause();
    }
    if (judge->breach() == nullptr) return;
    result.replayed = *judge->breach();
    result.replayed_after = observation.at - *begin;
    result.weight = rollout.split.canary_weight;
    result.at_end = result.replayed->evidence;
  };
  events.decision = [&](const RecordedDecision& decision) {
    if (!decision.common_cause) result.recorded = decision;
  };
  result.whole = ReadObservationLog(recording, events);
  if (!result.replayed) {
    result.weight = rollout.split.canary_weight;
    result.at_end = judge->Look();
  }
  result.text = Tell(result, plan);
  return result;
}

}  // namespace serin
