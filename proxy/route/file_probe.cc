#include "proxy/route/file_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace serin {
namespace {

FileKind KindOf(mode_t mode) {
  if (S_ISREG(mode)) return FileKind::kFile;
  return S_ISDIR(mode) ? FileKind::kDirectory : FileKind::kOther;
}

// openat2(2) has no wrapper in glibc 2.36. RESOLVE_BENEATH makes the kernel
// refuse a symlink that leaves the directory, with EXDEV.
int OpenBeneath(int directory, const char* relative) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, directory, relative, &how, sizeof how));
}

}  // namespace

RootProbe::RootProbe(std::string_view root) : root_(root) {
  char resolved[PATH_MAX];
  const bool found = ::realpath(root_.c_str(), resolved) != nullptr;
  if (found) root_ = resolved;
  while (!root_.empty() && root_.back() == '/') root_.pop_back();
  if (!found) return;
  directory_.Reset(::open(resolved, O_PATH | O_DIRECTORY | O_CLOEXEC));
  // O_PATH alone does not tell whether we may look inside.
  if (directory_ && ::faccessat(directory_.get(), ".", X_OK, AT_EACCESS) != 0) directory_.Reset();
}

FileKind RootProbe::Look(std::string_view path) {
  if (const std::optional<FileKind> known = memory_.Find(path)) return *known;
  const FileKind kind = LookNow(path);
  memory_.Keep(path, kind);
  return kind;
}

FileKind RootProbe::LookNow(std::string_view path) {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  char relative[PATH_MAX];
  if (path.empty() || path.size() >= sizeof relative) return FileKind::kMissing;
  std::memcpy(relative, path.data(), path.size());
  relative[path.size()] = '\0';

  if (has_openat2_) {
    const UniqueFd file(OpenBeneath(directory_.get(), relative));
    struct stat info {};
    if (file) return ::fstat(file.get(), &info) == 0 ? KindOf(info.st_mode) : FileKind::kMissing;
    if (errno == ENOSYS || errno == EPERM) {
      has_openat2_ = false;
    } else if (errno != EXDEV && errno != EAGAIN) {
      return FileKind::kMissing;
    }
  }
  // An absolute symlink (EXDEV too) may still point to a place below the root.
  return LookByRealPath(relative);
}

FileKind RootProbe::LookByRealPath(const char* relative) const {
  const std::string full = root_ + "/" + relative;
  char resolved[PATH_MAX];
  struct stat info {};
  if (::realpath(full.c_str(), resolved) == nullptr || ::stat(resolved, &info) != 0)
    return FileKind::kMissing;
  const std::string_view real(resolved);
  const bool inside = real.starts_with(root_) && (real.size() == root_.size() || real[root_.size()] == '/');
  return inside ? KindOf(info.st_mode) : FileKind::kOutside;
}

}  // namespace serin
