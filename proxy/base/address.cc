#include "proxy/base/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "proxy/base/hash.h"

namespace serin {
namespace {

constexpr uint64_t kV4Mapped = uint64_t{0xFFFF} << 32;
constexpr uint64_t kV4Seed = 0x7F4A7C15F39CC060ULL;  // keeps 0.0.0.0/… apart from the /64 of the same bits

std::optional<IpAddress> ParseV4(std::string_view text) {
  uint32_t value = 0;
  for (int part = 0; part < 4; ++part) {
    uint32_t byte = 0;
    size_t digits = 0;
    while (digits < text.size() && digits < 4 && text[digits] >= '0' && text[digits] <= '9') {
      byte = byte * 10 + static_cast<uint32_t>(text[digits++] - '0');
    }
    // "010" is 8 to some and 10 to others.
    if (digits == 0 || byte > 255 || (digits > 1 && text[0] == '0')) return std::nullopt;
    value = value << 8 | byte;
    text.remove_prefix(digits);
    if (part == 3) break;
    if (text.empty() || text[0] != '.') return std::nullopt;
    text.remove_prefix(1);
  }
  if (!text.empty()) return std::nullopt;
  return IpAddress{0, kV4Mapped | value};
}

std::optional<IpAddress> ParseV6(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN];
  unsigned char bytes[16];
  if (text.size() >= sizeof buffer || text.find('\0') != std::string_view::npos) return std::nullopt;
  *std::copy(text.begin(), text.end(), buffer) = '\0';
  if (::inet_pton(AF_INET6, buffer, bytes) != 1) return std::nullopt;
  IpAddress address;
  for (int i = 0; i < 8; ++i) address.high = address.high << 8 | bytes[i];
  for (int i = 8; i < 16; ++i) address.low = address.low << 8 | bytes[i];
  return address;
}

// The mask of `bits` leading ones out of 128.
IpAddress MaskOf(unsigned bits) {
  const auto ones = [](unsigned n) { return n == 0 ? 0 : ~uint64_t{0} << (64 - n); };
  return {ones(std::min(bits, 64U)), ones(bits > 64 ? bits - 64 : 0)};
}

}  // namespace

std::optional<IpAddress> ParseIpAddress(std::string_view text) {
  return text.find(':') == std::string_view::npos ? ParseV4(text) : ParseV6(text);
}

uint64_t ClientKey(const IpAddress& address) {
  const uint64_t key = address.is_v4() ? Mix64(address.low ^ kV4Seed) : Mix64(address.high);
  return key == 0 ? 1 : key;  // 0 means unknown
}

uint64_t ClientKey(std::string_view address) {
  const std::optional<IpAddress> parsed = ParseIpAddress(address);
  return parsed ? ClientKey(*parsed) : 0;
}

absl::StatusOr<AddressSet> AddressSet::Parse(std::span<const std::string> items) {
  AddressSet set;
  for (const std::string& item : items) {
    const auto bad = [&item](std::string_view why) {
      return absl::InvalidArgumentError(fmt::format("\"{}\" {}", item, why));
    };
    if (item == "unix:") {
      set.unix_peers_ = true;
      continue;
    }
    const std::string_view text(item);
    const size_t slash = text.find('/');
    const std::optional<IpAddress> address = ParseIpAddress(text.substr(0, slash));
    if (!address)
      return bad("is no network; expected an address, a network such as 10.0.0.0/8, or \"unix:\"");
    const bool v4 = text.find(':') == std::string_view::npos;
    const unsigned longest = v4 ? 32 : 128;
    unsigned bits = longest;
    if (slash != std::string_view::npos) {
      const char* end = text.data() + text.size();
      const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, bits);
      if (error != std::errc() || stop != end || bits > longest) {
        return bad(fmt::format("has no valid prefix length; expected 0 to {}", longest));
      }
    }
    const IpAddress mask = MaskOf(v4 ? bits + 96 : bits);
    set.networks_.push_back({{address->high & mask.high, address->low & mask.low}, mask});
  }
  return set;
}

bool AddressSet::Contains(const IpAddress& address) const {
  return std::any_of(networks_.begin(), networks_.end(), [&address](const Network& network) {
    return (address.high & network.mask.high) == network.address.high &&
           (address.low & network.mask.low) == network.address.low;
  });
}

bool AddressSet::ContainsPeer(std::string_view peer_address) const {
  if (peer_address.empty()) return unix_peers_;
  const std::optional<IpAddress> address = ParseIpAddress(peer_address);
  return address && Contains(*address);
}

}  // namespace serin
