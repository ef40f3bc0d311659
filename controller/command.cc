#include "controller/command.h"

#include <fmt/format.h>

#include <algorithm>

#include "controller/explain.h"

namespace serin {
namespace {

using MaybeChange = absl::StatusOr<std::optional<Change>>;

constexpr size_t kMaxReleaseName = 128;  // a tag, a hash, a path's last part; it is in every record

absl::Status CheckRelease(const std::string& release) {
  if (release.size() > kMaxReleaseName) {
    return absl::InvalidArgumentError(
        fmt::format("the release's name has {} bytes; {} are allowed", release.size(), kMaxReleaseName));
  }
  const bool printable =
      std::all_of(release.begin(), release.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7F; });
  if (!printable) return absl::InvalidArgumentError("the release's name has control characters");
  return absl::OkStatus();
}

std::string Named(const Rollout& rollout) { return rollout.release.empty() ? "a rollout" : rollout.release; }

absl::Status UnderWay(const Rollout& rollout) {
  return absl::FailedPreconditionError(fmt::format("{} is under way ({} at {}); abort or finish it first",
                                                   Named(rollout), Name(rollout.state),
                                                   FormatWeight(rollout.split.canary_weight)));
}

MaybeChange Start(const Rollout& now, const Plan& plan, const Command& command, const char* event) {
  if (now.active()) return UnderWay(now);
  if (absl::Status status = CheckRelease(command.release); !status.ok()) return status;
  const int step = NextStep(plan, Weight::Zero());
  if (step == 0) return absl::InvalidArgumentError("the plan has no step with a weight above 0 %");
  const Weight weight = plan.steps[static_cast<size_t>(step - 1)];
  std::string reason =
      fmt::format("{} by {}", event == std::string_view("retry") ? "tried again" : "started", command.by);
  if (plan.shadow.is_zero())
    return BeginChange(now, command.release, step, weight, event, command.by, std::move(reason));
  reason += fmt::format(", shadowing {} of GET and HEAD first", FormatWeight(plan.shadow));
  Change change =
      BeginChange(now, command.release, step, Weight::Zero(), event, command.by, std::move(reason));
  change.next.split.shadow = true;
  return change;
}

MaybeChange Resume(const Rollout& now, const Plan& plan, const Command& command) {
  if (now.state != RolloutState::kPaused) return std::nullopt;
  Change change{.next = now, .event = "resume", .by = command.by, .reason = "resumed by " + command.by};
  Rollout& next = change.next;
  if (now.manual) {
    if (now.step == 0 || plan.steps.empty()) return std::nullopt;
    next.step = std::min(now.step, static_cast<int>(plan.steps.size()));
    next.split.canary_weight = plan.steps[static_cast<size_t>(next.step - 1)];
    next.baking = next.split.canary_weight == Weight::All();
    next.manual = false;
    next.held = absl::ZeroDuration();
    change.new_step = true;
    const bool less = next.split.canary_weight < now.split.canary_weight;
    change.direction = less ? Direction::kTowardsStable : Direction::kTowardsCanary;
  }
  next.state = next.baking ? RolloutState::kBaking : RolloutState::kStepping;
  next.warned = false;
  next.reason = change.reason;
  return change;
}

MaybeChange Promote(const Rollout& now, const Plan& plan, const Command& command) {
  if (!now.active()) return std::nullopt;
  if (now.split.drained()) {
    const auto pool = Name(now.split.canary_pool);
    return absl::FailedPreconditionError(fmt::format("{} is drained; undrain it first", pool));
  }
  if (command.verb == Verb::kPromoteFull) {
    return FinaliseChange(now, "promote", command.by, "promoted to the end by " + command.by);
  }
  std::string reason = "promoted by " + command.by;
  if (now.baking && !now.manual) return FinaliseChange(now, "promote", command.by, std::move(reason));
  return AdvanceChange(now, plan, "promote", command.by, std::move(reason));
}

MaybeChange Undo(const Rollout& now, const Command& command) {
  if (now.active()) return UnderWay(now);
  if (now.state != RolloutState::kStable || !now.undoable) {
    return absl::FailedPreconditionError(
        "there is no finished rollout whose previous release is still there; start the old release instead");
  }
  Change change{.next = now, .event = "undo", .by = command.by};
  Rollout& next = change.next;
  next.split.canary_pool = Other(now.split.canary_pool);
  next.split.canary_weight = Weight::Zero();
  next.state = RolloutState::kReverted;
  next.undoable = false;
  change.direction = Direction::kTowardsStable;
  change.reason =
      fmt::format("undone by {}: all traffic is back on {}", command.by, Name(next.split.stable_pool()));
  next.reason = change.reason;
  return change;
}

MaybeChange SetWeight(const Rollout& now, const Command& command) {
  const Weight weight = command.weight;
  std::string reason = fmt::format("weight set to {} by {}", FormatWeight(weight), command.by);
  if (!now.active()) {
    if (weight.is_zero()) return std::nullopt;
    const bool again = now.state == RolloutState::kReverted;
    return BeginChange(now, again ? now.release : "", 0, weight, "weight", command.by, std::move(reason));
  }
  const bool opens = now.split.drained() && !weight.is_zero();
  if (now.manual && now.split.canary_weight == weight && !opens) return std::nullopt;
  Change change{.next = now, .event = "weight", .by = command.by, .reason = reason};
  Rollout& next = change.next;
  const Weight before = opens ? Weight::Zero() : now.split.canary_weight;
  next.split.drains += opens;
  next.split.canary_weight = weight;
  next.split.shadow = false;
  next.state = RolloutState::kPaused;
  next.manual = true;
  next.baking = false;
  next.held = absl::ZeroDuration();
  next.reason = std::move(reason);
  if (weight.is_zero() && now.step == 0) {  // it was only a weight set by hand
    next.state = RolloutState::kStable;
    next.manual = false;
    next.split.engaged = false;
  }
  change.new_step = weight != before;
  change.direction = weight < before   ? Direction::kTowardsStable
                     : weight > before ? Direction::kTowardsCanary
                                       : Direction::kNone;
  return change;
}

MaybeChange Drain(const Rollout& now, const Command& command) {
  if (command.pool == now.split.stable_pool()) {
    return absl::FailedPreconditionError(fmt::format(
        "{} is stable, where a revert goes, and cannot be drained; promote {} fully or undo first",
        Name(command.pool), Name(now.split.canary_pool)));
  }
  if (now.split.drained()) return std::nullopt;
  Change change{.next = now, .direction = Direction::kTowardsStable, .event = "drain", .by = command.by};
  change.reason = fmt::format("{} drained by {}: all traffic is on {}", Name(command.pool), command.by,
                              Name(now.split.stable_pool()));
  ++change.next.split.drains;
  change.next.undoable = false;  // who drains is about to replace
  return change;
}

MaybeChange Undrain(const Rollout& now, const Command& command) {
  if (command.pool == now.split.stable_pool() || !now.split.drained()) return std::nullopt;
  Change change{.next = now, .direction = Direction::kTowardsCanary, .event = "undrain", .by = command.by};
  change.reason = fmt::format("{} takes requests again, by {}", Name(command.pool), command.by);
  ++change.next.split.drains;
  return change;
}

}  // namespace

MaybeChange CommandChange(const Rollout& now, const Plan& plan, const Command& command) {
  switch (command.verb) {
    case Verb::kStart:
      return Start(now, plan, command, "start");
    case Verb::kPause:
      if (!now.running()) return std::nullopt;
      return PauseChange(now, false, "pause", command.by, "paused by " + command.by);
    case Verb::kResume:
      return Resume(now, plan, command);
    case Verb::kPromote:
    case Verb::kPromoteFull:
      return Promote(now, plan, command);
    case Verb::kAbort:
      if (!now.active()) return std::nullopt;
      return RevertChange(now, "abort", command.by, "aborted by " + command.by);
    case Verb::kRetry: {
      if (now.active()) return UnderWay(now);
      if (now.state != RolloutState::kReverted) {
        return absl::FailedPreconditionError("nothing has been reverted; use start");
      }
      Command again = command;
      again.release = now.release;
      return Start(now, plan, again, "retry");
    }
    case Verb::kUndo:
      return Undo(now, command);
    case Verb::kWeight:
      return SetWeight(now, command);
    case Verb::kDrain:
      return Drain(now, command);
    case Verb::kUndrain:
      return Undrain(now, command);
  }
  return std::nullopt;
}

}  // namespace serin
