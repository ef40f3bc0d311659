#include "controller/apply.h"

#include <fmt/format.h>

#include <utility>

#include "controller/explain.h"

namespace serin {

int NextStep(const Plan& plan, Weight weight) {
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    if (plan.steps[i] > weight) return static_cast<int>(i) + 1;
  }
  return 0;
}

Change AdvanceChange(const Rollout& now, const Plan& plan, std::string event, std::string by,
                     std::string reason) {
  Change change{.next = now, .direction = Direction::kTowardsCanary, .new_step = true};
  Rollout& next = change.next;
  const int step = NextStep(plan, now.split.canary_weight);
  next.step = step > 0 ? step : static_cast<int>(plan.steps.size());
  next.split.canary_weight = step > 0 ? plan.steps[static_cast<size_t>(step - 1)] : Weight::All();
  next.split.shadow = false;
  next.baking = next.split.canary_weight == Weight::All();
  next.state = next.baking ? RolloutState::kBaking : RolloutState::kStepping;
  next.held = absl::ZeroDuration();
  next.manual = false;
  next.warned = false;
  next.reason = fmt::format("{} at step {} of {}", FormatWeight(next.split.canary_weight), next.step,
                            plan.steps.size());
  change.event = std::move(event);
  change.by = std::move(by);
  change.reason = std::move(reason);
  return change;
}

Change FinaliseChange(const Rollout& now, std::string event, std::string by, std::string reason) {
  Change change{.next = now, .direction = Direction::kTowardsCanary};
  Rollout& next = change.next;
  // One word, one store: the canary becomes stable and nobody is moved.
  next.split.canary_pool = Other(now.split.canary_pool);
  next.split.canary_weight = Weight::Zero();
  next.split.shadow = next.split.engaged = false;
  next.state = RolloutState::kStable;
  next.step = 0;
  next.baking = next.manual = next.warned = false;
  next.undoable = true;
  next.held = absl::ZeroDuration();
  change.event = std::move(event);
  change.by = std::move(by);
  change.reason = fmt::format("{} is stable now: {}", Name(next.split.stable_pool()), reason);
  next.reason = change.reason;
  return change;
}

Change RevertChange(const Rollout& now, std::string event, std::string by, std::string reason) {
  Change change{.next = now, .direction = Direction::kTowardsStable};
  Rollout& next = change.next;
  next.split.canary_weight = Weight::Zero();
  next.split.shadow = next.split.engaged = false;
  next.state = RolloutState::kReverted;
  next.baking = next.manual = next.warned = false;
  change.event = std::move(event);
  change.by = std::move(by);
  change.reason = now.split.shadow
                      ? fmt::format("reverted while shadowing, before its first user: {}", reason)
                      : fmt::format("reverted at {}: {}", FormatWeight(now.split.canary_weight), reason);
  next.reason = change.reason;
  return change;
}

Change PauseChange(const Rollout& now, bool alarm, std::string event, std::string by, std::string reason) {
  Change change{.next = now, .event = std::move(event), .by = std::move(by), .reason = std::move(reason)};
  change.next.state = RolloutState::kPaused;
  change.next.warned = alarm;
  change.next.reason = change.reason;
  return change;
}

Change HoldChange(const Rollout& now, std::string reason) {
  Change change{.next = now, .event = "hold", .by = "serin", .reason = std::move(reason)};
  change.next.state = RolloutState::kHolding;
  change.next.reason = change.reason;
  return change;
}

Change WarnChange(const Rollout& now, std::string reason) {
  Change change{.next = now, .event = "warn", .by = "serin", .reason = std::move(reason)};
  change.next.warned = true;
  change.next.reason = change.reason;
  return change;
}

Change BeginChange(const Rollout& now, std::string release, int step, Weight weight, std::string event,
                   std::string by, std::string reason) {
  Change change{
      .next = Rollout(), .direction = Direction::kTowardsCanary, .new_step = true, .new_rollout = true};
  Rollout& next = change.next;
  next.split = now.split;
  next.split.canary_weight = weight;
  next.split.engaged = true;
  next.split.rollout = static_cast<uint16_t>(now.split.rollout + 1);
  next.split.drains += now.split.drained();
  next.release = std::move(release);
  next.step = step;
  next.manual = step == 0;
  next.baking = step > 0 && weight == Weight::All();
  next.state = next.manual   ? RolloutState::kPaused
               : next.baking ? RolloutState::kBaking
                             : RolloutState::kStepping;
  change.event = std::move(event);
  change.by = std::move(by);
  change.reason = std::move(reason);
  next.reason = change.reason;
  return change;
}

Carried Carry(Change change, absl::Time now, const JudgeMemory& memory, SplitCell& cell, Recorder& recorder,
              Rollout& rollout) {
  Rollout& next = change.next;
  const bool stores = next.split != rollout.split || change.new_step;
  if (stores) next.split.epoch = rollout.split.epoch.Next();
  if (change.new_step) next.step_epoch = next.split.epoch;
  if (change.new_rollout) next.first_epoch = next.split.epoch;
  Record record;
  record.at = now;
  record.event = std::move(change.event);
  record.by = std::move(change.by);
  record.reason = std::move(change.reason);
  record.evidence = std::move(change.evidence);
  record.rollout = next;
  if (!change.new_rollout) record.memory = memory;
  record.kind = RecordKind::kIntent;

  if (change.direction == Direction::kTowardsCanary) {
    if (absl::Status status = recorder.Write(record, Care::kDurable); !status.ok()) {
      return {false, std::move(status)};
    }
  } else if (change.direction == Direction::kTowardsStable) {
    record.towards_stable = true;
    if (next.state == RolloutState::kReverted) record.rollout.state = RolloutState::kReverting;
    recorder.Write(record, Care::kUrgent).IgnoreError();  // the result is written too, and its error is told
  }
  if (stores) cell.Store(next.split);
  rollout = next;
  record.kind = RecordKind::kResult;
  record.rollout = std::move(next);
  return {true, recorder.Write(record, Care::kDurable)};
}

}  // namespace serin
