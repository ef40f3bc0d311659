#include "proxy/ctl/render.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/time/time.h"
#include "proxy/config/units.h"

namespace serin {
namespace {

enum class Colour { kNone, kGreen, kCyan, kYellow, kRed, kDim, kBold };

std::string Paint(const Terminal& terminal, Colour colour, const std::string& text) {
  if (!terminal.colour || colour == Colour::kNone) return text;
  const char* code = "0";
  switch (colour) {
    case Colour::kGreen:
      code = "32";
      break;
    case Colour::kCyan:
      code = "36";
      break;
    case Colour::kYellow:
      code = "33";
      break;
    case Colour::kRed:
      code = "1;31";
      break;
    case Colour::kDim:
      code = "2";
      break;
    case Colour::kBold:
      code = "1";
      break;
    case Colour::kNone:
      break;
  }
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

Colour ColourOf(std::string_view state) {
  if (state == "stable") return Colour::kGreen;
  if (state == "stepping" || state == "baking") return Colour::kCyan;
  if (state == "holding" || state == "paused") return Colour::kYellow;
  if (state == "reverting" || state == "reverted") return Colour::kRed;
  return Colour::kNone;
}

// Characters, not bytes: good enough for names of releases.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string Padded(const std::string& text, size_t width, bool right) {
  const std::string blanks(width > Width(text) ? width - Width(text) : 0, ' ');
  return right ? blanks + text : text + blanks;
}

// What comes from outside must not move the cursor.
std::string Clean(std::string_view text) {
  std::string clean(text);
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return clean;
}

std::string Cut(std::string_view text, size_t width) {
  if (Width(text) <= width) return std::string(text);
  std::string cut;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool start = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (start && Width(cut) + 1 >= width) break;
    cut += text[i];
  }
  return cut + "…";
}

std::string Seconds(double seconds) {
  if (seconds < 0.0095) return fmt::format("{:.1f} ms", seconds * 1e3);
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1e3);
  return fmt::format("{:.2f} s", seconds);
}

std::string Share(double ratio) { return ShowPercent(ratio); }

// Of a pool without requests nothing is known.
std::string ErrorRate(const PoolDocument& pool) { return pool.requests > 0 ? Share(pool.error_ratio) : "–"; }
std::string P95(const PoolDocument& pool) { return pool.requests > 0 ? Seconds(pool.p95_seconds) : "–"; }

std::string Remaining(double seconds) {
  return ShowDuration(absl::Seconds(static_cast<int64_t>(seconds + 0.5)));
}

std::string LocalTime(const std::string& rfc3339) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, rfc3339, &time, &error)) return rfc3339;
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", time, absl::LocalTimeZone());
}

// "####------" of `width` cells.
std::string Bar(double ratio, size_t width) {
  const auto full = static_cast<size_t>(std::clamp(ratio, 0.0, 1.0) * static_cast<double>(width) + 0.5);
  std::string bar;
  for (size_t i = 0; i < width; ++i) bar += i < full ? "█" : "░";
  return bar;
}

struct Column {
  std::string title;
  bool right = false;
};

// Columns as wide as their widest cell, two blanks between.
std::vector<std::string> Table(const std::vector<Column>& columns,
                               const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns.size(); ++i) {
    widths.push_back(Width(columns[i].title));
    for (const auto& row : rows) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::vector<std::string> lines;
  const auto add = [&](const auto& cell) {
    std::string line;
    for (size_t i = 0; i < columns.size(); ++i) {
      line += Padded(cell(i), widths[i], columns[i].right) + (i + 1 < columns.size() ? "  " : "");
    }
    while (line.ends_with(' ')) line.pop_back();
    lines.push_back(std::move(line));
  };
  add([&](size_t i) { return columns[i].title; });
  for (const auto& row : rows) add([&](size_t i) { return row[i]; });
  return lines;
}

// A pool that serves has nothing to say about it.
std::string RoleAndState(const PoolDocument& pool) {
  if (pool.state.empty() || pool.state == "serving") return pool.role;
  if (pool.state == "drained") return pool.role + ", drained";
  return fmt::format("{}, {} ({} left)", pool.role, Clean(pool.state), pool.in_flight);
}

std::string PoolTable(const StatusDocument& status, const Terminal& terminal) {
  std::vector<std::vector<std::string>> rows;
  for (const PoolId id : kPools) {
    const PoolDocument& pool = status.pools[Index(id)];
    rows.push_back({std::string(Name(id)), RoleAndState(pool), fmt::format("{}", pool.requests),
                    fmt::format("{}", pool.errors), ErrorRate(pool), P95(pool),
                    fmt::format("{}", pool.slow)});
  }
  std::vector<std::string> lines = Table({{"POOL"},
                                          {"ROLE"},
                                          {"REQUESTS", true},
                                          {"ERRORS", true},
                                          {"ERROR RATE", true},
                                          {"P95", true},
                                          {"SLOW", true}},
                                         rows);
  std::string text = Paint(terminal, Colour::kDim, Cut(lines[0], terminal.width)) + "\n";
  for (size_t i = 1; i < lines.size(); ++i) text += Cut(lines[i], terminal.width) + "\n";
  return text;
}

}  // namespace

