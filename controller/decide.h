#pragma once
// Decide: what the evidence means for the rollout, right now. A pure function
// of values; it changes nothing.

#include <string>

#include "controller/judge.h"
#include "controller/plan.h"
#include "controller/rollout.h"

namespace serin {

enum class Action : uint8_t {
  kNothing,
  kRevert,    // the canary broke a limit, or nothing could record that it did
  kPause,     // both pools fail alike: keep the weight, call a person
  kAdvance,   // to the next step, or to the bake
  kFinalise,  // swap the roles
  kHold,      // the hold is over but the evidence is not there
  kWarn,      // it has held for too long: call a person
};

struct Decision {
  Action action = Action::kNothing;
  std::string reason;  // one sentence
};

// What the decision is made from.
struct Facts {
  const Rollout& rollout;
  const Plan& plan;
  const Verdict* breach = nullptr;        // null: none
  const Verdict* common_cause = nullptr;  // null: none
  Counts step = {};                       // the canary's counted responses in this step
  double evidence = 0;                    // highest detector as a share of its threshold
  double request_rate = 0;                // both pools, per second; 0: not known
  bool journal_lost = false;              // the journal cannot be written at all
};

// In this order: save users, then save the rollout from a common cause, then
// move on when all of the evidence is there. No data never promotes and never
// fails.
Decision Decide(const Facts& facts);

// How long at least where `rollout` is now.
absl::Duration HoldAt(const Rollout& rollout, const Plan& plan);

// What is missing for the next step, as a sentence; empty when nothing is.
std::string MissingEvidence(const Facts& facts);

}  // namespace serin
