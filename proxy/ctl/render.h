#pragma once
// What serinctl shows to people: text from values. Pure, but for Terminal::Of.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/ctl/documents.h"

namespace serin {

struct Terminal {
  bool is_terminal = false;  // may be redrawn
  bool colour = false;
  size_t width = 80;
  size_t height = 24;
  // Of standard output: colour on a terminal, unless NO_COLOR is set
  // (no-color.org) or TERM is dumb.
  static Terminal OfStandardOutput();
};

// The page of `status`: several lines, each at most terminal.width wide.
std::string RenderStatus(const StatusDocument& status, const Terminal& terminal);
// One line, for `status -w` into a file or a pipe. `time` is put in front.
std::string RenderStatusLine(const StatusDocument& status, std::string_view time);
// A table, oldest first; times in the local time zone.
std::string RenderHistory(const std::vector<HistoryDocument>& history, const Terminal& terminal);
// `text` broken at blanks into lines of at most `width` characters. Control
// characters become blanks: reasons quote what applications print.
std::string Wrap(std::string_view text, size_t width, std::string_view indent = "");

}  // namespace serin
