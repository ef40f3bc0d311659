#pragma once
// Who the client is, and how it reached us, when trusted proxies stand
// between. Pure; a worker's thread.

#include <cstdint>
#include <string_view>

#include "proxy/message.h"
#include "proxy/base/address.h"

namespace serin {

// Views borrow from the request and its connection.
struct EffectiveClient {
  std::string_view address;  // numeric; "" for a unix socket's peer that names no client
  uint16_t port = 0;         // 0: not known (the client is behind a proxy)
  bool https = false;
  std::string_view authority;  // host, with the port the client used; "": HTTP/1.0 without Host
  uint16_t server_port = 0;    // the one the client connected to
  uint64_t key = 0;            // ClientKey(address); 0: unknown
};

// From a peer that is not trusted (connection.trusted_peer) all X-Forwarded-*
// are ignored: everything comes from the connection. From a trusted one:
// - X-Forwarded-For: hops are read from the right, over all of its fields, and
//   the first that is not in `trusted` is the client. A hop that is no address
//   ends the search: beyond it nothing is vouched for.
// - X-Forwarded-Proto, -Host, -Port: the last value, which is the trusted
//   peer's; ignored when it is not well-formed. -Port sets server_port only:
//   a port that belongs in links is part of the host.
// By FastCGI the params say it, and are believed whoever the peer is: it runs
// its clients' requests through us anyway. REMOTE_ADDR is the client (or, when
// that is itself in `trusted`, the one X-Forwarded-For names), HTTPS or
// REQUEST_SCHEME the scheme, SERVER_PORT the port.
EffectiveClient EffectiveClientOf(const Request& request, const ConnectionInfo& connection,
                                  const AddressSet& trusted);

// "example.com", "example.com:8080", "[::1]:8080": letters, digits, '.', '-', '_'.
bool IsAuthority(std::string_view text);

}  // namespace serin
