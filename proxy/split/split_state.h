#pragma once
// The one word that carries the controller's decisions to the workers.
//
// The controller's thread is the only writer; a worker loads the word once per
// request and keeps that snapshot until the request is recorded, so a request
// never sees half of a change. 64 bits:
//
//   63..32 epoch   31..16 rollout   15..2 canary weight (basis points; all ones: shadow)
//   1 canary pool   0 engaged
//
// The count of drains lies beside it: a worker that sees it a moment earlier or
// later than the word sends to stable, or to a pool that still waits for the last.

#include <atomic>
#include <cstdint>

#include "proxy/base/hash.h"
#include "proxy/base/instant.h"
#include "proxy/base/types.h"

namespace serin {

struct SplitState {
  Epoch epoch;
  // Counts rollouts; seeds the cohort hash, so that each rollout draws its
  // canary people anew. Wraps after 65,536.
  uint16_t rollout = 0;
  Weight canary_weight;
  PoolId canary_pool = PoolId::kGreen;
  // A rollout is under way: observations of both pools are judged.
  bool engaged = false;
  // Weight 0, and a share of what stable answers is copied to the canary's pool.
  bool shadow = false;
  // Drains of the canary's pool, begun and ended: odd while it takes no request,
  // whatever the weight. Not in the word.
  uint32_t drains = 0;

  constexpr bool drained() const { return (drains & 1) != 0; }
  // The canary's pool is given nothing but what asks for it by name.
  constexpr bool idle() const { return canary_weight.is_zero() && !shadow; }
  constexpr PoolId stable_pool() const { return Other(canary_pool); }
  constexpr PoolId pool(Role role) const { return role == Role::kCanary ? canary_pool : stable_pool(); }
  constexpr uint64_t cohort_salt() const { return Mix64(0x5E2114CA9A21E5ULL + rollout); }

  constexpr uint64_t Pack() const {
    return uint64_t{epoch.value()} << 32 | uint64_t{rollout} << 16 |
           uint64_t{shadow ? kShadow : canary_weight.basis_points()} << 2 |
           static_cast<uint64_t>(canary_pool) << 1 | static_cast<uint64_t>(engaged);
  }
  static constexpr SplitState Unpack(uint64_t word) {
    SplitState state;
    state.epoch = Epoch(static_cast<uint32_t>(word >> 32));
    state.rollout = static_cast<uint16_t>(word >> 16);
    const uint32_t weight = static_cast<uint32_t>(word >> 2) & kShadow;
    state.shadow = weight == kShadow;
    if (!state.shadow) state.canary_weight = Weight::BasisPoints(weight);
    state.canary_pool = static_cast<PoolId>(word >> 1 & 1);
    state.engaged = (word & 1) != 0;
    return state;
  }
  friend constexpr bool operator==(const SplitState&, const SplitState&) = default;

 private:
  static constexpr uint32_t kShadow = 0x3FFF;  // no weight: those end at 10,000
};

// The word, and the controller's heartbeat beside it.
class SplitCell {
 public:
  // Release/acquire: whoever routes by the new word also sees what the
  // controller wrote before it (the journal's intent, for one).
  void Store(const SplitState& state) {
    drains_.store(state.drains, std::memory_order_relaxed);
    word_.store(state.Pack(), std::memory_order_release);
  }
  SplitState Load() const {
    SplitState state = SplitState::Unpack(word_.load(std::memory_order_acquire));
    state.drains = drains_.load(std::memory_order_relaxed);
    return state;
  }

  // The controller calls this at every tick. Relaxed: only its age matters.
  void Beat(Instant now) { beat_.store(now.nanos(), std::memory_order_relaxed); }
  Instant LastBeat() const { return Instant::FromNanos(beat_.load(std::memory_order_relaxed)); }

  // The next number of the exact sequence (sequence.h): one counter for all
  // workers, or a share would be off by one per worker. Touched only while a
  // request without a key meets a weight between 0 and 100 %.
  uint64_t NextTicket() { return ticket_.fetch_add(1, std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<uint64_t> word_{SplitState{}.Pack()};
  std::atomic<uint32_t> drains_{0};  // in the word's cache line
  alignas(64) std::atomic<int64_t> beat_{0};
  alignas(64) std::atomic<uint64_t> ticket_{0};
};

}  // namespace serin
