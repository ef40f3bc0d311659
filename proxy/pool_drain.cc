#include "proxy/pool_drain.h"

#include "absl/strings/str_cat.h"
#include "proxy/base/log.h"

namespace serin {
namespace {

constexpr absl::Duration kCheck = absl::Milliseconds(50);

std::string Text(PoolId id) { return std::string(Name(id)); }

}  // namespace

void PoolDrain::Begin(absl::Duration limit) {
  until_ = Instant::Now() + limit;
  unheard_ = workers_.size();
  const int round = ++round_;
  // A worker that has run this will route nothing more there.
  for (auto& worker : workers_) {
    worker->Post([this, round, target = worker.get()] {
      target->pool(id_).CloseIdle();
      loop_.Post([this, round] { unheard_ -= round == round_; });
    });
  }
  check_.Start(loop_, kCheck, [this] { Check(); });
}

PoolUse PoolDrain::Use() const {
  const int in_flight = gate_.in_use() + gate_.queued();
  const SplitState split = cell_.Load();
  if (!split.drained() || split.canary_pool != id_) return {PoolState::kServing, in_flight};
  const bool empty = unheard_ == 0 && in_flight == 0;
  return {empty ? PoolState::kDrained : PoolState::kDraining, in_flight};
}

void PoolDrain::Check() {
  const PoolUse use = Use();
  if (use.state != PoolState::kDraining) {
    check_.Stop();
    if (use.state == PoolState::kDrained) LogInfo(absl::StrCat("pool ", Text(id_), " is drained"));
    return;
  }
  const bool late = Instant::Now() > until_;
  for (auto& worker : workers_) {
    worker->Post([this, late, target = worker.get()] {
      target->pool(id_).CloseIdle();  // what has become idle since
      if (late) target->pool(id_).CutOff();
    });
  }
}

}  // namespace serin
