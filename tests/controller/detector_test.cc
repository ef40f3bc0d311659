#include "controller/detector.h"

#include <gtest/gtest.h>

#include <cmath>

namespace serin {
namespace {

DetectorBank Bank(double p0, double expected) {
  DetectorBank bank;
  bank.Configure(p0, SequentialPlan());
  bank.SetExpected(expected);
  return bank;
}

int FailuresUntilTripped(DetectorBank bank) {
  for (int n = 1; n < 1000; ++n) {
    if (bank.Update(true)) return n;
  }
  return -1;
}

TEST(DetectorBankTest, ThresholdsAreThoseOfTheVerdictPage) {
  const DetectorBank bank = Bank(0.05, 78000);
  ASSERT_EQ(bank.size(), 6u);
  const double base = std::log(6 * 78000 / 0.10);
  EXPECT_NEAR(bank.threshold(0), base - 7.05, 1e-9);
  EXPECT_NEAR(bank.threshold(5), base - 0.87, 1e-9);
}

TEST(DetectorBankTest, SixFailuresInARowAreEnoughAtAHundredRequestsPerSecond) {
  EXPECT_EQ(FailuresUntilTripped(Bank(0.05, 78000)), 6);
  EXPECT_EQ(FailuresUntilTripped(Bank(0.05, 780000)), 6);
}

TEST(DetectorBankTest, FiveAreEnoughAtTenRequestsPerSecond) {
  EXPECT_EQ(FailuresUntilTripped(Bank(0.05, 7800)), 5);
}

TEST(DetectorBankTest, MoreExpectedRequestsNeedMoreEvidence) {
  EXPECT_GT(Bank(0.05, 1e9).threshold(0), Bank(0.05, 1e5).threshold(0));
}

TEST(DetectorBankTest, SuccessesTakeTheLevelsBackToZeroAndNoFurther) {
  DetectorBank bank = Bank(0.05, 78000);
  for (int i = 0; i < 4; ++i) bank.Update(true);
  EXPECT_GT(bank.Evidence(), 0.5);
  for (int i = 0; i < 5000; ++i) bank.Update(false);
  EXPECT_EQ(bank.Highest(), 0);
}

TEST(DetectorBankTest, WhatALongOutagePiledUpIsForgottenInAboutAThousandSuccesses) {
  DetectorBank bank = Bank(0.05, 78000);
  for (int i = 0; i < 1000000; ++i) bank.Update(true);
  EXPECT_EQ(bank.Evidence(), 1);
  for (int i = 0; i < 1000; ++i) bank.Update(false);
  EXPECT_LT(bank.Evidence(), 0.05);
}

TEST(DetectorBankTest, ARateOfExactlyTheLimitDriftsDown) {
  DetectorBank bank = Bank(0.05, 78000);
  double highest = 0;
  for (int i = 0; i < 20000; ++i) {
    bank.Update(i % 20 == 0);
    highest = std::max(highest, bank.Evidence());
  }
  EXPECT_LT(highest, 0.5);
}

TEST(DetectorBankTest, AnotherLimitMovesTheSuspectedRatesWithIt) {
  for (double p0 : {0.001, 0.01, 0.2, 0.5}) {
    const DetectorBank bank = Bank(p0, 78000);
    ASSERT_EQ(bank.size(), 6u) << p0;
    const double odds_ratio = (0.06 / 0.94) / (0.05 / 0.95);
    const double theta = bank.theta(0);
    EXPECT_NEAR((theta / (1 - theta)) / (p0 / (1 - p0)), odds_ratio, 1e-9);
    // Conservative: never above the theorem's c = 0.
    EXPECT_LE(bank.threshold(0), std::log(6 * 78000 / 0.10));
  }
}

TEST(DetectorBankTest, ThetasOfOnesOwnAreTakenAsTheyAre) {
  SequentialPlan plan;
  plan.theta = {0.02, 0.3};
  plan.correction = {0, 0};
  DetectorBank bank;
  bank.Configure(0.05, plan);
  bank.SetExpected(1000);
  ASSERT_EQ(bank.size(), 1u) << "0.02 is below the limit: no suspicion";
  EXPECT_DOUBLE_EQ(bank.theta(0), 0.3);
}

TEST(DetectorBankTest, NeverTripsWhenDisabled) {
  SequentialPlan plan;
  plan.enabled = false;
  DetectorBank bank;
  bank.Configure(0.05, plan);
  bank.SetExpected(1000);
  for (int i = 0; i < 10000; ++i) ASSERT_FALSE(bank.Update(true));
  EXPECT_EQ(bank.Evidence(), 0);
}

TEST(DetectorBankTest, LevelsSurviveAsTheyAre) {
  DetectorBank bank = Bank(0.05, 78000);
  for (int i = 0; i < 3; ++i) bank.Update(true);
  std::vector<double> levels;
  for (size_t j = 0; j < bank.size(); ++j) levels.push_back(bank.level(j));
  DetectorBank again = Bank(0.05, 78000);
  again.SetLevels(levels);
  EXPECT_EQ(FailuresUntilTripped(again), 3);
  again.SetLevels(std::vector<double>{NAN, -5, INFINITY, 1e9});
  EXPECT_LE(again.Evidence(), 1);
}

Instant At(double seconds) { return Instant::FromNanos(static_cast<int64_t>(1e12 + seconds * 1e9)); }

DeadPoolRule DeadRule() {
  DeadPoolRule rule;
  rule.Configure(0.05, SequentialPlan(), absl::Seconds(2));
  rule.SetExpected(78000);
  return rule;
}

TEST(DeadPoolRuleTest, NeedsTwoSecondsHoweverManyFailures) {
  DeadPoolRule rule = DeadRule();
  for (int i = 0; i < 1999; ++i) ASSERT_FALSE(rule.Update(true, At(i / 1000.0)));
  EXPECT_TRUE(rule.Update(true, At(2.0)));
}

TEST(DeadPoolRuleTest, TwoReloadsAMinuteApartDoNotAddUp) {
  DeadPoolRule rule = DeadRule();
  for (double start : {0.0, 60.0}) {
    for (int i = 0; i < 100; ++i) ASSERT_FALSE(rule.Update(true, At(start + i / 100.0)));
    for (int i = 0; i < 2000; ++i) ASSERT_FALSE(rule.Update(false, At(start + 1 + i / 100.0)));
  }
}

TEST(DeadPoolRuleTest, ASlowTrickleOfRefusalsIsSeenToo) {
  DeadPoolRule rule = DeadRule();
  bool tripped = false;
  for (int i = 0; i < 600 && !tripped; ++i) tripped = rule.Update(i % 3 == 0, At(i));
  EXPECT_TRUE(tripped);
}

DifferenceTest Difference(uint32_t percent) {
  DifferenceTest test;
  test.Configure(Weight::Percent(percent), 2);
  return test;
}

TEST(DifferenceTestTest, SeesThatOnlyTheCanaryFails) {
  for (uint32_t percent : {1u, 10u, 25u, 50u, 75u}) {
    DifferenceTest test = Difference(percent);
    for (int i = 0; i < 100; ++i) test.Update(true);
    EXPECT_TRUE(test.Seen()) << percent;
  }
}

TEST(DifferenceTestTest, SeesNoneWhenFailuresAreSpreadAsTheTrafficIs) {
  for (uint32_t percent : {1u, 10u, 25u, 50u, 75u}) {
    DifferenceTest test = Difference(percent);
    for (int i = 0; i < 5000; ++i) {
      test.Update(i * percent / 100 != (i + 1) * percent / 100);
      ASSERT_FALSE(test.Seen()) << percent << " % after " << i;
    }
  }
}

TEST(DifferenceTestTest, ForgetsAnOldDifference) {
  DifferenceTest test = Difference(10);
  for (int i = 0; i < 1000; ++i) test.Update(true);
  for (int i = 0; i < 30; ++i) test.Update(i % 10 == 0);
  EXPECT_FALSE(test.Seen());
}

TEST(DifferenceTestTest, SaysNothingWithoutTrafficOnBothSides) {
  for (uint32_t percent : {0u, 100u}) {
    DifferenceTest test = Difference(percent);
    for (int i = 0; i < 1000; ++i) test.Update(true);
    EXPECT_FALSE(test.Seen());
  }
}

}  // namespace
}  // namespace serin
