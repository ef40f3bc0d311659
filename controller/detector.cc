#include "controller/detector.h"

#include <algorithm>
#include <cmath>

namespace serin {
namespace {

// Where the default corrections were calibrated (docs/VERDICT.md).
constexpr double kCalibratedAt = 0.05;

double Odds(double p) { return p / (1 - p); }

// The chance that a CUSUM crosses h within N responses is near N·K·e^-h with
// K = KL(p0‖θ) times an overshoot factor below one (Siegmund, Sequential
// Analysis, ch. VIII). Leaving that factor out keeps the threshold on the safe
// side; never above the theorem's c = 0.
double ConservativeCorrection(double p0, double theta) {
  const double divergence = p0 * std::log(p0 / theta) + (1 - p0) * std::log((1 - p0) / (1 - theta));
  return std::min(0.0, std::log(divergence));
}

}  // namespace

void DetectorBank::Configure(double p0, const SequentialPlan& plan) {
  const bool calibrated = std::abs(p0 - kCalibratedAt) < 1e-9;
  const bool defaults =
      plan.theta == SequentialPlan().theta && plan.correction == SequentialPlan().correction;
  const std::array<double, kDetectors> before = theta_;
  const size_t size_before = size_;
  size_ = 0;
  alpha_ = plan.alpha;
  up_.fill(0);
  down_.fill(0);
  theta_.fill(0);
  threshold_ = Never();
  if (!plan.enabled || p0 <= 0 || p0 >= 1) return;
  for (size_t i = 0; i < plan.theta.size() && size_ < kDetectors; ++i) {
    double theta = plan.theta[i];
    double correction = i < plan.correction.size() ? plan.correction[i] : 0;
    if (defaults && !calibrated) {
      const double odds = Odds(theta) * Odds(p0) / Odds(kCalibratedAt);
      theta = odds / (1 + odds);
      correction = ConservativeCorrection(p0, theta);
    }
    if (theta <= p0 || theta >= 1) continue;
    theta_[size_] = theta;
    up_[size_] = std::log(theta / p0);
    down_[size_] = std::log((1 - theta) / (1 - p0));
    correction_[size_] = correction;
    ++size_;
  }
  // Levels speak of the old rates; with others they mean nothing.
  if (size_ != size_before || theta_ != before) Reset();
}

void DetectorBank::SetExpected(double responses) {
  const double base =
      std::log(static_cast<double>(std::max<size_t>(size_, 1)) * std::max(responses, 1.0) / alpha_);
  // At least one nat: no plan, however short, is judged on a single response.
  for (size_t j = 0; j < size_; ++j) threshold_[j] = std::max(1.0, base + correction_[j]);
}

size_t DetectorBank::Leader() const {
  size_t leader = 0;
  for (size_t j = 1; j < size_; ++j) {
    if (level_[j] / threshold_[j] > level_[leader] / threshold_[leader]) leader = j;
  }
  return leader;
}

double DetectorBank::Evidence() const {
  const size_t leader = Leader();
  return size_ == 0 ? 0 : std::min(1.0, level_[leader] / threshold_[leader]);
}

double DetectorBank::Highest() const { return *std::max_element(level_.begin(), level_.end()); }

void DetectorBank::SetLevels(std::span<const double> levels) {
  level_.fill(0);
  for (size_t j = 0; j < std::min(levels.size(), size_); ++j) {
    if (std::isfinite(levels[j])) level_[j] = std::clamp(levels[j], 0.0, threshold_[j]);
  }
}

void DeadPoolRule::Configure(double p0, const SequentialPlan& plan, absl::Duration span) {
  span_ = span;
  bank_.Configure(p0, plan);
}

bool DeadPoolRule::Update(bool dead, Instant at) {
  if (!dead) {
    bank_.Update(false);
    return false;
  }
  for (size_t j = 0; j < bank_.size(); ++j) {
    if (bank_.level(j) <= 0) since_[j] = at;
  }
  if (!bank_.Update(true)) return false;
  for (size_t j = 0; j < bank_.size(); ++j) {
    if (bank_.reached(j) && at - since_[j] >= span_) return true;
  }
  return false;
}

namespace {
constexpr double kRatioOf[] = {4, 8, 32, 256};
// ln(4/0.001): four alternatives, 0.1 %. It is asked again and again while an
// outage lasts, so 5 % would call every longer one the canary's.
constexpr double kDifferenceThreshold = 8.294;
}  // namespace

void DifferenceTest::Configure(Weight weight, double rho) {
  const double w = weight.ratio();
  up_.fill(0);
  down_.fill(0);
  if (w <= 0 || w >= 1) return;
  const double p0 = rho * w / (rho * w + 1 - w);
  for (size_t j = 0; j < kRatios; ++j) {
    const double ratio = std::max(rho * 1.5, kRatioOf[j]);
    const double p = ratio * w / (ratio * w + 1 - w);
    up_[j] = std::log(p / p0);
    down_[j] = std::log((1 - p) / (1 - p0));
  }
}

void DifferenceTest::Update(bool canary) {
  for (size_t j = 0; j < kRatios; ++j) {
    // Little more than the threshold is remembered: an old difference must not
    // hide for longer than some 20 failures that both pools fail now.
    level_[j] = std::clamp(level_[j] + (canary ? up_[j] : down_[j]), 0.0, 1.25 * kDifferenceThreshold);
  }
}

bool DifferenceTest::Seen() const {
  return *std::max_element(level_.begin(), level_.end()) >= kDifferenceThreshold;
}

}  // namespace serin
