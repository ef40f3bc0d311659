// One test per way in which a record, a journal or a disk can be broken.

#include "controller/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "controller/controller.h"
#include "controller/file_recorder.h"
#include "controller/journal_record.h"
#include "tests/controller/fake_disk.h"

namespace serin {
namespace {

using ::testing::HasSubstr;

Record MakeRecord(RecordKind kind, const std::string& event, uint32_t percent, uint32_t epoch) {
  Record record;
  record.kind = kind;
  record.at = absl::FromUnixSeconds(1'700'000'000 + epoch);
  record.event = event;
  record.by = "uid 1000";
  record.reason = "because";
  record.rollout.state = percent > 0 ? RolloutState::kStepping : RolloutState::kReverted;
  record.rollout.release = "v2";
  record.rollout.step = 1;
  record.rollout.split.canary_weight = Weight::Percent(percent);
  record.rollout.split.epoch = Epoch(epoch);
  record.rollout.split.rollout = 3;
  record.rollout.split.engaged = percent > 0;
  record.rollout.held = absl::Seconds(epoch);
  record.memory.error_levels = {0.1, 2.5, 0};
  record.memory.expected_requests = 78000;
  return record;
}

std::string Text(const std::vector<Record>& records, size_t size = 4 << 10) {
  std::string bytes = EncodeHeader(size);
  for (const Record& record : records) bytes += EncodeRecord(record);
  bytes.resize(size, '\n');
  return bytes;
}

// started at 10 %, then reverted as the controller does it.
std::vector<Record> Reverted() {
  std::vector<Record> records = {MakeRecord(RecordKind::kResult, "start", 10, 2),
                                 MakeRecord(RecordKind::kIntent, "revert", 0, 3),
                                 MakeRecord(RecordKind::kResult, "revert", 0, 3)};
  records[1].towards_stable = records[2].towards_stable = true;
  records[1].rollout.state = RolloutState::kReverting;
  return records;
}

// --- One record

TEST(JournalRecordTest, SurvivesEncoding) {
  Record record = MakeRecord(RecordKind::kIntent, "step", 25, 7);
  record.reason = "50 % better\tthan\nbefore \x01 %%% \"quoted\" = ü";
  record.evidence = "canary (green) had 6 of 6 fail (100 %)";
  record.towards_stable = true;
  record.rollout.baking = record.rollout.manual = record.rollout.undoable = record.rollout.warned = true;
  record.rollout.reason = "so";
  record.rollout.first_epoch = Epoch(0xFFFFFFFF);
  const std::string line = EncodeRecord(record);
  ASSERT_EQ(line.back(), '\n');
  EXPECT_EQ(line.find('\n'), line.size() - 1) << "one line";
  const std::optional<Record> again = DecodeRecord(std::string_view(line).substr(0, line.size() - 1));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->kind, record.kind);
  EXPECT_EQ(again->at, record.at);
  EXPECT_EQ(again->event, record.event);
  EXPECT_EQ(again->by, record.by);
  EXPECT_EQ(again->reason, record.reason);
  EXPECT_EQ(again->evidence, record.evidence);
  EXPECT_EQ(again->rollout.split, record.rollout.split);
  EXPECT_EQ(again->rollout.held, record.rollout.held);
  EXPECT_EQ(again->rollout.first_epoch, record.rollout.first_epoch);
  EXPECT_TRUE(again->rollout.baking && again->rollout.manual && again->rollout.undoable &&
              again->rollout.warned);
  EXPECT_EQ(again->memory.error_levels, record.memory.error_levels);
  EXPECT_EQ(EncodeRecord(*again), line);
}

TEST(JournalRecordTest, FitsItsLineWhateverTheTexts) {
  Record record = MakeRecord(RecordKind::kResult, std::string(5000, '%'), 10, 1);
  record.reason = record.evidence = record.rollout.reason = std::string(100000, '\n');
  record.by = record.rollout.release = std::string(100000, '\t');
  record.memory.error_levels.assign(100, 1.0 / 3);
  const std::string line = EncodeRecord(record);
  EXPECT_LE(line.size(), kMaxJournalLine);
  EXPECT_TRUE(DecodeRecord(std::string_view(line).substr(0, line.size() - 1)).has_value());
}

TEST(JournalRecordTest, RefusesEveryFlippedBitAndEveryCut) {
  const std::string line = EncodeRecord(MakeRecord(RecordKind::kResult, "start", 10, 2));
  const std::string_view whole = std::string_view(line).substr(0, line.size() - 1);
  ASSERT_TRUE(DecodeRecord(whole).has_value());
  for (size_t byte = 0; byte < whole.size(); ++byte) {
    EXPECT_FALSE(DecodeRecord(whole.substr(0, byte)).has_value()) << byte;
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped(whole);
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
      // The checksum's own digits may change case and mean the same.
      if (byte < 8 && bit == 5) continue;
      EXPECT_FALSE(DecodeRecord(flipped).has_value()) << byte << "." << bit;
    }
  }
}

// --- What a restart makes of the records

TEST(ResolveTest, NothingIsAFirstStart) { EXPECT_TRUE(Resolve({}).fresh); }

TEST(ResolveTest, AnIntentTowardsTheCanaryWithoutAResultIsTakenBack) {
  const Recovery recovery = Resolve(
      {MakeRecord(RecordKind::kResult, "start", 10, 2), MakeRecord(RecordKind::kIntent, "step", 25, 3)});
  EXPECT_EQ(recovery.rollout.split.canary_weight, Weight::Percent(10));
  EXPECT_EQ(recovery.last_epoch, Epoch(3)) << "its epoch is used up";
  EXPECT_EQ(recovery.warnings.size(), 1u);
}

TEST(ResolveTest, AnIntentTowardsStableWithoutAResultIsDone) {
  std::vector<Record> records = Reverted();
  records.pop_back();
  const Recovery recovery = Resolve(records);
  EXPECT_TRUE(recovery.rollout.split.canary_weight.is_zero());
  EXPECT_EQ(recovery.rollout.state, RolloutState::kReverted);
  ASSERT_EQ(recovery.history.size(), 2u);
  EXPECT_EQ(recovery.history.back().event, "revert");
}

TEST(ResolveTest, ARevertIsInTheHistoryOnce) {
  const Recovery recovery = Resolve(Reverted());
  EXPECT_EQ(recovery.history.size(), 2u);
}

// --- The whole text

TEST(ReadJournalTest, ReadsWhatWasWritten) {
  const JournalText text = ReadJournal(Text(Reverted()));
  EXPECT_EQ(text.records.size(), 3u);
  EXPECT_FALSE(text.damaged || text.lost);
  EXPECT_TRUE(text.warnings.empty());
}

TEST(ReadJournalTest, ATornLastRecordIsCutWithAWarningAtAnyByte) {
  const std::string good = Text({Reverted()[0]});
  const size_t end = good.find_last_not_of('\n') + 2;
  const std::string last = EncodeRecord(MakeRecord(RecordKind::kResult, "step", 25, 3));
  for (size_t size = 1; size + 1 < last.size(); ++size) {
    std::string torn = good;
    torn.replace(end, size, last, 0, size);
    const JournalText text = ReadJournal(torn);
    ASSERT_EQ(text.records.size(), 1u) << size;
    EXPECT_TRUE(text.damaged);
    EXPECT_FALSE(text.lost) << size;
    EXPECT_EQ(text.end, end);
    EXPECT_THAT(text.warnings.at(0), HasSubstr("cut"));
  }
}

TEST(ReadJournalTest, NoFlippedBitBringsBackAWeightAfterARevert) {
  const std::string bytes = Text(Reverted());
  const size_t used = bytes.find_last_not_of('\n') + 2;
  for (size_t byte = 0; byte < used; ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
      const JournalText text = ReadJournal(flipped);
      const Recovery recovery = Resolve(text.records);
      EXPECT_TRUE(text.lost || recovery.rollout.split.canary_weight.is_zero()) << byte << "." << bit;
    }
  }
}

