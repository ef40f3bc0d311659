#pragma once
// Bytes on their way through: the first ones in memory, the rest in an
// unlinked temporary file. Appended at the end, read at any offset. Holds a
// request's body until it is whole, and an answer that its client is slow to
// take. One owner, one thread.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proxy/base/unique_fd.h"

namespace serin {

class Spool {
 public:
  struct Limits {
    size_t memory = 64 * 1024;       // bytes kept in memory before a file is opened
    std::string directory = "/tmp";  // of the unlinked file (O_TMPFILE, or mkstemp + unlink)
  };

  // `limits` must outlive the spool.
  explicit Spool(const Limits& limits) : limits_(&limits) {}

  // False when the file cannot be created or written (disk full): the spool
  // is then unusable but for Clear.
  [[nodiscard]] bool Append(std::string_view bytes);
  uint64_t size() const { return memory_.size() + file_size_; }
  bool empty() const { return size() == 0; }
  bool in_memory() const { return !file_; }

  // Copies up to out.size() bytes from `offset`; returns how many, 0 at the
  // end, -1 when the file cannot be read.
  int64_t ReadAt(uint64_t offset, std::span<char> out) const;
  // The part that is in memory: [0, memory_view().size()).
  std::string_view memory_view() const { return memory_; }

  // Empties it; closes the file; keeps the memory's capacity up to 16 KiB so that a
  // recycled spool does not allocate.
  void Clear();

 private:
  const Limits* limits_;
  std::string memory_;
  UniqueFd file_;
  uint64_t file_size_ = 0;
};

}  // namespace serin
