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

// Asks `pings` times; Unavailable, with a sentence for people, at the first that
// is not answered well. With health_path (PHP-FPM's ping.path) well is status
// 200; without, any answer at all.
absl::Status CheckPool(PoolId id, const PoolSettings& pool, int pings);

}  // namespace serin
