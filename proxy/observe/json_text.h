#pragma once
// JSON into a bounded buffer, without allocating: what the access log is
// written with. Pure; any thread.

#include <cstdint>
#include <span>
#include <string_view>

namespace serin {

// Writes `text` as the inside of a JSON string (RFC 8259 §7) and returns the
// number of bytes written, at most out.size(). Control characters, '"' and '\'
// are escaped; what is not well-formed UTF-8 (RFC 3629) becomes \ufffd, one per
// bad byte. Text that does not fit is cut at a whole character, and the cut is
// marked by a closing "…" (out.size() must be at least 3 for the mark).
size_t WriteJsonText(std::string_view text, std::span<char> out);

}  // namespace serin
