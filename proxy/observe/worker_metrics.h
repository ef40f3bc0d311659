#pragma once
// What one worker counts. The worker's thread is the only writer; anybody may
// read at any time (the metrics page sums all workers). Plain loads and stores
// with relaxed order: a counter stands for itself and orders nothing else, and
// a single writer needs no locked instruction, so counting a request costs a
// few cache hits. A reader may see a request in one counter and not yet in
// another: nothing decides on these numbers (the controller has its own, exact
// observations).

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/base/types.h"
#include "proxy/split/observation.h"

namespace serin {

// Upper edges of the duration histogram, in seconds; a last bucket takes the
// rest. 2.0 is the default latency limit: the share above it is readable
// exactly, without interpolation.
inline constexpr std::array<double, 13> kDurationEdges = {.005, .01, .025, .05, .1, .25, .5,
                                                          1,    2,   2.5,  5,   10, 30};
inline constexpr size_t kDurationBuckets = kDurationEdges.size() + 1;

// Why a failure of the canary's that could have been tried on stable reached
// its client all the same.
enum class Unrescued : uint8_t { kBudget, kStableUnhealthy, kStableFailed };
inline constexpr int kUnrescuedReasonCount = 3;
std::string_view Name(Unrescued reason);  // the `reason` label

// Where each number lies in the flat array of cells.
namespace metrics_layout {
inline constexpr size_t kStatuses = 501;  // slot 0: no status, or one outside 100..599
inline constexpr size_t kPairs = size_t{kPoolCount} * kRoleCount;
inline constexpr size_t kRequests = 0;                                           // [pool][role][status]
inline constexpr size_t kDurations = kRequests + kPairs * kStatuses;             // [pool][role][bucket]
inline constexpr size_t kDurationSums = kDurations + kPairs * kDurationBuckets;  // [pool][role], nanoseconds
inline constexpr size_t kBackendErrors = kDurationSums + kPairs;                 // [pool][error]
inline constexpr size_t kRefused = kBackendErrors + kPoolCount * kBackendErrorCount;  // [status]
inline constexpr size_t kActive = kRefused + kStatuses;                               // [pool]
inline constexpr size_t kIdle = kActive + kPoolCount;                                 // [pool]
inline constexpr size_t kQueueDepth = kIdle + kPoolCount;                             // [pool]
inline constexpr size_t kReused = kQueueDepth + kPoolCount;                           // [pool]
inline constexpr size_t kOpened = kReused + kPoolCount;                               // [pool]
inline constexpr size_t kRescued = kOpened + kPoolCount;
inline constexpr size_t kUnrescued = kRescued + 1;                     // [reason]
inline constexpr size_t kShadow = kUnrescued + kUnrescuedReasonCount;  // [status]
inline constexpr size_t kShadowSkipped = kShadow + kStatuses;
inline constexpr size_t kClientsAccepted = kShadowSkipped + 1;
inline constexpr size_t kClientsCurrent = kClientsAccepted + 1;
inline constexpr size_t kClientsRefused = kClientsCurrent + 1;
inline constexpr size_t kBytesIn = kClientsRefused + 1;
inline constexpr size_t kBytesOut = kBytesIn + 1;
inline constexpr size_t kSpilled = kBytesOut + 1;
inline constexpr size_t kLogLinesDropped = kSpilled + 1;
inline constexpr size_t kObservationsDropped = kLogLinesDropped + 1;
inline constexpr size_t kCells = kObservationsDropped + 1;

constexpr size_t Pair(PoolId pool, Role role) {
  return static_cast<size_t>(Index(pool)) * kRoleCount + static_cast<size_t>(Index(role));
}
constexpr size_t StatusSlot(uint16_t status) { return status >= 100 && status <= 599 ? status - 99U : 0U; }
}  // namespace metrics_layout

// The sum over workers, as plain numbers.
class MetricsSnapshot {
 public:
  // `status` 0 asks for the requests that ended without a status.
  uint64_t Requests(PoolId pool, Role role, uint16_t status) const;
  uint64_t DurationBucket(PoolId pool, Role role, size_t bucket) const;  // not cumulative
  double DurationSumSeconds(PoolId pool, Role role) const;
  uint64_t BackendErrors(PoolId pool, BackendError error) const;
  uint64_t Refused(uint16_t status) const;
  uint64_t ActiveConnections(PoolId pool) const { return At(metrics_layout::kActive, pool); }
  uint64_t IdleConnections(PoolId pool) const { return At(metrics_layout::kIdle, pool); }
  uint64_t QueueDepth(PoolId pool) const { return At(metrics_layout::kQueueDepth, pool); }
  uint64_t ReusedConnections(PoolId pool) const { return At(metrics_layout::kReused, pool); }
  uint64_t OpenedConnections(PoolId pool) const { return At(metrics_layout::kOpened, pool); }
  uint64_t Rescued() const { return cells[metrics_layout::kRescued]; }
  uint64_t NotRescued(Unrescued reason) const {
    return cells[metrics_layout::kUnrescued + static_cast<size_t>(reason)];
  }
  uint64_t Shadow(uint16_t status) const {
    return cells[metrics_layout::kShadow + metrics_layout::StatusSlot(status)];
  }
  uint64_t ShadowSkipped() const { return cells[metrics_layout::kShadowSkipped]; }
  uint64_t ClientsAccepted() const { return cells[metrics_layout::kClientsAccepted]; }
  uint64_t ClientsCurrent() const { return cells[metrics_layout::kClientsCurrent]; }
  uint64_t ClientsRefused() const { return cells[metrics_layout::kClientsRefused]; }
  uint64_t BytesIn() const { return cells[metrics_layout::kBytesIn]; }
  uint64_t BytesOut() const { return cells[metrics_layout::kBytesOut]; }
  uint64_t Spilled() const { return cells[metrics_layout::kSpilled]; }
  uint64_t LogLinesDropped() const { return cells[metrics_layout::kLogLinesDropped]; }
  uint64_t ObservationsDropped() const { return cells[metrics_layout::kObservationsDropped]; }

