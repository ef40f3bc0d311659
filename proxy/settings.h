#pragma once
// What the data plane is told: an immutable snapshot, made by config/, shared
// by all workers, replaced whole on a reload. Every member has the default
// that conf/serin.toml documents.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proxy/base/address.h"
#include "proxy/base/types.h"
#include "proxy/session.h"

namespace serin {

// "127.0.0.1:8080", "[::1]:8080" or "unix:/run/serin/http.sock".
struct SocketAddress {
  enum class Kind : uint8_t { kTcp, kUnix };
  Kind kind = Kind::kTcp;
  std::string host;  // kTcp: numeric address without brackets
  uint16_t port = 0;
  std::string path;  // kUnix
  std::string ToString() const;
  friend bool operator==(const SocketAddress&, const SocketAddress&) = default;
};
// The inverse of ToString. Hosts are numeric: a name would have to be looked up
// again whenever it may have moved. Port 0 is taken (listeners: any free one).
// InvalidArgument, with a sentence for people, otherwise.
absl::StatusOr<SocketAddress> ParseSocketAddress(std::string_view text);

enum class ListenProtocol : uint8_t { kHttp, kHttps, kFastCgi };

struct ListenerSettings {
  SocketAddress address;
  ListenProtocol protocol = ListenProtocol::kHttp;
  bool proxy_protocol = false;  // expect PROXY v1 or v2 before anything else
  uint32_t mode = 0666;         // of a unix socket's file
  int backlog = 4096;           // listen(2); the kernel caps it at net.core.somaxconn
  friend bool operator==(const ListenerSettings&, const ListenerSettings&) = default;
};

enum class KeepAlive : uint8_t { kOff, kBusy, kOn };
// How a path becomes a script: any .php file under the root, or only the front controller.
enum class Scripts : uint8_t { kAny, kFrontController };

struct PoolSettings {
  SocketAddress address;
  std::string root;                            // may be a symlink; resolved when the pool is (re)opened
  std::string front_controller = "index.php";  // "": a path that names no script is 404
  Scripts scripts = Scripts::kAny;
  int max_connections = 20;  // all workers together, idle ones counted
  int queue_size = 1024;     // requests waiting for a connection, all workers together
  absl::Duration queue_timeout = absl::Seconds(10);
  KeepAlive keep_alive = KeepAlive::kBusy;
  absl::Duration keep_alive_timeout = absl::Seconds(2);  // keep_alive = "on": longest idle time
  absl::Duration connect_timeout = absl::Seconds(2);
  absl::Duration send_timeout = absl::Seconds(30);
  absl::Duration read_timeout = absl::Seconds(60);          // between bytes of the answer
  absl::Duration total_timeout = absl::ZeroDuration();      // whole answer; zero: no limit
  std::string status_address;                               // pm.status_listen; "": not asked
  std::string health_path;                                  // ping.path; "": not asked
  std::string status_path = "/status";                      // pm.status_path
  std::vector<std::pair<std::string, std::string>> params;  // extra FastCGI params, for this pool
};

enum class SplitKey : uint8_t { kNone, kCookie, kAddress, kHeader };

// [[split.pin]]: requests that stay on stable while a canary has weight.
struct PinRule {
  std::string path = "/";            // with all that is below it
  std::vector<std::string> methods;  // empty: all
};

struct SplitSettings {
  SplitKey key = SplitKey::kCookie;
  std::string header;  // kHeader: lower-case name
  std::string cookie_name = "serin_id";
  absl::Duration cookie_max_age = absl::Hours(24 * 30);
  std::string override_header = "x-serin-route";  // "stable" or "canary"; "": none
  std::string override_cookie = "serin_route";
  AddressSet override_from;     // clients whose overrides are heard; empty: everybody's
  std::string override_secret;  // an override is "canary:SECRET" then; "": none
  std::vector<PinRule> pins;
};

// [rescue]: what the canary failed is tried once on stable.
struct RescueSettings {
  bool enabled = true;
  double budget = 0.10;  // at most this share of requests, 0 to 1
};

// [tls]: what https listeners present. The first certificate is the default,
// the others are chosen by server name.
struct TlsSettings {
  struct Certificate {
    std::string certificate;         // PEM file, leaf first, then its chain
    std::string key;                 // PEM file
    std::string ocsp_response = {};  // DER file; "": nothing is stapled
    friend bool operator==(const Certificate&, const Certificate&) = default;
  };
  enum class Version : uint8_t { k12, k13 };
  std::vector<Certificate> certificates;  // empty: no [tls]
  Version min_version = Version::k12;
};

enum class AccessLogTarget : uint8_t { kOff, kStdout, kFile };

struct AccessLogSettings {
  AccessLogTarget target = AccessLogTarget::kOff;
  std::string path;
};

struct DataplaneSettings {
  int workers = 0;                     // 0: one per core
  int max_client_connections = 20000;  // all workers together
  std::vector<ListenerSettings> listeners;
  ClientLimits limits;
  PoolSettings pools[kPoolCount];
  SplitSettings split;
  RescueSettings rescue;
  AccessLogSettings access_log;
  bool request_ids = true;         // begin a traceparent and an X-Request-ID where a request has none
  std::string pool_header;         // e.g. "X-Serin-Pool"; "": not sent
  std::string server_header = "";  // Server: of answers that PHP gave none
  // CIDRs, or "unix:" for any local peer. Not loopback: whoever proxies over TCP says so here.
  std::vector<std::string> trusted_proxies = {"unix:"};
  absl::Duration slow_limit = absl::Seconds(2);  // = [rollout] max_p95
  Weight shadow;                                 // = [shadow] share
  bool fatal_stderr_is_error = true;             // "PHP Fatal error" on stderr counts as an error
  absl::Duration drain_timeout = absl::Seconds(30);
};

}  // namespace serin
