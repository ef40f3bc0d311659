// What counts in a verdict, and what does not.

#include "controller/observe.h"

#include <gtest/gtest.h>

namespace serin {
namespace {

constexpr uint64_t kCrowd = 1000;  // client numbers of the many

Observation Response(PoolId pool, double at_seconds, uint64_t client = 0) {
  Observation observation;
  observation.at = Instant::FromNanos(static_cast<int64_t>(1e12 + at_seconds * 1e9));
  observation.pool = pool;
  observation.role = pool == PoolId::kGreen ? Role::kCanary : Role::kStable;
  observation.epoch = Epoch(5);
  observation.client = client;
  observation.latency_us = 1000;
  observation.status = 200;
  return observation;
}

Observation Failure(PoolId pool, double at_seconds, uint64_t client = 0) {
  Observation observation = Response(pool, at_seconds, client);
  observation.error = true;
  observation.status = 500;
  return observation;
}

class ObserverTest : public ::testing::Test {
 protected:
  ObserverTest() : observer_(Plan()) { observer_.Follow(PoolId::kGreen, Epoch(5)); }
  const Counts& canary() const { return observer_.counts(PoolId::kGreen); }
  Observer observer_;
};

TEST_F(ObserverTest, CountsAResponseAsOutcomeAndTime) {
  const Sample sample = observer_.Take(Response(PoolId::kGreen, 1));
  EXPECT_TRUE(sample.canary && sample.outcome && sample.timed && !sample.failed());
  EXPECT_EQ(canary(), (Counts{.outcomes = 1, .timed = 1, .routed = 1}));
}

TEST_F(ObserverTest, CountsTheTwoHalvesOfASlowRequestOnce) {
  Observation slow = Response(PoolId::kGreen, 2);
  slow.has_outcome = false;
  slow.slow = true;
  observer_.Take(slow);
  EXPECT_EQ(canary(), (Counts{.timed = 1, .slow = 1, .routed = 1}));
  Observation end = Failure(PoolId::kGreen, 30);
  end.has_latency = false;
  observer_.Take(end);
  EXPECT_EQ(canary(), (Counts{.outcomes = 1, .errors = 1, .timed = 1, .slow = 1, .routed = 1}));
}

TEST_F(ObserverTest, ForcedRequestsDoNotCount) {
  Observation forced = Failure(PoolId::kGreen, 1);
  forced.forced = true;
  EXPECT_FALSE(observer_.Take(forced).counts());
  EXPECT_EQ(canary(), Counts());
}

TEST_F(ObserverTest, OlderEpochsOfTheCanaryDoNotCountAndOfStableDo) {
  Observation old = Failure(PoolId::kGreen, 1);
  old.epoch = Epoch(4);
  EXPECT_FALSE(observer_.Take(old).counts());
  Observation stable = Response(PoolId::kBlue, 1);
  stable.epoch = Epoch(1);
  EXPECT_TRUE(observer_.Take(stable).counts());
}

TEST_F(ObserverTest, AClientThatLeftIsNoErrorAndNoSuccess) {
  Observation left = Failure(PoolId::kGreen, 1);
  left.status = 0;
  left.client_left = true;
  EXPECT_FALSE(observer_.Take(left).counts());
  EXPECT_EQ(canary(), Counts{.routed = 1});
}

TEST_F(ObserverTest, AClientThatLeftAfterTheLatencyLimitIsSlow) {
  Observation left = Response(PoolId::kGreen, 1);
  left.status = 0;
  left.client_left = left.slow = true;
  const Sample sample = observer_.Take(left);
  EXPECT_TRUE(sample.slow && !sample.outcome);
}

TEST_F(ObserverTest, AServerErrorStaysOneWhenItsClientLeaves) {
  Observation left = Failure(PoolId::kGreen, 1);
  left.client_left = true;
  EXPECT_TRUE(observer_.Take(left).error);
}

TEST_F(ObserverTest, TheWindowSlides) {
  for (int i = 0; i < 100; ++i) observer_.Take(Failure(PoolId::kGreen, i * 0.1));
  EXPECT_EQ(canary().errors, 100);
  observer_.Take(Response(PoolId::kGreen, 65));
  EXPECT_NEAR(static_cast<double>(canary().errors), 50, 2);
  observer_.Take(Response(PoolId::kGreen, 200));
  EXPECT_EQ(canary().errors, 0);
  EXPECT_EQ(canary().outcomes, 1);
}

TEST_F(ObserverTest, ALateObservationCountsAsOfNow) {
  observer_.Take(Response(PoolId::kGreen, 100));
  observer_.Take(Failure(PoolId::kGreen, 20));
  EXPECT_EQ(canary().errors, 1);
}

TEST_F(ObserverTest, NothingGoesBelowZeroOverALongTime) {
  for (int i = 0; i < 100000; ++i) {
    observer_.Take(i % 7 == 0 ? Failure(PoolId::kGreen, i * 0.013) : Response(PoolId::kGreen, i * 0.013));
  }
  observer_.Advance(Instant::FromNanos(static_cast<int64_t>(1e12 + 1e9 * 100000)));
  EXPECT_EQ(canary(), Counts());
}

TEST_F(ObserverTest, SaysHowLongThePoolWasNotThere) {
  Observation refused = Failure(PoolId::kGreen, 1);
  refused.status = 0;
  refused.backend_error = BackendError::kRefused;
  observer_.Take(refused);
  EXPECT_EQ(observer_.DeadSpan(PoolId::kGreen), absl::ZeroDuration());
  refused.at = refused.at + absl::Seconds(3);
  observer_.Take(refused);
  EXPECT_EQ(observer_.DeadSpan(PoolId::kGreen), absl::Seconds(3));
}

TEST_F(ObserverTest, KnowsTheRateOfRequests) {
  EXPECT_EQ(observer_.RequestRate(), 0);
  for (int i = 0; i < 3000; ++i)
    observer_.Take(Response(i % 10 == 0 ? PoolId::kGreen : PoolId::kBlue, i * 0.01));
  EXPECT_NEAR(observer_.RequestRate(), 100, 2);
  for (int i = 0; i < 12000; ++i) observer_.Take(Response(PoolId::kBlue, 30 + i * 0.01));
  EXPECT_NEAR(observer_.RequestRate(), 100, 2);
}

// --- One client's burst

TEST_F(ObserverTest, OneCrawlerOnABrokenPageCountsThreeTimesInTenSeconds) {
  uint64_t next = kCrowd;
  int counted = 0;
  for (int i = 0; i < 100; ++i) {  // 10 seconds
    const double at = i * 0.1;
    observer_.Take(Response(PoolId::kGreen, at, ++next));
    observer_.Take(Response(PoolId::kGreen, at, ++next));
    counted += observer_.Take(Failure(PoolId::kGreen, at, 7)).counts();
  }
  EXPECT_EQ(counted, 3);
  EXPECT_EQ(canary().errors, 3);
  EXPECT_EQ(canary().outcomes, 203);
}

TEST_F(ObserverTest, WithZeroFailuresAllowedEverythingCounts) {
  Plan plan;
  plan.client_burst_failures = 0;
  observer_.SetPlan(plan);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(observer_.Take(Failure(PoolId::kGreen, i * 0.01, 7)).counts());
  }
}

TEST_F(ObserverTest, NothingOfAMutedClientCountsSoTheSampleStaysFair) {
  uint64_t next = kCrowd;
  for (int i = 0; i < 20; ++i) observer_.Take(Response(PoolId::kGreen, i * 0.01, ++next));
  for (int i = 0; i < 3; ++i) observer_.Take(Failure(PoolId::kGreen, 1, 7));
  EXPECT_FALSE(observer_.Take(Response(PoolId::kGreen, 1.1, 7)).counts());
  EXPECT_TRUE(observer_.Take(Response(PoolId::kGreen, 11.2, 7)).counts());
}

TEST_F(ObserverTest, AClientThatIsMostOfTheTrafficCountsOnceThatIsClear) {
  for (int i = 0; i < 100; ++i) {
    const bool counts = observer_.Take(Failure(PoolId::kGreen, i * 0.1, 7)).counts();
    EXPECT_EQ(counts, i < 3 || i >= 19) << "of the first 20 requests somebody always has the most: " << i;
  }
}

TEST_F(ObserverTest, UnknownClientsAlwaysCount) {
  uint64_t next = kCrowd;
  for (int i = 0; i < 100; ++i) {
    observer_.Take(Response(PoolId::kGreen, i * 0.1, ++next));
    EXPECT_TRUE(observer_.Take(Failure(PoolId::kGreen, i * 0.1, 0)).counts());
  }
}

TEST_F(ObserverTest, ManyClientsWithAFailureEachAllCount) {
  uint64_t next = kCrowd;
  for (int i = 0; i < 10000; ++i)
    EXPECT_TRUE(observer_.Take(Failure(PoolId::kGreen, i * 0.001, ++next)).counts());
  EXPECT_EQ(canary().errors, 10000);
}

TEST_F(ObserverTest, BurstsOnOnePoolSayNothingAboutTheOther) {
  uint64_t next = kCrowd;
  for (int i = 0; i < 50; ++i) {
    observer_.Take(Response(PoolId::kGreen, i * 0.01, ++next));
    observer_.Take(Response(PoolId::kBlue, i * 0.01, ++next));
    observer_.Take(Failure(PoolId::kBlue, i * 0.01, 7));
  }
  EXPECT_EQ(observer_.counts(PoolId::kBlue).errors, 3);
  EXPECT_TRUE(observer_.Take(Failure(PoolId::kGreen, 1, 7)).counts());
}

}  // namespace
}  // namespace serin
