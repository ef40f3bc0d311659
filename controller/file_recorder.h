#pragma once
// The recorder that a daemon uses: files in the state directory.
//
//   journal             the journal (journal.h)
//   journal.previous    the one before the last rotation
//   journal.damaged     one that had to be repaired, as it was found
//   roles               which pool is stable, apart from the journal
//   observations-00042  what the judge saw in rollout 42, for `serinctl replay`
//   lock                held while a serin runs
//
// The controller's thread.

#include <cstdint>
#include <memory>
#include <string>

#include "controller/journal.h"
#include "controller/record.h"

namespace serin {

class FileRecorder : public Recorder {
 public:
  // One rollout's recording. 5 million observations: a plan of 25 minutes at
  // 3,000 requests per second.
  static constexpr uint64_t kRecordingLimit = 64 << 20;
  // Recordings kept, the current one included: 256 MiB of disk at most.
  static constexpr size_t kRecordings = 4;

  explicit FileRecorder(std::string state_directory);
  // For tests: another disk, a smaller journal.
  explicit FileRecorder(std::unique_ptr<Disk> disk, size_t journal_size = Journal::kSize);

  // Makes the directory if need be and takes its lock. For main, before
  // anything is served: FailedPrecondition when another serin has it. Restore
  // does it if nobody has.
  absl::Status Lock();

  absl::StatusOr<Recovery> Restore(absl::Time now) override;
  absl::Status Write(const Record& record, Care care) override;
  void OpenRecording(uint16_t rollout, bool resume) override;
  bool AppendRecording(std::string_view bytes) override;
  void CloseRecording() override { recording_.reset(); }

  static std::string RecordingName(uint16_t rollout);

 private:
  std::unique_ptr<Disk> disk_;
  Journal journal_;
  bool locked_ = false;
  std::unique_ptr<DiskFile> recording_;
  uint64_t recorded_ = 0;
};

}  // namespace serin
