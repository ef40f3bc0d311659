#include "proxy/base/timer_wheel.h"

#include <gtest/gtest.h>

namespace serin {
namespace {

Instant At(int64_t ms) { return Instant::FromNanos(1'000'000'000'000 + ms * 1'000'000); }

struct Probe : TimerWheel::Entry {
  void OnDeadline() override { ++fired; }
  int fired = 0;
};

TEST(TimerWheelTest, FiresAfterItsDeadlineAndNeverBefore) {
  TimerWheel wheel(At(0));
  Probe probe;
  wheel.Arm(probe, At(120));
  wheel.Advance(At(119));
  EXPECT_EQ(probe.fired, 0);
  wheel.Advance(At(201));
  EXPECT_EQ(probe.fired, 1);
  EXPECT_FALSE(probe.armed());
}

TEST(TimerWheelTest, ADeadlineMovedLaterIsKept) {
  TimerWheel wheel(At(0));
  Probe probe;
  wheel.Arm(probe, At(100));
  wheel.Arm(probe, At(60'000));
  wheel.Advance(At(59'900));
  EXPECT_EQ(probe.fired, 0);
  wheel.Advance(At(60'100));
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheelTest, ADeadlineMovedEarlierIsKept) {
  TimerWheel wheel(At(0));
  Probe probe;
  wheel.Arm(probe, At(60'000));
  wheel.Arm(probe, At(100));
  wheel.Advance(At(200));
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheelTest, DeadlinesBeyondTheWheelComeRound) {
  TimerWheel wheel(At(0));
  Probe probe;
  wheel.Arm(probe, At(75'000));
  for (int64_t t = 0; t <= 74'900; t += 50) wheel.Advance(At(t));
  EXPECT_EQ(probe.fired, 0);
  wheel.Advance(At(75'100));
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheelTest, ALongStallMissesNothing) {
  TimerWheel wheel(At(0));
  Probe soon, late;
  wheel.Arm(soon, At(10));
  wheel.Arm(late, At(500'000));
  wheel.Advance(At(1'000'000));
  EXPECT_EQ(soon.fired, 1);
  wheel.Advance(At(1'000'100));
  EXPECT_EQ(late.fired, 1);
}

TEST(TimerWheelTest, AnEntryThatDiesIsForgotten) {
  TimerWheel wheel(At(0));
  {
    Probe probe;
    wheel.Arm(probe, At(10));
  }
  wheel.Advance(At(1000));
}

}  // namespace
}  // namespace serin
