#include "proxy/warm_up.h"

#include <fmt/format.h>

#include "proxy/fpm/client.h"

namespace serin {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(1);

}  // namespace

bool GivesFirstWeight(const Command& command, const SplitState& split) {
  const bool idle = split.idle() || split.drained();
  switch (command.verb) {
    case Verb::kStart:
    case Verb::kRetry:
      return !split.engaged;
    case Verb::kWeight:
      return idle && !command.weight.is_zero();
    case Verb::kUndrain:
      return split.drained() && !split.idle() && command.pool == split.canary_pool;
    default:
      return false;
  }
}

absl::Status CheckPool(PoolId id, const PoolSettings& pool, int pings) {
  if (pool.health_path.empty()) return absl::OkStatus();
  for (int i = 1; i <= pings; ++i) {
    const absl::Status status = AskFpm(pool.address, pool.health_path, kPatience).status();
    if (status.ok()) continue;
    const absl::string_view why = status.message();
    return absl::UnavailableError(fmt::format(
        "{} does not answer {} at {} ({}); it was sent nothing, and nothing has changed", Name(id),
        pool.health_path, pool.address.ToString(), std::string_view(why.data(), why.size())));
  }
  return absl::OkStatus();
}

}  // namespace serin
