#include "proxy/observe/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>

namespace serin {
namespace {

constexpr int kFlags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

absl::Status Failed(const std::string& path, int error) {
  return absl::ErrnoToStatus(error, "cannot open the access log " + path);
}

}  // namespace

absl::StatusOr<LogFile> LogFile::OpenPath(std::string path) {
  // O_NONBLOCK does nothing to a regular file; a FIFO without a reader fails
  // at once (ENXIO) instead of hanging the start.
  UniqueFd fd(open(path.c_str(), kFlags | O_CREAT, 0640));
  struct stat info {};
  if (!fd || fstat(fd.get(), &info) != 0) return Failed(path, errno);
  const Kind kind = S_ISREG(info.st_mode) ? Kind::kFile : Kind::kPipe;
  return LogFile(std::move(fd), kind, std::move(path));
}

absl::StatusOr<LogFile> LogFile::OpenStdout() {
  struct stat info {};
  if (fstat(STDOUT_FILENO, &info) != 0) return Failed("on standard output", errno);
  const Kind kind = S_ISREG(info.st_mode)    ? Kind::kFile
                    : S_ISSOCK(info.st_mode) ? Kind::kSocket
                                             : Kind::kPipe;
  if (kind != Kind::kSocket) {
    // A description of our own: O_NONBLOCK on the inherited one would also
    // change the terminal of the shell that started us.
    UniqueFd own(open("/proc/self/fd/1", kFlags));
    if (own) return LogFile(std::move(own), kind, "");
  }
  UniqueFd copy(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!copy) return Failed("on standard output", errno);
  return LogFile(std::move(copy), kind, "");
}

absl::StatusOr<LogFile> LogFile::Open(const AccessLogSettings& settings) {
  switch (settings.target) {
    case AccessLogTarget::kFile:
      return OpenPath(settings.path);
    case AccessLogTarget::kStdout:
      return OpenStdout();
    case AccessLogTarget::kOff:
      break;
  }
  return LogFile();
}

absl::Status LogFile::Reopen() {
  if (!fd_ || path_.empty()) return absl::OkStatus();
  const UniqueFd fresh(open(path_.c_str(), kFlags | O_CREAT, 0640));
  if (!fresh) return Failed(path_, errno);
  if (dup3(fresh.get(), fd_.get(), O_CLOEXEC) < 0) return Failed(path_, errno);
  return absl::OkStatus();
}

size_t LogFile::Write(std::string_view lines) const {
  if (!fd_) return lines.size();
  if (kind_ == Kind::kPipe) return WriteToPipe(lines);
  // An error, whatever it is, costs these lines: the caller counts them.
  const ssize_t n = kind_ == Kind::kSocket
                        ? send(fd_.get(), lines.data(), lines.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                        : write(fd_.get(), lines.data(), lines.size());
  return n < 0 ? 0 : static_cast<size_t>(n);
}

size_t LogFile::WriteToPipe(std::string_view lines) const {
  size_t done = 0;
  while (done < lines.size()) {
    std::string_view chunk = lines.substr(done);
    if (chunk.size() > PIPE_BUF) {
      // As many whole lines as are atomic (pipe(7)); a longer line goes alone
      // and may be mixed with another worker's.
      size_t end = chunk.rfind('\n', PIPE_BUF - 1);
      if (end == std::string_view::npos) end = chunk.find('\n', PIPE_BUF);
      if (end != std::string_view::npos) chunk = chunk.substr(0, end + 1);
    }
    const ssize_t n = write(fd_.get(), chunk.data(), chunk.size());
    if (n < 0) return done;
    done += static_cast<size_t>(n);
    if (static_cast<size_t>(n) < chunk.size()) return done;
  }
  return done;
}

}  // namespace serin
