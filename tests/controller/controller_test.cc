// A whole rollout of 25 minutes in milliseconds: what the controller does with
// traffic, commands, restarts and clocks.

#include "controller/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controller/simulation.h"

namespace serin {
namespace {

using ::testing::HasSubstr;

constexpr double kRate = 100;  // requests per second, both pools

TEST(ControllerTest, FirstStartPutsEverythingOnStable) {
  Simulation s;
  EXPECT_EQ(s.state(), RolloutState::kStable);
  EXPECT_TRUE(s.weight().is_zero());
  EXPECT_EQ(s.cell.Load().stable_pool(), PoolId::kBlue);
  EXPECT_FALSE(s.report()->alarm);
}

TEST(ControllerTest, InitialStableAndWeightApplyToTheFirstStartOnly) {
  Plan plan;
  plan.initial_stable = PoolId::kGreen;
  plan.initial_weight = Weight::Percent(5);
  Simulation s(plan);
  EXPECT_EQ(s.cell.Load().stable_pool(), PoolId::kGreen);
  EXPECT_EQ(s.weight(), Weight::Percent(5));
  EXPECT_EQ(s.state(), RolloutState::kPaused);
  ASSERT_TRUE(s.Do(Verb::kAbort).ok());
  s.Restart();
  EXPECT_TRUE(s.weight().is_zero());
  EXPECT_EQ(s.state(), RolloutState::kReverted);
}

TEST(ControllerTest, AHealthyReleaseGoesToAllInTwentyFiveMinutesAndBecomesStable) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  for (int step = 1; step <= 5; ++step) {
    EXPECT_EQ(s.report()->step, step);
    EXPECT_EQ(s.weight(), s.plan.steps[static_cast<size_t>(step - 1)]);
    EXPECT_EQ(s.state(), step == 5 ? RolloutState::kBaking : RolloutState::kStepping);
    s.Run(s.report()->hold_remaining - absl::Seconds(1), kRate);
    EXPECT_EQ(s.report()->step, step) << "not before its hold is over";
    s.Run(absl::Seconds(2), kRate);
  }
  EXPECT_EQ(s.state(), RolloutState::kStable);
  EXPECT_EQ(s.cell.Load().stable_pool(), PoolId::kGreen);
  EXPECT_TRUE(s.weight().is_zero());
  EXPECT_TRUE(s.report()->undoable);
  EXPECT_EQ(s.bad_answers, 0);
}

TEST(ControllerTest, TheNextRolloutGoesTheOtherWay) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  ASSERT_TRUE(s.Do(Verb::kPromoteFull).ok());
  const uint16_t first = s.cell.Load().rollout;
  ASSERT_TRUE(s.Do(Verb::kStart, Weight(), "v3").ok());
  EXPECT_EQ(s.cell.Load().canary_pool, PoolId::kBlue);
  EXPECT_NE(s.cell.Load().rollout, first) << "new people are drawn";
  EXPECT_EQ(s.report()->release, "v3");
}

TEST(ControllerTest, ObservedShareFollowsTheWeight) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  EXPECT_FALSE(s.report()->observed_ratio.has_value());
  s.Run(absl::Seconds(30), kRate);
  ASSERT_TRUE(s.report()->observed_ratio.has_value());
  EXPECT_NEAR(*s.report()->observed_ratio, 0.10, 0.002);
}

// --- Breaches

TEST(ControllerTest, ADeadReleaseIsGoneAfterSixBadAnswers) {
  Simulation s;
  s.behaviours[Index(PoolId::kGreen)].error = 1;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(30), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_TRUE(s.weight().is_zero());
  EXPECT_LE(s.bad_answers, 6);
  EXPECT_EQ(s.report()->reverts_error_rate, 1u);
  EXPECT_THAT(s.report()->reason, HasSubstr("reverted at 10 %"));
}

TEST(ControllerTest, TwentyPercentErrorsAreReverted) {
  Simulation s;
  s.behaviours[Index(PoolId::kGreen)].error = 0.2;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(2), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_LE(s.bad_answers, 60);
}

TEST(ControllerTest, ALateFaultIsReverted) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(12), kRate);
  EXPECT_EQ(s.weight(), Weight::Percent(50));
  s.canary().error = 1;
  s.Run(absl::Seconds(2), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_LE(s.bad_answers, 6);
}

