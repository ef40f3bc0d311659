#pragma once
// Which role, and so which pool, serves a request: override → cohort →
// sequence. Pure but for the ticket counter and the random source; a worker's
// thread, once per request.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/base/hash.h"
#include "proxy/base/types.h"
#include "proxy/message.h"
#include "proxy/route/forwarded.h"
#include "proxy/settings.h"
#include "proxy/split/split_state.h"

namespace serin {

// Random numbers for ids: SplitMix64, seeded by whoever owns it (getrandom in
// the worker, a constant in tests). Not for secrets: an id is none, anyone may
// choose their own.
class RandomSource {
 public:
  explicit RandomSource(uint64_t seed) : state_(seed) {}
  uint64_t Next() { return Mix64(state_ += 0x9E3779B97F4A7C15ULL); }

 private:
  uint64_t state_;
};

struct RouteDecision {
  Role role = Role::kStable;
  PoolId pool = PoolId::kBlue;
  bool forced = false;             // by override: never part of a verdict
  bool pinned = false;             // to stable, by a rule: no part of it either
  std::optional<uint64_t> new_id;  // the client has none yet: send SetCookieLine
};

// - While the canary's pool is drained everything goes to stable.
// - Override: settings.override_header, then settings.override_cookie, with the
//   value "stable" or "canary"; any other value is ignored. Works at every
//   weight. With settings.override_from only from these clients, with
//   settings.override_secret only as "canary:SECRET" (compared in constant time).
// - Pins: what one of settings.pins matches is stable's.
// - Pins hold for what shadowing copies, too.
// - At weight 0 and at 100 % nothing else is looked at and no ticket is drawn.
// - kCookie: the id in settings.cookie_name, 16 lower-case hex digits; anything
//   else is no id. A visitor without one is given an id whose place in the
//   cohort range comes from a golden-ratio sequence over the tickets, so that
//   new visitors fill the range evenly and the canary's share is met from the
//   first ones on.
// - kAddress, kHeader: the cohort of the address's key or the value's hash.
// - kNone, or a key that is missing: the exact sequence.
RouteDecision Route(const Request& request, const EffectiveClient& client, const SplitState& split,
                    const SplitSettings& settings, SplitCell& tickets, RandomSource& random);

// Value of the first cookie of that name; quotes are not taken off.
std::optional<std::string_view> FindCookie(const Request& request, std::string_view name);

// Appends the value of Set-Cookie for a new id:
// "serin_id=00c0ffee00c0ffee; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax", "; Secure" on https.
void SetCookieLine(std::string& out, const SplitSettings& settings, uint64_t id, bool https);

}  // namespace serin
