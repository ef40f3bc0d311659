#pragma once
// Empties a pool that the controller has closed, and knows when it is empty:
// what is in flight finishes, or is cut off at a limit. One per pool, owned by
// the server; main thread.

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "proxy/admin/admin_api.h"
#include "proxy/event_loop.h"
#include "proxy/fastcgi/pool_gate.h"
#include "proxy/split/split_state.h"
#include "proxy/worker.h"

namespace serin {

class PoolDrain {
 public:
  // All must outlive it.
  PoolDrain(PoolId id, EventLoop& loop, const SplitCell& cell, const PoolGate& gate,
            const std::vector<std::unique_ptr<Worker>>& workers)
      : id_(id), loop_(loop), cell_(cell), gate_(gate), workers_(workers) {}

  // The cell says "drained" already. `limit` from now the rest is cut off.
  void Begin(absl::Duration limit);
  PoolUse Use() const;

 private:
  void Check();

  const PoolId id_;
  EventLoop& loop_;
  const SplitCell& cell_;
  const PoolGate& gate_;
  const std::vector<std::unique_ptr<Worker>>& workers_;
  PeriodicTimer check_;
  Instant until_;
  int round_ = 0;       // of the drain under way
  size_t unheard_ = 0;  // workers that may not have seen it yet
};

}  // namespace serin
