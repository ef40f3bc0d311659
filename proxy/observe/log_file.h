#pragma once
// The file that all workers' access logs append to. Opened and reopened on the
// main thread; Write is called by any worker at the same time.
//
// Reopening keeps the descriptor's number: dup3 puts the new file under it in
// one step, so that a worker in the middle of a write finishes in the old file
// and the next write goes to the new one, without a lock or a message.

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/base/unique_fd.h"
#include "proxy/settings.h"

namespace serin {

class LogFile {
 public:
  // Opens (and creates with mode 0640) `path` for appending. The Status names
  // the path and the reason.
  static absl::StatusOr<LogFile> OpenPath(std::string path);
  // Standard output. A pipe or terminal there is written without blocking: a
  // reader that stalls costs log lines, never requests.
  static absl::StatusOr<LogFile> OpenStdout();
  // By `settings`; kOff gives a file that takes and forgets everything.
  static absl::StatusOr<LogFile> Open(const AccessLogSettings& settings);

  LogFile(LogFile&&) = default;
  LogFile& operator=(LogFile&&) = default;

  // After a rotation (SIGUSR1). On an error the old file stays in use. Does
  // nothing for standard output.
  absl::Status Reopen();

  bool enabled() const { return static_cast<bool>(fd_); }

  // Appends whole lines with as few write(2) as possible: one for a file, one
  // per 4 KiB of lines for a pipe, where only that much is atomic. Never waits.
  // Returns how many bytes were taken.
  size_t Write(std::string_view lines) const;

 private:
  enum class Kind : uint8_t { kFile, kPipe, kSocket };
  LogFile() = default;
  LogFile(UniqueFd fd, Kind kind, std::string path)
      : fd_(std::move(fd)), kind_(kind), path_(std::move(path)) {}
  size_t WriteToPipe(std::string_view lines) const;

  UniqueFd fd_;
  Kind kind_ = Kind::kFile;
  std::string path_;  // "": standard output, or off
};

}  // namespace serin
