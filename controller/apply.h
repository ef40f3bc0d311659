#pragma once
// Apply: decisions and commands become the rollout's next value, and that
// value reaches the workers and the journal in the order that no crash can
// turn against users. The controller's thread.

#include <string>

#include "absl/status/status.h"
#include "controller/judge.h"
#include "controller/plan.h"
#include "controller/record.h"
#include "controller/rollout.h"
#include "proxy/split/split_state.h"

namespace serin {

// Which way a change moves users.
enum class Direction : uint8_t {
  kNone,           // the split stays
  kTowardsStable,  // away from the newer release: must not wait for a disk
  kTowardsCanary,  // more of it: must not happen before the disk has it
};

struct Change {
  Rollout next = {};  // its epochs are set when the change is carried out
  Direction direction = Direction::kNone;
  bool new_step = false;     // what was routed before is no evidence for what follows
  bool new_rollout = false;  // nor against it
  std::string event = {};    // for `history`
  std::string by = {};
  std::string reason = {};
  std::string evidence = {};
};

// --- What decisions do. All take the rollout as it is and say what becomes of it.
Change AdvanceChange(const Rollout& now, const Plan& plan, std::string event, std::string by,
                     std::string reason);
Change FinaliseChange(const Rollout& now, std::string event, std::string by, std::string reason);
Change RevertChange(const Rollout& now, std::string event, std::string by, std::string reason);
// `alarm`: a person should look.
Change PauseChange(const Rollout& now, bool alarm, std::string event, std::string by, std::string reason);
Change HoldChange(const Rollout& now, std::string reason);
Change WarnChange(const Rollout& now, std::string reason);
// A canary of `release` gets its first weight, by plan or (`step` 0) by hand.
Change BeginChange(const Rollout& now, std::string release, int step, Weight weight, std::string event,
                   std::string by, std::string reason);

// The plan's first step above `weight`, 1-based; 0 when there is none.
int NextStep(const Plan& plan, Weight weight);

// Carries `change` out; `rollout` and the cell then say the same.
//
// Towards the canary: intent to disk (synced), store, result to disk. A crash
// before the result is durable comes back at the lower weight, with that
// step's evidence to be gathered anew: no step is skipped, nothing is promoted
// without evidence. An error means that nothing has changed.
//
// Towards stable: intent to the kernel (a write into blocks that are already
// allocated and cached: microseconds, and it survives a kill -9), store, then
// sync. The store never waits for a disk, and happens whatever the write says.
// Store first and write after would leave a gap in which a kill brings back
// the weight that users had been saved from. What is left is a power cut
// within the milliseconds before the sync: the release then comes back at its
// old weight, under guard, and is reverted again after a handful of requests.
//
// No change of the split (pause, resume, hold): result to disk; the state
// changes whatever the write says, because no user moves by it.
//
// A journal that fails stops a change towards the canary before it is applied,
// and no other.
struct Carried {
  bool applied = false;
  absl::Status journal;
};
Carried Carry(Change change, absl::Time now, const JudgeMemory& memory, SplitCell& cell, Recorder& recorder,
              Rollout& rollout);

}  // namespace serin
