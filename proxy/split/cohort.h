#pragma once
// Splits requests that carry a key (an id cookie, an address, a header).
//
// u = Mix(key ⊕ salt) as a fraction of 2^64; canary when u < weight. So a
// person who is canary at 10 % is canary at 25 %, nobody moves back while a
// weight rises, and a revert leaves nothing to clean up. The salt changes with
// each rollout. Pure.

#include <cstdint>

#include "proxy/base/hash.h"
#include "proxy/base/types.h"

namespace serin {

// A key's place in [0, 2^64) under `salt`.
constexpr uint64_t CohortPoint(uint64_t key, uint64_t salt) { return Mix64(key ^ salt); }
// The key whose place is `point`: lets a new visitor's id be drawn so that
// visitors fill the range evenly instead of by dice.
constexpr uint64_t CohortKeyAt(uint64_t point, uint64_t salt) { return Unmix64(point) ^ salt; }

constexpr bool CohortPicksCanary(uint64_t key, uint64_t salt, Weight weight) {
  // The high 32 bits are enough for basis points and keep the product in 64.
  return (CohortPoint(key, salt) >> 32) * Weight::kFull >> 32 < weight.basis_points();
}

}  // namespace serin
