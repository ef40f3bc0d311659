#include "controller/controller.h"

namespace serin {

std::string_view Name(RolloutState state) {
  switch (state) {
    case RolloutState::kStable: return "stable";
    case RolloutState::kStepping: return "stepping";
    case RolloutState::kHolding: return "holding";
    case RolloutState::kPaused: return "paused";
    case RolloutState::kBaking: return "baking";
    case RolloutState::kReverting: return "reverting";
    case RolloutState::kReverted: return "reverted";
  }
  return "stable";
}

}  // namespace serin
