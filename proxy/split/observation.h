#pragma once
// What a worker tells the controller about one request: a fixed-size value,
// pushed through a ring per worker. See docs/VERDICT.md for what counts.

#include <array>
#include <cstdint>
#include <string_view>

#include "proxy/base/instant.h"
#include "proxy/base/types.h"

namespace serin {

// Why a pool did not give a whole, well-formed answer. Also the `reason`
// label of serin_backend_errors_total.
enum class BackendError : uint8_t {
  kNone,
  kRefused,         // connect: refused, no such socket, unreachable
  kSaturated,       // connect: EAGAIN (the unix backlog is full), or queue full or waited too long
  kConnectTimeout,  // no connection in connect_timeout
  kSendTimeout,     // PHP-FPM took no more of the request for send_timeout
  kReset,           // closed or reset before the first byte of the answer
  kTruncated,       // closed or reset in the middle of the answer
  kReadTimeout,     // no byte for read_timeout
  kProtocol,        // bytes that are not FastCGI, or a CGI head that is not one
  kOverloaded,      // END_REQUEST with FCGI_OVERLOADED or FCGI_CANT_MPX_CONN
};
inline constexpr int kBackendErrorCount = 10;
std::string_view Name(BackendError error);

// The pool is not there at all: the dead-pool rule (verdict.md) counts these.
constexpr bool MeansDeadPool(BackendError error) {
  return error == BackendError::kRefused || error == BackendError::kSaturated ||
         error == BackendError::kReset;
}

// There was no room at the pool: a trouble of capacity, unlike a bad answer.
constexpr bool MeansNoRoom(BackendError error) {
  return error == BackendError::kRefused || error == BackendError::kSaturated ||
         error == BackendError::kConnectTimeout || error == BackendError::kOverloaded;
}

// One request, or one half of it: a request that passes the latency limit
// while in flight is reported at once as slow (has_latency only) and when it
// ends for its outcome (has_outcome only). An ordinary request reports both.
struct Observation {
  Instant at;               // when the worker knew, steady clock
  uint64_t client = 0;      // hash of the client's address; 0: unknown
  Epoch epoch;              // the split that routed it
  uint32_t latency_us = 0;  // valid with has_latency; saturates at 71 minutes
  uint16_t status = 0;      // of the pool's answer; 0: none came
  PoolId pool = PoolId::kBlue;
  Role role = Role::kStable;  // the pool's role in that epoch
  BackendError backend_error = BackendError::kNone;
  bool has_outcome : 1 = true;
  bool has_latency : 1 = true;
  bool error : 1 = false;   // 5xx, a backend error, or a fatal on stderr
  bool slow : 1 = false;    // over the latency limit
  bool forced : 1 = false;  // routed by an override or a pin: never part of a verdict
  bool client_left : 1 = false;
  bool shadow : 1 = false;  // a copy that no client waits for: judged, but not part of the traffic
};
static_assert(sizeof(Observation) <= 40);

// Text for `explain`, sent with failed and slow observations only, dropped when the
// ring is full. Not terminated: use the accessors.
struct FailureDetail {
  Instant at;
  PoolId pool = PoolId::kBlue;
  uint16_t status = 0;
  BackendError backend_error = BackendError::kNone;
  bool slow = false;  // and nothing worse
  uint8_t script_size = 0;
  uint8_t message_size = 0;
  std::array<char, 96> script_bytes{};    // path of the script, cut at the left
  std::array<char, 160> message_bytes{};  // first line of stderr, cut at the right

  std::string_view script() const { return {script_bytes.data(), script_size}; }
  std::string_view message() const { return {message_bytes.data(), message_size}; }
  void set_script(std::string_view text);
  void set_message(std::string_view text);
};

}  // namespace serin
