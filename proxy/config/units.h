#pragma once
// How quantities are written in the configuration, and back again. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "proxy/settings.h"

namespace serin {

// "250ms", "2s", "5m", "1h30m", "1.5s", "30d"; units ms, s, m, h, d, largest
// first; "0s" for none. No sign, no blanks, at most 100 years.
std::optional<absl::Duration> ParseDuration(std::string_view text);
// "5m", "1h30m", "250ms": what ParseDuration takes, in the shortest form.
std::string FormatDuration(absl::Duration duration);

// "5%", "0.5%", "12.34%": a ratio. Below 0 % or above 1000 % there is none.
std::optional<double> ParsePercent(std::string_view text);
// 0.05 → "5%", at most two decimals.
std::string FormatPercent(double ratio);

// "512B", "64KiB", "128MiB", "2GiB"; binary units only, because nothing here is
// sold by the kilobyte.
std::optional<uint64_t> ParseSize(std::string_view text);
std::string FormatSize(uint64_t bytes);

// "127.0.0.1:8080", "[::1]:8080" or "unix:/run/serin/http.sock". Port 0 lets the
// kernel choose. A name instead of a numeric address is not accepted: looking it
// up would make the start depend on DNS. Socket paths are absolute and below
// 108 bytes (unix(7)).
std::optional<SocketAddress> ParseSocketAddress(std::string_view text);
// What ParseSocketAddress takes.
std::string FormatSocketAddress(const SocketAddress& address);

// "0660": three or four octal digits.
std::optional<uint32_t> ParseMode(std::string_view text);

}  // namespace serin
