#pragma once
// The process: builds everything from a Config, runs the workers and the
// controller on threads of their own and signals, admin and metrics on the
// main thread, reloads, drains. Main thread only.

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "controller/controller.h"
#include "proxy/admin/webhook.h"
#include "proxy/config/config.h"
#include "proxy/controller_thread.h"
#include "proxy/event_loop.h"
#include "proxy/fastcgi/pool_gate.h"
#include "proxy/fpm/monitor.h"
#include "proxy/observe/log_file.h"
#include "proxy/pool_drain.h"
#include "proxy/worker.h"

namespace serin {

class AdminService;

class Server {
 public:
  // Reads the configuration again, for a reload.
  using LoadConfigAgain = std::function<ConfigResult()>;

  Server(Config config, LoadConfigAgain load_again);
  ~Server();

  // Opens sockets, logs and the state directory. Nothing runs yet; an error
  // says what could not be had, and nothing is left behind.
  absl::Status Open();
  // Until SIGTERM or SIGINT and the drain that follows.
  void Run();

  // For the admin service.
  ControllerThread& controller() { return *controller_thread_; }
  absl::Status Reload();
  // Unavailable when `command` gives a canary its first weight and its pool does not answer.
  absl::Status CheckWarm(const Command& command) const;
  // The controller has closed the pool: empties it.
  void DrainPool(PoolId id) { drains_[Index(id)]->Begin(config_.dataplane.drain_timeout); }
  PoolUse pool_use(PoolId id) const { return drains_[Index(id)]->Use(); }
  const std::vector<std::unique_ptr<WorkerChannel>>& channels() const { return channels_; }
  const Config& config() const { return config_; }
  const Webhook& webhook() const { return webhook_; }
  FpmReading fpm_reading(PoolId id) const { return fpm_.reading(id); }
  const TlsContext* tls() const { return tls_.get(); }
  EventLoop& loop() { return loop_; }
  absl::Time started_at() const { return started_at_; }

 private:
  // One listener's sockets: one per worker for TCP, one in all for unix.
  struct ListenSockets {
    ListenerSettings settings;
    std::vector<UniqueFd> fds;
    int ForWorker(size_t worker) const { return fds[fds.size() == 1 ? 0 : worker].get(); }
  };

  absl::StatusOr<std::vector<ListenSockets>> OpenListeners(const std::vector<ListenerSettings>& wanted);
  absl::Status OpenState();
  void MakeWorkers();
  void ConfigureWorkers();
  // Reload's work: all of the new configuration, or none of it.
  absl::Status TakeNewConfig();
  // Null without certificates.
  absl::StatusOr<std::shared_ptr<const TlsContext>> LoadTls(const TlsSettings& settings);
  static void RemoveSocketFiles(const std::vector<ListenSockets>& listeners);
  void StartThreads();
  // The controller's thread: a decision or an alarm, for the log and the webhook.
  void OnNews(const HistoryEntry& entry, const Report& report);
  void WarnOfFixedSettings(const Config& next) const;
  void ReopenLogs();
  void BeginDrain();
  void CheckDrained();
  void StopWorkers();

  Config config_;
  LoadConfigAgain load_again_;
  const absl::Time started_at_ = absl::Now();
  size_t worker_count_ = 1;
  EventLoop loop_;
  SplitCell cell_;
  std::shared_ptr<LogFile> access_log_;
  std::vector<ListenSockets> listeners_;
  std::shared_ptr<TicketKeys> tickets_ = std::make_shared<TicketKeys>(absl::Now());
  std::shared_ptr<const TlsContext> tls_;
  std::unique_ptr<PoolGate> gates_[kPoolCount];
  WorkerShared shared_;
  std::vector<std::unique_ptr<WorkerChannel>> channels_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<PoolDrain> drains_[kPoolCount];
  std::vector<std::thread> threads_;
  Webhook webhook_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<Controller> controller_;
  std::unique_ptr<ControllerThread> controller_thread_;
  FpmMonitor fpm_;
  std::unique_ptr<AdminService> admin_;
  PeriodicTimer drain_check_, certificate_check_;
  Instant drain_until_;
  std::vector<int> open_connections_;  // per worker, as it last said
  bool draining_ = false;
};

}  // namespace serin
