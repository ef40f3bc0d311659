#pragma once
// The /metrics page in Prometheus' text format: sums the workers' counters and
// reads the controller's report at scrape time, so that nobody pays for metrics
// that nobody fetches. All names are given here and nowhere else. Main thread.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controller/controller.h"
#include "proxy/admin/admin_api.h"
#include "proxy/admin/webhook.h"
#include "proxy/fpm/monitor.h"
#include "proxy/observe/worker_metrics.h"

namespace serin {

struct CertificateExpiry {
  std::string path;
  absl::Time not_after;
};

struct MetricsSources {
  // Adds every worker's numbers.
  std::function<void(MetricsSnapshot& sum)> sum_workers;
  std::function<std::shared_ptr<const Report>()> report;
  std::function<Webhook::Counts()> webhook;
  std::function<ProcessInfo()> process;
  // Of [tls], as last loaded.
  std::function<std::vector<CertificateExpiry>()> certificates;
  std::function<FpmReading(PoolId pool)> fpm;
};

class MetricsPage {
 public:
  explicit MetricsPage(MetricsSources sources) : sources_(std::move(sources)) {}
  std::string Render() const;

 private:
  MetricsSources sources_;
};

}  // namespace serin
