// Shadowing: the release is judged by copies before it has a user.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/replay.h"
#include "tests/controller/simulation.h"

namespace serin {
namespace {

using ::testing::HasSubstr;

Plan ShadowPlan(uint32_t percent = 100) {
  Plan plan;
  plan.hold = absl::Seconds(30);
  plan.shadow = Weight::Percent(percent);
  plan.shadow_hold = absl::Seconds(10);
  return plan;
}

// A rollout that has just been started.
struct Shadowing : Simulation {
  explicit Shadowing(Plan the_plan = ShadowPlan()) : Simulation(std::move(the_plan)) {
    EXPECT_TRUE(Do(Verb::kStart).ok());
  }
  bool shadow() const { return cell.Load().shadow; }
};

TEST(ShadowTest, IsOffByDefault) {
  Simulation simulation;
  ASSERT_TRUE(simulation.Do(Verb::kStart).ok());
  EXPECT_FALSE(simulation.cell.Load().shadow);
  EXPECT_EQ(simulation.weight(), Weight::Percent(10));
}

TEST(ShadowTest, ComesBeforeTheFirstStepAndGivesTheCanaryNoUser) {
  Shadowing s;
  EXPECT_TRUE(s.shadow());
  EXPECT_TRUE(s.weight().is_zero());
  EXPECT_EQ(s.state(), RolloutState::kStepping);
  EXPECT_EQ(s.report()->step, 0);
  EXPECT_EQ(s.report()->hold_remaining, absl::Seconds(10));
  s.Run(absl::Seconds(5), 10);
  EXPECT_THAT(s.report()->reason, HasSubstr("shadowing: 50 of 90 copied requests answered"));
  EXPECT_THAT(s.report()->explanation, HasSubstr("(shadow, before step 1)"));
  EXPECT_THAT(s.controller->History().back().reason, HasSubstr("shadowing 100 % of GET and HEAD first"));
}

TEST(ShadowTest, GoesOnWithTheEvidenceOfAStep) {
  Shadowing s;
  s.Run(absl::Seconds(9), 100);
  EXPECT_TRUE(s.shadow()) << "the hold";
  s.Run(absl::Seconds(2), 100);
  EXPECT_FALSE(s.shadow());
  EXPECT_EQ(s.weight(), Weight::Percent(10));
  EXPECT_EQ(s.report()->step, 1);
  EXPECT_THAT(s.controller->History().back().reason, HasSubstr("shadowing held for 10"));
  EXPECT_LT(s.report()->step_requests, 90) << "copies are no evidence for the step after them";
}

TEST(ShadowTest, HoldsWithoutEnoughCopies) {
  Shadowing s(ShadowPlan(1));
  s.Run(absl::Seconds(20), 100);
  EXPECT_EQ(s.state(), RolloutState::kHolding);
  EXPECT_TRUE(s.shadow());
  EXPECT_THAT(s.report()->reason, HasSubstr("of 90 copied requests answered"));
  EXPECT_TRUE(s.RunUntil([&] { return !s.shadow(); }, absl::Minutes(5), 100));
  EXPECT_EQ(s.weight(), Weight::Percent(10));
}

TEST(ShadowTest, RevertsABadReleaseBeforeItHasAUser) {
  for (const Behaviour& fault : {Behaviour{.error = 1}, Behaviour{.slow = 1}, Behaviour{.error = 0.3},
                                 Behaviour{.error = 1, .backend_error = BackendError::kRefused}}) {
    Shadowing s;
    s.canary() = fault;
    s.Run(absl::Minutes(1), 100);
    EXPECT_EQ(s.state(), RolloutState::kReverted);
    EXPECT_FALSE(s.shadow());
    EXPECT_EQ(s.bad_answers, 0);
    EXPECT_EQ(s.Events("step"), 0);
    EXPECT_THAT(s.controller->History().back().reason,
                HasSubstr("reverted while shadowing, before its first user"));
  }
}

TEST(ShadowTest, IsReplayedToTheSameObservation) {
  Shadowing s;
  s.canary().error = 0.2;
  s.Run(absl::Minutes(1), 100);
  ASSERT_EQ(s.state(), RolloutState::kReverted);
  const absl::StatusOr<ReplayResult> result = Replay(s.recorder.recording(), s.plan);
  ASSERT_TRUE(result.ok());
  ASSERT_TRUE(result->recorded && result->replayed);
  EXPECT_EQ(result->recorded->number, result->replayed->number);
}

TEST(ShadowTest, PausesWhenStableFailsAlike) {
  Shadowing s;
  s.canary().error = s.stable().error = 0.5;
  s.Run(absl::Minutes(1), 100);
  EXPECT_EQ(s.state(), RolloutState::kPaused);
  EXPECT_TRUE(s.report()->alarm);
  EXPECT_TRUE(s.shadow());
}

TEST(ShadowTest, CopiesAreNoTraffic) {
  Shadowing s;
  s.Run(absl::Seconds(8), 100);
  EXPECT_EQ(s.copies, s.requests);
  EXPECT_EQ(s.report()->observed_ratio, 0);
  EXPECT_EQ(s.report()->pools[Index(s.cell.Load().canary_pool)].requests, s.copies);
}

TEST(ShadowTest, IsPausedResumedPromotedAndAborted) {
  Shadowing s;
  ASSERT_TRUE(s.Do(Verb::kPause).ok());
  s.Run(absl::Seconds(20), 100);
  EXPECT_EQ(s.state(), RolloutState::kPaused);
  EXPECT_TRUE(s.shadow());
  ASSERT_TRUE(s.Do(Verb::kResume).ok());
  EXPECT_EQ(s.state(), RolloutState::kStepping);
  EXPECT_TRUE(s.shadow());
  ASSERT_TRUE(s.Do(Verb::kAbort).ok());
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_FALSE(s.shadow());
  ASSERT_TRUE(s.Do(Verb::kRetry).ok());
  EXPECT_TRUE(s.shadow());
  ASSERT_TRUE(s.Do(Verb::kPromote).ok());
  EXPECT_FALSE(s.shadow());
  EXPECT_EQ(s.weight(), Weight::Percent(10));
}

TEST(ShadowTest, IsEndedByAWeightAndResumedAtStepOne) {
  for (uint32_t percent : {0u, 50u}) {
    Shadowing s;
    ASSERT_TRUE(s.Do(Verb::kWeight, Weight::Percent(percent)).ok());
    EXPECT_FALSE(s.shadow());
    EXPECT_EQ(s.weight(), Weight::Percent(percent));
    EXPECT_EQ(s.state(), RolloutState::kPaused);
    ASSERT_TRUE(s.Do(Verb::kResume).ok());
    EXPECT_EQ(s.weight(), Weight::Percent(10));
    EXPECT_EQ(s.report()->step, 1);
  }
}

TEST(ShadowTest, IsTakenUpAfterARestartWithItsHold) {
  Shadowing s;
  s.Run(absl::Seconds(8), 10);
  s.Restart();
  EXPECT_TRUE(s.shadow());
  EXPECT_EQ(s.state(), RolloutState::kStepping);
  EXPECT_LT(s.report()->hold_remaining, absl::Seconds(6));
  s.Run(absl::Seconds(20), 100);
  EXPECT_EQ(s.weight(), Weight::Percent(10));
}

TEST(ShadowTest, SwitchedOffUnderWayWaitsForAPerson) {
  Shadowing s;
  s.plan.shadow = Weight::Zero();
  s.controller->SetPlan(s.plan, s.now());
  s.Run(absl::Minutes(1), 100);
  EXPECT_TRUE(s.weight().is_zero());
  EXPECT_THAT(s.report()->reason, HasSubstr("switched off"));
  ASSERT_TRUE(s.Do(Verb::kPromote).ok());
  EXPECT_EQ(s.weight(), Weight::Percent(10));
}

TEST(ShadowTest, StandsStillWhileThePoolIsDrained) {
  Shadowing s;
  ASSERT_TRUE(s.Do(Verb::kDrain, s.cell.Load().canary_pool).ok());
  s.Run(absl::Seconds(20), 0);
  EXPECT_TRUE(s.shadow());
  EXPECT_EQ(s.report()->hold_remaining, absl::Seconds(10));
  ASSERT_TRUE(s.Do(Verb::kUndrain, s.cell.Load().canary_pool).ok());
  s.Run(absl::Seconds(11), 100);
  EXPECT_EQ(s.weight(), Weight::Percent(10));
}

}  // namespace
}  // namespace serin
