#pragma once
// CRC-32C (Castagnoli), RFC 3720 appendix B.4. A table of our own: the records
// are small and few, and the hardware instruction is not everywhere.

#include <array>
#include <cstdint>
#include <string_view>

namespace serin {

inline constexpr std::array<uint32_t, 256> kCrc32cTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1)));
    table[i] = crc;
  }
  return table;
}();

constexpr uint32_t Crc32c(std::string_view bytes) {
  uint32_t crc = 0xFFFFFFFFu;
  for (char c : bytes) crc = (crc >> 8) ^ kCrc32cTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  return ~crc;
}
static_assert(Crc32c("123456789") == 0xE3069283u);  // the check value of the catalogue of CRCs

}  // namespace serin
