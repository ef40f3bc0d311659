#pragma once
// Whether a request that the canary failed may be tried on stable instead: what
// may be sent twice, and how often. Values; a worker's thread, one per worker.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>

#include "proxy/base/instant.h"
#include "proxy/settings.h"
#include "proxy/split/observation.h"

namespace serin {

// RFC 9110 §9.2.2: may be sent again when the first try had no effect we know of.
bool IsIdempotent(std::string_view method);
inline bool IsGetOrHead(std::string_view method) { return method == "GET" || method == "HEAD"; }

// The pool never saw the request: anything may be sent elsewhere.
constexpr bool NothingReachedPool(BackendError error) {
  return error == BackendError::kRefused || error == BackendError::kSaturated ||
         error == BackendError::kConnectTimeout;
}

// An answer of the canary's that is withheld in favour of stable's. Others of
// 5xx are deliberate (501, 505, 507 …): stable would say the same.
constexpr bool IsRescuable(uint16_t status) {
  return status == 500 || status == 502 || status == 503 || status == 504;
}

enum class RescueClaim : uint8_t { kAllowed, kNoBudget, kStableUnhealthy };

// One worker's account. Each request pays in `share` of a rescue, a rescue
// costs one, so rescues stay within that share of the worker's own requests
// without a word between workers. What a burst may spend at once is bounded
// by kMost; a site with little traffic lives on the floor, one rescue a second
// and kFloor of them saved up.
//
// Stable is unhealthy while more than kTolerated of its last 32 answers on
// this worker were errors: it needs no further load, and would not help. After
// 5 s without an answer from it, that is forgotten.
class RescueBudget {
 public:
  static constexpr int64_t kOne = 10'000;  // a rescue; so a request pays in the share's basis points
  static constexpr int64_t kMost = 100 * kOne;
  static constexpr int64_t kFloor = 10 * kOne;
  static constexpr int kTolerated = 4;
  static constexpr int64_t kForgetNanos = 5'000'000'000;

  void Configure(const RescueSettings& settings);

  void CountRequest() { balance_ = std::min(balance_ + deposit_, kMost); }
  // How stable did: rescues included, clients that left excluded.
  void NoteStable(bool failed, Instant now) {
    recent_ = (now.nanos() - recent_at_.nanos() > kForgetNanos ? 0 : recent_ << 1) | uint32_t{failed};
    recent_at_ = now;
  }
  // Takes one out of the account when allowed.
  RescueClaim Claim(Instant now);

 private:
  int64_t deposit_ = 0;  // 0: rescue is off
  int64_t balance_ = kFloor;
  Instant floor_at_;     // up to when the floor has been paid in
  uint32_t recent_ = 0;  // stable's last answers, the latest lowest; 1: failed
  Instant recent_at_;
};

}  // namespace serin
