// What is written for each request, and what a scrape of the metrics sums up.

#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "proxy/base/latency_histogram.h"
#include "proxy/observe/worker_metrics.h"

namespace serin {
namespace {

void HistogramRecord(benchmark::State& state) {
  const auto histogram = std::make_unique<LatencyHistogram>();
  uint32_t latency_us = 1;
  for (auto _ : state) {
    histogram->Record(latency_us);
    latency_us = (latency_us * 7 + 13) % 3'000'000;
  }
}
BENCHMARK(HistogramRecord);

void HistogramQuantile(benchmark::State& state) {
  const auto histogram = std::make_unique<LatencyHistogram>();
  for (uint32_t i = 1; i < 100'000; ++i) histogram->Record(i * 20);
  for (auto _ : state) benchmark::DoNotOptimize(histogram->Quantile(0.95));
}
BENCHMARK(HistogramQuantile);

void CountARequest(benchmark::State& state) {
  const auto metrics = std::make_unique<WorkerMetrics>();
  int64_t nanos = 1;
  for (auto _ : state) {
    metrics->CountRequest(PoolId::kBlue, Role::kStable, 200, nanos);
    nanos = (nanos * 7 + 13) % 3'000'000'000;
  }
}
BENCHMARK(CountARequest);

// A scrape adds up this many workers.
void CollectWorkers(benchmark::State& state) {
  std::vector<std::unique_ptr<WorkerMetrics>> workers;
  for (int64_t i = 0; i < state.range(0); ++i) workers.push_back(std::make_unique<WorkerMetrics>());
  for (auto _ : state) {
    const auto sum = std::make_unique<MetricsSnapshot>();
    for (const auto& worker : workers) worker->AddTo(*sum);
    benchmark::DoNotOptimize(sum.get());
  }
}
BENCHMARK(CollectWorkers)->ArgName("workers")->Arg(1)->Arg(8);

}  // namespace
}  // namespace serin
