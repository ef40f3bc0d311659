#pragma once
// A point on the steady clock (CLOCK_MONOTONIC). Intervals are measured with
// it; what is written for people uses absl::Time (the wall clock). Never
// stored on disk: it means nothing after a reboot. Any thread.

#include <time.h>

#include <cstdint>

#include "absl/time/time.h"

namespace serin {

class Instant {
 public:
  constexpr Instant() = default;
  static constexpr Instant FromNanos(int64_t nanos) { return Instant(nanos); }
  // Reads the clock: 20 ns through the vDSO. Pure code takes `now` instead.
  static Instant Now() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return Instant(t.tv_sec * int64_t{1000000000} + t.tv_nsec);
  }
  constexpr int64_t nanos() const { return nanos_; }

  friend constexpr auto operator<=>(Instant, Instant) = default;
  friend Instant operator+(Instant a, absl::Duration d) {
    return Instant(a.nanos_ + absl::ToInt64Nanoseconds(d));
  }
  friend Instant operator-(Instant a, absl::Duration d) {
    return Instant(a.nanos_ - absl::ToInt64Nanoseconds(d));
  }
  friend absl::Duration operator-(Instant a, Instant b) { return absl::Nanoseconds(a.nanos_ - b.nanos_); }

 private:
  explicit constexpr Instant(int64_t nanos) : nanos_(nanos) {}
  int64_t nanos_ = 0;
};

}  // namespace serin
