#pragma once
// A canary's first weight goes to a pool that answers: before it, PHP-FPM is
// asked a few times, by a FastCGI request of its own. Main thread, which may
// wait for a second.

#include "absl/status/status.h"
#include "controller/command.h"
#include "proxy/settings.h"
#include "proxy/split/split_state.h"

namespace serin {

// Would `command` send requests to a pool that gets none now?
bool GivesFirstWeight(const Command& command, const SplitState& split);

// Asks for the pool's health_path `pings` times; Unavailable, with a sentence for
// people, at the first that is not answered with status 200. A pool without one
// is not asked: what any other path would set off there, nobody but the
// application knows. If it is dead its rollout is reverted by the verdict.
absl::Status CheckPool(PoolId id, const PoolSettings& pool, int pings);

}  // namespace serin
