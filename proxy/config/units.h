#pragma once
// How quantities are written in the configuration, and back again. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace serin {

// "250ms", "2s", "5m", "1h30m", "1.5s", "30d"; units ms, s, m, h, d, largest
// first; "0s" for none. No sign, no blanks, at most 100 years.
std::optional<absl::Duration> ParseDuration(std::string_view text);
// "5m", "1h30m", "250ms": what ParseDuration takes, in the shortest form.
std::string ShowDuration(absl::Duration duration);

// "5%", "0.5%", "12.34%": a ratio. Below 0 % or above 1000 % there is none.
std::optional<double> ParsePercent(std::string_view text);
// 0.05 → "5%", at most two decimals.
std::string ShowPercent(double ratio);

// "512B", "64KiB", "128MiB", "2GiB"; binary units only, because nothing here is
// sold by the kilobyte.
std::optional<uint64_t> ParseSize(std::string_view text);
std::string ShowSize(uint64_t bytes);

// "0660": three or four octal digits.
std::optional<uint32_t> ParseMode(std::string_view text);

}  // namespace serin
