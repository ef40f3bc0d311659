#include "proxy/route/router.h"

#include <algorithm>
#include <charconv>

#include "proxy/split/cohort.h"
#include "proxy/split/sequence.h"

namespace serin {
namespace {

constexpr size_t kIdDigits = 16;
// 2^32 / golden ratio, odd: the multiples of it, modulo 2^32, fill the range
// more evenly than those of any other step (Knuth, TAOCP 6.4).
constexpr uint64_t kGoldenStep = 0x9E3779B9;

// Takes as long whatever the difference is; the length is no secret.
bool SameSecret(std::string_view given, std::string_view secret) {
  if (given.size() != secret.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < secret.size(); ++i) difference |= static_cast<unsigned>(given[i] ^ secret[i]);
  return difference == 0;
}

// "canary", or "canary:SECRET" where there is one.
std::optional<Role> RoleNamed(std::string_view value, const SplitSettings& settings) {
  const size_t colon = std::min(value.find(':'), value.size());
  const std::string_view word = value.substr(0, colon);
  const bool secret = !settings.override_secret.empty();
  if (secret && !SameSecret(value.substr(std::min(colon + 1, value.size())), settings.override_secret))
    return std::nullopt;
  if (!secret && colon != value.size()) return std::nullopt;
  if (word == Name(Role::kStable)) return Role::kStable;
  if (word == Name(Role::kCanary)) return Role::kCanary;
  return std::nullopt;
}

std::optional<Role> Override(const Request& request, const EffectiveClient& client,
                             const SplitSettings& settings) {
  std::optional<Role> role;
  if (!settings.override_header.empty()) {
    if (const auto value = request.Find(settings.override_header)) role = RoleNamed(*value, settings);
  }
  if (!role && !settings.override_cookie.empty()) {
    if (const auto value = FindCookie(request, settings.override_cookie)) role = RoleNamed(*value, settings);
  }
  if (!role || settings.override_from.empty()) return role;
  return settings.override_from.ContainsPeer(client.address) ? role : std::nullopt;
}

// "/shop" is "/shop" and "/shop/cart", not "/shopping".
bool IsBelow(std::string_view path, std::string_view folder) {
  if (!path.starts_with(folder)) return false;
  return folder.ends_with('/') || path.size() == folder.size() || path[folder.size()] == '/';
}

bool IsPinned(const Request& request, const std::vector<PinRule>& pins) {
  return std::any_of(pins.begin(), pins.end(), [&](const PinRule& pin) {
    const auto& methods = pin.methods;
    return IsBelow(request.path(), pin.path) &&
           (methods.empty() || std::find(methods.begin(), methods.end(), request.method()) != methods.end());
  });
}

std::optional<uint64_t> ParseId(std::string_view text) {
  if (text.size() != kIdDigits) return std::nullopt;
  uint64_t id = 0;
  for (char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    id = id << 4 | static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return id;
}

uint64_t NewId(uint64_t salt, SplitCell& tickets, RandomSource& random) {
  const uint64_t place = tickets.NextTicket() * kGoldenStep & 0xFFFFFFFF;
  return CohortKeyAt(place << 32 | random.Next() >> 32, salt);
}

// The key of a request that has one; draws one for a new visitor.
std::optional<uint64_t> KeyOf(const Request& request, const EffectiveClient& client, const SplitState& split,
                              const SplitSettings& settings, SplitCell& tickets, RandomSource& random,
                              RouteDecision& decision) {
  switch (settings.key) {
    case SplitKey::kNone:
      return std::nullopt;
    case SplitKey::kCookie:
      if (const auto cookie = FindCookie(request, settings.cookie_name)) {
        if (const auto id = ParseId(*cookie)) return id;
      }
      decision.new_id = NewId(split.cohort_salt(), tickets, random);
      return decision.new_id;
    case SplitKey::kAddress:
      return client.key != 0 ? std::optional(client.key) : std::nullopt;
    case SplitKey::kHeader: {
      const auto value = request.Find(settings.header);
      return value && !value->empty() ? std::optional(HashBytes(*value)) : std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace

RouteDecision Route(const Request& request, const EffectiveClient& client, const SplitState& split,
                    const SplitSettings& settings, SplitCell& tickets, RandomSource& random) {
  RouteDecision decision;
  if (split.drained()) {
    decision.pool = split.stable_pool();
    return decision;
  }
  if (const auto role = Override(request, client, settings)) {
    decision.role = *role;
    decision.forced = true;
  } else if (!split.idle() && IsPinned(request, settings.pins)) {
    decision.pinned = true;
  } else if (split.canary_weight == Weight::All()) {
    decision.role = Role::kCanary;
  } else if (!split.canary_weight.is_zero()) {
    const auto key = KeyOf(request, client, split, settings, tickets, random, decision);
    const bool canary = key ? CohortPicksCanary(*key, split.cohort_salt(), split.canary_weight)
                            : SequencePicksCanary(tickets.NextTicket(), split.canary_weight);
    decision.role = canary ? Role::kCanary : Role::kStable;
  }
  decision.pool = split.pool(decision.role);
  return decision;
}

std::optional<std::string_view> FindCookie(const Request& request, std::string_view name) {
  for (size_t i = 0; i < request.field_count(); ++i) {
    const Field field = request.field(i);
    if (field.name != "cookie") continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(';'), rest.size());
      std::string_view pair = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      while (!pair.empty() && (pair.front() == ' ' || pair.front() == '\t')) pair.remove_prefix(1);
      while (!pair.empty() && (pair.back() == ' ' || pair.back() == '\t')) pair.remove_suffix(1);
      if (pair.size() > name.size() && pair[name.size()] == '=' && pair.starts_with(name)) {
        return pair.substr(name.size() + 1);
      }
    }
  }
  return std::nullopt;
}

void SetCookieLine(std::string& out, const SplitSettings& settings, uint64_t id, bool https) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out.append(settings.cookie_name).push_back('=');
  for (int shift = 60; shift >= 0; shift -= 4) out.push_back(kHex[id >> shift & 15]);
  char digits[20];
  const int64_t age = absl::ToInt64Seconds(settings.cookie_max_age);
  const char* end = std::to_chars(digits, digits + sizeof digits, age).ptr;
  out.append("; Path=/; Max-Age=").append(digits, static_cast<size_t>(end - digits));
  out.append("; HttpOnly; SameSite=Lax");
  if (https) out.append("; Secure");
}

}  // namespace serin
