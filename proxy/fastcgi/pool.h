#pragma once
// One worker's part of a PHP-FPM pool: its connections and the requests that
// wait for one. All workers' parts together stay within the pool's limit
// through the PoolGate. One worker's thread.

#include <memory>
#include <vector>

#include "proxy/base/intrusive_list.h"
#include "proxy/fastcgi/backend_connection.h"
#include "proxy/fastcgi/pool_gate.h"
#include "proxy/settings.h"

namespace serin {

// A request that wants a connection of a pool.
class PoolWaiter {
 public:
  // A connection is there: fill its send_buffer and Send at once, or Abort it.
  virtual void OnBackend(BackendConnection& connection) = 0;
  // There will be none: kRefused, kSaturated (the queue is full, or the wait was too long).
  virtual void OnNoBackend(BackendError error) = 0;

 protected:
  virtual ~PoolWaiter() = default;

 private:
  friend class Pool;
  struct Link : ListNode {
    explicit Link(PoolWaiter& owner) : waiter(&owner) {}
    PoolWaiter* const waiter;
  };
  Link link_{*this};
  Instant since_;
  bool may_reuse_ = false;
  bool may_wait_ = true;
};

class Pool final : private BackendOwner {
 public:
  Pool(const BackendHost& host, PoolGate& gate, int worker);
  ~Pool();

  // `settings` must outlive every request that is under way with it.
  void Configure(const PoolSettings& settings);

  // Calls OnBackend or OnNoBackend, before it returns or later. `may_reuse`:
  // the request can stand a kept connection, because it can be repeated if
  // that turns out to be stale.
  void Acquire(PoolWaiter& waiter, bool may_reuse);
  // Calls OnBackend or OnNoBackend before it returns, or says false: it takes only what
  // is free and wanted by nobody else, and never waits. May get a kept connection.
  bool AcquireNow(PoolWaiter& waiter);
  // The connection it got turned out to be stale: a new one, before all that came after it.
  void AcquireAgain(PoolWaiter& waiter);
  // The waiter no longer wants one.
  void Cancel(PoolWaiter& waiter);

  // The gate woke this worker: a slot was granted, or idle connections are wanted.
  void OnWake();
  // Closes what is kept open for nobody.
  void CloseIdle();
  // Ends what is in flight as if its time were up: a drain that takes too long.
  void CutOff();
  // About every 50 ms: waits that were too long, a full backlog tried again.
  void OnTick();

  int active() const { return active_; }
  int idle() const { return static_cast<int>(idle_.size()); }
  int queued() const { return queued_; }
  uint64_t opened() const { return opened_; }
  uint64_t reused() const { return reused_; }
  // Counts the times that a connection was refused: the pool has been away.
  uint64_t refusals() const { return refusals_; }

 private:
  void OnConnectionFree(BackendConnection& connection, Ended ended) override;
  bool ReuseIdle(PoolWaiter& waiter);
  enum class Place : uint8_t { kFront, kBack };
  void OpenOrEnqueue(PoolWaiter& waiter, Place place);
  void Enqueue(PoolWaiter& waiter, Place place);
  PoolWaiter& Dequeue();
  void OpenFor(PoolWaiter& waiter);
  void ServeNext();
  void GiveUp(BackendConnection& connection);
  void TakeIdle(std::vector<BackendConnection*>::iterator at);
  void Recycle(BackendConnection& connection);
  void KeepIdle(BackendConnection& connection);
  void NextChanged();
  bool MustYield() const;

  const BackendHost& host_;
  PoolGate& gate_;
  const int worker_;
  const PoolSettings* settings_ = nullptr;
  std::vector<std::unique_ptr<BackendConnection>> connections_;  // all, in use or not
  std::vector<BackendConnection*> unused_;                       // closed, for recycling
  std::vector<BackendConnection*> idle_;                         // kept open; last used at the end
  IntrusiveList<PoolWaiter::Link> queue_;
  int queued_ = 0;
  int active_ = 0;
  uint64_t opened_ = 0, reused_ = 0, refusals_ = 0;
  Instant backlog_full_until_;
};

}  // namespace serin
