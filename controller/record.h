#pragma once
// Record: where the controller's intents, results and observations go. An
// interface with two implementations: files in the state directory
// (file_recorder.h) and memory (below, for tests and the simulation).
// The controller's thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controller/judge.h"
#include "controller/rollout.h"

namespace serin {

enum class RecordKind : char {
  kIntent = 'I',      // about to be applied
  kResult = 'R',      // has been applied
  kCheckpoint = 'C',  // nothing changed but the clock and the evidence
  kHistory = 'H',     // a line of history, copied from an older journal
};

// One entry of the journal. Each carries the whole state, so the last good one
// is all that a restart needs.
struct Record {
  RecordKind kind = RecordKind::kResult;
  // The change moves users to stable: an intent without a result counts as
  // done (any other is taken back), and the journal's reserve is for it.
  bool towards_stable = false;
  absl::Time at = {};
  std::string event = {};  // "": no line of history
  std::string by = {};
  std::string reason = {};
  std::string evidence = {};
  Rollout rollout = {};  // after it
  JudgeMemory memory = {};
};

// What a restart found.
struct Recovery {
  bool fresh = false;  // no journal: a first start
  bool lost = false;   // there is one, but what it said last is not known: stable, and an alarm
  Rollout rollout;
  JudgeMemory memory;
  Epoch last_epoch;  // highest ever used
  uint16_t last_rollout = 0;
  std::vector<HistoryEntry> history;
  std::vector<std::string> warnings;  // sentences for people
};

// Reads `records`, oldest first, as a restart must: the last result or
// checkpoint is the state; an intent after it counts if it moved users to
// stable, and is taken back if it did not. Pure.
Recovery Resolve(const std::vector<Record>& records);

enum class Care : uint8_t {
  kUrgent,   // handed to the kernel, not waited for; survives a kill -9
  kDurable,  // on disk before the call returns
  kRelaxed,  // handed to the kernel, no hurry
};

class Recorder {
 public:
  virtual ~Recorder() = default;

  // First call. An error means that nothing can be read or written, and why.
  virtual absl::StatusOr<Recovery> Restore(absl::Time now) = 0;

  // ResourceExhausted: the disk is full, but room is kept for records that
  // move users to stable. Any other error: nothing can be written at all.
  // Later calls try anew.
  virtual absl::Status Write(const Record& record, Care care) = 0;

  // --- Observations for `replay`, best effort: a full disk ends the recording
  // of this rollout and nothing else.
  // Begins the file of rollout number `rollout`, or (after a restart) goes on
  // with it.
  virtual void OpenRecording(uint16_t rollout, bool resume) = 0;
  // False when the recording has ended (full, failed, none open).
  virtual bool AppendRecording(std::string_view bytes) = 0;
  virtual void CloseRecording() = 0;
};

// Keeps everything in memory. A "restart" is a second Controller on the same
// recorder. Can be told to fail.
class MemoryRecorder : public Recorder {
 public:
  absl::StatusOr<Recovery> Restore(absl::Time now) override;
  absl::Status Write(const Record& record, Care care) override;
  void OpenRecording(uint16_t rollout, bool resume) override;
  bool AppendRecording(std::string_view bytes) override;
  void CloseRecording() override { recording_open_ = false; }

  // Writes fail with this from now on; OK ends it.
  void FailWith(absl::Status status) { failure_ = std::move(status); }
  const std::vector<Record>& records() const { return records_; }
  const std::string& recording() const { return recording_; }  // of the last rollout

 private:
  absl::Status failure_;
  std::vector<Record> records_;
  bool recording_open_ = false;
  std::string recording_;
};

}  // namespace serin
