// The rules of docs/VERDICT.md as a specification.

#include "controller/judge.h"

#include <gtest/gtest.h>

#include <random>

namespace serin {
namespace {

// A judge that follows a rollout at 10 %, canary on green, and a stream of
// responses 10 ms apart.
class JudgeTest : public ::testing::Test {
 protected:
  JudgeTest() : judge_(plan_) { Follow(Weight::Percent(10)); }

  void Follow(Weight weight, RolloutState state = RolloutState::kStepping) {
    rollout_.state = state;
    rollout_.split.rollout = 1;
    rollout_.split.canary_weight = weight;
    rollout_.split.epoch = rollout_.split.epoch.Next();
    rollout_.step_epoch = rollout_.split.epoch;
    rollout_.first_epoch = Epoch(1);
    judge_.Follow(rollout_);
  }
  void SetPlan() {
    judge_ = Judge(plan_);
    Follow(rollout_.split.canary_weight);
  }

  Observation Next(PoolId pool) {
    now_ = now_ + gap_;
    Observation observation;
    observation.at = now_;
    observation.pool = pool;
    observation.role = pool == PoolId::kGreen ? Role::kCanary : Role::kStable;
    observation.epoch = rollout_.split.epoch;
    observation.status = 200;
    observation.latency_us = 5000;
    return observation;
  }
  void Good(int count, PoolId pool = PoolId::kGreen) {
    for (int i = 0; i < count; ++i) judge_.Observe(Next(pool));
  }
  void Bad(int count, PoolId pool = PoolId::kGreen) {
    for (int i = 0; i < count; ++i) {
      Observation observation = Next(pool);
      observation.error = true;
      observation.status = 500;
      judge_.Observe(observation);
    }
  }
  void Slow(int count, PoolId pool = PoolId::kGreen) {
    for (int i = 0; i < count; ++i) {
      Observation observation = Next(pool);
      observation.slow = true;
      observation.latency_us = 2500000;
      judge_.Observe(observation);
    }
  }
  Rule rule() const { return judge_.breach() != nullptr ? judge_.breach()->rule : Rule::kNone; }

