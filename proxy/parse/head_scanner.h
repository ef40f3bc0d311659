#pragma once
// Finds the lines of a request's head and holds them to what every later
// reader must agree on: each ends with CRLF, none continues another (obs-fold),
// none has an empty name, and there are not too many. llhttp lets these
// through (CVE-2024-27982) and has no limits. One head at a time, one thread.

#include <cstdint>
#include <string_view>

#include "proxy/parse/refusal.h"
#include "proxy/session.h"

namespace serin {

class HeadScanner {
 public:
  void Reset() { *this = HeadScanner(); }

  // `bytes` begins with the first line that has not been scanned yet. Sets
  // `whole` to the length of the lines that are complete, up to the end of the
  // head at most; the rest must be in front of the next call's bytes.
  // 400: a lone LF, obs-fold, an empty name. 414, 431: limits.
  Refusal Scan(std::string_view bytes, const ClientLimits& limits, size_t& whole);

  // Set by the Scan that has found it, without its CRLF; empty otherwise.
  std::string_view request_line() const { return request_line_; }
  bool complete() const { return complete_; }

 private:
  Refusal TakeLine(std::string_view line, const ClientLimits& limits);
  Refusal CheckUnfinished(size_t size, const ClientLimits& limits);

  std::string_view request_line_;
  size_t size_ = 0;       // of the whole lines so far
  size_t looked_at_ = 0;  // bytes of the unfinished line that hold no LF
  uint32_t lines_ = 0;
  bool complete_ = false;
};

}  // namespace serin
