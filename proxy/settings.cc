#include "proxy/settings.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <charconv>

#include "proxy/base/address.h"

namespace serin {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr size_t kMaxUnixPath = sizeof(sockaddr_un::sun_path) - 1;

absl::Status Bad(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format("\"{}\" is no address: {}", text, why));
}

absl::StatusOr<SocketAddress> ParseUnix(std::string_view text) {
  SocketAddress address;
  address.kind = SocketAddress::Kind::kUnix;
  address.path = text.substr(kUnixPrefix.size());
  if (!address.path.starts_with('/')) return Bad(text, "the path of a unix socket must begin with \"/\"");
  if (address.path.find('\0') != std::string::npos) return Bad(text, "a path cannot contain NUL");
  if (address.path.size() > kMaxUnixPath) {
    return Bad(text, fmt::format("the path of a unix socket has at most {} bytes", kMaxUnixPath));
  }
  return address;
}

}  // namespace

std::string SocketAddress::ToString() const {
  if (kind == Kind::kUnix) return fmt::format("{}{}", kUnixPrefix, path);
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

absl::StatusOr<SocketAddress> ParseSocketAddress(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return ParseUnix(text);
  SocketAddress address;
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return Bad(text, "expected HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080, or unix:/path");
  }
  const std::string_view port = text.substr(colon + 1);
  const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || error != std::errc() || stop != port.data() + port.size()) {
    return Bad(text, "the port must be a number from 0 to 65535");
  }
  std::string_view host = text.substr(0, colon);
  const bool brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  const bool v6 = host.find(':') != std::string_view::npos;
  if (v6 && !brackets) return Bad(text, "an IPv6 address stands in brackets, such as [::1]:8080");
  if (!ParseIpAddress(host) || (brackets && !v6)) {
    return Bad(text, "the host must be a numeric address, such as 127.0.0.1, 0.0.0.0 or [::]");
  }
  address.host = host;
  return address;
}

}  // namespace serin