TEST(ControllerTest, ASlowReleaseIsRevertedForLatency) {
  Simulation s;
  s.behaviours[Index(PoolId::kGreen)].slow = 1;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(30), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_EQ(s.report()->reverts_latency, 1u);
  EXPECT_THAT(s.report()->reason, HasSubstr("2 s"));
}

TEST(ControllerTest, AHungCanaryIsRevertedBeforeAnyOfItsRequestsHasFinished) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  const Instant start = s.steady;
  // 10 canary requests per second, none answered; each is reported at 2 s.
  while (s.state() != RolloutState::kReverted && s.steady - start < absl::Seconds(10)) {
    s.Advance(absl::Milliseconds(100));
    if (s.steady - start >= absl::Seconds(2)) {
      Observation hung;
      hung.at = s.steady;
      hung.pool = PoolId::kGreen;
      hung.role = Role::kCanary;
      hung.epoch = s.cell.Load().epoch;
      hung.client = static_cast<uint64_t>(s.steady.nanos());
      hung.has_outcome = false;
      hung.slow = true;
      hung.latency_us = 2000001;
      s.controller->Observe(hung);
    }
    s.controller->Tick(s.now());
  }
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_LE(s.steady - start, absl::Seconds(3)) << "the limit plus one second";
}

TEST(ControllerTest, AStoppedPoolIsRevertedAfterTwoSeconds) {
  Simulation s;
  s.behaviours[Index(PoolId::kGreen)] = {.error = 1, .backend_error = BackendError::kRefused};
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(1.9), kRate);
  EXPECT_EQ(s.state(), RolloutState::kStepping);
  s.Run(absl::Seconds(0.5), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_EQ(s.report()->reverts_dead_pool, 1u);
}

TEST(ControllerTest, AReloadOfTheCanaryIsNoVerdict) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(20), kRate);
  for (int reload = 0; reload < 3; ++reload) {
    s.canary() = {.error = 1, .backend_error = BackendError::kRefused};
    s.Run(absl::Seconds(1), kRate);
    s.canary() = {};
    s.Run(absl::Seconds(70), kRate);
  }
  EXPECT_EQ(s.state(), RolloutState::kStepping);
}

TEST(ControllerTest, AnExplanationNamesLimitPoolsAndCauses) {
  Simulation s;
  s.behaviours[Index(PoolId::kGreen)].error = 1;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(30), kRate);
  const std::string text = s.report()->explanation;
  for (const char* part : {"v2", "reverted", "green", "blue", "5 %", "status 500",
                           "/srv/app/public/index.php", "undefined function chirp()", "60 s|1m"}) {
    const std::string_view words(part);
    const size_t bar = words.find('|');
    const bool found =
        text.find(words.substr(0, bar)) != std::string::npos ||
        (bar != std::string_view::npos && text.find(words.substr(bar + 1)) != std::string::npos);
    EXPECT_TRUE(found) << part << " in: " << text;
  }
}

TEST(ControllerTest, AnExplanationOfASlowReleaseNamesItsScripts) {
  Simulation s;
  s.behaviours[Index(PoolId::kGreen)].slow = 1;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(30), kRate);
  ASSERT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_THAT(s.report()->explanation, HasSubstr("slow /srv/app/public/index.php"));
}

TEST(ControllerTest, AnExplanationSaysSinceWhenAndWhatToDo) {
  Simulation s;
  s.wall = absl::FromUnixSeconds(1'700'000'000);
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(5), kRate);
  EXPECT_THAT(s.report()->explanation,
              HasSubstr("stepping at 10 % (step 1 of 5), since 2023-11-14 22:13:20 UTC"));
  s.Restart();
  EXPECT_THAT(s.report()->explanation, HasSubstr("since 2023-11-14 22:13:20 UTC"))
      << "a restart decides nothing";
  ASSERT_TRUE(s.Do(Verb::kPause).ok());
  EXPECT_THAT(s.report()->explanation, HasSubstr("\"serinctl resume\" goes on with the plan"));
  s.canary().error = 1;
  s.Run(absl::Seconds(2), kRate);
  EXPECT_THAT(s.report()->explanation, HasSubstr("All traffic is on blue; \"serinctl retry\" tries"));
}

