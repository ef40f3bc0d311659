#include "proxy/server.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "absl/strings/str_cat.h"
#include "controller/file_recorder.h"
#include "proxy/admin/webhook_message.h"
#include "proxy/admin_service.h"
#include "proxy/base/log.h"
#include "proxy/systemd.h"
#include "proxy/warm_up.h"

namespace serin {
namespace {

constexpr absl::Duration kDrainCheck = absl::Milliseconds(50);
// Often enough to be seen, seldom enough to be read.
constexpr absl::Duration kCertificateCheck = absl::Hours(24);

// More workers than a pool has connections would only wait for each other.
size_t CountWorkers(const DataplaneSettings& settings) {
  const int most =
      std::min({PoolGate::kMaxWorkers, settings.pools[0].max_connections, settings.pools[1].max_connections});
  const int wanted =
      settings.workers > 0 ? settings.workers : static_cast<int>(std::thread::hardware_concurrency());
  return static_cast<size_t>(std::clamp(wanted, 1, most));
}

void WarnOfCertificates(const TlsContext& tls) {
  for (const CertificateInfo& info : tls.certificates()) {
    if (const std::string trouble = info.Trouble(absl::Now()); !trouble.empty()) LogWarning(trouble);
  }
}

}  // namespace

Server::Server(Config config, LoadConfigAgain load_again)
    : config_(std::move(config)),
      load_again_(std::move(load_again)),
      worker_count_(CountWorkers(config_.dataplane)),
      shared_{cell_, {}, [this] { controller_thread_->Wake(); }} {}

Server::~Server() { StopWorkers(); }

absl::Status Server::Open() {
  SetLogLevel(config_.log_level);
  absl::StatusOr<LogFile> log = LogFile::Open(config_.dataplane.access_log);
  if (!log.ok()) return log.status();
  access_log_ = std::make_shared<LogFile>(std::move(*log));
  absl::StatusOr<std::vector<ListenSockets>> listeners = OpenListeners(config_.dataplane.listeners);
  if (!listeners.ok()) return listeners.status();
  listeners_ = std::move(*listeners);
  absl::StatusOr<std::shared_ptr<const TlsContext>> tls = LoadTls(config_.tls);
  if (!tls.ok()) return tls.status();
  tls_ = std::move(*tls);
  MakeWorkers();
  if (absl::Status state = OpenState(); !state.ok()) return state;
  admin_ = std::make_unique<AdminService>(*this);
  return admin_->Open(config_.admin, config_.metrics);
}

absl::StatusOr<std::shared_ptr<const TlsContext>> Server::LoadTls(const TlsSettings& settings) {
  if (settings.certificates.empty()) return std::shared_ptr<const TlsContext>();
  absl::StatusOr<std::shared_ptr<const TlsContext>> loaded = TlsContext::Load(settings, tickets_);
  if (!loaded.ok()) return loaded.status();
  WarnOfCertificates(**loaded);
  return loaded;
}

absl::Status Server::OpenState() {
  auto recorder = std::make_unique<FileRecorder>(config_.state_directory);
  if (absl::Status lock = recorder->Lock(); !lock.ok()) return lock;
  recorder_ = std::move(recorder);
  controller_ = std::make_unique<Controller>(config_.plan, cell_, *recorder_);
  controller_->Listen([this](const HistoryEntry& entry, const Report& report) { OnNews(entry, report); });
  std::vector<WorkerChannel*> channels;
  for (auto& channel : channels_) channels.push_back(channel.get());
  controller_thread_ = std::make_unique<ControllerThread>(*controller_, cell_, std::move(channels));
  return absl::OkStatus();
}

// Keeps the sockets of listeners that stay; opens the new ones. The old set is
// untouched until all could be opened.
absl::StatusOr<std::vector<Server::ListenSockets>> Server::OpenListeners(
    const std::vector<ListenerSettings>& wanted) {
  std::vector<ListenSockets> opened;
  for (const ListenerSettings& settings : wanted) {
    ListenSockets sockets{settings, {}};
    const auto same = std::find_if(listeners_.begin(), listeners_.end(), [&](const ListenSockets& l) {
      return l.settings.address == settings.address;
    });
    if (same == listeners_.end()) {
      const size_t count = settings.address.kind == SocketAddress::Kind::kUnix ? 1 : worker_count_;
      for (size_t i = 0; i < count; ++i) {
        absl::StatusOr<UniqueFd> fd = Listen(settings);
        if (!fd.ok()) return fd.status();
        sockets.fds.push_back(std::move(*fd));
      }
    }
    opened.push_back(std::move(sockets));
  }
  for (ListenSockets& sockets : opened) {
    for (ListenSockets& old : listeners_) {
      if (old.settings.address == sockets.settings.address) sockets.fds = std::move(old.fds);
    }
  }
  return opened;
}

void Server::MakeWorkers() {
  for (PoolId id : kPools) {
    gates_[Index(id)] = std::make_unique<PoolGate>([this, id](int worker) {
      Worker* target = workers_[static_cast<size_t>(worker)].get();
      target->Post([target, id] { target->OnGateWake(id); });
    });
    shared_.gates[Index(id)] = gates_[Index(id)].get();
    drains_[Index(id)] = std::make_unique<PoolDrain>(id, loop_, cell_, *gates_[Index(id)], workers_);
  }
  for (size_t i = 0; i < worker_count_; ++i) {
    channels_.push_back(std::make_unique<WorkerChannel>());
    workers_.push_back(std::make_unique<Worker>(static_cast<int>(i), shared_, *channels_.back(), access_log_,
                                                config_.dataplane.limits.spool));
  }
  open_connections_.assign(worker_count_, 0);
  ConfigureWorkers();
}

// Before the workers run: in place. Afterwards: on their threads.
void Server::ConfigureWorkers() {
  for (PoolId id : kPools) {
    const PoolSettings& pool = config_.dataplane.pools[Index(id)];
    gates_[Index(id)]->SetLimits(pool.max_connections, pool.queue_size);
  }
  for (size_t i = 0; i < worker_count_; ++i) {
    std::vector<int> fds;
    for (const ListenSockets& listener : listeners_) fds.push_back(listener.ForWorker(i));
    absl::StatusOr<AddressSet> trusted = AddressSet::Parse(config_.dataplane.trusted_proxies);
    auto apply = [worker = workers_[i].get(),
                  settings = std::make_shared<const DataplaneSettings>(config_.dataplane),
                  trusted = trusted.ok() ? std::move(*trusted) : AddressSet(), tls = tls_,
                  fds = std::move(fds), count = static_cast<int>(worker_count_)] {
      worker->Configure(settings, trusted, tls, count);
      worker->SetListeners(fds);
    };
    if (threads_.empty()) {
      apply();
    } else {
      workers_[i]->Post(std::move(apply));
    }
  }
}

void Server::Run() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a log at its size limit is an error of write, not our end
  SignalWatch terminate(loop_, SIGTERM, [this] { BeginDrain(); });
  SignalWatch interrupt(loop_, SIGINT, [this] { BeginDrain(); });
  SignalWatch reload(loop_, SIGHUP, [this] {
    if (absl::Status status = Reload(); !status.ok()) LogError(std::string(status.message()));
  });
  SignalWatch reopen(loop_, SIGUSR1, [this] { ReopenLogs(); });
  certificate_check_.Start(loop_, kCertificateCheck, [this] {
    if (tls_ != nullptr) WarnOfCertificates(*tls_);
  });
  StartThreads();
  LogInfo(absl::StrCat("serin ", SERIN_VERSION, " is ready: ", worker_count_, " workers, ", listeners_.size(),
                       " listeners"));
  NotifySystemd("READY=1");
  loop_.Run();
  StopWorkers();
  LogInfo("stopped");
}