TEST(ReadJournalTest, NoRunOfZeroedBytesBringsBackAWeightAfterARevert) {
  const std::string bytes = Text(Reverted());
  const size_t used = bytes.find_last_not_of('\n') + 2;
  for (size_t from = 0; from < used; from += 3) {
    for (size_t length : {1, 16, 200, 512, 700, 4096}) {
      std::string zeroed = bytes;
      for (size_t i = from; i < std::min(from + length, zeroed.size()); ++i) zeroed[i] = '\0';
      const JournalText text = ReadJournal(zeroed);
      const Recovery recovery = Resolve(text.records);
      EXPECT_TRUE(text.lost || recovery.rollout.split.canary_weight.is_zero()) << from << "+" << length;
    }
  }
}

TEST(ReadJournalTest, NoTruncationBringsBackAWeightAfterARevert) {
  const std::string bytes = Text(Reverted());
  const size_t used = bytes.find_last_not_of('\n') + 2;
  for (size_t size = 0; size < used + 10; ++size) {
    const JournalText text = ReadJournal(std::string_view(bytes).substr(0, size));
    const Recovery recovery = Resolve(text.records);
    EXPECT_TRUE(text.lost || recovery.rollout.split.canary_weight.is_zero()) << size;
  }
}

TEST(ReadJournalTest, ADamagedRecordBeforeAGoodOneIsSkipped) {
  std::string bytes = Text(Reverted());
  const size_t first = bytes.find('\n') + 20;
  bytes[first] = '!';
  const JournalText text = ReadJournal(bytes);
  EXPECT_EQ(text.records.size(), 2u);
  EXPECT_TRUE(text.damaged);
  EXPECT_FALSE(text.lost);
  EXPECT_THAT(text.warnings.at(0), HasSubstr("skipped"));
}

