#include "proxy/base/latency_histogram.h"

#include <algorithm>
#include <cmath>

namespace serin {

void LatencyHistogram::Add(const LatencyHistogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  total_ += other.total_;
}

void LatencyHistogram::Subtract(const LatencyHistogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] -= std::min(counts_[i], other.counts_[i]);
  total_ -= std::min(total_, other.total_);
}

void LatencyHistogram::Clear() {
  counts_.fill(0);
  total_ = 0;
}

double LatencyHistogram::UpperEdge(size_t bucket) {
  const size_t linear = size_t{1} << kSubBits;
  double unit = static_cast<double>(bucket) + 1;
  if (bucket >= linear) {
    const size_t octave = (bucket >> kSubBits) - 1;
    unit = std::ldexp(static_cast<double>(bucket - (octave << kSubBits) + 1), static_cast<int>(octave));
  }
  return unit * 15625 / 16384;
}

double LatencyHistogram::Quantile(double q) const {
  if (total_ == 0) return 0;
  const double rank = std::clamp(q, 0.0, 1.0) * static_cast<double>(total_);
  double below = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    const double here = counts_[i];
    if (here > 0 && below + here >= rank) {
      const double lower = i == 0 ? 0 : UpperEdge(i - 1);
      return lower + (UpperEdge(i) - lower) * std::max(0.0, rank - below) / here;
    }
    below += here;
  }
  return UpperEdge(counts_.size() - 1);
}

SlidingLatencyHistogram::SlidingLatencyHistogram(absl::Duration window)
    : slice_nanos_(std::max<int64_t>(1, absl::ToInt64Nanoseconds(window) / kSlices)), slices_(kSlices) {}

void SlidingLatencyHistogram::Clear() {
  for (LatencyHistogram& slice : slices_) slice.Clear();
  sum_.Clear();
}

void SlidingLatencyHistogram::AdvanceSlices(Instant now) {
  const int64_t passed = (now.nanos() - slice_end_) / slice_nanos_ + 1;
  slice_end_ += passed * slice_nanos_;
  if (passed >= kSlices) {
    Clear();
    return;
  }
  for (int64_t i = 0; i < passed; ++i) {
    current_ = (current_ + 1) % kSlices;
    if (slices_[current_].total() == 0) continue;
    sum_.Subtract(slices_[current_]);
    slices_[current_].Clear();
  }
}

}  // namespace serin
