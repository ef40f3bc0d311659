#pragma once
// The few words that every part of Serin shares: pool, role, weight, epoch.
// Plain values; any thread.

#include <cstdint>
#include <string_view>

namespace serin {

// The two PHP-FPM pools. They are places; stable and canary are roles that
// swap between them when a rollout is finalised.
enum class PoolId : uint8_t { kBlue = 0, kGreen = 1 };
inline constexpr int kPoolCount = 2;
inline constexpr PoolId kPools[kPoolCount] = {PoolId::kBlue, PoolId::kGreen};

constexpr int Index(PoolId pool) { return static_cast<int>(pool); }
constexpr PoolId Other(PoolId pool) { return pool == PoolId::kBlue ? PoolId::kGreen : PoolId::kBlue; }
constexpr std::string_view Name(PoolId pool) { return pool == PoolId::kBlue ? "blue" : "green"; }

enum class Role : uint8_t { kStable = 0, kCanary = 1 };
inline constexpr int kRoleCount = 2;
constexpr int Index(Role role) { return static_cast<int>(role); }
constexpr std::string_view Name(Role role) { return role == Role::kStable ? "stable" : "canary"; }

// A share of traffic in basis points, 0 to 10,000. Explicit on purpose: 25
// could be percent or basis points, Weight::Percent(25) is not a question.
class Weight {
 public:
  static constexpr uint32_t kFull = 10000;
  constexpr Weight() = default;
  // Values above 10,000 are clamped: a weight can never mean "more than all".
  static constexpr Weight BasisPoints(uint32_t bp) { return Weight(bp > kFull ? kFull : bp); }
  static constexpr Weight Percent(uint32_t percent) {
    return BasisPoints(percent > 100 ? kFull : percent * 100);
  }
  static constexpr Weight Zero() { return Weight(0); }
  static constexpr Weight All() { return Weight(kFull); }

  constexpr uint32_t basis_points() const { return bp_; }
  constexpr double ratio() const { return bp_ / static_cast<double>(kFull); }
  constexpr bool is_zero() const { return bp_ == 0; }
  friend constexpr auto operator<=>(Weight, Weight) = default;

 private:
  explicit constexpr Weight(uint32_t bp) : bp_(bp) {}
  uint32_t bp_ = 0;
};

// Which version of the split routed a request. Grows by one with every change
// of the split and never repeats within a state directory. Only 32 bits travel
// in the split word.
class Epoch {
 public:
  constexpr Epoch() = default;
  explicit constexpr Epoch(uint32_t value) : value_(value) {}
  constexpr uint32_t value() const { return value_; }
  constexpr Epoch Next() const { return Epoch(value_ + 1); }
  friend constexpr auto operator<=>(Epoch, Epoch) = default;

 private:
  uint32_t value_ = 0;
};

}  // namespace serin
