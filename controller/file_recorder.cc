#include "controller/file_recorder.h"

#include <fmt/format.h>

#include <algorithm>

namespace serin {

namespace {
constexpr std::string_view kPrefix = "observations-";
}  // namespace

FileRecorder::FileRecorder(std::string state_directory)
    : FileRecorder(OpenDisk(std::move(state_directory))) {}
FileRecorder::FileRecorder(std::unique_ptr<Disk> disk, size_t journal_size)
    : disk_(std::move(disk)), journal_(*disk_, journal_size) {}

absl::Status FileRecorder::Lock() {
  if (locked_) return absl::OkStatus();
  const absl::Status status = disk_->Lock();
  locked_ = status.ok();
  return status;
}

absl::StatusOr<Recovery> FileRecorder::Restore(absl::Time) {
  if (absl::Status status = Lock(); !status.ok()) return status;
  return journal_.Open();
}

absl::Status FileRecorder::Write(const Record& record, Care care) {
  // Without the lock the files are somebody else's. Not retried for an urgent
  // record: that may not wait.
  if (!locked_ && care == Care::kUrgent) return absl::UnavailableError("the state directory is not locked");
  if (absl::Status status = Lock(); !status.ok()) return absl::UnavailableError(status.message());
  return journal_.Write(record, care);
}

std::string FileRecorder::RecordingName(uint16_t rollout) { return fmt::format("{}{:05}", kPrefix, rollout); }

void FileRecorder::OpenRecording(uint16_t rollout, bool resume) {
  recording_.reset();
  if (!locked_) return;
  const std::string name = RecordingName(rollout);
  std::vector<std::string> older;
  for (std::string& file : disk_->List()) {
    if (file.starts_with(kPrefix) && file != name) older.push_back(std::move(file));
  }
  std::sort(older.begin(), older.end(), std::greater<>());
  for (size_t i = kRecordings - 1; i < older.size(); ++i) disk_->Remove(older[i]).IgnoreError();
  const absl::StatusOr<uint64_t> size = resume ? disk_->Size(name) : absl::NotFoundError("");
  recorded_ = size.ok() ? *size : 0;
  absl::StatusOr<std::unique_ptr<DiskFile>> file = size.ok() ? disk_->Open(name) : disk_->Create(name);
  if (file.ok()) recording_ = *std::move(file);
}

bool FileRecorder::AppendRecording(std::string_view bytes) {
  if (recording_ == nullptr) return false;
  if (recorded_ + bytes.size() > kRecordingLimit || !recording_->WriteAt(recorded_, bytes).ok()) {
    recording_.reset();
    return false;
  }
  recorded_ += bytes.size();
  return true;
}

}  // namespace serin
