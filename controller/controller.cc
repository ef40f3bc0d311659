#include "controller/controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>

#include "controller/apply.h"
#include "controller/decide.h"
#include "controller/explain.h"
#include "controller/judge.h"
#include "controller/observation_log.h"
#include "controller/record.h"

namespace serin {
namespace {

// Between two ticks at most this much counts as hold. Beyond it the workers
// route to stable by themselves (the dead man's switch), so the canary was not
// being tried.
constexpr absl::Duration kMostPerTick = absl::Seconds(5);
// How much of a hold a crash may cost, and how often a failing journal is tried again.
constexpr absl::Duration kCheckpointInterval = absl::Seconds(5);
constexpr absl::Duration kReportInterval = absl::Milliseconds(100);
// The recording is written in pieces of this size at the latest.
constexpr size_t kRecordingPiece = 256 << 10;
constexpr size_t kTopCauses = 3;

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

struct Controller::State {
  State(Plan the_plan, SplitCell& the_cell, Recorder& the_recorder)
      : plan(std::move(the_plan)), cell(the_cell), recorder(the_recorder), judge(plan) {}

  void TakeUp(Recovery recovery, Now now);
  void ComeBackStable(Now now, const std::string& why);
  void FirstStart(Now now);
  void Restart(Now now);
  void RunClock(Now now);
  void Act(Now now);
  void Revert(const Decision& decision, const Verdict* breach, Now now);
  void PauseForCommonCause(const Decision& decision, Now now);
  bool Apply(Change change, Now now);
  void NoteJournal(const absl::Status& status, Now now);
  void NoteHistory(const HistoryEntry& entry);
  void CountRevert(RevertReason reason);
  void Checkpoint(Now now);
  void FollowRecording(bool new_rollout, bool resume);
  void FlushRecording();
  Facts GatherFacts(Instant now) const;
  void Publish(Now now);
  std::string Reason(const Facts& facts) const;
  std::string AlarmReason() const;

  Plan plan;
  SplitCell& cell;
  Recorder& recorder;
  Judge judge;
  Rollout rollout;
  Causes causes;
  Instant last_tick;
  Instant checkpoint_at;
  Instant report_at;

  // Trouble with the journal; empty when there is none.
  std::string journal_trouble;
  bool journal_lost = false;  // nothing can be written, not even a revert
  Instant journal_retry_at;
  std::string restart_trouble;  // what a person should know of the restart, until the next rollout

  std::unique_ptr<Verdict> verdict;  // that ended the last rollout, with the causes of its moment
  std::string verdict_causes;
  ObservationLog log;
  bool recording = false;
  bool recording_begun = false;  // its magic line is written

  uint64_t reverts[4] = {};  // by RevertReason
  uint64_t reverts_journal = 0;
  uint64_t observations = 0;

