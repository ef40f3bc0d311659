#pragma once
// The PROXY protocol's header, versions 1 and 2: who the client of a load
// balancer in front of us is. Incremental, bounded, without a socket. Owned by
// a connection; its thread.
//
// Source: "The PROXY protocol, versions 1 & 2", W. Tarreau, 2020/03/05.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace serin {

struct ProxiedAddresses {
  std::string peer_address;  // numeric, IPv4-mapped ones as IPv4
  uint16_t peer_port = 0;
  std::string local_address;  // where the client connected to
  uint16_t local_port = 0;
};

class ProxyHeaderReader {
 public:
  enum class Result : uint8_t { kMore, kDone, kBad };

  // Longest line of version 1 (§2.1).
  static constexpr size_t kMaxLine = 107;
  // Of version 2's addresses and TLVs, which may be 64 KiB. Load balancers send
  // under 600 bytes; what is above a client certificate's names is a mistake.
  static constexpr size_t kMaxLength = 4096;

  // Takes the header's bytes off the front of `in` and no others. kBad as soon
  // as it can be told: a client that speaks without a header is not waited for.
  // After kDone and kBad it must not be called again.
  Result Read(std::string_view& in);

  // After kDone. nullopt: the header vouches for nobody (LOCAL, UNKNOWN, a unix
  // socket or datagrams): the connection's own addresses count.
  const std::optional<ProxiedAddresses>& addresses() const { return addresses_; }

 private:
  Result ReadLine(std::string_view& in);
  Result ReadBinary(std::string_view& in);
  bool TakeUpTo(std::string_view& in, size_t size);
  bool CheckBinaryHead();
  bool ParseLine(std::string_view line);
  void ParseAddresses();

  char buffer_[kMaxLine + 1];
  size_t have_ = 0;  // bytes in buffer_
  size_t skip_ = 0;  // version 2: bytes behind the addresses, still to come
  bool skipping_ = false;
  std::optional<ProxiedAddresses> addresses_;
};

}  // namespace serin
