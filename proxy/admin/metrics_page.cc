#include "proxy/admin/metrics_page.h"

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "proxy/admin/process_stats.h"

namespace serin {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

using Labels = std::vector<std::pair<const char*, std::string>>;

ClientMetric WithLabels(const Labels& labels) {
  ClientMetric metric;
  for (const auto& [name, value] : labels) metric.label.push_back({name, value});
  return metric;
}

std::string Text(std::string_view text) { return std::string(text); }

// Builds the families of one scrape, in the order they are shown.
class Families {
 public:
  void Begin(MetricType type, const char* name, const char* help) { all_.push_back({name, help, type, {}}); }
  void Add(double value, const Labels& labels = {}) {
    ClientMetric metric = WithLabels(labels);
    (all_.back().type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    all_.back().metric.push_back(std::move(metric));
  }
  void Add(uint64_t value, const Labels& labels = {}) { Add(static_cast<double>(value), labels); }
  void AddHistogram(ClientMetric metric) { all_.back().metric.push_back(std::move(metric)); }

  void Gauge(const char* name, const char* help, double value) {
    Begin(MetricType::Gauge, name, help);
    Add(value);
  }
  void Counter(const char* name, const char* help, uint64_t value) {
    Begin(MetricType::Counter, name, help);
    Add(value);
  }
  std::vector<MetricFamily> Take() { return std::move(all_); }

 private:
  std::vector<MetricFamily> all_;
};

void AddRequests(Families& families, const MetricsSnapshot& sum) {
  families.Begin(
      MetricType::Counter, "serin_requests_total",
      "Requests a pool was asked, by the status the client was sent (499: it left first, 000: none).");
  for (const PoolId pool : kPools) {
    for (const Role role : {Role::kStable, Role::kCanary}) {
      for (uint16_t code = 0; code <= 599;
           code = code == 0 ? uint16_t{100} : static_cast<uint16_t>(code + 1)) {
        const uint64_t count = sum.Requests(pool, role, code);
        if (count == 0) continue;
        families.Add(count, {{"pool", Text(Name(pool))},
                             {"role", Text(Name(role))},
                             {"code", code == 0 ? "000" : std::to_string(code)}});
      }
    }
  }
}

void AddShadow(Families& families, const MetricsSnapshot& sum) {
  families.Begin(MetricType::Counter, "serin_shadow_requests_total",
                 "Copies that the canary was sent while shadowing, by its status (000: no whole answer).");
  for (uint16_t code = 0; code <= 599; code = code == 0 ? uint16_t{100} : static_cast<uint16_t>(code + 1)) {
    if (const uint64_t count = sum.Shadow(code); count > 0)
      families.Add(count, {{"code", code == 0 ? "000" : std::to_string(code)}});
  }
  families.Counter("serin_shadow_skipped_total", "Copies not sent because there was no room.",
                   sum.ShadowSkipped());
}

void AddDurations(Families& families, const MetricsSnapshot& sum, const SplitState& split) {
  families.Begin(MetricType::Histogram, "serin_request_duration_seconds",
                 "From the request being whole to the last byte of the pool's answer, queueing included.");
  for (const PoolId pool : kPools) {
    for (const Role role : {Role::kStable, Role::kCanary}) {
      ClientMetric metric = WithLabels({{"pool", Text(Name(pool))}, {"role", Text(Name(role))}});
      auto& histogram = metric.histogram;
      for (size_t bucket = 0; bucket < kDurationBuckets; ++bucket) {
        histogram.sample_count += sum.DurationBucket(pool, role, bucket);
        const double edge =
            bucket < kDurationEdges.size() ? kDurationEdges[bucket] : std::numeric_limits<double>::infinity();
        histogram.bucket.push_back({histogram.sample_count, edge});
      }
      histogram.sample_sum = sum.DurationSumSeconds(pool, role);
      // A role that a pool neither has nor had is noise.
      if (histogram.sample_count > 0 || split.pool(role) == pool) families.AddHistogram(std::move(metric));
    }
  }
}

void AddPools(Families& families, const MetricsSnapshot& sum) {
  families.Begin(MetricType::Counter, "serin_backend_errors_total",
                 "Requests to which a pool gave no whole answer.");
  for (const PoolId pool : kPools) {
    for (int error = 1; error < kBackendErrorCount; ++error) {
      const auto reason = static_cast<BackendError>(error);
      families.Add(sum.BackendErrors(pool, reason),
                   {{"pool", Text(Name(pool))}, {"reason", Text(Name(reason))}});
    }
  }
  families.Begin(MetricType::Gauge, "serin_pool_connections", "Connections to PHP-FPM.");
  for (const PoolId pool : kPools) {
    families.Add(sum.ActiveConnections(pool), {{"pool", Text(Name(pool))}, {"state", "active"}});
    families.Add(sum.IdleConnections(pool), {{"pool", Text(Name(pool))}, {"state", "idle"}});
  }
  const auto per_pool = [&](uint64_t (MetricsSnapshot::*read)(PoolId) const) {
    for (const PoolId pool : kPools) families.Add((sum.*read)(pool), {{"pool", Text(Name(pool))}});
  };
  families.Begin(MetricType::Gauge, "serin_pool_queue_depth",
                 "Requests waiting for a connection to the pool.");
  per_pool(&MetricsSnapshot::QueueDepth);
  families.Begin(MetricType::Counter, "serin_pool_connections_opened_total",
                 "Connections opened to PHP-FPM.");
  per_pool(&MetricsSnapshot::OpenedConnections);
  families.Begin(MetricType::Counter, "serin_pool_connections_reused_total",
                 "Requests that went over a connection an earlier one had left open.");
  per_pool(&MetricsSnapshot::ReusedConnections);
}

// What PHP-FPM and the kernel say; a series that is not known is absent.
void AddFpm(Families& families, const std::function<FpmReading(PoolId)>& read) {
  FpmReading readings[kPoolCount];
  for (const PoolId pool : kPools) readings[Index(pool)] = read(pool);
  const auto per_pool = [&](auto value) {
    for (const PoolId pool : kPools) {
      if (const std::optional<uint64_t> number = value(readings[Index(pool)]))
        families.Add(*number, {{"pool", Text(Name(pool))}});
    }
  };
  families.Begin(MetricType::Gauge, "serin_fpm_processes",
                 "PHP-FPM's children, as its status page shows them.");
  for (const PoolId pool : kPools) {
    const std::optional<FpmStatus>& status = readings[Index(pool)].status;
    if (!status) continue;
    families.Add(status->active, {{"pool", Text(Name(pool))}, {"state", "active"}});
    families.Add(status->idle, {{"pool", Text(Name(pool))}, {"state", "idle"}});
  }
  families.Begin(MetricType::Counter, "serin_fpm_max_children_reached_total",
                 "Times that PHP-FPM would have started a child beyond pm.max_children.");
  per_pool([](const FpmReading& reading) {
    return reading.status ? std::optional(reading.status->max_children_reached) : std::nullopt;
  });
  families.Begin(MetricType::Gauge, "serin_fpm_listen_queue",
                 "Connections in the backlog of PHP-FPM's socket, which no child has accepted.");
  per_pool([](const FpmReading& reading) { return reading.listen_queue; });
  families.Begin(MetricType::Gauge, "serin_fpm_overcommitted",
                 "1 when the pool's max_connections is not below pm.max_children.");
  per_pool([](const FpmReading& reading) {
    return reading.overcommitted ? std::optional<uint64_t>(*reading.overcommitted) : std::nullopt;
  });
}

void AddPoolStates(Families& families, const ProcessInfo& process) {
  families.Begin(MetricType::Gauge, "serin_pool_state",
                 "1 for the pool's present state; draining: no new requests, some are left.");
  for (const PoolId pool : kPools) {
    for (const PoolState state : {PoolState::kServing, PoolState::kDraining, PoolState::kDrained}) {
      families.Add(state == process.pools[Index(pool)].state ? 1.0 : 0.0,
                   {{"pool", Text(Name(pool))}, {"state", Text(Name(state))}});
    }
  }
}

void AddClients(Families& families, const MetricsSnapshot& sum) {
  families.Begin(MetricType::Counter, "serin_refused_requests_total",
                 "Requests answered by Serin itself, without a pool, by status.");
  for (uint16_t code = 100; code <= 599; ++code) {
    if (const uint64_t count = sum.Refused(code); count > 0)
      families.Add(count, {{"code", std::to_string(code)}});
  }
  families.Gauge("serin_client_connections", "Client connections open now.",
                 static_cast<double>(sum.ClientsCurrent()));
  families.Counter("serin_client_connections_accepted_total", "Client connections accepted.",
                   sum.ClientsAccepted());
  families.Counter("serin_client_connections_refused_total",
                   "Client connections closed at once, over the limit.", sum.ClientsRefused());
  families.Counter("serin_received_bytes_total", "Bytes received from clients.", sum.BytesIn());
  families.Counter("serin_sent_bytes_total", "Bytes sent to clients.", sum.BytesOut());
  families.Counter("serin_spilled_total", "Bodies and answers that went to a temporary file.", sum.Spilled());
  families.Counter("serin_rescued_requests_total",
                   "Requests that the canary failed and stable then answered.", sum.Rescued());
  families.Begin(MetricType::Counter, "serin_unrescued_requests_total",
                 "Requests that the canary failed and that could not be rescued, although they might be.");
  for (int i = 0; i < kUnrescuedReasonCount; ++i) {
    const auto reason = static_cast<Unrescued>(i);
    families.Add(sum.NotRescued(reason), {{"reason", std::string(Name(reason))}});
  }
  families.Counter("serin_access_log_lines_dropped_total",
                   "Access-log lines lost to a full disk or a stalled reader.", sum.LogLinesDropped());
  families.Counter("serin_observations_dropped_total", "Observations the controller was too late for.",
                   sum.ObservationsDropped());
}

void AddCanary(Families& families, const Report& report) {
  const PoolReport& canary = report.pools[Index(report.split.canary_pool)];
  families.Gauge("serin_canary_weight_ratio", "The canary's share of traffic that is asked for.",
                 report.target_weight.ratio());
  families.Begin(MetricType::Gauge, "serin_canary_observed_ratio",
                 "The canary's share of the requests in the window; absent without requests.");
  if (report.observed_ratio) families.Add(*report.observed_ratio);
  families.Begin(MetricType::Gauge, "serin_canary_error_ratio",
                 "Share of errors among the canary's requests in the window; absent without requests.");
  if (canary.requests > 0) families.Add(canary.error_ratio);
  families.Begin(MetricType::Gauge, "serin_canary_p95_seconds",
                 "95th percentile of the canary's durations in the window; absent without requests.");
  if (canary.requests > 0) families.Add(canary.p95_seconds);
  families.Begin(MetricType::Gauge, "serin_evidence_ratio",
                 "Evidence against the canary, as a share of what reverts it.");
  families.Add(report.error_evidence, {{"signal", "errors"}});
  families.Add(report.slow_evidence, {{"signal", "latency"}});
}

void AddRollout(Families& families, const Report& report) {
  families.Gauge("serin_rollout_step", "The step the rollout is at, from 1; 0 outside a plan.", report.step);
  families.Gauge("serin_rollout_steps", "Steps of the plan.", report.steps);
  families.Gauge("serin_rollout_hold_remaining_seconds", "Until the step may be left.",
                 absl::ToDoubleSeconds(report.hold_remaining));
  families.Begin(MetricType::Gauge, "serin_rollout_state",
                 "1 for the state the rollout is in, 0 for the others.");
  for (int i = 0; i < kRolloutStateCount; ++i) {
    const auto state = static_cast<RolloutState>(i);
    families.Add(state == report.state ? 1.0 : 0.0, {{"state", Text(Name(state))}});
  }
  families.Begin(MetricType::Gauge, "serin_pool_role", "1 for the role the pool has, 0 for the other.");
  for (const PoolId pool : kPools) {
    for (const Role role : {Role::kStable, Role::kCanary}) {
      families.Add(report.split.pool(role) == pool ? 1.0 : 0.0,
                   {{"pool", Text(Name(pool))}, {"role", Text(Name(role))}});
    }
  }
  families.Gauge("serin_rollout_alarm", "1 while a person should look.", report.alarm ? 1 : 0);
  families.Begin(MetricType::Counter, "serin_reverts_total", "Rollouts reverted since the start, by reason.");
  families.Add(report.reverts_error_rate, {{"reason", "error_rate"}});
  families.Add(report.reverts_latency, {{"reason", "latency"}});
  families.Add(report.reverts_dead_pool, {{"reason", "dead_pool"}});
  families.Add(report.reverts_operator, {{"reason", "operator"}});
  families.Add(report.reverts_journal, {{"reason", "journal"}});
  families.Gauge("serin_split_epoch", "Version of the split; grows with every change.",
                 report.split.epoch.value());
  families.Counter("serin_observations_total", "Observations the controller has judged.",
                   report.observations);
}

void AddProcess(Families& families, const ProcessInfo& process) {
  families.Begin(MetricType::Gauge, "serin_build_info", "Always 1; the labels say what is running.");
  families.Add(1.0, {{"version", process.version}});
  families.Gauge("serin_workers", "Worker threads.", process.workers);
  const ProcessStats stats = ReadProcessStats();
  families.Begin(MetricType::Counter, "process_cpu_seconds_total", "Processor time used, user and system.");
  families.Add(stats.cpu_seconds);
  families.Gauge("process_resident_memory_bytes", "Resident memory.", stats.resident_bytes);
  families.Gauge("process_virtual_memory_bytes", "Virtual memory.", stats.virtual_bytes);
  families.Gauge("process_open_fds", "Open file descriptors.", stats.open_fds);
  families.Gauge("process_max_fds", "Limit of open file descriptors.", stats.max_fds);
  families.Gauge("process_start_time_seconds", "Start of the process, Unix time.",
                 absl::ToDoubleSeconds(process.started_at - absl::UnixEpoch()));
}

void AddCertificates(Families& families, const std::vector<CertificateExpiry>& certificates) {
  if (certificates.empty()) return;
  families.Begin(MetricType::Gauge, "serin_tls_certificate_expiry_timestamp_seconds",
                 "When the certificate expires, Unix time.");
  for (const auto& [path, not_after] : certificates) {
    families.Add(absl::ToDoubleSeconds(not_after - absl::UnixEpoch()), {{"certificate", path}});
  }
}

void AddWebhook(Families& families, const Webhook::Counts& counts) {
  families.Begin(MetricType::Counter, "serin_webhook_messages_total",
                 "Messages for the webhook: sent, failed (given up) or dropped (the queue was full).");
  families.Add(counts.sent, {{"result", "sent"}});
  families.Add(counts.failed, {{"result", "failed"}});
  families.Add(counts.dropped, {{"result", "dropped"}});
}

class Scrape final : public prometheus::Collectable {
 public:
  explicit Scrape(const MetricsSources& sources) : sources_(sources) {}
  std::vector<MetricFamily> Collect() const override {
    // Half a page of numbers per pool and worker: too large for a small stack.
    const auto sum = std::make_unique<MetricsSnapshot>();
    sources_.sum_workers(*sum);
    const std::shared_ptr<const Report> report = sources_.report();
    Families families;
    const ProcessInfo process = sources_.process();
    AddProcess(families, process);
    AddRequests(families, *sum);
    AddShadow(families, *sum);
    AddDurations(families, *sum, report->split);
    AddPools(families, *sum);
    AddFpm(families, sources_.fpm);
    AddPoolStates(families, process);
    AddClients(families, *sum);
    AddCertificates(families, sources_.certificates());
    AddCanary(families, *report);
    AddRollout(families, *report);
    AddWebhook(families, sources_.webhook());
    return families.Take();
  }

 private:
  const MetricsSources& sources_;
};

}  // namespace

std::string MetricsPage::Render() const {
  return prometheus::TextSerializer().Serialize(Scrape(sources_).Collect());
}

}  // namespace serin
