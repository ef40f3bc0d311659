#include "proxy/route/rescue.h"

#include <cmath>

namespace serin {

bool IsIdempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" || method == "DELETE";
}

void RescueBudget::Configure(const RescueSettings& settings) {
  deposit_ = settings.enabled ? std::llround(settings.budget * static_cast<double>(kOne)) : 0;
}

RescueClaim RescueBudget::Claim(Instant now) {
  const bool known = now.nanos() - recent_at_.nanos() <= kForgetNanos;
  if (known && std::popcount(recent_) > kTolerated) return RescueClaim::kStableUnhealthy;
  if (balance_ < kFloor) {
    const int64_t earned = (now.nanos() - floor_at_.nanos()) / (1'000'000'000 / kOne);
    balance_ = std::min(balance_ + earned, kFloor);
  }
  floor_at_ = now;
  if (balance_ < kOne || deposit_ == 0) return RescueClaim::kNoBudget;
  balance_ -= kOne;
  return RescueClaim::kAllowed;
}

}  // namespace serin
