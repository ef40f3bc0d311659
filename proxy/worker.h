#pragma once
// One worker: a thread with its own loop, listeners, client and pool
// connections. It shares with the others the split cell (read), the pool gates
// and its channel to the controller, and nothing else. Created and configured
// on the main thread before Run; afterwards by Post only.

#include <memory>
#include <string>
#include <vector>

#include "proxy/accept/connection.h"
#include "proxy/accept/listener.h"
#include "proxy/base/address.h"
#include "proxy/event_loop.h"
#include "proxy/exchange.h"
#include "proxy/fastcgi/params.h"
#include "proxy/fastcgi/pool.h"
#include "proxy/observe/access_log.h"
#include "proxy/observe/worker_metrics.h"
#include "proxy/parse/request_pool.h"
#include "proxy/route/file_probe.h"
#include "proxy/route/rescue.h"
#include "proxy/route/router.h"
#include "proxy/session.h"
#include "proxy/settings.h"
#include "proxy/shadow.h"
#include "proxy/split/split_state.h"
#include "proxy/split/spsc_ring.h"

namespace serin {

// From one worker to the controller and the metrics page.
struct WorkerChannel {
  // Several ticks' worth (4 ms each) at a million requests a second; 640 KiB.
  SpscRing<Observation> observations{16384};
  SpscRing<FailureDetail> failures{256};
  WorkerMetrics metrics;
};

// What all workers share; outlives them.
struct WorkerShared {
  SplitCell& split;
  PoolGate* gates[kPoolCount];
  // Wakes the controller: a canary request has failed. Any thread.
  std::function<void()> wake_controller;
};

class Worker final : private RequestHandler, private SessionMaker {
 public:
  // `spool`: where bodies go, for the life of the worker.
  Worker(int index, WorkerShared& shared, WorkerChannel& channel, std::shared_ptr<const LogFile> log,
         const Spool::Limits& spool);
  ~Worker();

  // The worker's thread, or the main thread before Run. Each worker gets a
  // snapshot of its own, so that its reference count is nobody else's.
  // `tls` may be null without https listeners.
  void Configure(std::shared_ptr<const DataplaneSettings> settings, AddressSet trusted_proxies,
                 std::shared_ptr<const TlsContext> tls, int workers);
  // `fds` are borrowed and in the order of settings->listeners.
  void SetListeners(const std::vector<int>& fds);
  void Run() { loop_.Run(); }
  // Any thread.
  void Post(std::function<void()> task) { loop_.Post(std::move(task)); }
  void Stop() { loop_.Stop(); }
  // Stops accepting; open connections finish what is in flight. The worker's thread.
  void BeginDrain();
  // Connections still open. The worker's thread.
  int open_connections() const { return host_.table.size(); }
  // Drops what is left. The worker's thread.
  void DropConnections();
  // A gate has something for us. The worker's thread.
  void OnGateWake(PoolId id) { Site(id).pool.OnWake(); }
  // A deployment may have moved the release roots. The worker's thread.
  void ReopenRoots();
  void SetLogFile(std::shared_ptr<const LogFile> log) { access_log_.SetFile(std::move(log)); }

  // For exchanges.
  Instant now() { return loop_.now(); }
  const std::shared_ptr<const DataplaneSettings>& settings() const { return settings_; }
  const AddressSet& trusted_proxies() const { return trusted_proxies_; }
  SplitState LoadSplit();
  SplitCell& split_cell() { return shared_.split; }
  RandomSource& random() { return random_; }
  Pool& pool(PoolId id) { return Site(id).pool; }
  const PoolParams& pool_params(PoolId id) { return Site(id).params; }
  FileProbe& probe(PoolId id) { return *Site(id).probe; }
  RescueBudget& rescues() { return rescues_; }
  Shadow& shadow() { return shadow_; }
  WorkerMetrics& metrics() { return channel_.metrics; }
  // Of answers that wait for a slow client: what memory may hold is with the
  // connection already (send_buffer), so all of it goes to the file.
  const Spool::Limits& spill_limits() const { return spill_limits_; }
  std::string_view pool_header() const { return pool_header_; }
  void FlushOutput() { host_.FlushOutput(); }
  void Watch(Exchange& exchange) { in_flight_.PushBack(exchange.watch_link); }
  void Recycle(Exchange& exchange) { free_exchanges_.push_back(&exchange); }
  // Completes the observation and passes it on.
  void Observe(Observation& seen, const SplitState& split, const RouteDecision& route,
               std::string_view script, std::string_view message);