TEST(ReadJournalTest, EmptyGarbageAndForeignFilesAreLost) {
  for (const std::string& bytes : {std::string(), std::string(1000, '\n'), std::string(1000, '\0'),
                                   std::string("#!/bin/sh\n"), Text(Reverted()).substr(30)}) {
    EXPECT_TRUE(ReadJournal(bytes).lost);
  }
}

// --- Files

class JournalFileTest : public ::testing::Test {
 protected:
  std::unique_ptr<FileRecorder> Recorder(FakeDisk::Hook hook = {}, size_t size = 192 << 10) {
    return std::make_unique<FileRecorder>(std::make_unique<FakeDisk>(content_, std::move(hook)), size);
  }
  Recovery Reopen() {
    absl::StatusOr<Recovery> recovery = Recorder()->Restore(absl::Now());
    EXPECT_TRUE(recovery.ok()) << recovery.status();
    return *std::move(recovery);
  }
  FakeDiskContent content_;
};

TEST_F(JournalFileTest, ComesBackWithWhatWasWritten) {
  auto recorder = Recorder();
  EXPECT_TRUE(recorder->Restore(absl::Now())->fresh);
  for (const Record& record : Reverted()) ASSERT_TRUE(recorder->Write(record, Care::kDurable).ok());
  const Recovery recovery = Reopen();
  EXPECT_FALSE(recovery.fresh || recovery.lost);
  EXPECT_EQ(recovery.rollout.state, RolloutState::kReverted);
  EXPECT_EQ(recovery.rollout.release, "v2");
  EXPECT_EQ(recovery.history.size(), 2u);
}

