#include "proxy/route/forwarded.h"

#include <charconv>
#include <optional>

namespace serin {
namespace {

constexpr size_t kMaxAuthority = 255 + 6;  // a DNS name (RFC 1035 §2.3.4) and ":65535"
// Hops that are looked at. No chain of proxies is longer; a list of thousands is an attack.
constexpr int kMaxHops = 32;

std::string_view Trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c) != lower[i]) return false;
  }
  return true;
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc() || stop != end || port == 0) return std::nullopt;
  return port;
}

std::optional<uint16_t> PortOf(std::string_view authority) {
  const size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos)
    return std::nullopt;
  return ParsePort(authority.substr(colon + 1));
}

// The last item of the last field of that name; "" when there is none.
std::string_view LastValue(const Request& request, std::string_view name) {
  for (size_t i = request.field_count(); i-- > 0;) {
    const Field field = request.field(i);
    if (field.name == name) return Trim(field.value.substr(field.value.rfind(',') + 1));
  }
  return {};
}

// A hop without what some proxies add: "1.2.3.4:5678", "[2001:db8::1]", "[2001:db8::1]:5678".
std::string_view AddressOfHop(std::string_view hop) {
  if (hop.starts_with('[')) {
    const size_t end = hop.find(']');
    if (end == std::string_view::npos) return {};
    const std::string_view rest = hop.substr(end + 1);
    const bool well_formed = rest.empty() || (rest.front() == ':' && ParsePort(rest.substr(1)));
    return well_formed ? hop.substr(1, end - 1) : std::string_view();
  }
  const size_t colon = hop.find(':');
  if (colon == std::string_view::npos || hop.find(':', colon + 1) != std::string_view::npos) return hop;
  return ParsePort(hop.substr(colon + 1)) ? hop.substr(0, colon) : std::string_view();
}

// "::ffff:203.0.113.7", which a dual-stack listener or proxy reports, as PHP
// applications expect it: "203.0.113.7".
std::string_view Unmapped(std::string_view address) {
  constexpr std::string_view kMapped = "::ffff:";
  const bool mapped = address.starts_with(kMapped) && address.find('.') != std::string_view::npos;
  return mapped ? address.substr(kMapped.size()) : address;
}

// Walks the hops from the right while they are trusted. Returns false when
// the walk is over: `client` then holds the last hop that can be believed.
class HopWalk {
 public:
  HopWalk(const AddressSet& trusted, EffectiveClient& client) : trusted_(trusted), client_(client) {}

  bool Field(std::string_view value) {
    for (;;) {
      const size_t comma = value.rfind(',');
      if (!Hop(Trim(value.substr(comma + 1)))) return false;  // npos + 1 is 0: all of it
      if (comma == std::string_view::npos) return true;
      value = value.substr(0, comma);
    }
  }

 private:
  bool Hop(std::string_view hop) {
    if (++hops_ > kMaxHops) return false;
    const std::string_view text = AddressOfHop(hop);
    const std::optional<IpAddress> address = ParseIpAddress(text);
    if (!address) return false;
    client_.address = Unmapped(text);
    client_.port = 0;
    client_.key = ClientKey(*address);
    return trusted_.Contains(*address);
  }

  const AddressSet& trusted_;
  EffectiveClient& client_;
  int hops_ = 0;
};

void WalkHops(const Request& request, const AddressSet& trusted, EffectiveClient& client) {
  HopWalk walk(trusted, client);
  for (size_t i = request.field_count(); i-- > 0;) {
    const Field field = request.field(i);
    if (field.name == "x-forwarded-for" && !walk.Field(field.value)) break;
  }
}

void ApplyForwarded(const Request& request, const AddressSet& trusted, EffectiveClient& client) {
  WalkHops(request, trusted, client);
  const std::string_view proto = LastValue(request, "x-forwarded-proto");
  if (EqualsIgnoringCase(proto, "https")) client.https = true;
  if (EqualsIgnoringCase(proto, "http")) client.https = false;
  const std::string_view host = LastValue(request, "x-forwarded-host");
  if (IsAuthority(host)) client.authority = host;

  const uint16_t default_port = client.https ? 443 : 80;
  client.server_port = PortOf(client.authority).value_or(default_port);
  if (const auto port = ParsePort(LastValue(request, "x-forwarded-port"))) client.server_port = *port;
}

// By FastCGI: the web server in front is our eyes and ears.
void ApplyParams(const Request& request, const AddressSet& trusted, EffectiveClient& client) {
  const std::string_view address = request.FindParam(CgiParam::kRemoteAddr).value_or("");
  client.address = ParseIpAddress(address) ? Unmapped(address) : std::string_view();  // nginx: "unix:"
  client.port = ParsePort(request.FindParam(CgiParam::kRemotePort).value_or("")).value_or(0);
  client.key = ClientKey(client.address);
  const std::string_view https = request.FindParam(CgiParam::kHttps).value_or("");
  client.https = https.empty() ? request.FindParam(CgiParam::kRequestScheme) == "https"
                               : !EqualsIgnoringCase(https, "off");
  const uint16_t default_port = client.https ? 443 : 80;
  client.server_port =
      ParsePort(request.FindParam(CgiParam::kServerPort).value_or("")).value_or(default_port);
  if (trusted.ContainsPeer(client.address)) WalkHops(request, trusted, client);
}

}  // namespace

bool IsAuthority(std::string_view text) {
  if (text.empty() || text.size() > kMaxAuthority) return false;
  size_t end = 0;
  if (text.front() == '[') {
    end = text.find(']');
    if (end == std::string_view::npos || text.substr(0, end).find(':') == std::string_view::npos)
      return false;
    if (!ParseIpAddress(text.substr(1, end - 1))) return false;
    ++end;
  } else {
    const auto in_name = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
             c == '-' || c == '_';
    };
    while (end < text.size() && in_name(text[end])) ++end;
    if (end == 0) return false;
  }
  return end == text.size() || (text[end] == ':' && ParsePort(text.substr(end + 1)));
}

EffectiveClient EffectiveClientOf(const Request& request, const ConnectionInfo& connection,
                                  const AddressSet& trusted) {
  EffectiveClient client;
  client.authority = request.authority();
  if (request.protocol == Protocol::kFastCgi) {
    ApplyParams(request, trusted, client);
    return client;
  }
  client.address = Unmapped(connection.peer_address);
  client.port = connection.peer_port;
  client.https = connection.tls;
  client.server_port = connection.local_port;
  client.key = ClientKey(client.address);
  if (connection.trusted_peer) ApplyForwarded(request, trusted, client);
  return client;
}

}  // namespace serin
