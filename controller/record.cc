#include "controller/record.h"

#include <fmt/format.h>

#include <algorithm>

namespace serin {
namespace {

HistoryEntry EntryOf(const Record& record) {
  HistoryEntry entry;
  entry.at = record.at;
  entry.event = record.event;
  entry.release = record.rollout.release;
  entry.weight = record.rollout.split.canary_weight;
  entry.state = record.rollout.state;
  entry.by = record.by;
  entry.reason = record.reason;
  entry.evidence = record.evidence;
  return entry;
}

// Takes a step towards stable as done.
void Accept(const Record& intent, Recovery& recovery) {
  recovery.rollout = intent.rollout;
  recovery.memory = intent.memory;
  if (recovery.rollout.state == RolloutState::kReverting) recovery.rollout.state = RolloutState::kReverted;
  recovery.history.push_back(EntryOf(intent));
  recovery.history.back().state = recovery.rollout.state;
}

}  // namespace

Recovery Resolve(const std::vector<Record>& records) {
  Recovery recovery;
  recovery.fresh = records.empty();
  const Record* pending = nullptr;
  for (const Record& record : records) {
    const SplitState& split = record.rollout.split;
    recovery.last_epoch = std::max(recovery.last_epoch, split.epoch);
    if (record.kind == RecordKind::kHistory) {
      recovery.history.push_back(EntryOf(record));
      continue;
    }
    recovery.last_rollout = split.rollout;
    // A step towards stable whose result was never written did happen.
    const bool answers = pending != nullptr && record.kind == RecordKind::kResult &&
                         record.event == pending->event && split.epoch == pending->rollout.split.epoch;
    if (pending != nullptr && pending->towards_stable && !answers) Accept(*pending, recovery);
    pending = nullptr;
    if (record.kind == RecordKind::kIntent) {
      pending = &record;
      continue;
    }
    recovery.rollout = record.rollout;
    recovery.memory = record.memory;
    if (record.kind == RecordKind::kResult && !record.event.empty())
      recovery.history.push_back(EntryOf(record));
  }
  if (pending != nullptr) {
    if (pending->towards_stable) {
      Accept(*pending, recovery);
    } else {
      recovery.warnings.push_back(
          fmt::format("the change \"{}\" was cut short by a crash and has been taken back", pending->event));
    }
  }
  if (recovery.history.size() > kHistoryLimit) {
    recovery.history.erase(recovery.history.begin(), recovery.history.end() - kHistoryLimit);
  }
  return recovery;
}

absl::StatusOr<Recovery> MemoryRecorder::Restore(absl::Time) {
  if (!failure_.ok()) return failure_;
  return Resolve(records_);
}

absl::Status MemoryRecorder::Write(const Record& record, Care) {
  const bool reserve = failure_.code() == absl::StatusCode::kResourceExhausted && record.towards_stable;
  if (!failure_.ok() && !reserve) return failure_;
  records_.push_back(record);
  return absl::OkStatus();
}

void MemoryRecorder::OpenRecording(uint16_t, bool resume) {
  if (!resume) recording_.clear();
  recording_open_ = true;
}

bool MemoryRecorder::AppendRecording(std::string_view bytes) {
  if (recording_open_) recording_.append(bytes);
  return recording_open_;
}

}  // namespace serin
