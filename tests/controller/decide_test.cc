// The conditions of docs/VERDICT.md, "Advance", one by one, and what comes before them.

#include "controller/decide.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace serin {
namespace {

using ::testing::HasSubstr;

class DecideTest : public ::testing::Test {
 protected:
  DecideTest() {
    rollout_.state = RolloutState::kStepping;
    rollout_.step = 1;
    rollout_.split.canary_weight = Weight::Percent(10);
    rollout_.split.engaged = true;
    rollout_.held = plan_.hold;
    step_ = {.outcomes = 1000, .errors = 50, .timed = 1000, .slow = 50, .routed = 1000};
  }
  Decision Now() {
    Facts facts{.rollout = rollout_, .plan = plan_};
    facts.breach = breach_;
    facts.common_cause = common_cause_;
    facts.step = step_;
    facts.evidence = evidence_;
    facts.request_rate = 100;
    facts.journal_lost = journal_lost_;
    return Decide(facts);
  }

  Plan plan_;
  Rollout rollout_;
  Counts step_;
  double evidence_ = 0.5;
  const Verdict* breach_ = nullptr;
  const Verdict* common_cause_ = nullptr;
  bool journal_lost_ = false;
};

TEST_F(DecideTest, AdvancesWhenHeldWithEvidenceAtExactlyEveryLimit) {
  EXPECT_EQ(Now().action, Action::kAdvance);
  EXPECT_THAT(Now().reason, HasSubstr("1000 canary requests, 50 errors (5 %) and 50 slow (5 %)"));
}

TEST_F(DecideTest, WaitsForTheHold) {
  rollout_.held = plan_.hold - absl::Milliseconds(1);
  EXPECT_EQ(Now().action, Action::kNothing);
}

TEST_F(DecideTest, HoldsWithoutEnoughOutcomesOrTimes) {
  step_ = {.outcomes = 89, .timed = 90};
  EXPECT_EQ(Now().action, Action::kHold);
  EXPECT_THAT(Now().reason,
              HasSubstr("89 of 90 canary requests counted in this step; at 10/s the rest takes"));
  step_ = {.outcomes = 90, .timed = 89};
  EXPECT_EQ(Now().action, Action::kHold);
  step_ = {.outcomes = 90, .timed = 90};
  EXPECT_EQ(Now().action, Action::kAdvance);
}

TEST_F(DecideTest, HoldsWhileMoreThanTheLimitOfThisStepFailed) {
  ++step_.errors;
  EXPECT_EQ(Now().action, Action::kHold);
  EXPECT_THAT(Now().reason, HasSubstr("51 of 1000 canary requests in this step failed"));
}

TEST_F(DecideTest, HoldsWhileMoreThanTheLimitOfThisStepWasSlow) {
  ++step_.slow;
  EXPECT_EQ(Now().action, Action::kHold);
  EXPECT_THAT(Now().reason, HasSubstr("51 of 1000 canary requests in this step took longer than 2 s"));
}

TEST_F(DecideTest, HoldsWhileADetectorIsBeyondHalfway) {
  evidence_ = 0.51;
  EXPECT_EQ(Now().action, Action::kHold);
  EXPECT_THAT(Now().reason, HasSubstr("51 % of its threshold"));
}

TEST_F(DecideTest, SaysThatItHoldsOnceAndWarnsOnceAfterThreeHolds) {
  step_ = Counts();
  rollout_.state = RolloutState::kHolding;
  EXPECT_EQ(Now().action, Action::kNothing);
  rollout_.held = plan_.hold * 3;
  EXPECT_EQ(Now().action, Action::kWarn);
  rollout_.warned = true;
  EXPECT_EQ(Now().action, Action::kNothing);
}

TEST_F(DecideTest, TheBakeEndsInTheSwapUnderTheSameConditions) {
  rollout_.state = RolloutState::kBaking;
  rollout_.baking = true;
  rollout_.split.canary_weight = Weight::All();
  EXPECT_EQ(Now().action, Action::kFinalise);
  step_ = Counts();
  EXPECT_EQ(Now().action, Action::kHold);
}

TEST_F(DecideTest, MovesNothingThatAPersonHasSet) {
  rollout_.state = RolloutState::kPaused;
  EXPECT_EQ(Now().action, Action::kNothing);
  rollout_.manual = true;
  EXPECT_EQ(Now().action, Action::kNothing);
}

TEST_F(DecideTest, ABreachComesBeforeEverythingInEveryStateWithWeight) {
  Verdict verdict;
  verdict.rule = Rule::kWindowErrors;
  breach_ = common_cause_ = &verdict;
  for (RolloutState state :
       {RolloutState::kStepping, RolloutState::kHolding, RolloutState::kPaused, RolloutState::kBaking}) {
    rollout_.state = state;
    EXPECT_EQ(Now().action, Action::kRevert) << Name(state);
  }
  rollout_.split.canary_weight = Weight::Zero();
  EXPECT_EQ(Now().action, Action::kNothing) << "there is nobody to save";
}

TEST_F(DecideTest, ACommonCausePausesAndALostJournalReverts) {
  Verdict verdict;
  verdict.rule = Rule::kWindowErrors;
  common_cause_ = &verdict;
  EXPECT_EQ(Now().action, Action::kPause);
  journal_lost_ = true;
  EXPECT_EQ(Now().action, Action::kRevert);
}

}  // namespace
}  // namespace serin
