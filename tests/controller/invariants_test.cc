// Properties that no sequence of commands, observations, restarts, failing
// disks and clock jumps may break. Each case prints its seed.

#include <gtest/gtest.h>

#include <random>

#include "controller/controller.h"
#include "controller/file_recorder.h"
#include "proxy/split/sequence.h"
#include "tests/controller/fake_disk.h"

namespace serin {
namespace {

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {
    plan_.hold = absl::Seconds(20);
    plan_.min_step_requests = 30;
    plan_.window = absl::Seconds(10);
    plan_.shadow_hold = absl::Seconds(10);
    if (seed % 2 == 0) plan_.shadow = Weight::Percent(50);
    Boot();
  }

  void Step() {
    const uint64_t what = random_() % 100;
    if (what < 70) {
      Traffic();
    } else if (what < 82) {
      Operator();
    } else if (what < 86) {
      Boot();
    } else if (what < 90) {
      disk_failure_ = RandomFailure();
    } else if (what < 93) {
      wall_ += absl::Hours(static_cast<int64_t>(random_() % 2000) - 1000);
    } else if (what < 95) {
      steady_ = steady_ + absl::Seconds(random_() % 300);  // stopped, then continued
    } else {
      fault_[random_() % 2] = RandomRate();
    }
    if (!HasFailure()) Check();
  }
  static bool HasFailure() { return ::testing::Test::HasFailure(); }

 private:
  Now now() const { return {steady_, wall_}; }
  double RandomRate() {
    const double rates[] = {0, 0, 0, 0.01, 0.06, 0.3, 1};
    return rates[random_() % 7];
  }
  absl::Status RandomFailure() {
    switch (random_() % 4) {
      case 0:
        return absl::ResourceExhaustedError("no space left on device");
      case 1:
        return absl::UnavailableError("input/output error");
      default:
        return absl::OkStatus();
    }
  }

  // A new process on what a kill -9 leaves.
  void Boot() {
    const bool before = controller_ != nullptr;
    if (before) controller_->SetPlan(plan_, now());  // publishes: the report may be 100 ms behind the journal
    const SplitState was = cell_.Load();
    const absl::Duration held = before ? Held() : absl::ZeroDuration();
    controller_.reset();
    recorder_.reset();
    content_ = content_.AfterKill();
    recorder_ = std::make_unique<FileRecorder>(
        std::make_unique<FakeDisk>(content_,
                                   [this](const std::string& operation, const std::string&) {
                                     const bool writes =
                                         operation == "create" || operation == "write" || operation == "sync";
                                     return writes ? disk_failure_ : absl::OkStatus();
                                   }),
        192 << 10);
    controller_ = std::make_unique<Controller>(plan_, cell_, *recorder_);
    controller_->Restore(now());
    if (!before) return;
    // A kill never puts more people on the canary, whatever the disk did.
    const SplitState split = cell_.Load();
    if (split.canary_pool == was.canary_pool) {
      EXPECT_LE(split.canary_weight, was.canary_weight);
    } else {
      EXPECT_TRUE(split.canary_weight.is_zero() || split.canary_weight == Weight::All());
    }
    if (split.canary_weight == was.canary_weight && !split.canary_weight.is_zero()) {
      EXPECT_LE(Held(), held + absl::Milliseconds(1)) << "no hold out of thin air";
    }
    allowed_ = split.canary_weight;
  }

  void Traffic() {
    const int requests = static_cast<int>(random_() % 300);
    for (int i = 0; i < requests; ++i) {
      steady_ = steady_ + absl::Milliseconds(10);
      wall_ += absl::Milliseconds(10);
      controller_->Observe(Request());
      if (cell_.Load().shadow && random_() % 2 == 0) controller_->Observe(Copy());
      if (controller_->wants_tick() || i % 10 == 0) Tick();
    }
    Tick();
  }

  void Tick() {
    const SplitState before = cell_.Load();
    const std::shared_ptr<const Report> was = controller_->report();
    const absl::Duration held = Held();
    const absl::Duration hold = before.shadow ? plan_.shadow_hold : plan_.hold;
    controller_->Tick(now());
    const SplitState after = cell_.Load();
    if (after == before) return;
    EXPECT_GT(after.epoch, before.epoch);
    // By itself it goes one step up its plan, to the end, or down to nothing.
    if (after.canary_pool != before.canary_pool) {
      EXPECT_EQ(before.canary_weight, Weight::All()) << "roles swap from 100 % only";
      EXPECT_GE(held + absl::Seconds(6), plan_.hold);
    } else if (after.canary_weight > before.canary_weight) {
      EXPECT_EQ(after.canary_weight, NextOf(before.canary_weight));
      EXPECT_FALSE(was->manual);
      EXPECT_NE(was->state, RolloutState::kPaused);
      EXPECT_GE(held + absl::Seconds(6), hold) << "the report may be 100 ms old, a tick counts 5 s at most";
      EXPECT_GE(counted_, plan_.min_step_requests) << "no promotion without evidence";
    } else {
      EXPECT_TRUE(after.canary_weight.is_zero());
    }
    allowed_ = after.canary_weight;
    counted_ = 0;
  }

