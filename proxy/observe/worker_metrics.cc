#include "proxy/observe/worker_metrics.h"

namespace serin {

using namespace metrics_layout;

namespace {

// The edges in nanoseconds, so that counting compares integers: an answer
// after exactly 2 s belongs to the bucket "le 2".
constexpr auto kEdgeNanos = [] {
  std::array<int64_t, kDurationEdges.size()> nanos{};
  for (size_t i = 0; i < nanos.size(); ++i) nanos[i] = static_cast<int64_t>(kDurationEdges[i] * 1e9 + 0.5);
  return nanos;
}();

size_t BucketOf(int64_t nanos) {
  size_t bucket = 0;
  while (bucket < kEdgeNanos.size() && nanos > kEdgeNanos[bucket]) ++bucket;
  return bucket;
}

}  // namespace

std::string_view Name(Unrescued reason) {
  switch (reason) {
    case Unrescued::kBudget:
      return "budget";
    case Unrescued::kStableUnhealthy:
      return "stable_unhealthy";
    case Unrescued::kStableFailed:
      return "stable_failed";
  }
  return "budget";
}

uint64_t MetricsSnapshot::Requests(PoolId pool, Role role, uint16_t status) const {
  return cells[kRequests + Pair(pool, role) * kStatuses + StatusSlot(status)];
}

uint64_t MetricsSnapshot::DurationBucket(PoolId pool, Role role, size_t bucket) const {
  return cells[kDurations + Pair(pool, role) * kDurationBuckets + bucket];
}

double MetricsSnapshot::DurationSumSeconds(PoolId pool, Role role) const {
  return static_cast<double>(cells[kDurationSums + Pair(pool, role)]) / 1e9;
}

uint64_t MetricsSnapshot::BackendErrors(PoolId pool, BackendError error) const {
  return cells[kBackendErrors + static_cast<size_t>(Index(pool)) * kBackendErrorCount +
               static_cast<size_t>(error)];
}

uint64_t MetricsSnapshot::Refused(uint16_t status) const { return cells[kRefused + StatusSlot(status)]; }

void WorkerMetrics::CountRequest(PoolId pool, Role role, uint16_t status, int64_t latency_ns) {
  const size_t pair = Pair(pool, role);
  const int64_t nanos = latency_ns < 0 ? 0 : latency_ns;
  Add(kRequests + pair * kStatuses + StatusSlot(status), 1);
  Add(kDurations + pair * kDurationBuckets + BucketOf(nanos), 1);
  Add(kDurationSums + pair, static_cast<uint64_t>(nanos));
}

void WorkerMetrics::CountBackendError(PoolId pool, BackendError error) {
  if (error == BackendError::kNone) return;
  Add(kBackendErrors + Offset(pool) * kBackendErrorCount + static_cast<size_t>(error), 1);
}

void WorkerMetrics::ClientAccepted() {
  Add(kClientsAccepted, 1);
  Add(kClientsCurrent, 1);
}

void WorkerMetrics::SetPoolConnections(PoolId pool, uint64_t active, uint64_t idle) {
  Set(kActive + Offset(pool), active);
  Set(kIdle + Offset(pool), idle);
}

void WorkerMetrics::AddTo(MetricsSnapshot& sum) const {
  for (size_t i = 0; i < kCells; ++i) sum.cells[i] += cells_[i].load(std::memory_order_relaxed);
}

}  // namespace serin
