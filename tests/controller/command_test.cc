// The table of command.h: each verb in each state.

#include "controller/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controller/simulation.h"

namespace serin {
namespace {

using ::testing::HasSubstr;

constexpr double kRate = 100;
constexpr absl::StatusCode kRefused = absl::StatusCode::kFailedPrecondition;

// Brings a new simulation into a state.
void Reach(Simulation& s, RolloutState state) {
  if (state == RolloutState::kStable) return;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  if (state == RolloutState::kHolding) s.Run(absl::Minutes(6), 0);
  if (state == RolloutState::kPaused) s.Do(Verb::kPause).IgnoreError();
  if (state == RolloutState::kReverted) s.Do(Verb::kAbort).IgnoreError();
  if (state == RolloutState::kBaking) {
    while (s.state() != RolloutState::kBaking) ASSERT_TRUE(s.Do(Verb::kPromote).ok());
  }
  ASSERT_EQ(s.state(), state);
}

constexpr RolloutState kReachable[] = {RolloutState::kStable,  RolloutState::kStepping,
                                       RolloutState::kHolding, RolloutState::kPaused,
                                       RolloutState::kBaking,  RolloutState::kReverted};

bool Active(RolloutState state) { return state != RolloutState::kStable && state != RolloutState::kReverted; }

TEST(CommandTest, PauseResumePromoteAndAbortAreLegalInEveryStateAndIdempotent) {
  for (RolloutState state : kReachable) {
    for (Verb verb : {Verb::kPause, Verb::kResume, Verb::kPromoteFull, Verb::kAbort}) {
      Simulation s;
      Reach(s, state);
      EXPECT_TRUE(s.Do(verb).ok());
      const SplitState after = s.cell.Load();
      const RolloutState then = s.state();
      EXPECT_TRUE(s.Do(verb).ok());
      EXPECT_EQ(s.cell.Load(), after) << Name(state) << " verb " << static_cast<int>(verb);
      EXPECT_EQ(s.state(), then);
    }
    Simulation s;
    Reach(s, state);
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(s.Do(Verb::kPromote).ok());
    EXPECT_FALSE(Active(s.state())) << "promoted to the end, and then without effect";
  }
}

TEST(CommandTest, StartNeedsThatNothingIsUnderWay) {
  for (RolloutState state : kReachable) {
    Simulation s;
    Reach(s, state);
    const SplitState before = s.cell.Load();
    const absl::Status status = s.Do(Verb::kStart, Weight(), "v3");
    if (!Active(state)) {
      EXPECT_TRUE(status.ok());
      EXPECT_EQ(s.weight(), Weight::Percent(10));
      continue;
    }
    EXPECT_EQ(status.code(), kRefused);
    EXPECT_THAT(std::string(status.message()), HasSubstr("v2 is under way"));
    EXPECT_EQ(s.cell.Load(), before);
  }
}

TEST(CommandTest, RetryNeedsARevertedRelease) {
  for (RolloutState state : kReachable) {
    Simulation s;
    Reach(s, state);
    const absl::Status status = s.Do(Verb::kRetry);
    EXPECT_EQ(status.ok(), state == RolloutState::kReverted) << Name(state);
    if (state != RolloutState::kReverted) continue;
    EXPECT_EQ(s.report()->release, "v2");
    EXPECT_EQ(s.report()->step, 1);
  }
}

TEST(CommandTest, RetryDrawsNewPeopleAndForgetsTheOldEvidence) {
  Simulation s;
  s.behaviours[Index(PoolId::kGreen)].error = 1;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(5), kRate);
  ASSERT_EQ(s.state(), RolloutState::kReverted);
  const uint16_t before = s.cell.Load().rollout;
  s.canary().error = 0;
  ASSERT_TRUE(s.Do(Verb::kRetry).ok());
  EXPECT_NE(s.cell.Load().rollout, before);
  s.Run(absl::Minutes(6), kRate);
  EXPECT_EQ(s.weight(), Weight::Percent(25));
}

TEST(CommandTest, UndoGoesBackToThePreviousReleaseAtOnce) {
  Simulation s;
  EXPECT_EQ(s.Do(Verb::kUndo).code(), kRefused) << "nothing has been finished";
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  EXPECT_EQ(s.Do(Verb::kUndo).code(), kRefused);
  ASSERT_TRUE(s.Do(Verb::kPromoteFull).ok());
  ASSERT_EQ(s.cell.Load().stable_pool(), PoolId::kGreen);
  s.Restart();
  ASSERT_TRUE(s.Do(Verb::kUndo).ok()) << "known after a restart too";
  EXPECT_EQ(s.cell.Load().stable_pool(), PoolId::kBlue);
  EXPECT_TRUE(s.weight().is_zero());
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_EQ(s.report()->reverts_operator, 1u);
  EXPECT_EQ(s.Do(Verb::kUndo).code(), kRefused) << "only once";
  ASSERT_TRUE(s.Do(Verb::kRetry).ok());
  EXPECT_EQ(s.cell.Load().canary_pool, PoolId::kGreen) << "the undone release is tried again";
}

TEST(CommandTest, UndoNeedsAWarmPool) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  ASSERT_TRUE(s.Do(Verb::kPromoteFull).ok());
  EXPECT_TRUE(s.report()->undoable);
  ASSERT_TRUE(s.Do(Verb::kDrain, PoolId::kBlue).ok());
  EXPECT_FALSE(s.report()->undoable);
  EXPECT_EQ(s.Do(Verb::kUndo).code(), kRefused);
}

