#pragma once
// Log-linear histograms of latencies, for percentiles that people read. They
// take no part in a verdict: that counts requests over the limit exactly.
//
// Owned and used by one thread (the controller's); plain counters.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "proxy/base/instant.h"

namespace serin {

// Counts latencies in buckets that are 1/32 of an octave's start wide, so a
// percentile is within 3.2 % of the truth. The unit is chosen so that an edge
// lies at exactly 2 s (and at its halves and doubles): a p95 that is shown as
// over 2 s is over 2 s. Buckets are (lower, upper], as Prometheus has them.
// 4 KB, no allocation after construction, 2 ns to record.
class LatencyHistogram {
 public:
  static constexpr int kSubBits = 5;
  static constexpr int kBuckets = (34 - kSubBits) << kSubBits;  // up to 2^32 us, which is 71 minutes

  void Record(uint32_t latency_us) { ++counts_[BucketOf(latency_us)], ++total_; }
  void Add(const LatencyHistogram& other);
  // `other` must have been added before; counts never go below zero.
  void Subtract(const LatencyHistogram& other);
  void Clear();

  uint64_t total() const { return total_; }
  // The latency in microseconds that a share `q` (0 to 1) of the recorded
  // values do not exceed, interpolated within its bucket; 0 when empty.
  double Quantile(double q) const;

  // Bucket of a latency, and that bucket's upper edge in microseconds.
  static constexpr size_t BucketOf(uint32_t latency_us) {
    if (latency_us == 0) return 0;
    // us * 2^21 / 2,000,000, less one so that edges belong to the lower bucket.
    const uint64_t unit = (uint64_t{latency_us} - 1) * 16384 / 15625;
    if (unit < (1u << kSubBits)) return unit;
    const int octave = 63 - __builtin_clzll(unit) - kSubBits;
    return (static_cast<size_t>(octave) << kSubBits) + (unit >> octave);
  }
  static double UpperEdge(size_t bucket);

 private:
  std::array<uint32_t, kBuckets> counts_{};
  uint64_t total_ = 0;
};

// The latencies of the last `window`, in kSlices slices that fall out one by
// one: the window's age is exact to window/kSlices. 230 KB.
class SlidingLatencyHistogram {
 public:
  static constexpr int kSlices = 60;
  explicit SlidingLatencyHistogram(absl::Duration window);

  void Record(uint32_t latency_us) {
    slices_[current_].Record(latency_us);
    sum_.Record(latency_us);
  }
  // Lets what is older than the window fall out. A step back is ignored.
  void Advance(Instant now) {
    if (now.nanos() >= slice_end_) AdvanceSlices(now);
  }
  void Clear();

  uint64_t total() const { return sum_.total(); }
  double Quantile(double q) const { return sum_.Quantile(q); }

 private:
  void AdvanceSlices(Instant now);

  int64_t slice_nanos_;
  int64_t slice_end_ = 0;
  size_t current_ = 0;
  std::vector<LatencyHistogram> slices_;
  LatencyHistogram sum_;  // of all slices, kept as they change
};

}  // namespace serin