  mutable std::mutex mutex;  // of what other threads read
  std::shared_ptr<const Report> report;
  std::deque<HistoryEntry> history;
};

Controller::Controller(Plan plan, SplitCell& cell, Recorder& recorder)
    : state_(std::make_unique<State>(std::move(plan), cell, recorder)) {}
Controller::~Controller() = default;

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
  if (rollout.guarded()) {
    FollowRecording(true, true);
    log.AddRestart(recovery.memory);
  }
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
  rollout.split.engaged = false;
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
                          FormatSpan(std::max(absl::ZeroDuration(), plan.hold - rollout.held)));
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
  if (journal_lost && rollout.active()) {
    rollout = RevertChange(rollout, "", "", journal_trouble).next;
    ++reverts_journal;
  }
  NoteHistory({now.wall, record.event, rollout.release, rollout.split.canary_weight, rollout.state, "serin",
               std::move(reason)});
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

// --- The tick --------------------------------------------------------------------

void Controller::Tick(Now now) {
  State& s = *state_;
  s.cell.Beat(now.steady);
  s.RunClock(now);
  // First what may save users, then everything that can wait.
  s.Act(now);
  s.judge.Advance(now.steady);
  s.Checkpoint(now);
  s.FlushRecording();
  if (now.steady >= s.report_at) s.Publish(now);
}

void Controller::State::RunClock(Now now) {
  const absl::Duration passed = now.steady - last_tick;
  last_tick = std::max(last_tick, now.steady);
  if (passed > absl::ZeroDuration() && rollout.running()) rollout.held += std::min(passed, kMostPerTick);
}

Facts Controller::State::GatherFacts(Instant now) const {
  return {.rollout = rollout,
          .plan = plan,
          .breach = judge.breach(),
          .common_cause = judge.common_cause(),
          .step = judge.step(),
          .evidence = judge.HighestEvidence(),
          .request_rate = judge.RequestRate(now),
          .journal_lost = journal_lost};
}

void Controller::State::Act(Now now) {
  const Decision decision = Decide(GatherFacts(now.steady));
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
    verdict = std::make_unique<Verdict>(*breach);
    verdict_causes = causes.Top(rollout.split.canary_pool, kTopCauses);
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
  HistoryEntry entry{.at = now.wall, .event = change.event, .by = change.by, .reason = change.reason};
  const Carried carried = Carry(std::move(change), now.wall, judge.Memory(), cell, recorder, rollout);
  NoteJournal(carried.journal, now);
  if (!carried.applied) return false;
  if (new_rollout) {
    causes.Clear();
    verdict.reset();
    verdict_causes.clear();
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
  if (rollout.active()) return;
  FlushRecording();
  recorder.CloseRecording();
  recording = false;
}

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
  const bool towards_canary = (*change)->direction == Direction::kTowardsCanary;
  const bool reverts = command.verb == Verb::kAbort || command.verb == Verb::kUndo;
  if (!s.Apply(**std::move(change), now)) {
    return absl::FailedPreconditionError(fmt::format("the journal cannot be written: {}", s.journal_trouble));
  }
  if (reverts) s.CountRevert(RevertReason::kOperator);
  if (towards_canary && s.journal_lost) return absl::OkStatus();  // applied; the next tick takes it back
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

void Controller::PoolGone(PoolId pool, Now now) {
  State& s = *state_;
  if (!s.rollout.undoable || pool != s.rollout.split.canary_pool) return;
  Change change{.next = s.rollout, .event = "drained", .by = "serin"};
  change.next.undoable = false;
  change.reason = fmt::format("pool {} is gone; undo is no longer possible", Name(pool));
  s.Apply(std::move(change), now);
}

// --- What others may know ----------------------------------------------------------------

std::string Controller::State::AlarmReason() const {
  std::string text;
  const auto add = [&text](const std::string& what) {
    if (!what.empty()) text += (text.empty() ? "" : "; ") + what;
  };
  if (!journal_trouble.empty()) add("the journal cannot be written: " + journal_trouble);
  add(restart_trouble);
  if (rollout.warned) add(rollout.reason);
  return text;
}

std::string Controller::State::Reason(const Facts& facts) const {
  const bool stepping = rollout.state == RolloutState::kStepping || rollout.state == RolloutState::kBaking;
  if (rollout.state == RolloutState::kHolding) {
    const std::string missing = MissingEvidence(facts);
    return missing.empty() ? rollout.reason : missing;
  }
  if (!stepping) return rollout.reason;
  return fmt::format("{} of {} held, {} canary requests counted in this step", FormatSpan(rollout.held),
                     FormatSpan(plan.hold), std::min(facts.step.outcomes, facts.step.timed));
}

void Controller::State::Publish(Now now) {
  report_at = now.steady + kReportInterval;
  const Facts facts = GatherFacts(now.steady);
  const Evidence evidence = judge.Look();
  auto next = std::make_shared<Report>();
  next->state = rollout.state;
  next->release = rollout.release;
  next->step = rollout.active() ? rollout.step : 0;
  next->steps = static_cast<int>(plan.steps.size());
  if (rollout.active() && !rollout.manual) {
    next->hold_remaining = std::max(absl::ZeroDuration(), plan.hold - rollout.held);
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
  const bool ended = verdict != nullptr && !rollout.active();
  next->explanation = Explain(told, plan, evidence, ended ? verdict.get() : nullptr,
                              ended ? verdict_causes : causes.Top(rollout.split.canary_pool, kTopCauses));
  next->error_evidence = std::max(evidence.error_level, evidence.dead_level);
  next->slow_evidence = evidence.slow_level;
  next->alarm_reason = AlarmReason();
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
  const std::lock_guard lock(mutex);
  report = std::move(next);
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