Terminal Terminal::OfStandardOutput() {
  Terminal terminal;
  terminal.is_terminal = isatty(STDOUT_FILENO) == 1;
  const char* no_color = getenv("NO_COLOR");
  const char* term = getenv("TERM");
  const bool refused = no_color != nullptr && *no_color != '\0';
  const bool dumb = term == nullptr || std::string_view(term) == "dumb";
  if (dumb) terminal.is_terminal = false;
  terminal.colour = terminal.is_terminal && !refused;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    terminal.width = size.ws_col;
    terminal.height = size.ws_row;
  }
  return terminal;
}

std::string Wrap(std::string_view text, size_t width, std::string_view indent) {
  std::string wrapped, line;
  const std::string clean = Clean(text);
  std::string_view rest = clean;
  const auto flush = [&] {
    if (!wrapped.empty()) wrapped += "\n" + std::string(indent);
    wrapped += line;
    line.clear();
  };
  while (!rest.empty()) {
    const size_t blank = rest.find(' ');
    const std::string_view word = rest.substr(0, blank);
    rest = blank == std::string_view::npos ? std::string_view() : rest.substr(blank + 1);
    if (word.empty()) continue;
    if (!line.empty() && Width(line) + 1 + Width(word) > width) flush();
    if (!line.empty()) line += ' ';
    line += Cut(word, std::max<size_t>(width, 2));
  }
  if (!line.empty()) flush();
  return wrapped;
}

std::string RenderStatus(const StatusDocument& status, const Terminal& terminal) {
  const size_t room = std::max<size_t>(terminal.width, 40);
  constexpr std::string_view kIndent = "          ";
  const auto label = [&](const char* name) { return Paint(terminal, Colour::kDim, Padded(name, 10, false)); };
  std::string text = label("state") + Paint(terminal, ColourOf(status.state), Clean(status.state));
  if (status.step > 0) text += fmt::format(", step {} of {}", status.step, status.steps);
  if (status.alarm) text += Paint(terminal, Colour::kRed, "  ALARM");
  text += "\n";
  if (!status.release.empty()) text += label("release") + Cut(Clean(status.release), room - 10) + "\n";
  text += label("weight") + (room >= 60 ? Bar(status.target, 20) + " " : "") +
          Paint(terminal, Colour::kBold, Share(status.target));
  if (status.observed) text += fmt::format(", observed {}", Share(*status.observed));
  text +=
      fmt::format("\n{}stable {}, canary {}\n", label("roles"), Clean(status.stable), Clean(status.canary));
  if (status.hold_remaining_seconds > 0)
    text += label("hold") + Remaining(status.hold_remaining_seconds) + " left\n";
  if (status.error_evidence > 0 || status.latency_evidence > 0) {
    text += label("evidence") +
            Wrap(fmt::format("errors {:.0f}%, latency {:.0f}% of what reverts", status.error_evidence * 100,
                             status.latency_evidence * 100),
                 room - kIndent.size(), kIndent) +
            "\n";
  }
  if (!status.reason.empty())
    text += label("reason") + Wrap(status.reason, room - kIndent.size(), kIndent) + "\n";
  if (!status.alarm_reason.empty() && status.alarm_reason != status.reason) {
    text += Paint(terminal, Colour::kRed, Padded("alarm", 10, false)) +
            Wrap(status.alarm_reason, room - kIndent.size(), kIndent) + "\n";
  }
  return text + "\n" + PoolTable(status, terminal);
}

std::string RenderStatusLine(const StatusDocument& status, std::string_view time) {
  std::string text = fmt::format("{} {}", time, Clean(status.state));
  if (!status.release.empty()) text += " " + Clean(status.release);
  if (status.step > 0) text += fmt::format(" step {}/{}", status.step, status.steps);
  text += fmt::format(" weight {}", Share(status.target));
  if (status.observed) text += fmt::format(" observed {}", Share(*status.observed));
  for (const PoolId id : kPools) {
    const PoolDocument& pool = status.pools[Index(id)];
    text += fmt::format(" | {} {} {} requests, errors {}, p95 {}", Name(id), RoleAndState(pool),
                        pool.requests, ErrorRate(pool), P95(pool));
  }
  return text + "\n";
}

std::string RenderHistory(const std::vector<HistoryDocument>& history, const Terminal& terminal) {
  if (history.empty()) return "nothing has happened yet\n";
  std::vector<std::vector<std::string>> rows;
  for (const HistoryDocument& entry : history) {
    rows.push_back({LocalTime(entry.at), Clean(entry.event), Share(entry.weight), Clean(entry.state),
                    Cut(Clean(entry.release), 24), Clean(entry.by), Clean(entry.reason)});
  }
  const std::vector<std::string> lines =
      Table({{"TIME"}, {"EVENT"}, {"WEIGHT", true}, {"STATE"}, {"RELEASE"}, {"BY"}, {"REASON"}}, rows);
  std::string text;
  for (size_t i = 0; i < lines.size(); ++i) {
    // A pipe gets everything, a terminal what fits.
    const std::string line = terminal.is_terminal ? Cut(lines[i], terminal.width) : lines[i];
    text += (i == 0 ? Paint(terminal, Colour::kDim, line) : line) + "\n";
  }
  return text;
}

}  // namespace serin
