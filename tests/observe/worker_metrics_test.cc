#include "proxy/observe/worker_metrics.h"

#include <gtest/gtest.h>

#include <memory>

namespace serin {
namespace {

TEST(WorkerMetricsTest, SumsWhatWorkersCounted) {
  const auto a = std::make_unique<WorkerMetrics>(), b = std::make_unique<WorkerMetrics>();
  a->CountRequest(PoolId::kBlue, Role::kStable, 200, 3'000'000);
  b->CountRequest(PoolId::kBlue, Role::kStable, 200, 4'000'000);
  b->CountRequest(PoolId::kGreen, Role::kCanary, 503, 1'500'000'000);
  MetricsSnapshot sum;
  a->AddTo(sum);
  b->AddTo(sum);
  EXPECT_EQ(sum.Requests(PoolId::kBlue, Role::kStable, 200), 2u);
  EXPECT_EQ(sum.Requests(PoolId::kGreen, Role::kCanary, 503), 1u);
  EXPECT_EQ(sum.Requests(PoolId::kGreen, Role::kStable, 503), 0u);
  EXPECT_EQ(sum.DurationBucket(PoolId::kBlue, Role::kStable, 0), 2u);
  EXPECT_DOUBLE_EQ(sum.DurationSumSeconds(PoolId::kBlue, Role::kStable), 0.007);
}

TEST(WorkerMetricsTest, ExactlyTwoSecondsIsWithinTheLimit) {
  const auto metrics = std::make_unique<WorkerMetrics>();
  metrics->CountRequest(PoolId::kBlue, Role::kStable, 200, 2'000'000'000);
  metrics->CountRequest(PoolId::kBlue, Role::kStable, 200, 2'000'000'001);
  metrics->CountRequest(PoolId::kBlue, Role::kStable, 200, 60'000'000'000);
  MetricsSnapshot sum;
  metrics->AddTo(sum);
  EXPECT_EQ(kDurationEdges[8], 2.0);
  EXPECT_EQ(sum.DurationBucket(PoolId::kBlue, Role::kStable, 8), 1u);
  EXPECT_EQ(sum.DurationBucket(PoolId::kBlue, Role::kStable, 9), 1u);
  EXPECT_EQ(sum.DurationBucket(PoolId::kBlue, Role::kStable, kDurationEdges.size()), 1u);
}

TEST(WorkerMetricsTest, KeepsStatusesOutsideTheRangeInOneSlot) {
  const auto metrics = std::make_unique<WorkerMetrics>();
  for (const uint16_t status : std::initializer_list<uint16_t>{0, 99, 600, 65535})
    metrics->CountRequest(PoolId::kGreen, Role::kCanary, status, -5);
  for (const uint16_t status : std::initializer_list<uint16_t>{100, 599})
    metrics->CountRequest(PoolId::kGreen, Role::kCanary, status, 0);
  MetricsSnapshot sum;
  metrics->AddTo(sum);
  EXPECT_EQ(sum.Requests(PoolId::kGreen, Role::kCanary, 0), 4u);
  EXPECT_EQ(sum.Requests(PoolId::kGreen, Role::kCanary, 100), 1u);
  EXPECT_EQ(sum.Requests(PoolId::kGreen, Role::kCanary, 599), 1u);
  EXPECT_EQ(sum.DurationSumSeconds(PoolId::kGreen, Role::kCanary), 0);
}

TEST(WorkerMetricsTest, CountsEverythingElseInItsOwnPlace) {
  const auto metrics = std::make_unique<WorkerMetrics>();
  metrics->CountBackendError(PoolId::kGreen, BackendError::kOverloaded);
  metrics->CountBackendError(PoolId::kGreen, BackendError::kNone);
  metrics->CountRefused(413);
  metrics->CountRescued();
  metrics->CountShadow(503);
  metrics->CountShadow(0);
  metrics->CountShadowSkipped();
  metrics->ClientAccepted();
  metrics->ClientAccepted();
  metrics->ClientClosed();
  metrics->ClientRefused();
  metrics->SetBytes(10, 20);
  metrics->CountSpilled();
  metrics->SetPoolConnections(PoolId::kBlue, 3, 4);
  metrics->SetPoolConnections(PoolId::kBlue, 2, 5);
  metrics->SetQueueDepth(PoolId::kGreen, 7);
  metrics->SetConnectionTotals(PoolId::kBlue, 0, 1);
  metrics->SetConnectionTotals(PoolId::kGreen, 1, 0);
  metrics->AddLogLinesDropped(6);
  metrics->SetObservationsDropped(8);
  MetricsSnapshot sum;
  metrics->AddTo(sum);
  EXPECT_EQ(sum.BackendErrors(PoolId::kGreen, BackendError::kOverloaded), 1u);
  EXPECT_EQ(sum.BackendErrors(PoolId::kGreen, BackendError::kNone), 0u);
  EXPECT_EQ(sum.Refused(413), 1u);
  EXPECT_EQ(sum.Rescued(), 1u);
  EXPECT_EQ(sum.Shadow(503), 1u);
  EXPECT_EQ(sum.Shadow(0), 1u);
  EXPECT_EQ(sum.ShadowSkipped(), 1u);
  EXPECT_EQ(sum.ClientsAccepted(), 2u);
  EXPECT_EQ(sum.ClientsCurrent(), 1u);
  EXPECT_EQ(sum.ClientsRefused(), 1u);
  EXPECT_EQ(sum.BytesIn(), 10u);
  EXPECT_EQ(sum.BytesOut(), 20u);
  EXPECT_EQ(sum.Spilled(), 1u);
  EXPECT_EQ(sum.ActiveConnections(PoolId::kBlue), 2u);
  EXPECT_EQ(sum.IdleConnections(PoolId::kBlue), 5u);
  EXPECT_EQ(sum.QueueDepth(PoolId::kGreen), 7u);
  EXPECT_EQ(sum.ReusedConnections(PoolId::kBlue), 1u);
  EXPECT_EQ(sum.OpenedConnections(PoolId::kGreen), 1u);
  EXPECT_EQ(sum.LogLinesDropped(), 6u);
  EXPECT_EQ(sum.ObservationsDropped(), 8u);
}

TEST(WorkerMetricsTest, ClientsMayCloseOnAnotherWorkersSnapshotWithoutUnderflowOfTheSum) {
  // The gauge is modulo 2^64: a worker whose own part is "negative" still sums right.
  const auto a = std::make_unique<WorkerMetrics>(), b = std::make_unique<WorkerMetrics>();
  a->ClientAccepted();
  a->ClientAccepted();
  b->ClientClosed();
  MetricsSnapshot sum;
  a->AddTo(sum);
  b->AddTo(sum);
  EXPECT_EQ(sum.ClientsCurrent(), 1u);
}

}  // namespace
}  // namespace serin
