#include "controller/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "controller/journal_record.h"
#include "proxy/base/unique_fd.h"

namespace serin {
namespace {

// Read at most: a journal is kSize; more is not ours.
constexpr size_t kReadLimit = Journal::kSize * 2;
// Bytes of a history line's texts that survive a rotation.
constexpr size_t kHistoryReason = 300;
constexpr size_t kHistoryEvidence = 900;

absl::Status Failure(const char* what, const std::string& path) {
  const int error = errno;
  const std::string text = fmt::format("{} {}: {}", what, path, strerror(error));
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(text);
  if (error == ENOENT) return absl::NotFoundError(text);
  return absl::UnavailableError(text);
}

class PosixFile : public DiskFile {
 public:
  PosixFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  absl::Status WriteAt(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return Failure("writing", path_);
      offset += static_cast<uint64_t>(written);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }
  absl::Status Sync() override {
    return fdatasync(fd_.get()) == 0 ? absl::OkStatus() : Failure("syncing", path_);
  }

 private:
  UniqueFd fd_;
  std::string path_;
};

class PosixDisk : public Disk {
 public:
  explicit PosixDisk(std::string directory) : directory_(std::move(directory)) {}

  absl::Status Lock() override {
    // Mode: the journal names operators and releases; no one else's business.
    if (mkdir(directory_.c_str(), 0750) != 0 && errno != EEXIST) return Failure("making", directory_);
    lock_.Reset(open(Path("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    if (!lock_) return Failure("opening", Path("lock"));
    if (flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
    if (errno != EWOULDBLOCK) return Failure("locking", Path("lock"));
    return absl::FailedPreconditionError(
        fmt::format("another serin is using the state directory {}", directory_));
  }

  absl::StatusOr<std::string> Read(const std::string& name, size_t limit) override {
    const UniqueFd fd(open(Path(name).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return Failure("opening", Path(name));
    std::string bytes(limit, '\0');
    size_t size = 0;
    while (size < limit) {
      const ssize_t got = read(fd.get(), bytes.data() + size, limit - size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Failure("reading", Path(name));
      if (got == 0) break;
      size += static_cast<size_t>(got);
    }
    bytes.resize(size);
    return bytes;
  }

  absl::StatusOr<uint64_t> Size(const std::string& name) override {
    struct stat status {};
    if (stat(Path(name).c_str(), &status) != 0) return Failure("reading", Path(name));
    return static_cast<uint64_t>(status.st_size);
  }
  absl::StatusOr<std::unique_ptr<DiskFile>> Open(const std::string& name) override { return Make(name, 0); }
  absl::StatusOr<std::unique_ptr<DiskFile>> Create(const std::string& name) override {
    return Make(name, O_CREAT | O_TRUNC);
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    return rename(Path(from).c_str(), Path(to).c_str()) == 0 ? absl::OkStatus()
                                                             : Failure("renaming", Path(from));
  }
  void Keep(const std::string& name, const std::string& second) override {
    unlink(Path(second).c_str());
    // Without hard links (vfat, some network mounts) the old one is not kept.
    if (link(Path(name).c_str(), Path(second).c_str()) != 0) return;
  }
  absl::Status Remove(const std::string& name) override {
    return unlink(Path(name).c_str()) == 0 ? absl::OkStatus() : Failure("removing", Path(name));
  }
  absl::Status SyncDirectory() override {
    const UniqueFd fd(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return fd && fsync(fd.get()) == 0 ? absl::OkStatus() : Failure("syncing", directory_);
  }
  std::vector<std::string> List() override {
    std::vector<std::string> names;
    DIR* handle = opendir(directory_.c_str());
    if (handle == nullptr) return names;
    while (const dirent* entry = readdir(handle)) names.emplace_back(entry->d_name);
    closedir(handle);
    return names;
  }

 private:
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  absl::StatusOr<std::unique_ptr<DiskFile>> Make(const std::string& name, int flags) {
    UniqueFd fd(open(Path(name).c_str(), O_WRONLY | O_CLOEXEC | flags, 0640));
    if (!fd) return Failure("opening", Path(name));
    return std::make_unique<PosixFile>(std::move(fd), Path(name));
  }

  std::string directory_;
  UniqueFd lock_;
};

}  // namespace

std::unique_ptr<Disk> OpenDisk(std::string directory) {
  return std::make_unique<PosixDisk>(std::move(directory));
}

absl::StatusOr<Recovery> Journal::Open() {
  absl::StatusOr<Recovery> recovery = OpenFile();
  // We come back stable, and cannot write that down. The next restart must not
  // believe the old journal either.
  if (recovery.ok()) return recovery;
  disk_.Rename(kName, kDamaged).IgnoreError();
  Recovery stable;
  stable.lost = true;
  stable = RecoverRoles(std::move(stable));
  if (!roles_written_) return recovery;
  stable.warnings.emplace_back(recovery.status().message());
  return stable;
}

absl::StatusOr<Recovery> Journal::OpenFile() {
  const absl::StatusOr<std::string> bytes = disk_.Read(kName, kReadLimit);
  if (!bytes.ok() && !absl::IsNotFound(bytes.status())) return bytes.status();
  Recovery recovery;
  recovery.fresh = !bytes.ok();
  bool rotate = true;
  bool damaged = false;
  if (bytes.ok()) {
    const JournalText text = ReadJournal(*bytes);
    recovery = Resolve(text.records);
    recovery.fresh = false;
    recovery.lost = text.lost;
    recovery.warnings.insert(recovery.warnings.begin(), text.warnings.begin(), text.warnings.end());
    end_ = text.end;
    allocated_ = text.size;
    damaged = text.damaged;
    rotate = damaged || text.size != bytes->size() || end_ + kReserve + kReserve / 2 > text.size;
  }
  recovery = RecoverRoles(std::move(recovery));
  Recall(recovery);
  if (rotate) {
    if (absl::Status status = Rotate(damaged ? kDamaged : kPrevious); !status.ok()) return status;
    return recovery;
  }
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk_.Open(kName);
  if (!file.ok()) return file.status();
  file_ = *std::move(file);
  return recovery;
}

// What the next rotation has to carry over.
void Journal::Recall(const Recovery& recovery) {
  history_.clear();
  last_.clear();
  for (const HistoryEntry& entry : recovery.history) {
    Record line;
    line.kind = RecordKind::kHistory;
    line.at = entry.at;
    line.event = entry.event;
    line.by = entry.by;
    line.reason = entry.reason.substr(0, kHistoryReason);
    line.evidence = entry.evidence.substr(0, kHistoryEvidence);
    line.rollout.release = entry.release;
    line.rollout.state = entry.state;
    line.rollout.split.canary_weight = entry.weight;
    history_.push_back(std::move(line));
  }
  if (recovery.fresh || recovery.lost) return;
  Record settled;
  settled.kind = RecordKind::kCheckpoint;
  settled.rollout = recovery.rollout;
  settled.memory = recovery.memory;
  last_.push_back(std::move(settled));
}

// Which pool is stable must be known even when the journal is not.
Recovery Journal::RecoverRoles(Recovery recovery) {
  const absl::StatusOr<std::string> bytes = disk_.Read(kRoles, kMaxJournalLine);
  const std::optional<SplitState> roles = bytes.ok() ? DecodeRoles(*bytes) : std::nullopt;
  if (!roles) return recovery;
  roles_written_ = roles->canary_pool;
  recovery.last_epoch = std::max(recovery.last_epoch, roles->epoch);
  if (recovery.fresh) {
    recovery.fresh = false;
    recovery.lost = true;
    recovery.warnings.push_back("the journal is missing");
  }
  if (recovery.lost) {
    recovery.rollout.split.canary_pool = roles->canary_pool;
    recovery.last_rollout = std::max(recovery.last_rollout, roles->rollout);
  }
  return recovery;
}

void Journal::Remember(const Record& record) {
  if (record.kind == RecordKind::kResult && !record.event.empty()) {
    Record line = record;
    line.kind = RecordKind::kHistory;
    line.reason.resize(std::min(line.reason.size(), kHistoryReason));
    line.evidence.resize(std::min(line.evidence.size(), kHistoryEvidence));
    line.memory = JudgeMemory();
    history_.push_back(std::move(line));
    if (history_.size() > kHistoryLimit) history_.erase(history_.begin());
  }
  if (record.kind != RecordKind::kIntent) last_.clear();
  // Never more than the settled record and the latest intent.
  if (last_.size() == 2) last_.pop_back();
  last_.push_back(record);
}

absl::Status Journal::Rotate(const char* keep_as) {
  static constexpr char kNew[] = "journal.new";
  file_.reset();
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk_.Create(kNew);
  if (!file.ok()) return file.status();
  std::string body;
  for (const Record& record : history_) body += EncodeRecord(record);
  for (Record record : last_) {
    // Its line of history is among the above already.
    if (record.kind == RecordKind::kResult) record.event.clear();
    body += EncodeRecord(record);
  }
  constexpr size_t kMaxHeader = 64;
  const size_t size = std::max(size_, body.size() + kMaxHeader + 2 * kReserve);
  std::string bytes = EncodeHeader(size) + body;
  const size_t end = bytes.size();
  bytes.resize(size, '\n');
  absl::Status status = (*file)->WriteAt(0, bytes);
  if (status.ok()) status = (*file)->Sync();
  // A second name, not another one: there is no moment without a journal.
  if (status.ok()) disk_.Keep(kName, keep_as);
  if (status.ok()) status = disk_.Rename(kNew, kName);
  if (status.ok()) status = disk_.SyncDirectory();
  if (!status.ok()) return status;
  file_ = *std::move(file);
  end_ = end;
  allocated_ = size;
  return absl::OkStatus();
}

absl::Status Journal::Append(const std::string& line, bool use_reserve, bool sync) {
  if (file_ == nullptr) return absl::UnavailableError("the journal is not open");
  if (end_ + line.size() > (use_reserve ? allocated_ : allocated_ - kReserve)) {
    return absl::ResourceExhaustedError("the journal is full");
  }
  absl::Status status = file_->WriteAt(end_, line);
  if (status.ok()) end_ += line.size();
  if (status.ok() && sync) status = file_->Sync();
  // After a failed write or sync nobody knows what the file holds; only a new
  // one can be trusted (Rebello et al., Can Applications Recover from fsync
  // Failures?, 2020).
  if (!status.ok()) file_.reset();
  return status;
}

absl::Status Journal::Write(const Record& record, Care care) {
  Remember(record);
  const std::string line = EncodeRecord(record);
  absl::Status status = Append(line, record.towards_stable, care == Care::kDurable);
  if (care == Care::kUrgent) return status;
  if (!status.ok()) {
    // Into a new journal, which takes this record along. While that cannot be
    // had, an old one that is only full is still good for its reserve.
    const bool full = absl::IsResourceExhausted(status) && file_ != nullptr;
    std::unique_ptr<DiskFile> old = std::move(file_);
    const size_t old_end = end_;
    const absl::Status rotated = Rotate(kPrevious);
    if (rotated.ok()) {
      status = absl::OkStatus();
    } else if (full) {
      file_ = std::move(old);
      end_ = old_end;
      status = absl::ResourceExhaustedError(rotated.message());
    } else {
      status = absl::UnavailableError(rotated.message());
      // Users have been moved to stable and nothing can say so. A journal that
      // says otherwise must not be believed by a restart: without one it comes
      // back stable. Renaming often works where writing does not (a bad block,
      // a quota); if it fails too, the guard is what is left.
      if (record.towards_stable) disk_.Rename(kName, kDamaged).IgnoreError();
    }
  }
  if (status.ok() && record.kind == RecordKind::kResult) {
    // A second line of defence: the record is safe without it, and the next
    // result tries again.
    const SplitState& split = record.rollout.split;
    if (split.canary_pool != roles_written_) WriteRoles(split).IgnoreError();
  }
  return status;
}

absl::Status Journal::WriteRoles(const SplitState& split) {
  static constexpr char kNew[] = "roles.new";
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk_.Create(kNew);
  if (!file.ok()) return file.status();
  absl::Status status = (*file)->WriteAt(0, EncodeRoles(split));
  if (status.ok()) status = (*file)->Sync();
  if (status.ok()) status = disk_.Rename(kNew, kRoles);
  if (status.ok()) status = disk_.SyncDirectory();
  if (status.ok()) roles_written_ = split.canary_pool;
  return status;
}

}  // namespace serin
