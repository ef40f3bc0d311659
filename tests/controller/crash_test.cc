// kill -9 at every call that touches the disk, and power cuts that lose what
// was not synced. After each: never a canary weight after a recorded revert,
// never a step skipped, never a promotion without its evidence.

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <new>
#include <random>
#include <type_traits>

#include "controller/controller.h"
#include "controller/file_recorder.h"
#include "proxy/split/sequence.h"
#include "tests/controller/fake_disk.h"

namespace serin {
namespace {

constexpr size_t kJournalSize = 192 << 10;  // small, so that a scenario rotates it

Plan ShortPlan() {
  Plan plan;
  plan.hold = absl::Seconds(2);
  plan.min_step_requests = 20;
  return plan;
}

// What the workers were told and the controller said, where it survives the
// process: the witness.
struct Witness {
  SplitCell cell;
  bool reverted = false;  // the controller has said so
  bool busy = false;      // a command has not returned
};

// Two rollouts: one to the end and undone, one reverted by errors, tried
// again and aborted; every kind of change. The same calls each time.
class Scenario {
 public:
  Scenario(Recorder& recorder, Witness& witness)
      : witness_(witness), controller_(ShortPlan(), witness.cell, recorder) {}

  void Run() {
    controller_.Restore(now());
    Do(Verb::kStart);
    Traffic(absl::Seconds(3), 0);
    Do(Verb::kPause);
    Do(Verb::kResume);
    Traffic(absl::Seconds(9), 0);
    Do(Verb::kUndo);
    Do(Verb::kStart);
    Traffic(absl::Seconds(7), 0);
    Do(Verb::kWeight, Weight::Percent(40));
    Do(Verb::kWeight, Weight::Percent(20));
    Traffic(absl::Seconds(2), 1);  // reverted here
    Do(Verb::kRetry);
    Traffic(absl::Seconds(6), 0);
    Do(Verb::kAbort);
    Do(Verb::kStart);
    Do(Verb::kPromoteFull);
  }