// With all signals blocked, which the threads inherit: signals are the main thread's.
void Server::StartThreads() {
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  webhook_.Configure(config_.webhook);
  webhook_.Start();
  fpm_.Configure(config_.dataplane.pools);
  fpm_.Start();
  controller_thread_->Start();
  for (auto& worker : workers_) threads_.emplace_back([&worker] { worker->Run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Server::OnNews(const HistoryEntry& entry, const Report& report) {
  Log(SeverityOf(entry.event), "rollout: " + NewsLine(entry));
  webhook_.Send(entry, report);
}

absl::Status Server::Reload() {
  const absl::Status status = TakeNewConfig();
  if (status.ok()) return status;
  return {status.code(), absl::StrCat("reload refused, nothing changed:\n", status.message())};
}

absl::Status Server::TakeNewConfig() {
  ConfigResult next = load_again_();
  if (!next.ok()) return absl::InvalidArgumentError(next.Text());
  absl::StatusOr<LogFile> log = LogFile::Open(next.config->dataplane.access_log);
  if (!log.ok()) return log.status();
  absl::StatusOr<std::shared_ptr<const TlsContext>> tls = LoadTls(next.config->tls);
  if (!tls.ok()) return tls.status();
  // Last of what can fail: it takes the sockets over.
  absl::StatusOr<std::vector<ListenSockets>> listeners = OpenListeners(next.config->dataplane.listeners);
  if (!listeners.ok()) return listeners.status();
  tls_ = std::move(*tls);
  WarnOfFixedSettings(*next.config);
  std::vector<ListenSockets> old = std::exchange(listeners_, std::move(*listeners));
  const std::string state_directory = config_.state_directory;
  config_ = std::move(*next.config);
  config_.state_directory = state_directory;
  SetLogLevel(config_.log_level);
  access_log_ = std::make_shared<LogFile>(std::move(*log));
  ConfigureWorkers();
  for (auto& worker : workers_) {
    worker->Post([target = worker.get(), file = access_log_] { target->SetLogFile(file); });
  }
  // Sockets that are no longer wanted close once every worker has let go.
  RemoveSocketFiles(old);
  auto last = std::make_shared<std::vector<ListenSockets>>(std::move(old));
  for (auto& worker : workers_) worker->Post([last] {});
  controller_thread_->SetPlan(config_.plan);
  admin_->SetOperators(config_.admin.operators);
  webhook_.Configure(config_.webhook);
  fpm_.Configure(config_.dataplane.pools);
  LogInfo("configuration reloaded");
  return absl::OkStatus();
}

// Of unix listeners whose sockets are still with `listeners`.
void Server::RemoveSocketFiles(const std::vector<ListenSockets>& listeners) {
  for (const ListenSockets& listener : listeners) {
    if (listener.settings.address.kind != SocketAddress::Kind::kUnix || listener.fds.empty()) continue;
    ::unlink(listener.settings.address.path.c_str());
  }
}

absl::Status Server::CheckWarm(const Command& command) const {
  const SplitState split = cell_.Load();
  if (!GivesFirstWeight(command, split)) return absl::OkStatus();
  return CheckPool(split.canary_pool, config_.dataplane.pools[Index(split.canary_pool)], config_.warm_up);
}

void Server::WarnOfFixedSettings(const Config& next) const {
  const auto warn = [](std::string_view key) {
    LogWarning(std::string(key) + " changed: takes effect after a restart");
  };
  if (CountWorkers(next.dataplane) != worker_count_) warn("server.workers");
  if (next.state_directory != config_.state_directory) warn("state.directory");
  if (next.admin.socket != config_.admin.socket || next.admin.mode != config_.admin.mode) warn("admin");
  if (next.metrics.address != config_.metrics.address) warn("metrics.address");
}

void Server::ReopenLogs() {
  if (absl::Status status = access_log_->Reopen(); !status.ok()) {
    LogError(std::string(status.message()));
  } else {
    LogInfo("access log reopened");
  }
}

void Server::BeginDrain() {
  if (draining_) {  // a second signal: at once
    return loop_.Stop();
  }
  draining_ = true;
  NotifySystemd("STOPPING=1");
  LogInfo("draining: no new connections, requests in flight finish");
  drain_until_ = Instant::Now() + config_.dataplane.drain_timeout;
  std::fill(open_connections_.begin(), open_connections_.end(), 1);
  for (auto& worker : workers_) worker->Post([target = worker.get()] { target->BeginDrain(); });
  drain_check_.Start(loop_, kDrainCheck, [this] { CheckDrained(); });
}

void Server::CheckDrained() {
  const bool empty =
      std::all_of(open_connections_.begin(), open_connections_.end(), [](int n) { return n == 0; });
  if (empty || Instant::Now() > drain_until_) return loop_.Stop();
  for (size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->Post([this, i] {
      const int open = workers_[i]->open_connections();
      loop_.Post([this, i, open] { open_connections_[i] = open; });
    });
  }
}

void Server::StopWorkers() {
  drain_check_.Stop();
  for (auto& worker : workers_) worker->Post([target = worker.get()] { target->DropConnections(); });
  for (auto& worker : workers_) worker->Stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  fpm_.Stop();
  RemoveSocketFiles(listeners_);
  listeners_.clear();
  admin_.reset();
  if (controller_thread_) controller_thread_->Stop();
  webhook_.Stop();
}

}  // namespace serin
