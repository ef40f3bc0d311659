#pragma once
// The journal's file: allocated whole, written in place, rotated with its
// history. And the few file calls that it needs, behind an interface, so that
// tests can fail or kill it at each of them. The controller's thread.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/record.h"

namespace serin {

// An open file. Errors keep their kind: ResourceExhausted for a full disk or
// quota, Unavailable for the rest.
class DiskFile {
 public:
  virtual ~DiskFile() = default;
  virtual absl::Status WriteAt(uint64_t offset, std::string_view bytes) = 0;
  virtual absl::Status Sync() = 0;  // fdatasync
};

// The state directory.
class Disk {
 public:
  virtual ~Disk() = default;
  // One serin per state directory: FailedPrecondition when another holds it.
  virtual absl::Status Lock() = 0;
  // At most `limit` bytes; NotFound when there is no such file.
  virtual absl::StatusOr<std::string> Read(const std::string& name, size_t limit) = 0;
  virtual absl::StatusOr<uint64_t> Size(const std::string& name) = 0;
  virtual absl::StatusOr<std::unique_ptr<DiskFile>> Open(const std::string& name) = 0;    // existing
  virtual absl::StatusOr<std::unique_ptr<DiskFile>> Create(const std::string& name) = 0;  // emptied
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  // Gives `name` a second name, in place of what had it. Best effort.
  virtual void Keep(const std::string& name, const std::string& second) = 0;
  virtual absl::Status Remove(const std::string& name) = 0;
  virtual absl::Status SyncDirectory() = 0;
  virtual std::vector<std::string> List() = 0;
};
std::unique_ptr<Disk> OpenDisk(std::string directory);

// Why a file of fixed size: its blocks are written, not only reserved, when it
// is made. Appending then needs no free block, so a full disk can refuse a new
// journal but not a record, and a write into cached blocks takes microseconds
// whatever the disk is doing. The last 64 KiB are kept for records that move
// users to stable: a revert is remembered even on a full disk. (On a
// copy-on-write file system an overwrite can still fail; that is treated as a
// journal that cannot be written, which reverts.)
class Journal {
 public:
  static constexpr size_t kSize = 2 << 20;      // some 1,000 decisions; a whole `history` fits
  static constexpr size_t kReserve = 64 << 10;  // 8 of the longest, 40 usual ones
  static constexpr char kName[] = "journal";
  static constexpr char kPrevious[] = "journal.previous";  // the rotation before, for people
  static constexpr char kDamaged[] = "journal.damaged";    // set aside for people
  static constexpr char kRoles[] = "roles";

  // `size`: smaller ones for tests.
  explicit Journal(Disk& disk, size_t size = kSize) : disk_(disk), size_(size) {}

  // Reads and, if need be, repairs. An error means that it cannot be written.
  absl::StatusOr<Recovery> Open();
  absl::Status Write(const Record& record, Care care);
  size_t used() const { return end_; }

 private:
  absl::StatusOr<Recovery> OpenFile();
  absl::Status Append(const std::string& line, bool use_reserve, bool sync);
  // A new file with the history and the last state; the old one is kept as `keep_as`.
  absl::Status Rotate(const char* keep_as);
  absl::Status WriteRoles(const SplitState& split);
  void Remember(const Record& record);
  void Recall(const Recovery& recovery);
  Recovery RecoverRoles(Recovery recovery);

  Disk& disk_;
  size_t size_;
  std::unique_ptr<DiskFile> file_;  // null: not open, or failed
  size_t end_ = 0;
  size_t allocated_ = 0;  // the file's size
  // For rotation: what a restart must find.
  std::vector<Record> history_;          // kHistory, the latest 1,000
  std::vector<Record> last_;             // the last settled record, and an intent after it
  std::optional<PoolId> roles_written_;  // canary of the roles file
};

}  // namespace serin