  Plan plan_;
  Judge judge_;
  Rollout rollout_;
  Instant now_ = Instant::FromNanos(1'000'000'000'000);
  absl::Duration gap_ = absl::Milliseconds(10);
};

TEST_F(JudgeTest, SaysNothingWithoutData) { EXPECT_EQ(judge_.breach(), nullptr); }

// --- The literal rule

TEST_F(JudgeTest, ExactlyFivePercentIsWithinTheLimit) {
  plan_.sequential.enabled = false;
  SetPlan();
  for (int i = 0; i < 50; ++i) {
    Good(19);
    Bad(1);
  }
  EXPECT_EQ(rule(), Rule::kNone);
}

TEST_F(JudgeTest, OneMoreThanFivePercentIsNot) {
  plan_.sequential.enabled = false;
  SetPlan();
  Good(94);
  Bad(5);
  EXPECT_EQ(rule(), Rule::kNone) << "99 requests are too few";
  Bad(1);
  ASSERT_EQ(rule(), Rule::kWindowErrors);
  EXPECT_EQ(judge_.breach()->evidence.window[Index(PoolId::kGreen)].errors, 6);
  EXPECT_EQ(judge_.breach()->evidence.window[Index(PoolId::kGreen)].outcomes, 100);
}

TEST_F(JudgeTest, AGoodAnswerCanWaitUntilHalfOfTheFailuresAreThereThatTheWindowMayHold) {
  plan_.sequential.enabled = false;
  SetPlan();
  Bad(2);
  Bad(50, PoolId::kBlue);
  EXPECT_FALSE(judge_.NearLimit());
  Bad(1);
  EXPECT_TRUE(judge_.NearLimit());  // 3 of 100 would be
  Good(117);
  EXPECT_FALSE(judge_.NearLimit());  // 3 of 120
  Slow(4);
  EXPECT_TRUE(judge_.NearLimit());  // slowness has its own
  judge_.Advance(now_ + plan_.window);
  EXPECT_FALSE(judge_.NearLimit());
  Bad(6);
  Good(93);
  ASSERT_EQ(rule(), Rule::kNone);
  EXPECT_TRUE(judge_.NearLimit());
  Good(1);
  EXPECT_EQ(rule(), Rule::kWindowErrors);
  Follow(Weight::Zero(), RolloutState::kReverted);
  EXPECT_FALSE(judge_.NearLimit()) << "there is nothing left to decide";
}

TEST_F(JudgeTest, ColdStartHoldsUntilMinRequests) {
  plan_.sequential.enabled = false;
  SetPlan();
  Bad(99);
  EXPECT_EQ(rule(), Rule::kNone);
  Bad(1);
  EXPECT_EQ(rule(), Rule::kWindowErrors);
}

TEST_F(JudgeTest, P95OverTwoSecondsMeansMoreThanFivePercentAreSlow) {
  plan_.sequential.enabled = false;
  SetPlan();
  Good(95);
  Slow(5);
  EXPECT_EQ(rule(), Rule::kNone);
  Slow(1);
  ASSERT_EQ(rule(), Rule::kWindowSlow);
  EXPECT_EQ(judge_.breach()->reason(), RevertReason::kLatency);
  EXPECT_GT(judge_.breach()->evidence.p95_us[Index(PoolId::kGreen)], 2e6);
}

TEST_F(JudgeTest, ErrorsOlderThanTheWindowDoNotCount) {
  plan_.sequential.enabled = false;
  SetPlan();
  Good(200);
  Bad(10);
  now_ = now_ + absl::Seconds(61);
  Good(100);
  EXPECT_EQ(rule(), Rule::kNone);
}

TEST_F(JudgeTest, StableFailuresAreNotTheCanarys) {
  Bad(10000, PoolId::kBlue);
  Good(1000);
  EXPECT_EQ(rule(), Rule::kNone);
}

// --- The sequential rule

TEST_F(JudgeTest, FiveFailuresInARowEndASmallSitesRollout) {
  Bad(4);
  EXPECT_EQ(rule(), Rule::kNone);
  Bad(1);
  ASSERT_EQ(rule(), Rule::kSequentialErrors);
  EXPECT_EQ(judge_.breach()->number, 5u);
  EXPECT_DOUBLE_EQ(judge_.breach()->theta, 0.90);
}

TEST_F(JudgeTest, SlownessHasItsOwnBank) {
  Bad(3);
  Slow(3);
  EXPECT_EQ(rule(), Rule::kNone) << "three of each are six of nothing";
  Slow(3);
  EXPECT_EQ(rule(), Rule::kSequentialSlow);
}

TEST_F(JudgeTest, RequestsInFlightPastTheLimitCountAtOnce) {
  for (int i = 0; i < 5; ++i) {
    Observation hung = Next(PoolId::kGreen);
    hung.has_outcome = false;
    hung.slow = true;
    hung.latency_us = 2000001;
    judge_.Observe(hung);
  }
  ASSERT_EQ(rule(), Rule::kSequentialSlow);
  EXPECT_EQ(judge_.breach()->evidence.window[Index(PoolId::kGreen)].outcomes, 0);
}

TEST_F(JudgeTest, TheBankIsNotResetAtAStep) {
  Bad(3);
  Follow(Weight::Percent(25));
  Bad(2);
  EXPECT_EQ(rule(), Rule::kSequentialErrors);
}

TEST_F(JudgeTest, TheBankIsResetByANewRelease) {
  Bad(4);
  rollout_.split.rollout = 2;
  rollout_.first_epoch = rollout_.split.epoch.Next();
  rollout_.split.epoch = rollout_.first_epoch;
  judge_.Follow(rollout_);
  Bad(4);
  EXPECT_EQ(rule(), Rule::kNone);
  EXPECT_EQ(judge_.step().outcomes, 4);
}

TEST_F(JudgeTest, MoreTrafficRaisesTheThreshold) {
  const double before = judge_.Look().expected_requests;
  gap_ = absl::Milliseconds(1);
  for (int i = 0; i < 5000; ++i) Good(1, i % 10 == 0 ? PoolId::kGreen : PoolId::kBlue);
  EXPECT_GT(judge_.Look().expected_requests, before);
  EXPECT_NEAR(judge_.Look().expected_requests, 780000, 50000) << "1,000/s times 780 s of full weight";
}

TEST_F(JudgeTest, TheThresholdNeverSinksDuringARollout) {
  gap_ = absl::Milliseconds(1);
  Good(5000, PoolId::kBlue);
  const double high = judge_.Look().expected_requests;
  gap_ = absl::Seconds(1);
  Good(500, PoolId::kBlue);
  EXPECT_EQ(judge_.Look().expected_requests, high);
}

TEST_F(JudgeTest, ARateKnownBeforeTheRolloutIsUsedFromItsFirstRequest) {
  Judge judge(plan_);
  Rollout idle;
  judge.Follow(idle);
  for (int i = 0; i < 60000; ++i) {
    Observation observation = Next(PoolId::kBlue);
    observation.at = Instant::FromNanos(now_.nanos() / 10);  // 1,000/s
    judge.Observe(observation);
  }
  judge.Follow(rollout_);
  EXPECT_NEAR(judge.Look().expected_requests, 780000, 10000);
}

TEST_F(JudgeTest, NamesTheObservationThatDecided) {
  Good(100, PoolId::kBlue);
  Good(20);
  Bad(3);
  Good(1);
  Bad(20);
  ASSERT_NE(judge_.breach(), nullptr);
  const Verdict& verdict = *judge_.breach();
  EXPECT_TRUE(verdict.deciding.error);
  EXPECT_EQ(verdict.deciding.at,
            Instant::FromNanos(1'000'000'000'000) + gap_ * static_cast<int64_t>(verdict.number));
  EXPECT_LT(verdict.number, judge_.observations());
}

TEST_F(JudgeTest, DetectorLevelsSurviveARestartAndTheWindowDoesNot) {
  Good(1000);
  Bad(3);
  const JudgeMemory memory = judge_.Memory();
  judge_ = Judge(plan_);
  judge_.Follow(rollout_);
  judge_.Recall(memory);
  EXPECT_EQ(judge_.Look().window[Index(PoolId::kGreen)], Counts());
  EXPECT_EQ(judge_.step(), Counts());
  EXPECT_EQ(judge_.Look().expected_requests, memory.expected_requests);
  Bad(2);
  EXPECT_EQ(rule(), Rule::kNone);
  Bad(1);
  EXPECT_EQ(rule(), Rule::kSequentialErrors);
}

// --- A pool that is not there

TEST_F(JudgeTest, ARefusedConnectionIsTheDeadPoolRulesAffair) {
  Observation refused = Next(PoolId::kGreen);
  for (int i = 0; i < 190; ++i) {
    refused = Next(PoolId::kGreen);
    refused.error = true;
    refused.status = 0;
    refused.backend_error = BackendError::kRefused;
    judge_.Observe(refused);
  }
  EXPECT_EQ(rule(), Rule::kNone) << "1.9 s may be a reload";
  for (int i = 0; i < 12; ++i) {
    refused.at = refused.at + gap_;
    judge_.Observe(refused);
  }
  EXPECT_NE(rule(), Rule::kNone);
  EXPECT_EQ(judge_.breach()->reason(), RevertReason::kDeadPool);
}

TEST_F(JudgeTest, ATimeOutIsAnOrdinaryError) {
  for (int i = 0; i < 5; ++i) {
    Observation late = Next(PoolId::kGreen);
    late.error = true;
    late.status = 0;
    late.backend_error = BackendError::kReadTimeout;
    judge_.Observe(late);
  }
  EXPECT_EQ(rule(), Rule::kSequentialErrors);
}

// --- Both fail

TEST_F(JudgeTest, BothFailingAlikeIsACommonCause) {
  for (int i = 0; i < 20; ++i) {
    Bad(9, PoolId::kBlue);
    Bad(1);
  }
  EXPECT_EQ(judge_.breach(), nullptr);
  ASSERT_NE(judge_.common_cause(), nullptr);
  EXPECT_TRUE(judge_.common_cause()->common_cause);
}

TEST_F(JudgeTest, ACommonCauseDoesNotHideTheCanarysOwnFaultForLong) {
  for (int i = 0; i < 20; ++i) {
    Bad(9, PoolId::kBlue);
    Bad(1);
  }
  Good(2000, PoolId::kBlue);
  int failures = 0;
  while (judge_.breach() == nullptr && failures < 1000) {
    Good(9, PoolId::kBlue);
    Bad(1);
    ++failures;
  }
  EXPECT_LE(failures, 15);
}

TEST_F(JudgeTest, BothSlowAlikeIsACommonCause) {
  for (int i = 0; i < 20; ++i) {
    Slow(9, PoolId::kBlue);
    Slow(1);
  }
  EXPECT_EQ(judge_.breach(), nullptr);
  EXPECT_NE(judge_.common_cause(), nullptr);
}

TEST_F(JudgeTest, AtFullWeightThereIsNothingToCompareAndTheCanaryGoes) {
  Follow(Weight::All());
  Bad(6);
  EXPECT_NE(judge_.breach(), nullptr);
}

// --- When it judges

TEST_F(JudgeTest, JudgesWhilePaused) {
  Follow(Weight::Percent(10), RolloutState::kPaused);
  Bad(6);
  EXPECT_NE(judge_.breach(), nullptr);
}

TEST_F(JudgeTest, DoesNotJudgeWithoutACanary) {
  for (RolloutState state : {RolloutState::kStable, RolloutState::kReverted}) {
    Follow(Weight::Zero(), state);
    Bad(1000);
    EXPECT_EQ(judge_.breach(), nullptr);
  }
}

TEST_F(JudgeTest, RequestsRoutedInAnEarlierStepAreNoEvidenceForThisOne) {
  Good(50);
  Observation earlier = Next(PoolId::kGreen);
  Follow(Weight::Percent(25));
  EXPECT_EQ(judge_.step(), Counts());
  judge_.Observe(earlier);
  EXPECT_EQ(judge_.step().outcomes, 0);
  Good(1);
  EXPECT_EQ(judge_.step().outcomes, 1);
}

TEST_F(JudgeTest, AHealthyReleaseAtOnePercentIsNeverReverted) {
  std::mt19937_64 random(20);
  std::bernoulli_distribution fails(0.01);
  for (int i = 0; i < 100000; ++i) fails(random) ? Bad(1) : Good(1);
  EXPECT_EQ(judge_.breach(), nullptr);
}

}  // namespace
}  // namespace serin
