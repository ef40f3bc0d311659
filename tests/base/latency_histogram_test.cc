#include "proxy/base/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace serin {
namespace {

TEST(LatencyHistogramTest, IsZeroWhenEmpty) { EXPECT_EQ(LatencyHistogram().Quantile(0.95), 0); }

TEST(LatencyHistogramTest, HasAnEdgeAtExactlyTwoSeconds) {
  EXPECT_NE(LatencyHistogram::BucketOf(2000000), LatencyHistogram::BucketOf(2000001));
  EXPECT_DOUBLE_EQ(LatencyHistogram::UpperEdge(LatencyHistogram::BucketOf(2000000)), 2e6);
  EXPECT_DOUBLE_EQ(LatencyHistogram::UpperEdge(LatencyHistogram::BucketOf(1000000)), 1e6);
}

TEST(LatencyHistogramTest, ShowsOverTwoSecondsOnlyForWhatIsOver) {
  LatencyHistogram at_limit;
  for (int i = 0; i < 100; ++i) at_limit.Record(2000000);
  EXPECT_LE(at_limit.Quantile(0.95), 2e6);
  LatencyHistogram over;
  for (int i = 0; i < 100; ++i) over.Record(2000001);
  EXPECT_GT(over.Quantile(0.95), 2e6);
}

TEST(LatencyHistogramTest, TakesTheWholeRangeInOrder) {
  size_t last = 0;
  for (uint64_t us = 0; us <= std::numeric_limits<uint32_t>::max(); us = us + us / 50 + 1) {
    const size_t bucket = LatencyHistogram::BucketOf(static_cast<uint32_t>(us));
    ASSERT_GE(bucket, last);
    ASSERT_LT(bucket, size_t{LatencyHistogram::kBuckets});
    ASSERT_LT(static_cast<double>(us), LatencyHistogram::UpperEdge(bucket) + 1) << "whole microseconds";
    if (bucket > 0) {
      ASSERT_GT(static_cast<double>(us), LatencyHistogram::UpperEdge(bucket - 1));
    }
    last = bucket;
  }
  EXPECT_LT(LatencyHistogram::BucketOf(std::numeric_limits<uint32_t>::max()),
            size_t{LatencyHistogram::kBuckets});
}

TEST(LatencyHistogramTest, QuantilesAreWithinABucketOfTheTruth) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(std::log(80000.0), 1.2);
  LatencyHistogram histogram;
  std::vector<double> values;
  for (int i = 0; i < 20000; ++i) {
    const auto us = static_cast<uint32_t>(std::min(latency(random), 4e9));
    values.push_back(us);
    histogram.Record(us);
  }
  std::sort(values.begin(), values.end());
  for (double q : {0.5, 0.9, 0.95, 0.99}) {
    const double truth = values[static_cast<size_t>(q * static_cast<double>(values.size()))];
    EXPECT_NEAR(histogram.Quantile(q), truth, truth * 0.033) << q;
  }
}

TEST(LatencyHistogramTest, SubtractingUndoesAdding) {
  LatencyHistogram a;
  LatencyHistogram b;
  a.Record(5000);
  b.Record(90000);
  a.Add(b);
  EXPECT_EQ(a.total(), 2u);
  a.Subtract(b);
  EXPECT_EQ(a.total(), 1u);
  EXPECT_NEAR(a.Quantile(0.95), 5000, 170);
}

TEST(SlidingLatencyHistogramTest, ForgetsWhatIsOlderThanTheWindow) {
  SlidingLatencyHistogram window(absl::Seconds(60));
  Instant now = Instant::FromNanos(1'000'000'000'000);
  window.Advance(now);
  window.Record(3000000);
  window.Advance(now + absl::Seconds(30));
  window.Record(1000);
  EXPECT_EQ(window.total(), 2u);
  window.Advance(now + absl::Seconds(61));
  EXPECT_EQ(window.total(), 1u);
  EXPECT_LT(window.Quantile(0.95), 1100);
  window.Advance(now + absl::Hours(10));
  EXPECT_EQ(window.total(), 0u);
}

TEST(SlidingLatencyHistogramTest, IgnoresAStepBack) {
  SlidingLatencyHistogram window(absl::Seconds(60));
  const Instant now = Instant::FromNanos(1'000'000'000'000);
  window.Advance(now);
  window.Record(1000);
  window.Advance(now - absl::Hours(1));
  EXPECT_EQ(window.total(), 1u);
}

}  // namespace
}  // namespace serin