TEST_F(JournalFileTest, RotationKeepsStateHistoryAndBounds) {
  auto recorder = Recorder();
  ASSERT_TRUE(recorder->Restore(absl::Now()).ok());
  for (uint32_t i = 1; i <= 3000; ++i) {
    ASSERT_TRUE(recorder->Write(MakeRecord(RecordKind::kResult, "step", i % 100, i), Care::kDurable).ok());
    ASSERT_TRUE(recorder->Write(MakeRecord(RecordKind::kCheckpoint, "", i % 100, i), Care::kRelaxed).ok());
  }
  EXPECT_LE(content_.files["journal"]->Now().size(), 2u << 20);
  const Recovery recovery = Reopen();
  EXPECT_EQ(recovery.history.size(), kHistoryLimit);
  EXPECT_EQ(recovery.history.back().at, absl::FromUnixSeconds(1'700'000'000 + 3000));
  EXPECT_EQ(recovery.rollout.held, absl::Seconds(3000));
  EXPECT_TRUE(content_.files.contains("journal.previous"));
}

TEST_F(JournalFileTest, ADamagedJournalIsSetAsideAndAlarmed) {
  {
    auto recorder = Recorder();
    ASSERT_TRUE(recorder->Restore(absl::Now()).ok());
    for (const Record& record : Reverted()) ASSERT_TRUE(recorder->Write(record, Care::kDurable).ok());
  }
  content_.files["journal"]->durable[200] ^= 4;
  const Recovery recovery = Reopen();
  EXPECT_FALSE(recovery.warnings.empty());
  EXPECT_TRUE(content_.files.contains("journal.damaged"));
  EXPECT_TRUE(Reopen().warnings.empty()) << "repaired";
}

TEST_F(JournalFileTest, AMissingJournalBesideItsRolesFileIsLostAndKeepsTheRoles) {
  {
    auto recorder = Recorder();
    ASSERT_TRUE(recorder->Restore(absl::Now()).ok());
    Record record = MakeRecord(RecordKind::kResult, "finalise", 0, 9);
    record.rollout.split.canary_pool = PoolId::kBlue;
    ASSERT_TRUE(recorder->Write(record, Care::kDurable).ok());
  }
  content_.files.erase("journal");
  const Recovery recovery = Reopen();
  EXPECT_TRUE(recovery.lost);
  EXPECT_EQ(recovery.rollout.split.stable_pool(), PoolId::kGreen);
  EXPECT_GE(recovery.last_epoch, Epoch(9));
}

TEST_F(JournalFileTest, AFullDiskRefusesANewJournalButNotARevert) {
  bool full = false;
  auto recorder = Recorder([&](const std::string& operation, const std::string&) {
    return full && operation == "create" ? absl::ResourceExhaustedError("no space left on device")
                                         : absl::OkStatus();
  });
  ASSERT_TRUE(recorder->Restore(absl::Now()).ok());
  full = true;
  absl::Status status;
  int written = 0;
  while ((status = recorder->Write(MakeRecord(RecordKind::kResult, "step", 10, 2), Care::kDurable)).ok())
    ++written;
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_GT(written, 50);
  const std::vector<Record> revert = Reverted();
  EXPECT_TRUE(recorder->Write(revert[1], Care::kUrgent).ok());
  EXPECT_TRUE(recorder->Write(revert[2], Care::kDurable).ok());
  EXPECT_TRUE(Reopen().rollout.split.canary_weight.is_zero());
}

TEST_F(JournalFileTest, AFailedWriteOrSyncIsFollowedByANewJournal) {
  for (const char* broken : {"write", "sync"}) {
    content_ = FakeDiskContent();
    int failures = 0;
    auto recorder = Recorder([&](const std::string& operation, const std::string& name) {
      const bool fails = failures > 0 && operation == broken && name == "journal.new";
      return fails && --failures >= 0 ? absl::UnavailableError("input/output error") : absl::OkStatus();
    });
    ASSERT_TRUE(
        recorder->Restore(absl::Now()).ok());  // the file was made as journal.new and still fails as such
    failures = 1;
    ASSERT_TRUE(recorder->Write(Reverted()[0], Care::kDurable).ok()) << broken;
    EXPECT_EQ(failures, 0);
    EXPECT_EQ(Reopen().rollout.split.canary_weight, Weight::Percent(10));
  }
}

TEST_F(JournalFileTest, AnUrgentRecordNeverWaitsForASyncOrARotation) {
  int slow_calls = 0;
  bool urgent = false;
  auto recorder = Recorder([&](const std::string& operation, const std::string&) {
    slow_calls += urgent && operation != "write";
    return absl::OkStatus();
  });
  ASSERT_TRUE(recorder->Restore(absl::Now()).ok());
  ASSERT_TRUE(recorder->Write(Reverted()[0], Care::kDurable).ok());
  urgent = true;
  ASSERT_TRUE(recorder->Write(Reverted()[1], Care::kUrgent).ok());
  EXPECT_EQ(slow_calls, 0);
}

TEST_F(JournalFileTest, RecordingsAreBoundedInNumberAndRestartable) {
  auto recorder = Recorder();
  ASSERT_TRUE(recorder->Restore(absl::Now()).ok());
  for (uint16_t rollout = 1; rollout <= 9; ++rollout) {
    recorder->OpenRecording(rollout, false);
    ASSERT_TRUE(recorder->AppendRecording("abc"));
  }
  recorder->OpenRecording(9, true);
  ASSERT_TRUE(recorder->AppendRecording("def"));
  EXPECT_EQ(content_.files[FileRecorder::RecordingName(9)]->Now(), "abcdef");
  int kept = 0;
  for (const auto& [name, file] : content_.files) kept += name.starts_with("observations-");
  EXPECT_EQ(kept, static_cast<int>(FileRecorder::kRecordings));
}

// --- A real directory

class StateDirectoryTest : public ::testing::Test {
 protected:
  StateDirectoryTest() {
    std::string pattern = ::testing::TempDir() + "serin-state-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~StateDirectoryTest() override { std::filesystem::remove_all(path_); }
  std::string path_;
};

TEST_F(StateDirectoryTest, IsMadeLockedAndReadAgain) {
  const std::string below = path_ + "/state";
  {
    FileRecorder recorder(below);
    ASSERT_TRUE(recorder.Lock().ok());
    ASSERT_TRUE(recorder.Restore(absl::Now())->fresh);
    ASSERT_TRUE(recorder.Write(Reverted()[0], Care::kDurable).ok());
    FileRecorder second(below);
    EXPECT_EQ(second.Lock().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_FALSE(second.Write(Reverted()[0], Care::kDurable).ok()) << "without the lock nothing is written";
  }
  FileRecorder again(below);
  EXPECT_EQ(again.Restore(absl::Now())->rollout.split.canary_weight, Weight::Percent(10));
  std::ifstream journal(below + "/journal");
  std::string first_line;
  std::getline(journal, first_line);
  EXPECT_THAT(first_line, HasSubstr("journal=serin")) << "readable for people";
}

TEST_F(StateDirectoryTest, DevFullIsAFullDisk) {
  ASSERT_EQ(symlink("/dev/full", (path_ + "/journal.new").c_str()), 0);
  FileRecorder recorder(path_);
  const absl::StatusOr<Recovery> recovery = recorder.Restore(absl::Now());
  EXPECT_TRUE(absl::IsResourceExhausted(recovery.status())) << recovery.status();
  SplitCell cell;
  Controller controller(Plan(), cell, recorder);
  const Now now{Instant::Now(), absl::Now()};
  controller.Restore(now);
  EXPECT_TRUE(controller.report()->alarm);
  EXPECT_TRUE(cell.Load().canary_weight.is_zero());
  EXPECT_FALSE(controller.Execute({Verb::kStart, "v2", Weight(), "tester"}, now).ok());
  EXPECT_TRUE(cell.Load().canary_weight.is_zero());
}

TEST_F(StateDirectoryTest, APathThatIsNoDirectoryIsStableWithAnAlarm) {
  std::ofstream(path_ + "/file") << "x";
  FileRecorder recorder(path_ + "/file");
  SplitCell cell;
  Controller controller(Plan(), cell, recorder);
  controller.Restore({Instant::Now(), absl::Now()});
  EXPECT_EQ(controller.report()->state, RolloutState::kStable);
  EXPECT_THAT(controller.report()->alarm_reason, HasSubstr("Not a directory"));
}

}  // namespace
}  // namespace serin
