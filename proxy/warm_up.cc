#include "proxy/warm_up.h"

#include <fmt/format.h>

#include "proxy/fpm/client.h"

namespace serin {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(1);
// No pool has it: PHP-FPM says 404, which is an answer.
constexpr std::string_view kNoScript = "/serin-is-anybody-there";

absl::Status Ping(const PoolSettings& pool) {
  const bool any = pool.health_path.empty();
  const absl::Status status = AskFpm(pool.address, any ? kNoScript : pool.health_path, kPatience).status();
  return any && absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace

bool GivesFirstWeight(const Command& command, const SplitState& split) {
  const bool idle = split.canary_weight.is_zero() || split.drained();
  switch (command.verb) {
    case Verb::kStart:
    case Verb::kRetry:
      return !split.engaged;
    case Verb::kWeight:
      return idle && !command.weight.is_zero();
    case Verb::kUndrain:
      return split.drained() && !split.canary_weight.is_zero() && command.pool == split.canary_pool;
    default:
      return false;
  }
}

absl::Status CheckPool(PoolId id, const PoolSettings& pool, int pings) {
  for (int i = 1; i <= pings; ++i) {
    const absl::Status status = Ping(pool);
    if (status.ok()) continue;
    const absl::string_view why = status.message();
    const std::string asked = pool.health_path.empty() ? "" : fmt::format(" {}", pool.health_path);
    return absl::UnavailableError(
        fmt::format("{} does not answer{} at {} ({}); it was sent nothing, and nothing has changed", Name(id),
                    asked, pool.address.ToString(), std::string_view(why.data(), why.size())));
  }
  return absl::OkStatus();
}

}  // namespace serin
