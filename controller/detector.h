#pragma once
// The sequential tests behind the fast rule (docs/VERDICT.md): banks of CUSUM
// detectors that may be looked at after every response. Pure values; the
// controller's thread.

#include <array>
#include <cstddef>
#include <span>

#include "controller/plan.h"
#include "proxy/base/instant.h"
#include "proxy/base/types.h"

namespace serin {

// More thetas than this in a plan are ignored: one cache line per array.
inline constexpr size_t kDetectors = 8;

// One detector per suspected rate θ. Each response moves each level by its
// log likelihood ratio, S = max(0, S + (x ? ln(θ/p0) : ln((1-θ)/(1-p0)))), and
// the bank trips when a level reaches its threshold h = ln(k·N/α) + c.
//
// Levels stop at their threshold: crossing is all that matters, and what a
// long outage piled up must not outlive it by hours. 6 ns per response.
class DetectorBank {
 public:
  // `p0`: the limit, 0 < p0 < 1. θ at or below p0 are left out. With the
  // default θ and another p0, the θ move with it at equal odds ratio and the
  // c_j fall back on a conservative estimate, because they were calibrated at 5 %.
  void Configure(double p0, const SequentialPlan& plan);
  // N: responses that the whole plan expects. Sets the thresholds.
  void SetExpected(double responses);
  void Reset() { level_.fill(0); }

  // Takes one response; true when a detector stands at its threshold.
  bool Update(bool failed) {
    const std::array<double, kDetectors>& move = failed ? up_ : down_;
    bool tripped = false;
    for (size_t j = 0; j < kDetectors; ++j) {
      double level = level_[j] + move[j];
      level = level > 0 ? level : 0;
      level = level < threshold_[j] ? level : threshold_[j];
      level_[j] = level;
      tripped |= level >= threshold_[j];
    }
    return tripped;
  }

  size_t size() const { return size_; }
  double theta(size_t j) const { return theta_[j]; }
  double level(size_t j) const { return level_[j]; }
  double threshold(size_t j) const { return threshold_[j]; }
  bool reached(size_t j) const { return level_[j] >= threshold_[j]; }
  // The detector nearest to its threshold, and how near: 0 to 1.
  size_t Leader() const;
  double Evidence() const;
  // Highest level of all, in nats.
  double Highest() const;
  void SetLevels(std::span<const double> levels);

 private:
  size_t size_ = 0;
  double alpha_ = 0.1;
  std::array<double, kDetectors> up_{};
  std::array<double, kDetectors> down_{};
  std::array<double, kDetectors> level_{};
  std::array<double, kDetectors> threshold_ = Never();
  std::array<double, kDetectors> theta_{};
  std::array<double, kDetectors> correction_{};

  static constexpr std::array<double, kDetectors> Never() {
    std::array<double, kDetectors> never{};
    never.fill(1e300);
    return never;
  }
};

// A pool that is not there: a bank over connection-level failures, each
// detector of which must have been above zero for `span` without a break. So
// the moments of an FPM reload never add up to a verdict.
class DeadPoolRule {
 public:
  void Configure(double p0, const SequentialPlan& plan, absl::Duration span);
  void SetExpected(double responses) { bank_.SetExpected(responses); }
  void Reset() { bank_.Reset(); }
  // True when the pool has been dead for long enough.
  bool Update(bool dead, Instant at);
  const DetectorBank& bank() const { return bank_; }
  DetectorBank& bank() { return bank_; }

 private:
  DetectorBank bank_;
  absl::Duration span_;
  std::array<Instant, kDetectors> since_{};
};

// Is a failure the canary's own? For each failure of either pool: was it the
// canary's? With no difference between the pools (up to a factor of ρ) the
// chance is ρw/(ρw+1-w). CUSUMs against odds of 4, 8, 32 and 256.
class DifferenceTest {
 public:
  // `weight`: the canary's share at present. Levels are kept.
  void Configure(Weight weight, double rho);
  void Reset() { level_.fill(0); }
  void Update(bool canary);
  // The pools do differ, at a chance of 0.1 % to be wrong. Never at weight
  // 100 %: there is nothing to compare with.
  bool Seen() const;

 private:
  static constexpr size_t kRatios = 4;
  std::array<double, kRatios> up_{};
  std::array<double, kRatios> down_{};
  std::array<double, kRatios> level_{};
};

}  // namespace serin
