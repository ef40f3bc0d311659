#pragma once
// IP addresses as values, sets of networks, and the key that stands for a
// client. Pure. An AddressSet is built on the main thread, then only read.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace serin {

// IPv6, or IPv4 as ::ffff:a.b.c.d, so that 10.0.0.1 equals ::ffff:10.0.0.1.
struct IpAddress {
  uint64_t high = 0;  // the first eight bytes, most significant first
  uint64_t low = 0;
  constexpr bool is_v4() const { return high == 0 && low >> 32 == 0xFFFF; }
  friend constexpr bool operator==(const IpAddress&, const IpAddress&) = default;
};

// Numeric, strict: no leading zeros, no zone, no brackets, no port.
std::optional<IpAddress> ParseIpAddress(std::string_view text);

// Stands for a client in cohorts and in the burst rule: IPv4 by address, IPv6
// by its /64, which is what one customer has. 0 for what is no address.
uint64_t ClientKey(const IpAddress& address);
uint64_t ClientKey(std::string_view address);

class AddressSet {
 public:
  // Items are "10.0.0.0/8", "2001:db8::/32", a single address, or "unix:" for
  // every peer on a unix socket. InvalidArgument names the item.
  static absl::StatusOr<AddressSet> Parse(std::span<const std::string> items);

  bool empty() const { return networks_.empty() && !unix_peers_; }
  bool Contains(const IpAddress& address) const;
  // A connection's peer_address: "" is a peer on a unix socket.
  bool ContainsPeer(std::string_view peer_address) const;

 private:
  struct Network {
    IpAddress address, mask;
  };
  std::vector<Network> networks_;
  bool unix_peers_ = false;
};

}  // namespace serin
