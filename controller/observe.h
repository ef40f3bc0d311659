#pragma once
// Observe: what the workers saw becomes counts. Says of each observation
// whether it counts in a verdict, and keeps sliding windows per pool.
// The controller's thread; no allocation after construction.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "controller/plan.h"
#include "proxy/base/instant.h"
#include "proxy/base/latency_histogram.h"
#include "proxy/base/types.h"
#include "proxy/split/observation.h"

namespace serin {

struct Counts {
  int64_t outcomes = 0;  // responses known to be good or bad
  int64_t errors = 0;
  int64_t dead = 0;   // of the errors: the pool was not there
  int64_t timed = 0;  // responses known to be fast or slow
  int64_t slow = 0;
  int64_t routed = 0;  // requests sent there by weight, counted in a verdict or not

  double error_ratio() const {
    return outcomes > 0 ? static_cast<double>(errors) / static_cast<double>(outcomes) : 0;
  }
  double slow_ratio() const { return timed > 0 ? static_cast<double>(slow) / static_cast<double>(timed) : 0; }
  Counts& operator+=(const Counts& other);
  Counts& operator-=(const Counts& other);
  friend bool operator==(const Counts&, const Counts&) = default;
};

// Counts of the last `window`. 600 buckets whatever the window, so a window of
// 60 s is exact to 100 ms and memory is bounded; sums are kept as buckets come
// and go, never recomputed. 29 KB.
class SlidingCounts {
 public:
  static constexpr int kBuckets = 600;
  explicit SlidingCounts(absl::Duration window);

  // Lets what is older than the window fall out. A step back is ignored: an
  // observation that comes late counts as of now.
  void Advance(Instant now) {
    if (now.nanos() >= bucket_end_) AdvanceBuckets(now);
  }
  void Add(const Counts& counts);
  void Clear();
  const Counts& sum() const { return sum_; }
  // Time from the first to the last bucket in which the pool was not there.
  absl::Duration DeadSpan() const;

 private:
  struct Bucket {
    uint32_t outcomes = 0, errors = 0, dead = 0, timed = 0, slow = 0, routed = 0;
  };
  void AdvanceBuckets(Instant now);

  int64_t bucket_nanos_;
  int64_t bucket_end_ = 0;
  size_t current_ = 0;
  std::vector<Bucket> buckets_;
  Counts sum_;
};

// One client's burst of failures must not revert a release: after
// `client_burst_failures` failures within `client_burst_window` nothing of
// that client counts, neither failure nor success, until one of them is older
// than that. Leaving out the failures alone would make a broken release look
// good wherever a few addresses carry all traffic; leaving the client out
// whole keeps the counted responses a fair sample, because whether one counts
// is known before it is seen.
//
// A client that is most of a pool's traffic (a test from one machine, a front
// proxy that passes no address on) is that traffic, and counts as soon as 20
// requests have shown it. Client 0, nobody known, always counts.
//
// Bounded: 1,024 failing clients, 88 KB; more push out the longest quiet.
class BurstFilter {
 public:
  static constexpr int kMaxFailures = 8;  // client_burst_failures above this count as this
  BurstFilter();
  void Configure(int failures, absl::Duration window);
  // Does this response count? To be called for every response with an
  // outcome or a time, in order.
  bool Counts(uint64_t client, PoolId pool, bool failed, Instant at);

 private:
  static constexpr size_t kWays = 4;
  static constexpr size_t kSets = 256;
  struct Entry {
    uint64_t client = 0;                            // 0: free
    std::array<int64_t, kMaxFailures> failed_at{};  // counted failures, a ring
    uint8_t next = 0;
    int64_t last_failure = 0;
  };
  // Boyer and Moore's majority vote, halved now and then so that it forgets:
  // `votes` above half of `total` means at least half of recent requests.
  struct Majority {
    uint64_t client = 0;
    int64_t votes = 0;
    int64_t total = 0;
    int64_t halve_at = 0;
  };
  bool IsMost(uint64_t client, PoolId pool, int64_t at);
  Entry* Find(uint64_t key);
  Entry& Claim(uint64_t key);

  int failures_ = 3;
  int64_t window_nanos_ = 0;
  int64_t muted_until_ = 0;  // nobody is muted after this: the usual case costs nothing
  std::vector<Entry> entries_;
  Majority majority_[kPoolCount];
};

// What an observation means for a verdict.
struct Sample {
  bool canary = false;
  bool outcome = false;  // a response known to be good (not `error`) or bad
  bool error = false;
  bool dead = false;   // the pool was not there; implies error
  bool timed = false;  // a response known to be fast (not `slow`) or slow
  bool slow = false;

  bool counts() const { return outcome || timed; }
  bool failed() const { return error || slow; }
};

class Observer {
 public:
  explicit Observer(const Plan& plan);
  // Windows start anew when their length changes.
  void SetPlan(const Plan& plan);
  // Which pool is the canary's, and since when by its present release: what
  // was routed there before `first` never counts.
  void Follow(PoolId canary, Epoch first);

  Sample Take(const Observation& observation);
  void Advance(Instant now);

  const Counts& counts(PoolId pool) const { return windows_[Index(pool)].counts.sum(); }
  double p95_us(PoolId pool) const { return windows_[Index(pool)].latency.Quantile(0.95); }
  absl::Duration DeadSpan(PoolId pool) const { return windows_[Index(pool)].counts.DeadSpan(); }
  // Requests per second of both pools over the window up to the latest one; 0
  // before a second of traffic has been seen.
  double RequestRate() const;

 private:
  struct Window {
    explicit Window(absl::Duration length) : counts(length), latency(length) {}
    SlidingCounts counts;
    SlidingLatencyHistogram latency;
  };
  Sample Classify(const Observation& observation) const;

  int64_t length_nanos_ = 0;
  std::vector<Window> windows_;  // by PoolId
  BurstFilter burst_;
  PoolId canary_ = PoolId::kGreen;
  Epoch first_epoch_;
  Instant traffic_since_;  // no gap of a window's length since then
  Instant last_at_ = Instant::FromNanos(INT64_MIN / 2);
};

}  // namespace serin
