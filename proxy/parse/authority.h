#pragma once
// Host and port of a request (RFC 9110 §7.2, RFC 3986 §3.2). PHP builds links,
// redirects and password mails from it, so what is taken is narrower than the
// grammar: names as DNS knows them, IPv4, bracketed IPv6. Pure; any thread.

#include <optional>
#include <string_view>

namespace serin {

// The authority as it is to be used (as received; an empty port is dropped), or
// nullopt: no host, user information, percent-encoding, sub-delims, an empty
// label, a port above 65535, above 255 bytes, anything else that is no host.
std::optional<std::string_view> ParseAuthority(std::string_view text);

}  // namespace serin
