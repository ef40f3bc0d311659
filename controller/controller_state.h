#pragma once
// What a Controller holds; private to controller.cc and controller_report.cc.
// The controller's thread, but for what `mutex` guards.

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "controller/apply.h"
#include "controller/controller.h"
#include "controller/decide.h"
#include "controller/explain.h"
#include "controller/judge.h"
#include "controller/observation_log.h"
#include "controller/record.h"

namespace serin {

// How many causes an explanation names.
inline constexpr size_t kTopCauses = 3;

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
  Facts GatherFacts() const;
  void Publish(Now now);
  void TellListener(Now now, const Report& told);
  std::string Reason(const Facts& facts) const;
  std::string AlarmReason() const;
  std::string Trouble() const;
  const HistoryEntry* LatestDecision() const;
  // Both pools, limits, detectors and causes, in sentences.
  std::string Numbers(const Evidence& evidence) const;

  Plan plan;
  SplitCell& cell;
  Recorder& recorder;
  Judge judge;
  Rollout rollout;
  Causes causes;
  Instant last_tick;
  Instant checkpoint_at;
  Instant report_at;
  Instant recording_at;

  // Trouble with the journal; empty when there is none.
  std::string journal_trouble;
  bool journal_lost = false;  // nothing can be written, not even a revert
  Instant journal_retry_at;
  std::string restart_trouble;  // what a person should know of the restart, until the next rollout

  ObservationLog log;
  bool recording = false;
  bool recording_begun = false;  // its magic line is written

  Listener listener;
  std::vector<HistoryEntry> untold;  // lines of history that the listener has not heard
  std::string told_trouble;          // that it has

  uint64_t reverts[4] = {};  // by RevertReason
  uint64_t reverts_journal = 0;
  uint64_t observations = 0;

  mutable std::mutex mutex;  // of what other threads read
  std::shared_ptr<const Report> report;
  std::deque<HistoryEntry> history;
};

}  // namespace serin
