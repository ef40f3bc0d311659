#pragma once
// Splits requests without a key: exact counts, not dice. Pure.

#include <cstdint>

#include "proxy/base/types.h"

namespace serin {

// Is request number `ticket` the canary's? Of any n consecutive tickets the
// canary gets between floor(n·w) and ceil(n·w), whatever n and wherever it
// starts (Bresenham's line). At weight 0 none, at 100 % all.
constexpr bool SequencePicksCanary(uint64_t ticket, Weight weight) {
  const uint64_t w = weight.basis_points();
  const uint64_t n = ticket % Weight::kFull;  // the pattern's period, keeps the product small
  return (n + 1) * w / Weight::kFull != n * w / Weight::kFull;
}

}  // namespace serin
