#pragma once
// What an operator may ask of a rollout, and what it does in which state.
// Pure; the controller's thread.

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "controller/apply.h"
#include "controller/plan.h"
#include "controller/rollout.h"

namespace serin {

enum class Verb : uint8_t {
  kStart,
  kPause,
  kResume,
  kPromote,
  kPromoteFull,
  kAbort,
  kRetry,
  kUndo,
  kWeight,
  kDrain,
  kUndrain
};
inline constexpr int kVerbCount = 11;

struct Command {
  Verb verb = Verb::kStart;
  std::string release;          // kStart
  Weight weight;                // kWeight
  std::string by;               // who asked, for the record
  PoolId pool = PoolId::kBlue;  // kDrain, kUndrain
};

// The table. "-" succeeds without effect; "x" is FailedPrecondition.
//
// clang-format off
//                stable    stepping,    baking     paused         reverted
//                          holding
//  start         step 1(6) x            x          x              step 1(6)
//  pause         -         paused       paused     -              -
//  resume        -         -            -          goes on (1)    -
//  promote       -         next step    finalised  next step (2)  -
//  promote full  -         finalised    finalised  finalised      -
//  abort         -         reverted     reverted   reverted       -
//  retry         x         x            x          x              step 1(6), same release
//  undo          undone(3) x            x          x              x
//  weight N      paused at N in every state (4)
//  drain POOL    everybody to stable, in every state (5)
//  undrain POOL  as the weight says again, in every state
// clang-format on
//
// (1) After a manual weight: at the step's weight again, its hold from the
//     start. A weight set by hand without a rollout has nothing to resume.
// (2) The plan's first step above the present weight; from 100 % by hand, the
//     bake; while paused in the bake, finalised.
// (3) Only after a finished rollout whose other pool has not been started,
//     weighted or drained since: the roles swap back at once, all traffic goes
//     to the previous release, and the undone one counts as reverted (so
//     `retry` tries it again).
// (4) Begins a new try where nothing is under way. N = 0 has no effect there,
//     and ends one that is only a weight set by hand.
// (5) Of the canary's pool; x for stable's, which is where a revert goes. The
//     rollout stays where it is, and is not promoted until undrained. Start,
//     retry and a weight above 0 undrain.
// (6) With plan.shadow: before it, at weight 0, a share of what stable answers is
//     copied. Promote goes to step 1; a weight ends it, and resume after that
//     goes to step 1.
//
// None: nothing to do. InvalidArgument: a release name that is too long or not
// printable, a plan without steps.
absl::StatusOr<std::optional<Change>> CommandChange(const Rollout& now, const Plan& plan,
                                                    const Command& command);

}  // namespace serin
