#include "controller/controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "controller/apply.h"
#include "controller/controller_state.h"
#include "controller/decide.h"
#include "controller/explain.h"
#include "controller/record.h"

namespace serin {
namespace {

// Between two ticks at most this much counts as hold. Beyond it the workers
// route to stable by themselves (the dead man's switch), so the canary was not
// being tried.
constexpr absl::Duration kMostPerTick = absl::Seconds(5);
// No observation reaches us later than this after its time: a worker stamps it
// as it pushes it, and every tick drains all.
constexpr absl::Duration kLatestObservation = absl::Seconds(1);
// How much of a hold a crash may cost, and how often a failing journal is tried again.
constexpr absl::Duration kCheckpointInterval = absl::Seconds(5);
// The recording is written with each change, when so much has come together,
// and this long after the last time: what a crash may take of it.
constexpr size_t kRecordingPiece = 64 << 10;
constexpr absl::Duration kRecordingInterval = absl::Seconds(1);

}  // namespace

std::string_view Name(RolloutState state) {
  switch (state) {
    case RolloutState::kStable:
      return "stable";
    case RolloutState::kStepping:
      return "stepping";
    case RolloutState::kHolding:
      return "holding";
    case RolloutState::kPaused:
      return "paused";
    case RolloutState::kBaking:
      return "baking";
    case RolloutState::kReverting:
      return "reverting";
    case RolloutState::kReverted:
      return "reverted";
  }
  return "stable";
}

Controller::Controller(Plan plan, SplitCell& cell, Recorder& recorder)
    : state_(std::make_unique<State>(std::move(plan), cell, recorder)) {}
Controller::~Controller() = default;

void Controller::Listen(Listener listener) { state_->listener = std::move(listener); }

// --- Restart -----------------------------------------------------------------

void Controller::Restore(Now now) {
  State& s = *state_;
  s.last_tick = s.checkpoint_at = now.steady;
  s.rollout.split.canary_pool = Other(s.plan.initial_stable);
  absl::StatusOr<Recovery> recovery = s.recorder.Restore(now.wall);
  if (recovery.ok()) {
    s.TakeUp(*std::move(recovery), now);
  } else {
    s.journal_trouble = std::string(recovery.status().message());
    s.journal_lost = true;
    s.journal_retry_at = now.steady + kCheckpointInterval;
    s.rollout.reason = "the journal cannot be used, so everything is on stable";
  }
  s.cell.Store(s.rollout.split);
  s.cell.Beat(now.steady);
  s.judge.Follow(s.rollout);
  s.Publish(now);
}

void Controller::State::TakeUp(Recovery recovery, Now now) {
  for (HistoryEntry& entry : recovery.history) history.push_back(std::move(entry));
  for (const std::string& warning : recovery.warnings) {
    restart_trouble += (restart_trouble.empty() ? "" : "; ") + warning;
  }
  if (recovery.fresh) return FirstStart(now);
  rollout = std::move(recovery.rollout);
  rollout.split.epoch = recovery.last_epoch.Next();
  rollout.split.rollout = recovery.last_rollout;
  if (recovery.lost) return ComeBackStable(now, "what the journal said last is not known");
  if (rollout.state == RolloutState::kReverting) rollout.state = RolloutState::kReverted;
  if (rollout.state == RolloutState::kHolding) {
    rollout.state = rollout.baking ? RolloutState::kBaking : RolloutState::kStepping;
  }
  judge.Follow(rollout);
  judge.Recall(recovery.memory);
  if (rollout.guarded()) FollowRecording(true, true);
  Restart(now);
}

void Controller::State::FirstStart(Now now) {
  rollout.split.epoch = Epoch(1);
  rollout.reason = "first start";
  Record record{.kind = RecordKind::kResult,
                .at = now.wall,
                .event = "first start",
                .by = "serin",
                .reason = "there was no journal",
                .rollout = rollout};
  NoteJournal(recorder.Write(record, Care::kDurable), now);
  NoteHistory({now.wall, record.event, "", Weight(), rollout.state, record.by, record.reason});
  if (plan.initial_weight.is_zero() || !journal_trouble.empty()) return;
  Apply(BeginChange(rollout, "", 0, plan.initial_weight, "weight", "serin",
                    "initial_weight of the configuration"),
        now);
}

void Controller::State::ComeBackStable(Now now, const std::string& why) {
  const SplitState split = rollout.split;
  rollout = Rollout();
  rollout.split = split;
  rollout.split.canary_weight = Weight::Zero();
  rollout.split.shadow = rollout.split.engaged = false;
  rollout.reason = why + ", so everything is on stable";
  if (restart_trouble.empty()) restart_trouble = why;
  Restart(now);
}

// Says in the journal that a new process has taken over, with its new epoch:
// whoever cannot write this could not write a revert either.
void Controller::State::Restart(Now now) {
  std::string reason = fmt::format("restarted: {}", Name(rollout.state));
  if (rollout.active()) {
    reason += fmt::format(" at {}, {} of the hold left", FormatWeight(rollout.split.canary_weight),
                          FormatSpan(std::max(absl::ZeroDuration(), HoldAt(rollout, plan) - rollout.held)));
  }
  if (!restart_trouble.empty()) reason += "; " + restart_trouble;
  Record record{.kind = RecordKind::kResult,
                .at = now.wall,
                .event = "restart",
                .by = "serin",
                .reason = reason,
                .rollout = rollout,
                .memory = judge.Memory()};
  NoteJournal(recorder.Write(record, Care::kDurable), now);
  NoteHistory({now.wall, record.event, rollout.release, rollout.split.canary_weight, rollout.state, "serin",
               std::move(reason)});
  if (!journal_lost || !rollout.active()) return;
  ++reverts_journal;
  Apply(RevertChange(rollout, "revert", "serin", "the journal cannot be written: " + journal_trouble), now);
}

// --- Observations --------------------------------------------------------------

void Controller::Observe(const Observation& observation) {
  State& s = *state_;
  ++s.observations;
  if (s.recording) {
    s.log.Add(observation);
    if (s.log.size() >= kRecordingPiece) s.FlushRecording();
  }
  s.judge.Observe(observation);
}

void Controller::Observe(const FailureDetail& detail) { state_->causes.Add(detail); }

bool Controller::wants_tick() const {
  return state_->judge.breach() != nullptr || state_->judge.common_cause() != nullptr;
}

bool Controller::near_limit() const { return state_->judge.NearLimit(); }

// --- The tick --------------------------------------------------------------------

void Controller::Tick(Now now) {
  State& s = *state_;
  s.cell.Beat(now.steady);
  s.RunClock(now);
  // First what may save users, then everything that can wait.
  s.Act(now);
  s.judge.Advance(now.steady - kLatestObservation);
  s.Checkpoint(now);
  if (now.steady >= s.recording_at) {
    s.recording_at = now.steady + kRecordingInterval;
    s.FlushRecording();
  }
  if (now.steady >= s.report_at) s.Publish(now);
}

void Controller::State::RunClock(Now now) {
  const absl::Duration passed = now.steady - last_tick;
  last_tick = std::max(last_tick, now.steady);
  const bool tried = rollout.running() && !rollout.split.drained();
  if (passed > absl::ZeroDuration() && tried) rollout.held += std::min(passed, kMostPerTick);
}

Facts Controller::State::GatherFacts() const {
  return {.rollout = rollout,
          .plan = plan,
          .breach = judge.breach(),
          .common_cause = judge.common_cause(),
          .step = judge.step(),
          .evidence = judge.HighestEvidence(),
          .request_rate = judge.RequestRate(),
          .journal_lost = journal_lost};
}

void Controller::State::Act(Now now) {
  const Decision decision = Decide(GatherFacts());
  switch (decision.action) {
    case Action::kNothing:
      return;
    case Action::kRevert:
      return Revert(decision, judge.breach(), now);
    case Action::kPause:
      return PauseForCommonCause(decision, now);
    case Action::kHold:
      Apply(HoldChange(rollout, decision.reason), now);
      return;
    case Action::kWarn:
      Apply(WarnChange(rollout, decision.reason), now);
      return;
    case Action::kAdvance:
    case Action::kFinalise:
      // A disk that was full a moment ago is not asked ten times a second.
      if (!journal_trouble.empty() && now.steady < journal_retry_at) return;
      Apply(decision.action == Action::kFinalise
                ? FinaliseChange(rollout, "finalise", "serin", decision.reason)
                : AdvanceChange(rollout, plan, "step", "serin", decision.reason),
            now);
      return;
  }
}

void Controller::State::Revert(const Decision& decision, const Verdict* breach, Now now) {
  if (breach != nullptr) {
    log.AddDecision({breach->rule, false, breach->number, rollout.split.canary_weight});
    CountRevert(breach->reason());
  } else {
    ++reverts_journal;
  }
  Apply(RevertChange(rollout, "revert", "serin", decision.reason), now);
}

void Controller::State::PauseForCommonCause(const Decision& decision, Now now) {
  const Verdict* common = judge.common_cause();
  if (recording) log.AddDecision({common->rule, true, common->number, rollout.split.canary_weight});
  const bool told = rollout.state == RolloutState::kPaused && rollout.warned;
  judge.ForgetCommonCause();
  if (!told) Apply(PauseChange(rollout, true, "common cause", "serin", decision.reason), now);
}

// True when the change was applied.
bool Controller::State::Apply(Change change, Now now) {
  const Rollout before = rollout;
  const bool new_rollout = change.new_rollout;
  if (rollout.active()) {
    change.evidence = Numbers(judge.breach() != nullptr ? judge.breach()->evidence : judge.Look());
  }
  HistoryEntry entry{.at = now.wall,
                     .event = change.event,
                     .by = change.by,
                     .reason = change.reason,
                     .evidence = change.evidence};
  const Carried carried = Carry(std::move(change), now.wall, judge.Memory(), cell, recorder, rollout);
  NoteJournal(carried.journal, now);
  if (!carried.applied) return false;
  if (new_rollout) {
    causes.Clear();
    restart_trouble.clear();
  }
  entry.release = rollout.release;
  entry.weight = rollout.split.canary_weight;
  entry.state = rollout.state;
  NoteHistory(entry);
  judge.Follow(rollout);
  FollowRecording(new_rollout, false);
  checkpoint_at = now.steady + kCheckpointInterval;
  Publish(now);
  return true;
}

void Controller::State::NoteHistory(const HistoryEntry& entry) {
  if (listener) untold.push_back(entry);
  const std::lock_guard lock(mutex);
  history.push_back(entry);
  while (history.size() > kHistoryLimit) history.pop_front();
}

void Controller::State::NoteJournal(const absl::Status& status, Now now) {
  if (status.ok()) {
    journal_trouble.clear();
    journal_lost = false;
    return;
  }
  journal_trouble = std::string(status.message());
  // A full disk is survived: the journal keeps room for a revert.
  journal_lost = !absl::IsResourceExhausted(status);
  journal_retry_at = now.steady + kCheckpointInterval;
}

void Controller::State::CountRevert(RevertReason reason) { ++reverts[static_cast<size_t>(reason)]; }

void Controller::State::Checkpoint(Now now) {
  const bool retry = !journal_trouble.empty() && now.steady >= journal_retry_at;
  if (!retry && (!rollout.active() || now.steady < checkpoint_at)) return;
  if (!retry && !journal_trouble.empty()) return;
  checkpoint_at = now.steady + kCheckpointInterval;
  const Record record{
      .kind = RecordKind::kCheckpoint, .at = now.wall, .rollout = rollout, .memory = judge.Memory()};
  NoteJournal(recorder.Write(record, Care::kRelaxed), now);
}

// --- The recording -----------------------------------------------------------------

void Controller::State::FollowRecording(bool new_rollout, bool resume) {
  if (new_rollout) {
    recorder.OpenRecording(rollout.split.rollout, resume);
    recording = true;
    recording_begun = resume;
    log.AddPlan(plan);
  }
  if (!recording) return;
  log.AddRollout(rollout);
  if (new_rollout) log.AddRestart(judge.Memory());
  FlushRecording();
  if (rollout.active()) return;
  recorder.CloseRecording();
  recording = false;
}

void Controller::FlushRecording() { state_->FlushRecording(); }

void Controller::State::FlushRecording() {
  if (log.size() == 0) return;
  const std::string frame = log.TakeFrame(!recording_begun);
  if (!recording) return;
  recording_begun = true;
  recording = recorder.AppendRecording(frame);
}

// --- Commands ------------------------------------------------------------------------

absl::Status Controller::Execute(const Command& command, Now now) {
  State& s = *state_;
  Command named = command;
  if (named.by.empty()) named.by = "operator";
  absl::StatusOr<std::optional<Change>> change = CommandChange(s.rollout, s.plan, named);
  if (!change.ok()) return change.status();
  if (!change->has_value()) return absl::OkStatus();
  s.restart_trouble.clear();  // a person is here, and has been told
  const bool reverts = command.verb == Verb::kAbort || command.verb == Verb::kUndo;
  if (!s.Apply(**std::move(change), now)) {
    return absl::FailedPreconditionError(fmt::format("the journal cannot be written: {}", s.journal_trouble));
  }
  if (reverts) {
    s.CountRevert(RevertReason::kOperator);
    s.Publish(now);
  }
  return absl::OkStatus();
}

void Controller::SetPlan(Plan plan, Now now) {
  State& s = *state_;
  const bool other_steps = plan.steps != s.plan.steps;
  s.plan = std::move(plan);
  s.judge.SetPlan(s.plan);
  if (other_steps && s.rollout.active() && s.rollout.step > 0) {
    // Where the present weight stands in the new plan.
    const int next = NextStep(s.plan, s.rollout.split.canary_weight);
    s.rollout.step = std::max(1, next > 0 ? next - 1 : static_cast<int>(s.plan.steps.size()));
  }
  if (s.recording) s.log.AddPlan(s.plan);
  s.Publish(now);
}

std::shared_ptr<const Report> Controller::report() const {
  const std::lock_guard lock(state_->mutex);
  return state_->report;
}

std::vector<HistoryEntry> Controller::History() const {
  const std::lock_guard lock(state_->mutex);
  return {state_->history.begin(), state_->history.end()};
}

}  // namespace serin
