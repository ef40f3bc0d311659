#include "proxy/parse/authority.h"

#include <arpa/inet.h>

#include <cstring>

#include "proxy/parse/ascii.h"

namespace serin {
namespace {

constexpr size_t kMaxAuthority = 255;  // the longest DNS name; with a port it is shorter

bool IsPort(std::string_view digits) {
  if (digits.empty() || digits.size() > 5) return false;
  int port = 0;
  for (char c : digits) {
    if (!IsDigit(c)) return false;
    port = port * 10 + (c - '0');
  }
  return port <= 65535;
}

bool IsIpv6(std::string_view text) {
  char copy[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof(copy)) return false;
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  in6_addr address{};
  return std::strlen(copy) == text.size() && inet_pton(AF_INET6, copy, &address) == 1;
}

// A trailing dot is the root label and fine; an empty label elsewhere is not.
bool IsName(std::string_view name) {
  if (name.empty() || name.front() == '.') return false;
  bool dot = false;
  for (char c : name) {
    if (!Is(kHostChar, c) || (c == '.' && dot)) return false;
    dot = c == '.';
  }
  return true;
}

}  // namespace

std::optional<std::string_view> ParseAuthority(std::string_view text) {
  if (text.empty() || text.size() > kMaxAuthority) return std::nullopt;
  size_t host_end = 0;
  if (text.front() == '[') {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || !IsIpv6(text.substr(1, close - 1))) return std::nullopt;
    host_end = close + 1;
  } else {
    host_end = std::min(text.find(':'), text.size());
    if (!IsName(text.substr(0, host_end))) return std::nullopt;
  }
  if (host_end == text.size()) return text;
  if (text[host_end] != ':') return std::nullopt;
  if (host_end + 1 == text.size()) return text.substr(0, host_end);  // "host:", RFC 3986 §3.2.3
  if (!IsPort(text.substr(host_end + 1))) return std::nullopt;
  return text;
}

}  // namespace serin