TEST(ControllerTest, TheNumbersOfADecisionSurviveARestart) {
  Simulation s;
  s.behaviours[Index(PoolId::kGreen)].error = 1;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(30), kRate);
  ASSERT_EQ(s.state(), RolloutState::kReverted);
  const std::string before = s.report()->explanation;
  EXPECT_THAT(before, HasSubstr("At that moment: In the last 1m canary (green) had 5 of 5 fail (100 %)"));
  s.Restart();
  EXPECT_EQ(s.report()->explanation, before);
  ASSERT_TRUE(s.Do(Verb::kDrain, PoolId::kGreen).ok());
  EXPECT_EQ(s.report()->explanation, before) << "a drain decides nothing about the release";
  ASSERT_TRUE(s.Do(Verb::kUndrain, PoolId::kGreen).ok());
  EXPECT_EQ(s.report()->explanation, before);
}

TEST(ControllerTest, ALateFaultIsExplainedThoughTheWindowLooksWell) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(12), kRate);
  s.canary().error = 1;
  s.Run(absl::Seconds(2), kRate);
  ASSERT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_THAT(s.report()->reason,
              HasSubstr("so close together that the rate is surely above the limit of 5 %"));
}

TEST(ControllerTest, TroubleWithTheJournalIsInTheExplanation) {
  Simulation s;
  s.recorder.FailWith(absl::ResourceExhaustedError("no space left on device"));
  EXPECT_FALSE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(1), 0);
  EXPECT_THAT(s.report()->explanation,
              HasSubstr("Alarm: the journal cannot be written: no space left on device"));
}

// --- Evidence

TEST(ControllerTest, NoDataNeverPromotesAndNeverFails) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Hours(3), 0);
  EXPECT_EQ(s.state(), RolloutState::kHolding);
  EXPECT_EQ(s.weight(), Weight::Percent(10));
  EXPECT_THAT(s.report()->reason, HasSubstr("0 of 90"));
}

TEST(ControllerTest, HoldsUntilEnoughRequestsAreCountedAndSaysHowLong) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(6), 2);  // 72 canary requests at 10 %
  EXPECT_EQ(s.state(), RolloutState::kHolding);
  EXPECT_THAT(s.report()->reason, HasSubstr("of 90 canary requests"));
  EXPECT_THAT(s.report()->reason, HasSubstr("takes about"));
  s.Run(absl::Minutes(2), 2);
  EXPECT_EQ(s.state(), RolloutState::kStepping);
  EXPECT_EQ(s.weight(), Weight::Percent(25));
}

TEST(ControllerTest, ADetectorAboveHalfItsThresholdKeepsTheStep) {
  for (double most : {0.5, 1.0}) {
    Plan plan;
    plan.max_evidence = most;
    Simulation s(plan);
    ASSERT_TRUE(s.Do(Verb::kStart).ok());
    s.Run(absl::Minutes(5) - absl::Seconds(1), kRate);
    s.canary().error = 1;
    ASSERT_TRUE(s.RunUntil([&] { return s.bad_answers == 3; }, absl::Seconds(1), kRate));
    s.canary().error = 0;
    s.Run(absl::Seconds(1), 0);
    if (most < 1) {
      EXPECT_EQ(s.state(), RolloutState::kHolding);
      EXPECT_THAT(s.report()->reason, HasSubstr("a detector stands at"));
      s.Run(absl::Seconds(2), kRate);
    }
    EXPECT_EQ(s.weight(), Weight::Percent(25));
  }
}

TEST(ControllerTest, WarnsAfterThreeHolds) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(14), 0);
  EXPECT_FALSE(s.report()->alarm);
  s.Run(absl::Minutes(2), 0);
  EXPECT_TRUE(s.report()->alarm);
  EXPECT_EQ(s.Events("warn"), 1);
  EXPECT_EQ(s.Events("hold"), 1);
}

TEST(ControllerTest, FinalisesOnlyOnEvidenceToo) {
  Plan plan;
  plan.steps = {Weight::All()};
  Simulation s(plan);
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  EXPECT_EQ(s.state(), RolloutState::kBaking);
  s.Run(absl::Minutes(10), 0);
  EXPECT_EQ(s.state(), RolloutState::kHolding);
  EXPECT_EQ(s.cell.Load().canary_pool, PoolId::kGreen);
  s.Run(absl::Seconds(2), kRate);
  EXPECT_EQ(s.state(), RolloutState::kStable);
  EXPECT_EQ(s.cell.Load().stable_pool(), PoolId::kGreen);
}

