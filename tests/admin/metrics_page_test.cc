#include "proxy/admin/metrics_page.h"

#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>

#include <set>
#include <sstream>

#include "tests/admin/fake_backend.h"

namespace serin {
namespace {

class MetricsPageTest : public testing::Test {
 protected:
  std::string Render() {
    return MetricsPage({[this](MetricsSnapshot& sum) { metrics_->AddTo(sum); },
                        [this] { return std::make_shared<Report>(report_); },
                        [] { return Webhook::Counts{.sent = 5, .failed = 2, .dropped = 1}; },
                        [] {
                          return ProcessInfo{
                              "1.2.3", absl::FromUnixSeconds(1000), 2, {{}, {PoolState::kDraining, 3}}};
                        },
                        [this] { return certificates_; },
                        [this](PoolId pool) { return fpm_[Index(pool)]; }})
        .Render();
  }
  // The line's value; "" when there is no such series.
  std::string Value(const std::string& series) {
    std::istringstream page(Render());
    for (std::string line; std::getline(page, line);) {
      if (line.starts_with(series + " ")) return line.substr(series.size() + 1);
    }
    return "";
  }

  std::unique_ptr<WorkerMetrics> metrics_ = std::make_unique<WorkerMetrics>();
  Report report_ = SteppingReport();
  std::vector<CertificateExpiry> certificates_;
  FpmReading fpm_[kPoolCount];
};

TEST_F(MetricsPageTest, HasTheNamesOfTheContract) {
  metrics_->CountRequest(PoolId::kBlue, Role::kStable, 200, 1'999'000'000);
  metrics_->CountRequest(PoolId::kGreen, Role::kCanary, 499, 3'000'000'000);
  metrics_->CountRequest(PoolId::kGreen, Role::kCanary, 0, 1);
  metrics_->CountBackendError(PoolId::kGreen, BackendError::kReset);
  metrics_->CountRescued();
  metrics_->SetPoolConnections(PoolId::kGreen, 3, 1);
  metrics_->SetQueueDepth(PoolId::kGreen, 4);
  report_.reverts_latency = 2;
  EXPECT_EQ(Value(R"(serin_pool_state{pool="blue",state="serving"})"), "1");
  EXPECT_EQ(Value(R"(serin_pool_state{pool="green",state="draining"})"), "1");
  EXPECT_EQ(Value(R"(serin_pool_state{pool="green",state="serving"})"), "0");
  EXPECT_EQ(Value(R"(serin_requests_total{pool="blue",role="stable",code="200"})"), "1");
  EXPECT_EQ(Value(R"(serin_requests_total{pool="green",role="canary",code="499"})"), "1");
  EXPECT_EQ(Value(R"(serin_requests_total{pool="green",role="canary",code="000"})"), "1");
  EXPECT_EQ(Value(R"(serin_request_duration_seconds_bucket{pool="blue",role="stable",le="2"})"), "1");
  EXPECT_EQ(Value(R"(serin_request_duration_seconds_bucket{pool="blue",role="stable",le="1"})"), "0");
  EXPECT_EQ(Value(R"(serin_request_duration_seconds_bucket{pool="green",role="canary",le="2"})"), "1");
  EXPECT_EQ(Value(R"(serin_request_duration_seconds_bucket{pool="green",role="canary",le="+Inf"})"), "2");
  EXPECT_EQ(Value(R"(serin_request_duration_seconds_count{pool="green",role="canary"})"), "2");
  EXPECT_EQ(Value(R"(serin_request_duration_seconds_count{pool="green",role="stable"})"), "");
  EXPECT_EQ(Value(R"(serin_backend_errors_total{pool="green",reason="reset"})"), "1");
  EXPECT_EQ(Value("serin_canary_weight_ratio"), "0.25");
  EXPECT_EQ(Value("serin_canary_observed_ratio"), "0.249");
  EXPECT_EQ(Value("serin_canary_error_ratio"), "0.008");
  EXPECT_EQ(Value("serin_canary_p95_seconds"), "0.11");
  EXPECT_EQ(Value(R"(serin_evidence_ratio{signal="errors"})").substr(0, 6), "0.3333");
  EXPECT_EQ(Value("serin_rollout_step"), "2");
  EXPECT_EQ(Value(R"(serin_webhook_messages_total{result="sent"})"), "5");
  EXPECT_EQ(Value(R"(serin_webhook_messages_total{result="failed"})"), "2");
  EXPECT_EQ(Value(R"(serin_webhook_messages_total{result="dropped"})"), "1");
  EXPECT_EQ(Value(R"(serin_rollout_state{state="stepping"})"), "1");
  EXPECT_EQ(Value(R"(serin_rollout_state{state="stable"})"), "0");
  EXPECT_EQ(Value(R"(serin_reverts_total{reason="latency"})"), "2");
  EXPECT_EQ(Value("serin_rescued_requests_total"), "1");
  EXPECT_EQ(Value(R"(serin_pool_connections{pool="green",state="active"})"), "3");
  EXPECT_EQ(Value(R"(serin_pool_connections{pool="green",state="idle"})"), "1");
  EXPECT_EQ(Value(R"(serin_pool_queue_depth{pool="green"})"), "4");
  EXPECT_EQ(Value(R"(serin_build_info{version="1.2.3"})"), "1");
  EXPECT_EQ(Value("process_start_time_seconds"), "1000");
  EXPECT_GT(std::stod(Value("process_resident_memory_bytes")), 1e5);
  EXPECT_GE(std::stod(Value("process_open_fds")), 3);
  EXPECT_GT(std::stod(Value("process_cpu_seconds_total")), 0);
}

TEST_F(MetricsPageTest, SaysNothingAboutACanaryWithoutRequests) {
  report_.pools[1].requests = 0;
  report_.observed_ratio.reset();
  EXPECT_EQ(Value("serin_canary_error_ratio"), "");
  EXPECT_EQ(Value("serin_canary_p95_seconds"), "");
  EXPECT_EQ(Value("serin_canary_observed_ratio"), "");
}

TEST_F(MetricsPageTest, SaysWhenCertificatesExpire) {
  EXPECT_EQ(Render().find("serin_tls"), std::string::npos);
  certificates_ = {{"/etc/a.pem", absl::FromUnixSeconds(2000000000)},
                   {"/etc/b.pem", absl::FromUnixSeconds(1000)}};
  const std::string name = "serin_tls_certificate_expiry_timestamp_seconds";
  EXPECT_EQ(std::stod(Value(name + R"({certificate="/etc/a.pem"})")), 2e9);
  EXPECT_EQ(std::stod(Value(name + R"({certificate="/etc/b.pem"})")), 1000);
}

TEST_F(MetricsPageTest, SaysOfPhpFpmWhatIsKnownOnly) {
  fpm_[Index(PoolId::kBlue)].status =
      FpmStatus{.idle = 4, .active = 0, .total = 4, .max_children_reached = 0};
  fpm_[Index(PoolId::kBlue)].overcommitted = false;
  fpm_[Index(PoolId::kGreen)].listen_queue = 0;
  EXPECT_EQ(Value(R"(serin_fpm_processes{pool="blue",state="idle"})"), "4");
  EXPECT_EQ(Value(R"(serin_fpm_processes{pool="blue",state="active"})"), "0");
  EXPECT_EQ(Value(R"(serin_fpm_max_children_reached_total{pool="blue"})"), "0");
  EXPECT_EQ(Value(R"(serin_fpm_overcommitted{pool="blue"})"), "0");
  EXPECT_EQ(Value(R"(serin_fpm_listen_queue{pool="blue"})"), "");
  EXPECT_EQ(Value(R"(serin_fpm_processes{pool="green",state="active"})"), "");
  EXPECT_EQ(Value(R"(serin_fpm_max_children_reached_total{pool="green"})"), "");
  EXPECT_EQ(Value(R"(serin_fpm_overcommitted{pool="green"})"), "");
  EXPECT_EQ(Value(R"(serin_fpm_listen_queue{pool="green"})"), "0");
}

TEST_F(MetricsPageTest, EverySeriesHasHelpAndTypeAndNoneIsTwice) {
  metrics_->CountRequest(PoolId::kBlue, Role::kStable, 200, 1);
  metrics_->CountRefused(400);
  certificates_ = {{"/etc/a.pem", absl::FromUnixSeconds(1)}, {"/etc/b.pem", absl::FromUnixSeconds(2)}};
  std::set<std::string> helped, typed, series;
  std::istringstream page(Render());
  for (std::string line; std::getline(page, line);) {
    std::istringstream words(line);
    std::string hash, kind, name;
    if (line[0] == '#') {
      words >> hash >> kind >> name;
      EXPECT_TRUE((kind == "HELP" ? helped : typed).insert(name).second) << line;
      continue;
    }
    EXPECT_TRUE(series.insert(line.substr(0, line.rfind(' '))).second) << line;
  }
  EXPECT_EQ(helped, typed);
  EXPECT_GT(series.size(), 50u);
}

TEST_F(MetricsPageTest, PromtoolFindsNothingToSay) {
  if (system("command -v promtool > /dev/null") != 0) GTEST_SKIP() << "promtool is not installed";
  metrics_->CountRequest(PoolId::kBlue, Role::kStable, 200, 1);
  metrics_->CountRefused(400);
  certificates_ = {{"/etc/a.pem", absl::FromUnixSeconds(1)}, {"/etc/b.pem", absl::FromUnixSeconds(2)}};
  char name[] = "/tmp/serin-metrics-XXXXXX";
  const int fd = mkstemp(name);
  ASSERT_GE(fd, 0);
  const std::string page = Render();
  ASSERT_EQ(write(fd, page.data(), page.size()), static_cast<ssize_t>(page.size()));
  close(fd);
  FILE* tool = popen(("promtool check metrics < " + std::string(name) + " 2>&1").c_str(), "r");
  ASSERT_NE(tool, nullptr);
  std::string said;
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof buffer, tool)) said.append(buffer, n);
  EXPECT_EQ(pclose(tool), 0);
  EXPECT_EQ(said, "");
  unlink(name);
}

}  // namespace
}  // namespace serin