 private:
  Now now() const { return {steady_, absl::FromUnixSeconds(1'700'000'000)}; }
  void Do(Verb verb, Weight weight = Weight()) {
    // From here until the call returns nobody has been promised anything.
    witness_.reverted = false;
    witness_.busy = true;
    controller_.Execute({verb, "v2", weight, "tester"}, now()).IgnoreError();
    witness_.busy = false;
    Note();
  }
  void Note() { witness_.reverted = controller_.report()->state == RolloutState::kReverted; }
  void Traffic(absl::Duration length, double error) {
    const Instant end = steady_ + length;
    for (int i = 0; steady_ < end; ++i) {
      steady_ = steady_ + absl::Milliseconds(5);
      const SplitState split = witness_.cell.Load();
      Observation observation;
      const bool canary = SequencePicksCanary(ticket_++, split.canary_weight);
      observation.role = canary ? Role::kCanary : Role::kStable;
      observation.pool = split.pool(observation.role);
      observation.at = steady_;
      observation.epoch = split.epoch;
      observation.status = canary && error > 0 ? 500 : 200;
      observation.error = canary && error > 0;
      controller_.Observe(observation);
      if (i % 40 == 0 || controller_.wants_tick()) {
        controller_.Tick(now());
        Note();
      }
    }
  }

  Witness& witness_;
  Controller controller_;
  Instant steady_ = Instant::FromNanos(1'000'000'000'000);
  uint64_t ticket_ = 0;
};

int PlaceOf(Weight weight) {
  int place = 0;
  for (Weight step : ShortPlan().steps) place += step <= weight;
  return place;
}

// The next process, on what the crash left.
void CheckRestart(std::unique_ptr<FileRecorder> recorder, const SplitState& told, bool reverted, bool busy) {
  SplitCell cell;
  Controller controller(ShortPlan(), cell, *recorder);
  controller.Restore({Instant::FromNanos(5'000'000'000'000), absl::FromUnixSeconds(1'700'001'000)});
  const SplitState split = cell.Load();
  SCOPED_TRACE(controller.report()->alarm_reason);
  if (reverted) {
    EXPECT_TRUE(split.canary_weight.is_zero()) << "a revert was forgotten";
    EXPECT_EQ(split.canary_pool, told.canary_pool);
  }
  if (split.canary_pool == told.canary_pool) {
    EXPECT_LE(split.canary_weight, told.canary_weight) << "more than the workers were ever told";
    if (!busy && !split.canary_weight.is_zero()) {
      EXPECT_GE(PlaceOf(split.canary_weight) + 1, PlaceOf(told.canary_weight))
          << "fell back by more than a step";
    }
  } else {
    // Cut short between the swap of roles and its record: still in the bake,
    // with the same pool serving everybody. Or an operator's promotion to the
    // end, or an undo, that was on its way.
    EXPECT_TRUE(busy || split.canary_weight == Weight::All() || split.canary_weight.is_zero());
  }
  const bool active = split.engaged;
  EXPECT_EQ(active, controller.report()->step > 0 || !split.canary_weight.is_zero());
}

// Dies at the n-th call. _exit runs nothing and flushes nothing: what kill -9
// leaves.
class DyingDisk : public Disk {
 public:
  DyingDisk(std::string directory, int dies_at) : disk_(OpenDisk(std::move(directory))), dies_at_(dies_at) {}

  absl::Status Lock() override { return disk_->Lock(); }
  absl::StatusOr<std::string> Read(const std::string& name, size_t limit) override {
    return disk_->Read(name, limit);
  }
  absl::StatusOr<uint64_t> Size(const std::string& name) override { return disk_->Size(name); }
  absl::StatusOr<std::unique_ptr<DiskFile>> Open(const std::string& name) override {
    return Wrap(disk_->Open(name));
  }
  absl::StatusOr<std::unique_ptr<DiskFile>> Create(const std::string& name) override {
    return Call([&] { return Wrap(disk_->Create(name)); });
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return Call([&] { return disk_->Rename(from, to); });
  }
  void Keep(const std::string& name, const std::string& second) override {
    Call([&] { return disk_->Keep(name, second), 0; });
  }
  absl::Status Remove(const std::string& name) override {
    return Call([&] { return disk_->Remove(name); });
  }
  absl::Status SyncDirectory() override {
    return Call([&] { return disk_->SyncDirectory(); });
  }
  std::vector<std::string> List() override { return disk_->List(); }

 private:
  class File : public DiskFile {
   public:
    File(DyingDisk& disk, std::unique_ptr<DiskFile> file) : disk_(disk), file_(std::move(file)) {}
    absl::Status WriteAt(uint64_t offset, std::string_view bytes) override {
      // In two halves, so that a record can be torn too.
      const size_t half = bytes.size() / 2;
      absl::Status first = disk_.Call([&] { return file_->WriteAt(offset, bytes.substr(0, half)); });
      if (!first.ok()) return first;
      return disk_.Call([&] { return file_->WriteAt(offset + half, bytes.substr(half)); });
    }
    absl::Status Sync() override {
      return disk_.Call([&] { return absl::OkStatus(); });  // a kill needs none, and they are slow
    }

   private:
    DyingDisk& disk_;
    std::unique_ptr<DiskFile> file_;
  };

  template <typename Do>
  std::invoke_result_t<Do> Call(Do&& act) {
    if (++calls_ == dies_at_) _exit(42);
    return act();
  }
  absl::StatusOr<std::unique_ptr<DiskFile>> Wrap(absl::StatusOr<std::unique_ptr<DiskFile>> file) {
    if (!file.ok()) return file;
    return std::make_unique<File>(*this, *std::move(file));
  }

  std::unique_ptr<Disk> disk_;
  int dies_at_;
  int calls_ = 0;
};

constexpr int kKillShards = 8;

class KillTest : public ::testing::TestWithParam<int> {
 protected:
  KillTest() {
    std::string pattern = ::testing::TempDir() + "serin-kill-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    void* shared = mmap(nullptr, sizeof(Witness), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    witness_ = new (shared) Witness;
  }
  ~KillTest() override {
    munmap(witness_, sizeof(Witness));
    std::filesystem::remove_all(directory_);
  }

  // True when the child died where it was told to.
  bool Kill(int at) {
    std::filesystem::remove_all(directory_);
    new (witness_) Witness;
    const pid_t child = fork();
    if (child == 0) {
      FileRecorder recorder(std::make_unique<DyingDisk>(directory_, at), kJournalSize);
      Scenario(recorder, *witness_).Run();
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status)) << "died of something else";
    return WIFEXITED(status) && WEXITSTATUS(status) == 42;
  }

  std::string directory_;
  Witness* witness_ = nullptr;
};

// Before each call; so also after the one before it and all that follows. In
// shards, so that a sanitizer's pace is no time-out: 400 rounds in all.
TEST_P(KillTest, AtAnyDiskCallNeverBringsBackSkipsOrPromotes) {
  int rounds = 0;
  for (int at = GetParam(); Kill(at); at += kKillShards) {
    SCOPED_TRACE(::testing::Message() << "killed before disk call " << at);
    ++rounds;
    CheckRestart(std::make_unique<FileRecorder>(OpenDisk(directory_), kJournalSize), witness_->cell.Load(),
                 witness_->reverted, witness_->busy);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GE(rounds, 200 / kKillShards);
  RecordProperty("rounds", rounds);
}

INSTANTIATE_TEST_SUITE_P(Shards, KillTest, ::testing::Range(1, kKillShards + 1));

TEST(PowerCutTest, AtAnyDiskCallNeverBringsBackSkipsOrPromotes) {
  int rounds = 0;
  bool reached = true;
  for (int at = 1; reached; ++at) {
    SCOPED_TRACE(::testing::Message() << "power cut before disk call " << at << ", seed " << at);
    std::mt19937_64 random(static_cast<uint64_t>(at));
    FakeDiskContent content;
    FakeDiskContent left;
    Witness witness;
    SplitState told;
    bool reverted = false;
    bool busy = false;
    int calls = 0;
    reached = false;
    {
      FileRecorder recorder(std::make_unique<FakeDisk>(content,
                                                       [&](const std::string&, const std::string&) {
                                                         if (++calls == at) {
                                                           reached = true;
                                                           left = content.AfterPowerCut(random);
                                                           told = witness.cell.Load();
                                                           reverted = witness.reverted;
                                                           busy = witness.busy;
                                                         }
                                                         return absl::OkStatus();
                                                       }),
                            kJournalSize);
      Scenario(recorder, witness).Run();
    }
    if (!reached) break;
    ++rounds;
    // Of a revert that was told and synced; one still on its way to the disk
    // comes back under guard, which apply.h explains.
    // A command that has not returned has promised nothing.
    if (reverted || (!busy && !told.canary_weight.is_zero())) {
      CheckRestart(std::make_unique<FileRecorder>(std::make_unique<FakeDisk>(left), kJournalSize), told,
                   reverted, busy);
    }
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
  EXPECT_GE(rounds, 100);
}

}  // namespace
}  // namespace serin
