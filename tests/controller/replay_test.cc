// A recording run through the same judge: the same decision at the same
// observation, and what other limits would have said.

#include "controller/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controller/simulation.h"

namespace serin {
namespace {

using ::testing::HasSubstr;

void ExpectSameDecision(const Simulation& s) {
  const absl::StatusOr<Plan> plan = RecordedPlan(s.recorder.recording());
  ASSERT_TRUE(plan.ok());
  const absl::StatusOr<ReplayResult> result = Replay(s.recorder.recording(), *plan);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->whole);
  ASSERT_TRUE(result->recorded.has_value());
  ASSERT_TRUE(result->replayed.has_value()) << result->text;
  EXPECT_EQ(result->replayed->number, result->recorded->number);
  EXPECT_EQ(result->replayed->rule, result->recorded->rule);
  EXPECT_EQ(result->weight, result->recorded->weight);
  EXPECT_EQ(result->release, "v2");
  EXPECT_THAT(result->text, HasSubstr("at the same observation"));
}

TEST(ReplayTest, ReproducesAnErrorRevertAtTheSameObservation) {
  for (double error : {0.06, 0.08, 0.2, 1.0}) {
    Simulation s({}, 11);
    s.behaviours[Index(PoolId::kGreen)].error = error;
    s.Run(absl::Minutes(2), 100);  // before the rollout: known to the live judge only
    ASSERT_TRUE(s.Do(Verb::kStart).ok());
    ASSERT_TRUE(s.RunUntil([&] { return s.state() == RolloutState::kReverted; }, absl::Minutes(20), 100));
    ExpectSameDecision(s);
  }
}

TEST(ReplayTest, ReproducesALatencyRevert) {
  Simulation s({}, 12);
  s.behaviours[Index(PoolId::kGreen)].slow = 0.12;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  ASSERT_TRUE(s.RunUntil([&] { return s.state() == RolloutState::kReverted; }, absl::Minutes(20), 100));
  ExpectSameDecision(s);
}

TEST(ReplayTest, ReproducesADeadPool) {
  Simulation s({}, 13);
  s.behaviours[Index(PoolId::kGreen)] = {.error = 1, .backend_error = BackendError::kRefused};
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  ASSERT_TRUE(s.RunUntil([&] { return s.state() == RolloutState::kReverted; }, absl::Minutes(1), 100));
  ExpectSameDecision(s);
}

TEST(ReplayTest, ReproducesARevertAfterStepsPausesACommonCauseAndARestart) {
  Simulation s({}, 14);
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Minutes(6), 100);
  s.canary().error = s.stable().error = 0.9;
  s.Run(absl::Seconds(10), 100);
  ASSERT_EQ(s.state(), RolloutState::kPaused);
  s.canary().error = s.stable().error = 0;
  s.Run(absl::Minutes(2), 100);
  ASSERT_TRUE(s.Do(Verb::kResume).ok());
  s.Run(absl::Seconds(33), 100);
  s.Restart();
  s.Run(absl::Minutes(1), 100);
  ASSERT_TRUE(s.Do(Verb::kWeight, Weight::Percent(40)).ok());
  s.canary().error = 0.09;
  ASSERT_TRUE(s.RunUntil([&] { return s.state() == RolloutState::kReverted; }, absl::Minutes(20), 100));
  ExpectSameDecision(s);
}

TEST(ReplayTest, LooserLimitsSayWhatWouldHaveHappened) {
  Simulation s({}, 15);
  s.behaviours[Index(PoolId::kGreen)].error = 0.12;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  ASSERT_TRUE(s.RunUntil([&] { return s.state() == RolloutState::kReverted; }, absl::Minutes(20), 100));
  Plan plan = *RecordedPlan(s.recorder.recording());
  plan.max_error_ratio = 0.5;
  const absl::StatusOr<ReplayResult> looser = Replay(s.recorder.recording(), plan);
  ASSERT_TRUE(looser.ok());
  EXPECT_TRUE(looser->recorded.has_value());
  EXPECT_FALSE(looser->replayed.has_value());
  EXPECT_THAT(looser->text, HasSubstr("no rule would have ended it"));
  plan.max_error_ratio = 0.01;
  const absl::StatusOr<ReplayResult> tighter = Replay(s.recorder.recording(), plan);
  ASSERT_TRUE(tighter->replayed.has_value());
  EXPECT_LT(tighter->replayed->number, tighter->recorded->number);
}

TEST(ReplayTest, ALongerLatencyLimitTurnsSlowIntoFast) {
  Simulation s({}, 16);
  s.behaviours[Index(PoolId::kGreen)].slow = 1;
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  ASSERT_TRUE(s.RunUntil([&] { return s.state() == RolloutState::kReverted; }, absl::Minutes(1), 100));
  Plan plan = *RecordedPlan(s.recorder.recording());
  plan.max_p95 = absl::Seconds(5);
  EXPECT_FALSE(Replay(s.recorder.recording(), plan)->replayed.has_value());
}

TEST(ReplayTest, ARecordingIsWrittenOnceASecondAndWithEachChange) {
  Simulation s({}, 19);
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  const auto written = [&] {
    const std::string& recording = s.recorder.recording();
    return Replay(recording, *RecordedPlan(recording))->observations;
  };
  s.Run(absl::Seconds(10), 100);
  // A kill now would take the rest: of a second, or of a tick more.
  EXPECT_GE(written(), 890u);
  s.Run(absl::Milliseconds(300), 100);
  ASSERT_TRUE(s.Do(Verb::kPause).ok());
  EXPECT_EQ(written(), 1030u);
  // Ten ticks a second, one write.
  size_t size = s.recorder.recording().size();
  int writes = 0;
  for (int tick = 0; tick < 100; ++tick) {
    s.Run(absl::Milliseconds(100), 100);
    writes += s.recorder.recording().size() != size;
    size = s.recorder.recording().size();
  }
  EXPECT_LE(writes, 11);
  s.Run(absl::Milliseconds(300), 100);
  s.controller->FlushRecording();
  EXPECT_EQ(written(), 2060u);
}

TEST(ReplayTest, ARecordingInMemoryHasABound) {
  Simulation s({}, 20);
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  const size_t size = s.recorder.recording().size();
  for (int i = 0; i < 100000; ++i) s.controller->Observe(s.Request());  // and no tick
  EXPECT_GT(s.recorder.recording().size() + (70 << 10), size + 100000 * 12);
}

TEST(ReplayTest, ACutRecordingTellsWhatItHas) {
  Simulation s({}, 17);
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(20), 100);
  const std::string recording = s.recorder.recording();
  const absl::StatusOr<ReplayResult> result =
      Replay(std::string_view(recording).substr(0, recording.size() - 3), *RecordedPlan(recording));
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->whole);
  EXPECT_GT(result->observations, 1000u);
}

TEST(ReplayTest, RefusesWhatIsNoRecording) {
  EXPECT_EQ(RecordedPlan("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RecordedPlan("serin observations 1\n").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Replay(std::string(1000, 'x'), Plan()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReplayTest, AnObservationTakesAboutSeventeenBytes) {
  Simulation s({}, 18);
  ASSERT_TRUE(s.Do(Verb::kStart).ok());
  s.Run(absl::Seconds(100), 100);
  EXPECT_LT(s.recorder.recording().size(), 10000u * 20);
}

}  // namespace
}  // namespace serin