TEST(ControllerTest, APlanThatEndsBelowAllBakesAtAll) {
  Plan plan;
  plan.steps = {Weight::Percent(50)};
  Simulation s(plan);
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(5) + absl::Seconds(1), kRate);
  EXPECT_EQ(s.state(), RolloutState::kBaking);
  EXPECT_EQ(s.weight(), Weight::All());
}

TEST(ControllerTest, TheBakeIsGuarded) {
  Plan plan;
  plan.steps = {Weight::All()};
  Simulation s(plan);
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(4), kRate);
  s.canary().error = 1;
  s.Run(absl::Seconds(1), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_EQ(s.cell.Load().stable_pool(), PoolId::kBlue);
}

// --- Both fail

TEST(ControllerTest, ACommonCausePausesAtTheWeightAndAlarms) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(1), kRate);
  s.canary().error = s.stable().error = 0.9;
  s.Run(absl::Seconds(20), kRate);
  EXPECT_EQ(s.state(), RolloutState::kPaused);
  EXPECT_EQ(s.weight(), Weight::Percent(10));
  EXPECT_TRUE(s.report()->alarm);
  EXPECT_THAT(s.report()->reason, HasSubstr("both pools fail alike"));
  EXPECT_EQ(s.Events("common cause"), 1) << "no flapping";
  // When it is over, the operator goes on.
  s.canary().error = s.stable().error = 0;
  s.Run(absl::Minutes(2), kRate);
  ASSERT_TRUE(s.Do(Verb::kResume).ok());
  s.Run(absl::Minutes(30), kRate);
  EXPECT_EQ(s.state(), RolloutState::kStable) << s.report()->reason;
  EXPECT_EQ(s.Events("revert"), 0);
}

TEST(ControllerTest, ResumingRightAfterACommonCauseDoesNotRevertTheInnocent) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(1), kRate);
  s.canary().error = s.stable().error = 0.9;
  s.Run(absl::Seconds(20), kRate);
  s.canary().error = s.stable().error = 0;
  ASSERT_TRUE(s.Do(Verb::kResume).ok());
  s.Run(absl::Minutes(3), kRate);
  EXPECT_EQ(s.Events("revert"), 0);
}

TEST(ControllerTest, ACanaryThatFailsMoreThanAFailingStableIsReverted) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.stable().error = 0.08;
  s.canary().error = 1;
  s.Run(absl::Seconds(20), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
}

TEST(ControllerTest, ACommonCauseRevertsWhenToldSo) {
  Plan plan;
  plan.on_common_cause = OnCommonCause::kRevert;
  Simulation s(plan);
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.canary().error = s.stable().error = 0.9;
  s.Run(absl::Seconds(20), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
}

TEST(ControllerTest, WithMostTrafficOnTheCanaryDoubtEndsInARevert) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  ASSERT_TRUE(s.Do(Verb::kWeight, Weight::Percent(75)).ok());
  s.Run(absl::Seconds(10), kRate);
  s.canary().error = 1;
  s.Run(absl::Seconds(5), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
}

// --- The guard

TEST(ControllerTest, TheGuardRunsWhilePaused) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  ASSERT_TRUE(s.Do(Verb::kPause).ok());
  s.canary().error = 1;
  s.Run(absl::Seconds(2), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
}

TEST(ControllerTest, TheGuardRunsAtAManualWeightWithoutARollout) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kWeight, Weight::Percent(25)).ok());
  EXPECT_EQ(s.state(), RolloutState::kPaused);
  EXPECT_EQ(s.weight(), Weight::Percent(25));
  s.canary().error = 1;
  s.Run(absl::Seconds(2), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_TRUE(s.weight().is_zero());
}

TEST(ControllerTest, RequestsOfAnEarlierReleaseDoNotCount) {
  Simulation s;
  s.behaviours[Index(PoolId::kGreen)].error = 1;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  Observation late;
  while (late.pool != PoolId::kGreen) late = s.Request();
  s.Run(absl::Seconds(2), kRate);
  ASSERT_EQ(s.state(), RolloutState::kReverted);
  s.canary().error = 0;
  ASSERT_TRUE(s.Do(Verb::kRetry).ok());
  for (int i = 0; i < 100; ++i) {
    late.at = s.steady;
    late.client = static_cast<uint64_t>(i) + 1;
    s.controller->Observe(late);
  }
  s.Run(absl::Minutes(1), kRate);
  EXPECT_EQ(s.state(), RolloutState::kStepping);
}