TEST(CommandTest, DrainTakesTheCanarysShareAndUndrainGivesItBackInEveryState) {
  for (RolloutState state : kReachable) {
    Simulation s;
    Reach(s, state);
    const SplitState before = s.cell.Load();
    ASSERT_TRUE(s.Do(Verb::kDrain, PoolId::kGreen).ok()) << Name(state);
    ASSERT_TRUE(s.Do(Verb::kDrain, PoolId::kGreen).ok()) << "idempotent";
    EXPECT_TRUE(s.cell.Load().drained());
    EXPECT_EQ(s.cell.Load().canary_weight, before.canary_weight);
    EXPECT_EQ(s.state(), state);
    s.Restart();
    EXPECT_TRUE(s.cell.Load().drained()) << "PHP-FPM may still be down";
    ASSERT_TRUE(s.Do(Verb::kUndrain, PoolId::kGreen).ok());
    ASSERT_TRUE(s.Do(Verb::kUndrain, PoolId::kGreen).ok());
    EXPECT_FALSE(s.cell.Load().drained());
    EXPECT_EQ(s.cell.Load().canary_weight, before.canary_weight);
  }
}

TEST(CommandTest, StableIsNotDrainedForThatIsWhereARevertGoes) {
  for (RolloutState state : kReachable) {
    Simulation s;
    Reach(s, state);
    const absl::Status status = s.Do(Verb::kDrain, PoolId::kBlue);
    EXPECT_EQ(status.code(), kRefused) << Name(state);
    EXPECT_THAT(std::string(status.message()), HasSubstr("blue is stable"));
    EXPECT_FALSE(s.cell.Load().drained());
  }
}

TEST(CommandTest, ADrainedPoolIsNotPromotedButStartRetryAndWeightBringItBack) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kDrain, PoolId::kGreen).ok());
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  EXPECT_FALSE(s.cell.Load().drained());
  ASSERT_TRUE(s.Do(Verb::kDrain, PoolId::kGreen).ok());
  for (Verb verb : {Verb::kPromote, Verb::kPromoteFull}) {
    EXPECT_EQ(s.Do(verb).code(), kRefused);
    EXPECT_THAT(std::string(s.Do(verb).message()), HasSubstr("green is drained"));
  }
  ASSERT_TRUE(s.Do(Verb::kWeight, Weight::Zero()).ok());
  EXPECT_TRUE(s.cell.Load().drained()) << "nothing is asked of it";
  ASSERT_TRUE(s.Do(Verb::kWeight, Weight::Percent(5)).ok());
  EXPECT_FALSE(s.cell.Load().drained());
  ASSERT_TRUE(s.Do(Verb::kDrain, PoolId::kGreen).ok());
  ASSERT_TRUE(s.Do(Verb::kAbort).ok()) << "a revert needs nobody's leave";
  EXPECT_TRUE(s.cell.Load().drained());
  ASSERT_TRUE(s.Do(Verb::kRetry).ok());
  EXPECT_FALSE(s.cell.Load().drained());
}

TEST(CommandTest, TheHoldStandsStillWhileThePoolIsDrained) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(4), kRate);
  const absl::Duration left = s.report()->hold_remaining;
  ASSERT_TRUE(s.Do(Verb::kDrain, PoolId::kGreen).ok());
  s.Run(absl::Minutes(10), 0);
  EXPECT_EQ(s.weight(), Weight::Percent(10));
  EXPECT_GE(s.report()->hold_remaining, left - absl::Seconds(1));
  EXPECT_THAT(s.report()->reason, HasSubstr("green is drained"));
  ASSERT_TRUE(s.Do(Verb::kUndrain, PoolId::kGreen).ok());
  s.Run(absl::Minutes(2), kRate);
  EXPECT_EQ(s.weight(), Weight::Percent(25));
}