  struct Outcome {
    const Request& request;
    const EffectiveClient& client;
    const SplitState& split;
    const RouteDecision& route;
    PoolId asked;  // route.pool, or stable's that was asked after it
    bool rescued;  // and gave a good answer
    Instant received_at, asked_at, sent_at;
    uint16_t status;
    uint64_t body_bytes;
    int64_t elapsed_nanos;
    std::string_view error;
    std::string_view request_id, traceparent;
  };
  // Counts and logs a request that a pool was chosen for.
  void Record(const Outcome& outcome);
  // Logs one that was answered without a pool.
  void LogHere(const Request& request, const EffectiveClient& client, uint16_t status, Instant received_at);

 private:
  struct PoolSite {
    PoolSite(const BackendHost& host, PoolGate& gate, int worker) : pool(host, gate, worker) {}
    Pool pool;
    PoolParams params;
    std::unique_ptr<RootProbe> probe;
    uint64_t refusals_seen = 0;  // when the root was opened
  };

  // RequestHandler
  void OnRequest(Stream& stream) override;
  void OnClientGone(Stream& stream) override;
  void OnSendable(Stream& stream) override;
  void OnRefused(const Request& request, uint16_t status) override;
  // SessionMaker
  std::unique_ptr<Session> MakeSession(Connection& connection, std::string_view first) override;
  void OnConnectionClosed() override { channel_.metrics.ClientClosed(); }
  bool TrustsPeer(std::string_view peer_address) override {
    return trusted_proxies_.ContainsPeer(peer_address);
  }

  PoolSite& Site(PoolId id) { return id == PoolId::kBlue ? blue_ : green_; }
  void OpenRoot(PoolId id);
  void OnTick();
  void OnSecond();
  void FindOverdue();
  void Accept(UniqueFd fd, ConnectionInfo info);
  void UpdateListening();
  absl::Time WallTime(Instant at) const { return wall_ + (at - wall_at_); }

  const int index_;
  WorkerShared& shared_;
  WorkerChannel& channel_;
  EventLoop loop_;
  TimerWheel wheel_;
  std::vector<char> receive_scratch_, send_scratch_;
  ConnectionHost host_;
  BackendHost backend_host_;
  PoolSite blue_, green_;
  std::shared_ptr<const DataplaneSettings> settings_;
  Spool::Limits spill_limits_;
  ClientLimits limits_;  // as of settings_, at an address that outlives reloads
  AddressSet trusted_proxies_;
  std::shared_ptr<const TlsContext> tls_;
  std::string pool_header_;
  RandomSource random_;
  RescueBudget rescues_;
  Shadow shadow_{*this};
  RequestPool requests_;
  AccessLog access_log_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::vector<Exchange*> free_exchanges_;
  IntrusiveList<Exchange::WatchLink> in_flight_;  // oldest first
  std::vector<std::unique_ptr<Listener>> listeners_;
  PeriodicTimer tick_;
  int ticks_ = 0;
  int max_connections_ = 1;
  uint64_t next_serial_ = 0;
  bool draining_ = false;
  bool controller_late_ = false;  // its heart has not beaten for 5 s: all to stable
  uint16_t rollout_ = 0;          // whose roots are open, …
  uint32_t drains_ = 0;           // … as of which drain
  PoolId canary_seen_ = PoolId::kGreen;
  absl::Time wall_;  // wall clock at wall_at_
  Instant wall_at_;
};

}  // namespace serin