// --- Restarts and clocks

TEST(ControllerTest, ARestartInMidStepGoesOnWithTheRemainingHold) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(7), kRate);
  ASSERT_EQ(s.weight(), Weight::Percent(25));
  const absl::Duration left = s.report()->hold_remaining;
  s.Advance(absl::Hours(1));  // down for an hour: no part of the hold
  s.Restart();
  EXPECT_EQ(s.weight(), Weight::Percent(25));
  EXPECT_EQ(s.report()->step, 2);
  EXPECT_EQ(s.report()->release, "v2");
  EXPECT_EQ(s.report()->pools[Index(PoolId::kGreen)].requests, 0) << "an empty window";
  EXPECT_GE(s.report()->hold_remaining, left);
  EXPECT_LE(s.report()->hold_remaining, left + absl::Seconds(5));
  s.Run(left + absl::Seconds(6), kRate);
  EXPECT_EQ(s.weight(), Weight::Percent(50));
}

TEST(ControllerTest, RestartsNeverMakeAHoldShorter) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  const Instant start = s.steady;
  while (s.weight() == Weight::Percent(10) && s.steady - start < absl::Hours(2)) {
    s.Run(absl::Seconds(23), kRate);
    s.Restart();
  }
  EXPECT_GE(s.steady - start, absl::Minutes(5));
  EXPECT_LE(s.steady - start, absl::Minutes(8));
}

TEST(ControllerTest, ARevertSurvivesARestart) {
  Simulation s;
  s.behaviours[Index(PoolId::kGreen)].error = 1;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(5), kRate);
  s.Restart();
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_TRUE(s.weight().is_zero());
  EXPECT_THAT(s.report()->reason, HasSubstr("reverted at 10 %"));
}

TEST(ControllerTest, EpochsNeverRepeatAcrossRestarts) {
  Simulation s;
  Epoch last = s.cell.Load().epoch;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(s.Do(i % 2 == 0 ? Verb::kStart : Verb::kAbort).ok());
    EXPECT_GT(s.cell.Load().epoch, last);
    last = s.cell.Load().epoch;
    s.Restart();
    EXPECT_GT(s.cell.Load().epoch, last);
    last = s.cell.Load().epoch;
  }
}

TEST(ControllerTest, JumpsOfTheWallClockMeanNothing) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(2), kRate);
  s.wall += absl::Hours(48);
  s.Run(absl::Minutes(1), kRate);
  s.wall -= absl::Hours(24 * 365);
  s.Run(absl::Minutes(1), kRate);
  EXPECT_EQ(s.weight(), Weight::Percent(10));
  s.Run(absl::Seconds(61), kRate);
  EXPECT_EQ(s.weight(), Weight::Percent(25));
}

TEST(ControllerTest, TimeInWhichTheControllerDidNotLookIsNoHold) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(1), kRate);
  s.Advance(absl::Hours(1));  // the process was stopped
  s.Run(absl::Seconds(1), kRate);
  EXPECT_EQ(s.weight(), Weight::Percent(10));
  EXPECT_GE(s.report()->hold_remaining, absl::Minutes(3) + absl::Seconds(50));
}

// --- The journal fails

TEST(ControllerTest, AnUnreadableJournalMeansStableAndAnAlarm) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.recorder.FailWith(absl::UnavailableError("input/output error"));
  s.Restart();
  EXPECT_TRUE(s.weight().is_zero());
  EXPECT_EQ(s.state(), RolloutState::kStable);
  EXPECT_TRUE(s.report()->alarm);
  EXPECT_EQ(s.Do(Verb::kStart).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ControllerTest, AJournalThatFailsInMidStepReverts) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.recorder.FailWith(absl::UnavailableError("input/output error"));
  s.Run(absl::Seconds(6), kRate);
  EXPECT_TRUE(s.weight().is_zero());
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  EXPECT_TRUE(s.report()->alarm);
  EXPECT_EQ(s.report()->reverts_journal, 1u);
  // And when it works again, it is told at once.
  s.recorder.FailWith(absl::OkStatus());
  s.Run(absl::Seconds(6), kRate);
  EXPECT_FALSE(s.report()->alarm);
  s.Restart();
  EXPECT_EQ(s.state(), RolloutState::kReverted);
}