TEST(CommandTest, AManualWeightPausesThePlan) {
  for (RolloutState state : kReachable) {
    Simulation s;
    Reach(s, state);
    ASSERT_TRUE(s.Do(Verb::kWeight, Weight::Percent(33)).ok());
    EXPECT_EQ(s.state(), RolloutState::kPaused) << Name(state);
    EXPECT_EQ(s.weight(), Weight::Percent(33));
    EXPECT_TRUE(s.report()->manual);
    s.Run(absl::Minutes(20), kRate);
    EXPECT_EQ(s.weight(), Weight::Percent(33)) << "until somebody says so";
  }
}

TEST(CommandTest, ResumeAfterAManualWeightRepeatsItsStep) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(7), kRate);
  ASSERT_EQ(s.weight(), Weight::Percent(25));
  ASSERT_TRUE(s.Do(Verb::kWeight, Weight::Percent(90)).ok());
  ASSERT_TRUE(s.Do(Verb::kResume).ok());
  EXPECT_EQ(s.weight(), Weight::Percent(25));
  EXPECT_EQ(s.report()->hold_remaining, absl::Minutes(5));
  EXPECT_EQ(s.report()->step_requests, 0);
}

TEST(CommandTest, PromoteAfterAManualWeightTakesTheNextStepAboveIt) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  ASSERT_TRUE(s.Do(Verb::kWeight, Weight::Percent(60)).ok());
  ASSERT_TRUE(s.Do(Verb::kPromote).ok());
  EXPECT_EQ(s.weight(), Weight::Percent(75));
  EXPECT_EQ(s.report()->step, 4);
  ASSERT_TRUE(s.Do(Verb::kWeight, Weight::All()).ok());
  EXPECT_EQ(s.state(), RolloutState::kPaused);
  ASSERT_TRUE(s.Do(Verb::kPromote).ok());
  EXPECT_EQ(s.state(), RolloutState::kBaking);
  ASSERT_TRUE(s.Do(Verb::kPromote).ok());
  EXPECT_EQ(s.state(), RolloutState::kStable);
}

TEST(CommandTest, AWeightOfZeroWithoutARolloutIsNothing) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kWeight, Weight::Zero()).ok());
  EXPECT_EQ(s.state(), RolloutState::kStable);
  ASSERT_TRUE(s.Do(Verb::kWeight, Weight::Percent(20)).ok());
  ASSERT_TRUE(s.Do(Verb::kWeight, Weight::Zero()).ok());
  EXPECT_EQ(s.state(), RolloutState::kStable) << "a weight set by hand, and taken back by hand";
  EXPECT_FALSE(s.cell.Load().engaged);
}

TEST(CommandTest, PauseKeepsTheWeightAndStopsTheClock) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(3), kRate);
  ASSERT_TRUE(s.Do(Verb::kPause).ok());
  const absl::Duration left = s.report()->hold_remaining;
  s.Run(absl::Hours(1), kRate);
  EXPECT_EQ(s.report()->hold_remaining, left);
  EXPECT_EQ(s.weight(), Weight::Percent(10));
  ASSERT_TRUE(s.Do(Verb::kResume).ok());
  s.Run(left + absl::Seconds(1), kRate);
  EXPECT_EQ(s.weight(), Weight::Percent(25));
}

TEST(CommandTest, APauseSurvivesARestart) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  ASSERT_TRUE(s.Do(Verb::kPause).ok());
  s.Restart();
  EXPECT_EQ(s.state(), RolloutState::kPaused);
  EXPECT_EQ(s.weight(), Weight::Percent(10));
}

TEST(CommandTest, RefusesReleaseNamesThatNobodyCanRead) {
  Simulation s;
  EXPECT_EQ(s.Do(Verb::kStart, Weight(), std::string(129, 'x')).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(s.Do(Verb::kStart, Weight(), "v2\n").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(s.Do(Verb::kStart, Weight(), "").ok()) << "a name is for people; none is needed";
}

TEST(CommandTest, AnEmptyPlanCannotBeStarted) {
  Plan plan;
  plan.steps.clear();
  Simulation s(plan);
  EXPECT_EQ(s.Do(Verb::kStart).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(s.Do(Verb::kWeight, Weight::Percent(5)).ok());
}

TEST(CommandTest, TheHistorySaysWho) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  const HistoryEntry entry = s.controller->History().back();
  EXPECT_EQ(entry.event, "start");
  EXPECT_EQ(entry.by, "tester");
  EXPECT_EQ(entry.release, "v2");
  EXPECT_EQ(entry.weight, Weight::Percent(10));
  EXPECT_EQ(entry.at, s.wall);
}

}  // namespace
}  // namespace serin
