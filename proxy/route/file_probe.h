#pragma once
// The real FileProbe: looks below one release root, held open, so that a
// symlink swapped by a deployment does not move it under a running pool.
// Opened when the pool is (re)opened. One worker's thread.

#include <string>
#include <string_view>

#include "proxy/base/unique_fd.h"
#include "proxy/route/look_memory.h"
#include "proxy/route/script.h"

namespace serin {

class RootProbe : public FileProbe {
 public:
  // Resolves `root` once. A root that is not there, is no directory or may not
  // be searched by us leaves the probe invisible: resolved_root() is then
  // `root` as given, without a trailing slash.
  explicit RootProbe(std::string_view root);

  bool visible() const override { return static_cast<bool>(directory_); }
  // What was found since the last Forget is not looked for again.
  FileKind Look(std::string_view path) override;
  void Forget() { memory_.Forget(); }
  // For DOCUMENT_ROOT and SCRIPT_FILENAME. "" for "/".
  const std::string& resolved_root() const { return root_; }

 private:
  FileKind LookNow(std::string_view path);
  FileKind LookByRealPath(const char* relative) const;

  std::string root_;
  UniqueFd directory_;
  LookMemory memory_;
  bool has_openat2_ = true;  // false once the kernel (before 5.6) or a sandbox has refused it
};

}  // namespace serin
