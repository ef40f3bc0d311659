#pragma once
// Keeps all workers together within a pool's max_connections. A PHP-FPM worker
// serves one connection at a time and an idle one blocks it, so the number of
// open connections is the scarce thing, and who gets the next one must be fair.
//
// Each worker has a queue of its own. A slot that is given back goes to the
// worker whose next request has waited longest (a grant), so that the queues
// together are nearly one: whoever gives back cannot take it again first, and
// no worker starves. Shared by all workers; any worker's thread; no lock.
// Touched when a connection opens or closes and when a request has to wait,
// not for a request on a kept connection.

#include <atomic>
#include <bit>
#include <cstdint>
#include <functional>

#include "proxy/base/instant.h"

namespace serin {

class PoolGate {
 public:
  static constexpr int kMaxWorkers = 64;  // bits of the masks below
  // Wakes worker n, which then calls TakeGrant and, if OthersWait, closes idle connections.
  using Wake = std::function<void(int worker)>;

  explicit PoolGate(Wake wake) : wake_(std::move(wake)) {}

  void SetLimits(int max_connections, int queue_size) {
    limit_.store(max_connections, std::memory_order_relaxed);
    queue_limit_.store(queue_size, std::memory_order_relaxed);
  }

  // A slot for a new connection, or false: then Await.
  bool TryAcquire() {
    int used = in_use_.load(std::memory_order_seq_cst);
    while (used < limit_.load(std::memory_order_relaxed)) {
      if (in_use_.compare_exchange_weak(used, used + 1, std::memory_order_seq_cst)) return true;
    }
    return false;
  }

  // The connection is closed: its slot goes to a waiting worker or back.
  void Release() {
    if (in_use_.load(std::memory_order_relaxed) <= limit_.load(std::memory_order_relaxed) && Grant()) return;
    in_use_.fetch_sub(1, std::memory_order_seq_cst);
    // Whoever began to wait between the two lines above saw no free slot.
    // Sequential consistency: either it sees ours now, or we see it here.
    if (waiting_.load(std::memory_order_seq_cst) != 0 && TryAcquire() && !Grant()) {
      in_use_.fetch_sub(1, std::memory_order_seq_cst);
    }
  }

  // This worker has requests that wait, the next of them since `since`. After
  // Await, try TryAcquire once more. Asks the others for their idle connections.
  void Await(int worker, Instant since) {
    SetSince(worker, since);
    waiting_.fetch_or(Bit(worker), std::memory_order_seq_cst);
    uint64_t holders = idle_.load(std::memory_order_seq_cst) & ~Bit(worker);
    for (; holders != 0; holders &= holders - 1) wake_(std::countr_zero(holders));
  }
  // The next of its requests is another one. Relaxed: a hint whom to serve first.
  void SetSince(int worker, Instant since) { since_[worker].store(since.nanos(), std::memory_order_relaxed); }
  void StopAwaiting(int worker) { waiting_.fetch_and(~Bit(worker), std::memory_order_seq_cst); }
  bool OthersWait(int worker) const { return (waiting_.load(std::memory_order_seq_cst) & ~Bit(worker)) != 0; }
  // A request of another worker has waited since before `since`.
  bool OthersWaitSince(int worker, Instant since) const {
    uint64_t others = waiting_.load(std::memory_order_relaxed) & ~Bit(worker);
    for (; others != 0; others &= others - 1) {
      if (since_[std::countr_zero(others)].load(std::memory_order_relaxed) < since.nanos()) return true;
    }
    return false;
  }

  // A slot that another worker handed over.
  bool TakeGrant(int worker) {
    int granted = grants_[worker].load(std::memory_order_acquire);
    while (granted > 0) {
      if (grants_[worker].compare_exchange_weak(granted, granted - 1, std::memory_order_acq_rel)) return true;
    }
    return false;
  }

  // Whether this worker holds idle connections that others may want.
  void SetIdle(int worker, bool holds) {
    if (holds) {
      idle_.fetch_or(Bit(worker), std::memory_order_seq_cst);
    } else {
      idle_.fetch_and(~Bit(worker), std::memory_order_seq_cst);
    }
  }

  // A place in the queue, bounded over all workers.
  bool TryQueue() {
    if (queued_.fetch_add(1, std::memory_order_relaxed) < queue_limit_.load(std::memory_order_relaxed))
      return true;
    queued_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  void Unqueue() { queued_.fetch_sub(1, std::memory_order_relaxed); }

  int in_use() const { return in_use_.load(std::memory_order_relaxed); }
  int queued() const { return queued_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint64_t Bit(int worker) { return uint64_t{1} << worker; }

  // Hands one held slot to the worker whose next request has waited longest.
  bool Grant() {
    uint64_t waiting = waiting_.load(std::memory_order_seq_cst);
    if (waiting == 0) return false;
    int next = std::countr_zero(waiting);
    for (waiting &= waiting - 1; waiting != 0; waiting &= waiting - 1) {
      const int other = std::countr_zero(waiting);
      if (since_[other].load(std::memory_order_relaxed) < since_[next].load(std::memory_order_relaxed))
        next = other;
    }
    // Until it has woken up and said what it waits for now, the others come first.
    since_[next].store(INT64_MAX, std::memory_order_relaxed);
    grants_[next].fetch_add(1, std::memory_order_acq_rel);
    wake_(next);
    return true;
  }

  Wake wake_;
  std::atomic<int> limit_{1}, queue_limit_{0};
  alignas(64) std::atomic<int> in_use_{0};
  std::atomic<int> queued_{0};
  alignas(64) std::atomic<uint64_t> waiting_{0}, idle_{0};
  std::atomic<int64_t> since_[kMaxWorkers] = {};  // of a waiting worker's next request, nanoseconds
  std::atomic<int> grants_[kMaxWorkers] = {};
};

}  // namespace serin
