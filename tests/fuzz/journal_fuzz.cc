// The readers of what a disk may have done to our files: the journal, the
// roles file and the recording of observations (through a replay, so that
// whatever is read is also judged).

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "controller/journal_record.h"
#include "controller/replay.h"

namespace {

void Require(bool holds) {
  if (!holds) abort();
}

void ReadAsJournal(std::string_view bytes) {
  const serin::JournalText text = serin::ReadJournal(bytes);
  Require(text.end <= bytes.size() + 1);
  Require(!text.lost || text.damaged);
  for (const serin::Record& record : text.records) {
    // What was believed can be written again, and means the same.
    const std::string line = serin::EncodeRecord(record);
    Require(line.size() <= serin::kMaxJournalLine);
    const auto again = serin::DecodeRecord(std::string_view(line).substr(0, line.size() - 1));
    Require(again.has_value());
    Require(again->rollout.split == record.rollout.split);
  }
  const serin::Recovery recovery = serin::Resolve(text.records);
  Require(recovery.history.size() <= serin::kHistoryLimit);
}

// Behind the checksum, where chance alone would never get: the payload is the
// fuzzer's, the frame is ours.
void ReadAsPayload(std::string_view bytes) {
  serin::Record record;
  record.reason = std::string(bytes);
  record.event = std::string(bytes.substr(0, 40));
  const std::string line = serin::EncodeRecord(record);
  Require(line.size() <= serin::kMaxJournalLine);
  Require(serin::DecodeRecord(std::string_view(line).substr(0, line.size() - 1)).has_value());
  if (const auto framed = serin::FrameLine(bytes.substr(0, 4000)); framed.size() > 1) {
    const std::string_view text = std::string_view(framed).substr(0, framed.size() - 1);
    serin::DecodeRecord(text);
    serin::DecodeHeader(text);
    serin::DecodeRoles(text);
  }
}

void ReadAsRecording(std::string_view bytes) {
  const std::string framed = serin::FrameObservations(bytes);
  for (std::string_view recording : {bytes, std::string_view(framed)}) {
    const absl::StatusOr<serin::Plan> plan = serin::RecordedPlan(recording);
    if (!plan.ok()) continue;
    const absl::StatusOr<serin::ReplayResult> result = serin::Replay(recording, *plan);
    Require(result.ok() && !result->text.empty());
    serin::Plan looser = *plan;
    looser.max_error_ratio = 0.5;
    looser.max_p95 = absl::Seconds(10);
    Require(serin::Replay(recording, looser).ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      ReadAsJournal(bytes);
      break;
    case 1:
      ReadAsPayload(bytes);
      break;
    default:
      ReadAsRecording(bytes);
  }
  return 0;
}
