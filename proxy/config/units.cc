#include "proxy/config/units.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/un.h>

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

std::optional<uint16_t> ParsePort(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint32_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port > 65535) return std::nullopt;
  return static_cast<uint16_t>(port);
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

std::string FormatDuration(absl::Duration duration) {
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

std::string FormatPercent(double ratio) {
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

std::string FormatSize(uint64_t bytes) {
  for (const SizeUnit& unit : kSizeUnits) {
    const uint64_t size = uint64_t{1} << unit.shift;
    if (bytes >= size && bytes % size == 0) return fmt::format("{}{}", bytes >> unit.shift, unit.name);
  }
  return "0B";
}

std::optional<SocketAddress> ParseSocketAddress(std::string_view text) {
  SocketAddress address;
  if (text.starts_with("unix:")) {
    address.kind = SocketAddress::Kind::kUnix;
    address.path = text.substr(5);
    const bool usable = address.path.starts_with('/') && address.path.size() < sizeof(sockaddr_un{}.sun_path) &&
                        address.path.find('\0') == std::string::npos;
    return usable ? std::optional(address) : std::nullopt;
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::optional<uint16_t> port = ParsePort(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  address.host = host;
  address.port = port.value_or(0);
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  const bool numeric = inet_pton(brackets ? AF_INET6 : AF_INET, address.host.c_str(), bytes.data()) == 1 &&
                       address.host.size() == host.size() && host.find('\0') == std::string_view::npos;
  return port && numeric ? std::optional(address) : std::nullopt;
}

std::string FormatSocketAddress(const SocketAddress& address) {
  if (address.kind == SocketAddress::Kind::kUnix) return "unix:" + address.path;
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format(v6 ? "[{}]:{}" : "{}:{}", address.host, address.port);
}

std::optional<uint32_t> ParseMode(std::string_view text) {
  if (text.size() < 3 || text.size() > 4) return std::nullopt;
  uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 0777) return std::nullopt;
  return mode;
}

}  // namespace serin