  void Operator() {
    Command command;
    command.verb = static_cast<Verb>(random_() % kVerbCount);
    command.release = "v" + std::to_string(random_() % 100);
    command.weight = Weight::Percent(static_cast<uint32_t>(random_() % 101));
    command.pool = random_() % 2 == 0 ? PoolId::kBlue : PoolId::kGreen;
    command.by = "uid 1";
    const SplitState before = cell_.Load();
    const absl::Status status = controller_->Execute(command, now());
    if (!status.ok()) {
      EXPECT_EQ(cell_.Load(), before) << "refused means nothing has changed";
    }
    if (cell_.Load() != before) counted_ = 0;
    allowed_ = cell_.Load().canary_weight;
    if (status.ok() && command.verb == Verb::kAbort) {
      EXPECT_TRUE(allowed_.is_zero());
    }
  }

  Observation Request() {
    const SplitState split = cell_.Load();
    const bool canary = SequencePicksCanary(cell_.NextTicket(), split.canary_weight);
    return Answer(split, canary ? Role::kCanary : Role::kStable);
  }
  Observation Copy() {
    Observation copy = Answer(cell_.Load(), Role::kCanary);
    copy.shadow = true;
    return copy;
  }

  Observation Answer(const SplitState& split, Role role) {
    Observation observation;
    observation.role = role;
    observation.pool = split.pool(observation.role);
    observation.at = steady_ - absl::Milliseconds(random_() % 5);  // in any order within a tick
    observation.epoch = split.epoch;
    observation.client = random_();
    observation.latency_us = 10000;
    observation.status = 200;
    observation.forced = random_() % 20 == 0;
    observation.client_left = random_() % 50 == 0;
    observation.error =
        std::uniform_real_distribution<double>(0, 1)(random_) < fault_[Index(observation.pool)];
    if (observation.error) observation.status = 500;
    observation.slow = random_() % 200 == 0;
    if (role == Role::kCanary && !observation.forced) ++counted_;
    return observation;
  }

  absl::Duration Held() const {
    const std::shared_ptr<const Report> report = controller_->report();
    const bool shadow = report->split.shadow;
    if (report->manual || (report->step == 0 && !shadow)) return absl::ZeroDuration();
    return (shadow ? plan_.shadow_hold : plan_.hold) - report->hold_remaining;
  }
  Weight NextOf(Weight weight) const {
    for (Weight step : plan_.steps) {
      if (step > weight) return step;
    }
    return Weight::All();
  }

  void Check() {
    const SplitState split = cell_.Load();
    const std::shared_ptr<const Report> report = controller_->report();
    EXPECT_EQ(split.canary_weight, allowed_) << "a weight that neither the plan nor an operator asked for";
    EXPECT_EQ(report->target_weight, split.canary_weight);
    EXPECT_EQ(report->split, split);
    const bool active = report->state != RolloutState::kStable && report->state != RolloutState::kReverted;
    EXPECT_NE(report->state, RolloutState::kReverting);
    EXPECT_EQ(split.engaged, active);
    if (split.shadow) {
      EXPECT_TRUE(active && split.canary_weight.is_zero() && !report->manual && report->step == 0);
    }
    if (!active) {
      EXPECT_TRUE(split.idle()) << "reverted means 0";
    }
    for (PoolId pool : kPools) {
      const PoolReport& of = report->pools[Index(pool)];
      EXPECT_TRUE(of.requests >= 0 && of.errors >= 0 && of.slow >= 0);
      EXPECT_LE(of.errors, of.requests);
      EXPECT_EQ(of.role, pool == split.canary_pool ? Role::kCanary : Role::kStable);
    }
    EXPECT_LE(report->error_evidence, 1);
    EXPECT_GE(report->hold_remaining, absl::ZeroDuration());
    EXPECT_FALSE(report->explanation.empty());
    EXPECT_LE(controller_->History().size(), kHistoryLimit);
  }

  std::mt19937_64 random_;
  Plan plan_;
  SplitCell cell_;
  FakeDiskContent content_;
  absl::Status disk_failure_;
  std::unique_ptr<FileRecorder> recorder_;
  std::unique_ptr<Controller> controller_;
  Instant steady_ = Instant::FromNanos(1'000'000'000'000);
  absl::Time wall_ = absl::FromUnixSeconds(1'700'000'000);
  double fault_[kPoolCount] = {};
  Weight allowed_;
  int64_t counted_ = 0;
};

class InvariantsTest : public ::testing::TestWithParam<int> {};

TEST_P(InvariantsTest, HoldThroughAnySequenceOfEvents) {
  for (int round = 0; round < 10; ++round) {
    const auto seed = static_cast<uint64_t>(GetParam() * 1000 + round);
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    World world(seed);
    for (int step = 0; step < 250 && !World::HasFailure(); ++step) world.Step();
    ASSERT_FALSE(HasFailure());
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, InvariantsTest, ::testing::Range(1, 13));

}  // namespace
}  // namespace serin
