#pragma once
// The journal's text: one record per line, so that `tail` and `grep` work on
// it at 3 a.m.
//
//   crc32c(8 hex) SP length(5 digits) SP key=value TAB key=value … LF
//
// The checksum covers length and payload; values are %-encoded. Unknown keys
// are ignored, so an older serin reads a newer journal's lines. Pure.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/record.h"

namespace serin {

// Longest line. Texts are cut so that every record fits.
inline constexpr size_t kMaxJournalLine = 8192;

// A line around `payload`, which must not hold an LF for the line to be one.
std::string FrameLine(std::string_view payload);

std::string EncodeRecord(const Record& record);
// None for any line that is not exactly what EncodeRecord writes: wrong
// checksum, wrong length, a value out of range. Without the LF.
std::optional<Record> DecodeRecord(std::string_view line);

// The first line of a journal: how large the file was made, so that a
// truncated one is known as such.
std::string EncodeHeader(size_t size);
std::optional<size_t> DecodeHeader(std::string_view line);

// The small file that remembers, apart from the journal, which pool is stable.
std::string EncodeRoles(const SplitState& split);
std::optional<SplitState> DecodeRoles(std::string_view line);

struct JournalText {
  std::vector<Record> records;
  size_t size = 0;       // from the header
  size_t end = 0;        // where the next record goes
  bool damaged = false;  // something was skipped or cut; see warnings
  bool lost = false;     // what was written last is not known
  std::vector<std::string> warnings;
};

// Reads a whole journal file. Free room is LFs.
//
// - A bad line with good ones after it is skipped: the last good record says
//   everything.
// - One bad line at the end that looks like a write cut short, by a crash or a
//   full disk: what it was about never happened, or (a revert) is also in the
//   line before it. It is cut.
// - More than that, a missing header, or a file cut off without free room
//   after its last line: any number of decisions may be missing. Lost.
JournalText ReadJournal(std::string_view bytes);

}  // namespace serin
