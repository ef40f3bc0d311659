#include "proxy/config/diagnostic.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace serin {
namespace {

std::string_view LineOf(std::string_view text, uint32_t line) {
  for (; line > 1; --line) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

// What stands before the caret: as wide as the line's first `column - 1`
// characters, tabs kept so that it lines up in every terminal.
std::string Indent(std::string_view line, uint32_t column) {
  std::string indent;
  uint32_t characters = 0;
  for (const char c : line) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;  // the inside of a UTF-8 character
    if (++characters >= column) break;
    indent += c == '\t' ? '\t' : ' ';
  }
  return indent;
}

// Optimal string alignment distance; words are short.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replace});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string Diagnostic::ToString() const {
  if (place.line == 0) return fmt::format("{}: {}\n", place.name, message);
  std::string text = fmt::format("{}:{}:{}: {}\n", place.name, place.line, place.column, message);
  if (!source_line.empty())
    text += fmt::format("  {}\n  {}^\n", source_line, Indent(source_line, place.column));
  return text;
}

void Diagnostics::Add(const Place& place, std::string message) {
  Diagnostic diagnostic{place, std::move(message), {}};
  if (place.source == Place::Source::kFile && place.line > 0)
    diagnostic.source_line = LineOf(text_, place.line);
  found_.push_back(std::move(diagnostic));
}

std::vector<Diagnostic> Diagnostics::Take() {
  std::stable_sort(found_.begin(), found_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.place.source, a.place.line, a.place.column) <
           std::tie(b.place.source, b.place.line, b.place.column);
  });
  return std::exchange(found_, {});
}

std::optional<std::string> Suggest(std::string_view word, const std::vector<std::string>& known) {
  constexpr size_t kLongest = 64;  // nobody mistypes more than that; bounds the table
  if (word.empty() || word.size() > kLongest) return std::nullopt;
  std::optional<std::string> best;
  size_t best_distance = 0;
  for (const std::string& candidate : known) {
    const size_t shorter = std::min(word.size(), candidate.size());
    const size_t most = std::max<size_t>(1, shorter / 3);
    if (std::max(word.size(), candidate.size()) - shorter > most) continue;  // the distance is at least that
    const size_t distance = EditDistance(word, candidate);
    if (distance > most) continue;
    if (!best || distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace serin
