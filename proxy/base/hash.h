#pragma once
// Mixing and hashing for cohorts. Deterministic across runs and machines: a
// person must stay on their side after a restart. Not cryptographic. Any thread.

#include <cstdint>
#include <string_view>

namespace serin {

// A bijection on 64 bits with full avalanche (the finaliser of SplitMix64,
// Steele et al. 2014). Unmix64 is its inverse.
constexpr uint64_t Mix64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}
constexpr uint64_t Unmix64(uint64_t x) {
  x = (x ^ (x >> 31) ^ (x >> 62)) * 0x319642B2D24D8EC3ULL;
  x = (x ^ (x >> 27) ^ (x >> 54)) * 0x96DE1B173F119089ULL;
  return x ^ (x >> 30) ^ (x >> 60);
}

// FNV-1a finished with Mix64, for short keys (addresses, header values).
constexpr uint64_t HashBytes(std::string_view bytes) {
  uint64_t h = 0xCBF29CE484222325ULL;
  for (char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return Mix64(h);
}

}  // namespace serin
