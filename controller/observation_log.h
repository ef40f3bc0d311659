#pragma once
// The recording of a rollout: every observation that the judge saw, in its
// order, and what changed around it, so that `replay` can run the same code
// over the same stream. Pure; the controller's thread.
//
// A file is a magic line and frames (length, checksum, events); a frame that
// was cut short ends what can be replayed. About 17 bytes per observation.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "controller/judge.h"
#include "controller/plan.h"
#include "controller/rollout.h"
#include "proxy/split/observation.h"

namespace serin {

// What the controller decided, as the recording tells it.
struct RecordedDecision {
  Rule rule = Rule::kNone;
  bool common_cause = false;
  uint64_t number = 0;  // of the deciding observation
  Weight weight;        // of the canary at that moment
};

class ObservationLog {
 public:
  // --- Events, in the order in which they happened.
  void AddPlan(const Plan& plan);
  // The rollout as the judge follows it from here on.
  void AddRollout(const Rollout& rollout);
  // A restart: the window is empty, the detectors go on from here.
  void AddRestart(const JudgeMemory& memory);
  void Add(const Observation& observation);
  void AddDecision(const RecordedDecision& decision);

  size_t size() const { return events_.size(); }
  // Takes what has been added as bytes for the file; the first of a file
  // begins with the magic line.
  std::string TakeFrame(bool first);

 private:
  std::string events_;
  int64_t last_at_ = 0;  // times are written as differences, anew in each frame
};

// A whole recording of one frame with these events in it.
std::string FrameObservations(std::string_view events);

// What a reader of the recording is told. Unset functions skip their event.
struct ObservationEvents {
  std::function<void(const Plan&)> plan;
  std::function<void(const Rollout&)> rollout;
  std::function<void(const JudgeMemory&)> restart;
  std::function<void(const Observation&)> observation;
  std::function<void(const RecordedDecision&)> decision;
};

// Calls `events` for each event, in order. False when the bytes end in
// anything but a whole frame: what came before has been told.
bool ReadObservationLog(std::string_view bytes, const ObservationEvents& events);

}  // namespace serin