TEST(ControllerTest, AFullDiskHoldsTheRolloutAndStillRemembersARevert) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.recorder.FailWith(absl::ResourceExhaustedError("no space left on device"));
  s.Run(absl::Minutes(10), kRate);
  EXPECT_EQ(s.weight(), Weight::Percent(10)) << "no step that could not be remembered";
  EXPECT_TRUE(s.report()->alarm);
  s.canary().error = 1;
  s.Run(absl::Seconds(5), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
  s.Restart();
  EXPECT_TRUE(s.weight().is_zero());
}

TEST(ControllerTest, ARolloutGoesOnWhenTheDiskHasRoomAgain) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.recorder.FailWith(absl::ResourceExhaustedError("no space left on device"));
  s.Run(absl::Minutes(6), kRate);
  s.recorder.FailWith(absl::OkStatus());
  s.Run(absl::Seconds(10), kRate);
  EXPECT_EQ(s.weight(), Weight::Percent(25));
  EXPECT_FALSE(s.report()->alarm);
}

// --- Reload

TEST(ControllerTest, NewLimitsApplyToARolloutUnderWay) {
  Simulation s;
  s.behaviours[Index(PoolId::kGreen)].error = 0.015;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(2), kRate);
  EXPECT_EQ(s.state(), RolloutState::kStepping);
  s.plan.max_error_ratio = 0.005;
  s.controller->SetPlan(s.plan, s.now());
  s.Run(absl::Minutes(1), kRate);
  EXPECT_EQ(s.state(), RolloutState::kReverted);
}

TEST(ControllerTest, NewStepsApplyFromTheNextStepOn) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(6), kRate);
  ASSERT_EQ(s.weight(), Weight::Percent(25));
  s.plan.steps = {Weight::Percent(1), Weight::Percent(20), Weight::Percent(60), Weight::All()};
  s.controller->SetPlan(s.plan, s.now());
  EXPECT_EQ(s.weight(), Weight::Percent(25));
  EXPECT_EQ(s.report()->step, 2);
  s.Run(absl::Minutes(5), kRate);
  EXPECT_EQ(s.weight(), Weight::Percent(60));
}

TEST(ControllerTest, TheListenerHearsEachLineOfHistoryWithTheReportOfThatMoment) {
  Simulation s;
  std::vector<std::string> heard;
  s.listener = [&](const HistoryEntry& entry, const Report& report) {
    heard.push_back(entry.event);
    EXPECT_EQ(report.state, entry.state);
    EXPECT_EQ(report.target_weight, entry.weight);
    if (entry.event == "revert") {
      EXPECT_THAT(report.explanation, HasSubstr("chirp()"));
    }
  };
  s.Restart();
  s.behaviours[Index(PoolId::kGreen)].error = 1;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(5), kRate);
  EXPECT_THAT(heard, ::testing::ElementsAre("restart", "start", "revert"));
}

TEST(ControllerTest, TheListenerHearsOfTroubleWithTheJournalOnceAndOfItsEnd) {
  Simulation s;
  std::vector<std::string> heard;
  s.listener = [&](const HistoryEntry& entry, const Report&) {
    heard.push_back(entry.event + ": " + entry.reason);
  };
  s.Restart();
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  heard.clear();
  s.recorder.FailWith(absl::ResourceExhaustedError("no space left on device"));
  s.Run(absl::Seconds(30), kRate);
  s.recorder.FailWith(absl::OkStatus());
  s.Run(absl::Seconds(30), kRate);
  EXPECT_THAT(heard,
              ::testing::ElementsAre("alarm: the journal cannot be written: no space left on device",
                                     "alarm over: the journal cannot be written: no space left on device"));
}

TEST(ControllerTest, EveryChangeIsInTheHistoryWithItsReason) {
  Simulation s;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(26), kRate);
  ASSERT_EQ(s.state(), RolloutState::kStable);
  ASSERT_TRUE(s.Do(Verb::kUndo).ok());
  std::vector<std::string> events;
  for (const HistoryEntry& entry : s.controller->History()) {
    events.push_back(entry.event);
    EXPECT_FALSE(entry.reason.empty()) << entry.event;
    EXPECT_FALSE(entry.by.empty()) << entry.event;
  }
  EXPECT_THAT(events, ::testing::ElementsAre("first start", "start", "step", "step", "step", "step",
                                             "finalise", "undo"));
}

}  // namespace
}  // namespace serin
