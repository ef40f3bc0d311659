#include "proxy/accept/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "proxy/socket.h"

namespace serin {
namespace {

constexpr std::string_view kWord = "PROXY ";
constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr size_t kBinaryHead = 16;
constexpr size_t kIpv4Addresses = 12, kIpv6Addresses = 36;  // two addresses, two ports

enum Command : uint8_t { kLocal = 0, kProxy = 1 };
enum Family : uint8_t { kUnspecified = 0, kInet = 1, kInet6 = 2, kUnix = 3 };
constexpr uint8_t kStream = 1, kDatagram = 2;

// The next word of a line of version 1; words are parted by one space.
std::string_view NextWord(std::string_view& line) {
  const size_t space = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(std::min(space + 1, line.size()));
  return word;
}

// Decimal, without leading zeros (§2.1).
bool ParsePort(std::string_view text, uint16_t& port) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  return error == std::errc() && stop == end;
}

void SetName(int family, const void* address, std::string& name) {
  sockaddr_storage storage{};
  uint16_t unused = 0;
  storage.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET) {
    std::memcpy(&reinterpret_cast<sockaddr_in*>(&storage)->sin_addr, address, sizeof(in_addr));
  } else {
    std::memcpy(&reinterpret_cast<sockaddr_in6*>(&storage)->sin6_addr, address, sizeof(in6_addr));
  }
  NameOf(storage, name, unused);
}

bool ParseAddress(std::string_view text, int family, std::string& name) {
  char zero_ended[INET6_ADDRSTRLEN] = "";
  if (text.empty() || text.size() >= sizeof zero_ended) return false;
  std::copy_n(text.data(), text.size(), zero_ended);
  in6_addr address{};
  if (::inet_pton(family, zero_ended, &address) != 1) return false;
  SetName(family, &address, name);
  return true;
}

uint16_t PortAt(const char* at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(at[0]) << 8 | static_cast<uint8_t>(at[1]));
}

}  // namespace

ProxyHeaderReader::Result ProxyHeaderReader::Read(std::string_view& in) {
  if (in.empty()) return Result::kMore;
  const char first = have_ > 0 ? buffer_[0] : in.front();
  if (first == kWord.front()) return ReadLine(in);
  return first == kSignature.front() ? ReadBinary(in) : Result::kBad;
}

// Fills buffer_ up to `size` bytes; true when they are there.
bool ProxyHeaderReader::TakeUpTo(std::string_view& in, size_t size) {
  const size_t n = std::min(in.size(), size - have_);
  std::copy_n(in.data(), n, buffer_ + have_);
  have_ += n;
  in.remove_prefix(n);
  return have_ == size;
}

ProxyHeaderReader::Result ProxyHeaderReader::ReadLine(std::string_view& in) {
  // Up to the line's end and no further: what follows is the client's.
  const size_t line_feed = in.find('\n');
  const size_t wanted = line_feed == std::string_view::npos ? in.size() : line_feed + 1;
  TakeUpTo(in, std::min(kMaxLine, have_ + wanted));
  const std::string_view line(buffer_, have_);
  if (line.substr(0, kWord.size()) != kWord.substr(0, line.size())) return Result::kBad;
  if (line.ends_with("\r\n")) {
    return ParseLine(line.substr(kWord.size(), line.size() - kWord.size() - 2)) ? Result::kDone
                                                                                : Result::kBad;
  }
  return line.back() == '\n' || have_ == kMaxLine ? Result::kBad : Result::kMore;
}

bool ProxyHeaderReader::ParseLine(std::string_view line) {
  const std::string_view protocol = NextWord(line);
  if (protocol == "UNKNOWN") return true;  // whatever follows
  const int family = protocol == "TCP4" ? AF_INET : protocol == "TCP6" ? AF_INET6 : AF_UNSPEC;
  if (family == AF_UNSPEC) return false;
  ProxiedAddresses found;
  if (!ParseAddress(NextWord(line), family, found.peer_address)) return false;
  if (!ParseAddress(NextWord(line), family, found.local_address)) return false;
  if (!ParsePort(NextWord(line), found.peer_port) || !ParsePort(line, found.local_port)) return false;
  addresses_ = std::move(found);
  return true;
}

ProxyHeaderReader::Result ProxyHeaderReader::ReadBinary(std::string_view& in) {
  if (!skipping_) {
    if (have_ < kBinaryHead) {
      const bool whole = TakeUpTo(in, kBinaryHead);
      const std::string_view head(buffer_, std::min(have_, kSignature.size()));
      if (head != kSignature.substr(0, head.size())) return Result::kBad;
      if (!whole) return Result::kMore;
      if (!CheckBinaryHead()) return Result::kBad;
    }
    const size_t length = PortAt(buffer_ + 14);
    const size_t kept = std::min(length, kIpv6Addresses);
    if (!TakeUpTo(in, kBinaryHead + kept)) return Result::kMore;
    skip_ = length - kept;
    skipping_ = true;
    ParseAddresses();
  }
  const size_t n = std::min(in.size(), skip_);
  in.remove_prefix(n);
  skip_ -= n;
  return skip_ == 0 ? Result::kDone : Result::kMore;
}

// §2.2: what is not assigned must be refused.
bool ProxyHeaderReader::CheckBinaryHead() {
  const auto version_command = static_cast<uint8_t>(buffer_[12]);
  const auto family_protocol = static_cast<uint8_t>(buffer_[13]);
  const size_t length = PortAt(buffer_ + 14);
  const uint8_t family = family_protocol >> 4;
  if (version_command >> 4 != 2 || (version_command & 15) > kProxy) return false;
  if (family > kUnix || (family_protocol & 15) > kDatagram || length > kMaxLength) return false;
  if ((version_command & 15) == kLocal) return true;
  return family == kInet ? length >= kIpv4Addresses : family != kInet6 || length >= kIpv6Addresses;
}

void ProxyHeaderReader::ParseAddresses() {
  const uint8_t command = static_cast<uint8_t>(buffer_[12]) & 15;
  const auto family_protocol = static_cast<uint8_t>(buffer_[13]);
  if (command == kLocal || (family_protocol & 15) != kStream) return;
  const uint8_t family = family_protocol >> 4;
  if (family != kInet && family != kInet6) return;
  const size_t size = family == kInet ? sizeof(in_addr) : sizeof(in6_addr);
  const char* at = buffer_ + kBinaryHead;
  ProxiedAddresses found;
  SetName(family == kInet ? AF_INET : AF_INET6, at, found.peer_address);
  SetName(family == kInet ? AF_INET : AF_INET6, at + size, found.local_address);
  found.peer_port = PortAt(at + 2 * size);
  found.local_port = PortAt(at + 2 * size + 2);
  addresses_ = std::move(found);
}

}  // namespace serin
