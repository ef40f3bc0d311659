#include "proxy/route/rescue.h"

#include <gtest/gtest.h>

namespace serin {
namespace {

constexpr auto kAllowed = RescueClaim::kAllowed;
constexpr auto kNoBudget = RescueClaim::kNoBudget;
constexpr auto kStableUnhealthy = RescueClaim::kStableUnhealthy;

class RescueBudgetTest : public testing::Test {
 protected:
  RescueBudgetTest() { budget.Configure({.enabled = true, .budget = 0.10}); }
  int ClaimAll() {
    int claimed = 0;
    while (budget.Claim(now) == kAllowed) ++claimed;
    return claimed;
  }

  RescueBudget budget;
  Instant now = Instant::FromNanos(1'000'000'000'000);
};

TEST(RescueTest, OnlyWhatMayBeRepeatedIsIdempotent) {
  for (const char* method : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}) EXPECT_TRUE(IsIdempotent(method));
  for (const char* method : {"POST", "PATCH", "get", "PURGE", ""}) EXPECT_FALSE(IsIdempotent(method));
}

TEST(RescueTest, OnlyAPoolThatWasNotReachedHasSeenNothing) {
  for (BackendError error :
       {BackendError::kRefused, BackendError::kSaturated, BackendError::kConnectTimeout}) {
    EXPECT_TRUE(NothingReachedPool(error));
  }
  for (BackendError error : {BackendError::kNone, BackendError::kReset, BackendError::kSendTimeout,
                             BackendError::kReadTimeout, BackendError::kTruncated, BackendError::kProtocol}) {
    EXPECT_FALSE(NothingReachedPool(error));
  }
}

TEST(RescueTest, OnlyFailuresAreWithheldNotWhatTheApplicationMeans) {
  for (int status : {500, 502, 503, 504}) EXPECT_TRUE(IsRescuable(static_cast<uint16_t>(status)));
  for (int status : {0, 200, 302, 404, 429, 499, 501, 505, 507, 599})
    EXPECT_FALSE(IsRescuable(static_cast<uint16_t>(status)));
}

TEST_F(RescueBudgetTest, BeginsWithTenSoThatTheFirstFailuresAreRescued) { EXPECT_EQ(ClaimAll(), 10); }

TEST_F(RescueBudgetTest, RescuesAreAtMostTheShareOfRequests) {
  ClaimAll();
  for (int i = 0; i < 500; ++i) budget.CountRequest();
  EXPECT_EQ(ClaimAll(), 50);
}

TEST_F(RescueBudgetTest, ACanaryOfTheBudgetsWeightThatFailsWhollyIsRescuedWholly) {
  for (int i = 0; i < 10'000; ++i) {
    budget.CountRequest();
    if (i % 10 != 0) continue;
    ASSERT_EQ(budget.Claim(now), kAllowed) << i;
  }
}

TEST_F(RescueBudgetTest, WhatIsSavedUpHasABound) {
  for (int i = 0; i < 1'000'000; ++i) budget.CountRequest();
  EXPECT_EQ(ClaimAll(), 100);
}

TEST_F(RescueBudgetTest, AQuietSiteHasOneASecond) {
  ClaimAll();
  now = now + absl::Seconds(3);
  EXPECT_EQ(ClaimAll(), 3);
  now = now + absl::Hours(1);
  EXPECT_EQ(ClaimAll(), 10);
}

TEST_F(RescueBudgetTest, NothingIsRescuedAtAShareOfZeroOrWhenOff) {
  budget.Configure({.enabled = true, .budget = 0});
  EXPECT_EQ(ClaimAll(), 0);
  budget.Configure({.enabled = false, .budget = 1});
  EXPECT_EQ(ClaimAll(), 0);
}

TEST_F(RescueBudgetTest, StandsAsideWhileStableFails) {
  for (int i = 0; i < 28; ++i) budget.NoteStable(false, now);
  for (int i = 0; i < 4; ++i) budget.NoteStable(true, now);
  EXPECT_EQ(budget.Claim(now), kAllowed);
  budget.NoteStable(true, now);
  EXPECT_EQ(budget.Claim(now), kStableUnhealthy);
  for (int i = 0; i < 28; ++i) budget.NoteStable(false, now);
  EXPECT_EQ(budget.Claim(now), kAllowed);
}

TEST_F(RescueBudgetTest, ForgetsWhatStableDidFiveSecondsAgo) {
  for (int i = 0; i < 32; ++i) budget.NoteStable(true, now);
  now = now + absl::Seconds(5);
  EXPECT_EQ(budget.Claim(now), kStableUnhealthy);
  now = now + absl::Milliseconds(1);
  EXPECT_EQ(budget.Claim(now), kAllowed);
  // A probe, and not a clean slate for one that goes on failing.
  for (int i = 0; i < 5; ++i) budget.NoteStable(true, now);
  EXPECT_EQ(budget.Claim(now), kStableUnhealthy);
}

TEST_F(RescueBudgetTest, ARefusalCostsNothing) {
  for (int i = 0; i < 32; ++i) budget.NoteStable(true, now);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(budget.Claim(now), kStableUnhealthy);
  for (int i = 0; i < 32; ++i) budget.NoteStable(false, now);
  EXPECT_EQ(ClaimAll(), 10);
  EXPECT_EQ(budget.Claim(now), kNoBudget);
}

}  // namespace
}  // namespace serin
