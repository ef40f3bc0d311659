#pragma once
// `serinctl replay`: runs a recording under its own limits or others. Needs no
// daemon. One thread.

#include <array>
#include <string>
#include <vector>

#include "proxy/config/config.h"

namespace serin {

// The limits that have a flag of their own; any other key of [rollout] by --set.
struct ReplayLimit {
  const char* flag;
  const char* key;
  const char* help;
};
inline constexpr std::array<ReplayLimit, 10> kReplayLimits = {{
    {"--max-error-rate", "rollout.max_error_rate", "Reverted above this share of errors, as in 2%"},
    {"--max-p95", "rollout.max_p95", "Longer than this is slow, as in 1500ms"},
    {"--max-slow-rate", "rollout.max_slow_rate", "Reverted above this share of slow answers"},
    {"--window", "rollout.window", "The sliding window, as in 2m"},
    {"--min-requests", "rollout.min_requests", "Requests that must be in the window"},
    {"--client-burst-failures", "rollout.client_burst_failures", "Failures of one client that count …"},
    {"--client-burst-window", "rollout.client_burst_window", "… in this time"},
    {"--dead-pool-span", "rollout.dead_pool_span", "How long a pool may refuse connections"},
    {"--on-common-cause", "rollout.on_common_cause", "pause or revert when both pools fail alike"},
    {"--common-cause-factor", "rollout.common_cause_factor", "How much worse than stable is still alike"},
}};

// Runs the recording under its own limits with `changes`, all of them keys of
// [rollout]. Prints what would have been decided; gives the exit status.
int ReplayFile(const std::string& file, const std::vector<ConfigOverride>& changes, bool json);

}  // namespace serin
