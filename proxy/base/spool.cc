#include "proxy/base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace serin {
namespace {

constexpr size_t kKeptCapacity = 16 * 1024;

UniqueFd OpenUnlinked(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return fd;
  // Some file systems (overlayfs before 6.x, NFS) have no O_TMPFILE.
  std::string name = directory + "/serin-spool-XXXXXX";
  fd.Reset(::mkostemp(name.data(), O_CLOEXEC));
  if (fd) ::unlink(name.c_str());
  return fd;
}

bool WriteAll(int fd, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return true;
}

}  // namespace

bool Spool::Append(std::string_view bytes) {
  if (!file_) {
    const size_t room = limits_->memory - std::min(limits_->memory, memory_.size());
    if (bytes.size() <= room) {
      memory_.append(bytes);
      return true;
    }
    memory_.append(bytes.substr(0, room));
    bytes.remove_prefix(room);
    file_ = OpenUnlinked(limits_->directory);
    if (!file_) return false;
  }
  if (!WriteAll(file_.get(), bytes, file_size_)) return false;
  file_size_ += bytes.size();
  return true;
}

int64_t Spool::ReadAt(uint64_t offset, std::span<char> out) const {
  if (offset < memory_.size()) {
    const size_t n = std::min(out.size(), memory_.size() - static_cast<size_t>(offset));
    std::memcpy(out.data(), memory_.data() + offset, n);
    return static_cast<int64_t>(n);
  }
  if (!file_ || out.empty()) return 0;
  ssize_t n = 0;
  do {
    n = ::pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset - memory_.size()));
  } while (n < 0 && errno == EINTR);
  return n;
}

void Spool::Clear() {
  memory_.clear();
  if (memory_.capacity() > kKeptCapacity) memory_.shrink_to_fit();
  file_.Reset();
  file_size_ = 0;
}

}  // namespace serin
