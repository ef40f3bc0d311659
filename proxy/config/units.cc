#include "proxy/config/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace serin {
namespace {

struct TimeUnit {
  std::string_view name;
  int64_t nanos;
};
// Largest first: the order in which they may be combined.
constexpr std::array<TimeUnit, 5> kTimeUnits = {{{"d", 86'400'000'000'000},
                                                 {"h", 3'600'000'000'000},
                                                 {"m", 60'000'000'000},
                                                 {"s", 1'000'000'000},
                                                 {"ms", 1'000'000}}};

struct SizeUnit {
  std::string_view name;
  int shift;
};
constexpr std::array<SizeUnit, 4> kSizeUnits = {{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}}};

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes "12" or "1.5" off the front: digits, and digits after a dot if there is
// one. std::from_chars alone would take "inf", "-1" and "1e9" too.
std::optional<double> TakeNumber(std::string_view& text) {
  size_t end = 0;
  while (end < text.size() && IsDigit(text[end])) ++end;
  if (end == 0) return std::nullopt;
  if (end < text.size() && text[end] == '.') {
    const size_t dot = end++;
    while (end < text.size() && IsDigit(text[end])) ++end;
    if (end == dot + 1) return std::nullopt;
  }
  if (end > 18) return std::nullopt;
  double number = 0;
  std::from_chars(text.data(), text.data() + end, number, std::chars_format::fixed);
  text.remove_prefix(end);
  return number;
}

}  // namespace

std::optional<absl::Duration> ParseDuration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  constexpr double kLongest = 100 * 365.25 * 86400;  // seconds
  double seconds = 0;
  size_t next_unit = 0;
  while (!text.empty()) {
    const std::optional<double> number = TakeNumber(text);
    if (!number) return std::nullopt;
    size_t letters = 0;
    while (letters < text.size() && !IsDigit(text[letters])) ++letters;
    const std::string_view name = text.substr(0, letters);
    while (next_unit < kTimeUnits.size() && kTimeUnits[next_unit].name != name) ++next_unit;
    if (next_unit == kTimeUnits.size()) return std::nullopt;
    seconds += *number * static_cast<double>(kTimeUnits[next_unit++].nanos) / 1e9;
    if (seconds > kLongest) return std::nullopt;
    text.remove_prefix(letters);
  }
  // Whole microseconds: 0.1s is exactly that, and not a nanosecond less.
  return absl::Microseconds(static_cast<int64_t>(std::llround(seconds * 1e6)));
}

std::string ShowDuration(absl::Duration duration) {
  int64_t nanos = absl::ToInt64Nanoseconds(duration);
  if (nanos <= 0) return "0s";
  std::string text;
  for (const TimeUnit& unit : kTimeUnits) {
    if (nanos < unit.nanos) continue;
    text += fmt::format("{}{}", nanos / unit.nanos, unit.name);
    nanos %= unit.nanos;
  }
  return text.empty() ? fmt::format("{}ms", static_cast<double>(nanos) / 1e6) : text;
}

std::optional<double> ParsePercent(std::string_view text) {
  const std::optional<double> number = TakeNumber(text);
  if (!number || text != "%" || *number > 1000) return std::nullopt;
  return *number / 100;
}

std::string ShowPercent(double ratio) {
  std::string text = fmt::format("{:.2f}", ratio * 100);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text + "%";
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number > (uint64_t{1} << 33)) return std::nullopt;
  const std::string_view name(end, static_cast<size_t>(text.data() + text.size() - end));
  for (const SizeUnit& unit : kSizeUnits) {
    if (name == unit.name) return number << unit.shift;
  }
  return std::nullopt;
}

std::string ShowSize(uint64_t bytes) {
  for (const SizeUnit& unit : kSizeUnits) {
    const uint64_t size = uint64_t{1} << unit.shift;
    if (bytes >= size && bytes % size == 0) return fmt::format("{}{}", bytes >> unit.shift, unit.name);
  }
  return "0B";
}

std::optional<uint32_t> ParseMode(std::string_view text) {
  if (text.size() < 3 || text.size() > 4) return std::nullopt;
  uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 0777) return std::nullopt;
  return mode;
}

}  // namespace serin