  std::array<uint64_t, metrics_layout::kCells> cells{};

 private:
  uint64_t At(size_t base, PoolId pool) const { return cells[base + static_cast<size_t>(Index(pool))]; }
};

// One per worker, 26 KiB. Starts at zero; never reset.
class alignas(64) WorkerMetrics {
 public:
  // A pool's part in a request has ended. `status` is what its client was sent
  // (499: it left first; 0: nothing), or would have been, had stable not rescued it.
  void CountRequest(PoolId pool, Role role, uint16_t status, int64_t latency_ns);
  // A pool gave no whole answer. kNone is ignored.
  void CountBackendError(PoolId pool, BackendError error);
  // We answered by ourselves, without a pool: 400, 408, 413, …
  void CountRefused(uint16_t status) {
    Add(metrics_layout::kRefused + metrics_layout::StatusSlot(status), 1);
  }
  // The canary failed, stable answered.
  void CountRescued() { Add(metrics_layout::kRescued, 1); }
  void CountUnrescued(Unrescued reason) { Add(metrics_layout::kUnrescued + static_cast<size_t>(reason), 1); }
  // The canary answered a copy; 0: not, or not whole.
  void CountShadow(uint16_t status) { Add(metrics_layout::kShadow + metrics_layout::StatusSlot(status), 1); }
  // A copy was not sent, because there was no room.
  void CountShadowSkipped() { Add(metrics_layout::kShadowSkipped, 1); }

  void ClientAccepted();
  void ClientClosed() { Add(metrics_layout::kClientsCurrent, ~uint64_t{0}); }  // modulo 2^64: minus one
  // Over max_client_connections: closed at once.
  void ClientRefused() { Add(metrics_layout::kClientsRefused, 1); }
  // Totals of this worker's client connections, TLS and framing included.
  void SetBytes(uint64_t received, uint64_t sent) {
    Set(metrics_layout::kBytesIn, received);
    Set(metrics_layout::kBytesOut, sent);
  }
  // A body or an answer went to a temporary file.
  void CountSpilled() { Add(metrics_layout::kSpilled, 1); }

  // Gauges: this worker's part of the pool's connections and queue.
  void SetPoolConnections(PoolId pool, uint64_t active, uint64_t idle);
  void SetQueueDepth(PoolId pool, uint64_t depth) { Set(metrics_layout::kQueueDepth + Offset(pool), depth); }
  // Totals of this worker: connections opened, and requests that went over one
  // that an earlier request had left open.
  void SetConnectionTotals(PoolId pool, uint64_t opened, uint64_t reused) {
    Set(metrics_layout::kOpened + Offset(pool), opened);
    Set(metrics_layout::kReused + Offset(pool), reused);
  }

  void AddLogLinesDropped(uint64_t lines) { Add(metrics_layout::kLogLinesDropped, lines); }
  void SetObservationsDropped(uint64_t total) { Set(metrics_layout::kObservationsDropped, total); }

  // Adds this worker's numbers to `sum`. Any thread.
  void AddTo(MetricsSnapshot& sum) const;

 private:
  static size_t Offset(PoolId pool) { return static_cast<size_t>(Index(pool)); }
  void Set(size_t cell, uint64_t value) { cells_[cell].store(value, std::memory_order_relaxed); }
  void Add(size_t cell, uint64_t n) { Set(cell, cells_[cell].load(std::memory_order_relaxed) + n); }

  std::array<std::atomic<uint64_t>, metrics_layout::kCells> cells_{};
};

}  // namespace serin
