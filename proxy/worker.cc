#include "proxy/worker.h"

#include <sys/random.h>
#include <unistd.h>

#include <utility>

#include "proxy/base/log.h"
#include "proxy/parse/fastcgi_session.h"
#include "proxy/parse/http1_session.h"
#include "proxy/parse/http2_session.h"
#include "proxy/parse/preface.h"

namespace serin {
namespace {

// One FastCGI record of PHP-FPM and its header (65,536), twice over.
constexpr size_t kReceiveScratch = 128 * 1024;
constexpr size_t kSendScratch = 64 * 1024;
constexpr absl::Duration kTick = absl::Nanoseconds(TimerWheel::kTickNanos);
constexpr int kTicksPerSecond = static_cast<int>(1'000'000'000 / TimerWheel::kTickNanos);
constexpr int kTicksPerLogFlush = kTicksPerSecond / 4;
// A controller that has been silent this long is taken for dead (verdict.md, "Always").
constexpr absl::Duration kControllerLate = absl::Seconds(5);

uint64_t RandomSeed() {
  uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = static_cast<uint64_t>(Instant::Now().nanos());
  return seed;
}

}  // namespace

Worker::Worker(int index, WorkerShared& shared, WorkerChannel& channel, std::shared_ptr<const LogFile> log,
               const Spool::Limits& spool)
    : index_(index),
      shared_(shared),
      channel_(channel),
      wheel_(Instant::Now()),
      receive_scratch_(kReceiveScratch),
      send_scratch_(kSendScratch),
      host_{loop_, wheel_, receive_scratch_},
      backend_host_{loop_, wheel_, receive_scratch_, send_scratch_},
      blue_(backend_host_, *shared.gates[Index(PoolId::kBlue)], index),
      green_(backend_host_, *shared.gates[Index(PoolId::kGreen)], index),
      random_(RandomSeed()),
      requests_(spool),
      access_log_(std::move(log), &channel.metrics),
      wall_(absl::Now()),
      wall_at_(Instant::Now()) {
  tick_.Start(loop_, kTick, [this] { OnTick(); });
}

Worker::~Worker() = default;

void Worker::Configure(std::shared_ptr<const DataplaneSettings> settings, AddressSet trusted_proxies,
                       std::shared_ptr<const TlsContext> tls, int workers) {
  tls_ = std::move(tls);
  // The pools still look at the old settings while they take the new ones.
  const std::shared_ptr<const DataplaneSettings> old = std::exchange(settings_, std::move(settings));
  limits_ = settings_->limits;
  spill_limits_ = {0, limits_.spool.directory};
  trusted_proxies_ = std::move(trusted_proxies);
  max_connections_ = std::max(1, settings_->max_client_connections / workers);
  pool_header_ = settings_->pool_header;
  rescues_.Configure(settings_->rescue);
  for (char& c : pool_header_) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  for (PoolId id : kPools) Site(id).pool.Configure(settings_->pools[Index(id)]);
  ReopenRoots();
}

void Worker::ReopenRoots() {
  for (PoolId id : kPools) OpenRoot(id);
}

void Worker::OpenRoot(PoolId id) {
  const PoolSettings& pool = settings_->pools[Index(id)];
  PoolSite& site = Site(id);
  site.probe = std::make_unique<RootProbe>(pool.root);
  site.params = PoolParams(site.probe->resolved_root(), "serin/" SERIN_VERSION, pool.params);
  if (!site.params.fits()) LogError("the params of a pool exceed 64 KiB: PHP-FPM cannot be asked anything");
}

void Worker::SetListeners(const std::vector<int>& fds) {
  listeners_.clear();
  for (size_t i = 0; i < fds.size(); ++i) {
    listeners_.push_back(std::make_unique<Listener>(
        loop_, fds[i], settings_->listeners[i],
        [this](UniqueFd fd, ConnectionInfo info) { Accept(std::move(fd), std::move(info)); }));
  }
  UpdateListening();
}

void Worker::Accept(UniqueFd fd, ConnectionInfo info) {
  channel_.metrics.ClientAccepted();
  info.serial = ++next_serial_ * PoolGate::kMaxWorkers + static_cast<uint64_t>(index_);
  info.trusted_peer = trusted_proxies_.ContainsPeer(info.peer_address);
  std::shared_ptr<const TlsContext> tls = info.tls ? tls_ : nullptr;
  Connection::Start(host_, limits_, std::move(fd), std::move(info), *this, std::move(tls));
  if (host_.table.size() >= max_connections_) UpdateListening();
}

void Worker::UpdateListening() {
  const bool room = !draining_ && host_.table.size() < max_connections_;
  for (auto& listener : listeners_) {
    if (room) {
      listener->Resume();
    } else {
      listener->Pause();  // the kernel's backlog holds them meanwhile
    }
  }
}

void Worker::BeginDrain() {
  draining_ = true;
  for (auto& listener : listeners_) listener->Finish();
  listeners_.clear();
  host_.table.ForEach([](Connection& connection) { connection.BeginDrain(); });
}

void Worker::DropConnections() {
  host_.SendParked();
  host_.table.ForEach([](Connection& connection) { connection.Drop(); });
}

std::unique_ptr<Session> Worker::MakeSession(Connection& connection, std::string_view first) {
  auto& handler = static_cast<RequestHandler&>(*this);
  const ConnectionInfo& info = connection.info();
  if (info.fastcgi) {
    return std::make_unique<FastCgiSession>(info, limits_, connection, handler, requests_,
                                            settings_->max_client_connections);
  }
  // HTTP/2 by ALPN or by prior knowledge (RFC 9113 §3.2, §3.3).
  const Sniffed sniffed = connection.alpn() == "h2" ? Sniffed::kHttp2 : Sniff(first);
  if (sniffed == Sniffed::kNeedMore) return nullptr;
  if (sniffed == Sniffed::kHttp2) {
    return std::make_unique<Http2Session>(info, limits_, connection, handler, requests_);
  }
  return std::make_unique<Http1Session>(info, limits_, connection, handler, requests_);
}

void Worker::OnRequest(Stream& stream) {
  if (free_exchanges_.empty()) {
    exchanges_.push_back(std::make_unique<Exchange>(*this));
    free_exchanges_.push_back(exchanges_.back().get());
  }
  Exchange* exchange = free_exchanges_.back();
  free_exchanges_.pop_back();
  exchange->Begin(stream);
}

void Worker::OnClientGone(Stream& stream) {
  if (stream.context != nullptr) static_cast<Exchange*>(stream.context)->OnClientGone();
}

void Worker::OnSendable(Stream& stream) {
  if (stream.context != nullptr) static_cast<Exchange*>(stream.context)->OnSendable();
}

void Worker::OnRefused(const Request& request, uint16_t status) {
  channel_.metrics.CountRefused(status);
  if (!access_log_.enabled() || request.connection == nullptr) return;
  EffectiveClient client;
  client.address = request.connection->peer_address;
  client.authority = request.authority();
  LogHere(request, client, status, now());
}

SplitState Worker::LoadSplit() {
  SplitState split = shared_.split.Load();
  // A rollout or the end of a drain: a deployment has put the release in its
  // place. It may have been promoted since, and the roles swapped.
  if (split.rollout != rollout_ || split.drains != drains_) {
    rollout_ = split.rollout;
    drains_ = split.drains;
    OpenRoot(split.canary_pool);
    if (split.canary_pool != canary_seen_) OpenRoot(split.stable_pool());
  }
  canary_seen_ = split.canary_pool;
  if (controller_late_) {
    split.canary_weight = Weight::Zero();
    split.shadow = false;
  }
  return split;
}

void Worker::Observe(Observation& seen, const SplitState& split, const RouteDecision& route,
                     std::string_view script, std::string_view message) {
  seen.at = now();
  seen.epoch = split.epoch;
  seen.pool = route.pool;
  seen.role = route.role;
  seen.forced = route.forced || route.pinned;
  if (!channel_.observations.Push(seen))
    channel_.metrics.SetObservationsDropped(channel_.observations.dropped());
  if (!seen.error && !seen.slow) return;
  FailureDetail detail;
  detail.at = seen.at;
  detail.pool = seen.pool;
  detail.status = seen.status;
  detail.backend_error = seen.backend_error;
  detail.slow = !seen.error;
  detail.set_script(script);
  detail.set_message(message);
  channel_.failures.Push(detail);
  if (seen.role == Role::kCanary) shared_.wake_controller();
}

void Worker::Record(const Outcome& o) {
  const Role role = o.asked == o.route.pool ? o.route.role : Role::kStable;
  channel_.metrics.CountRequest(o.asked, role, o.status, o.elapsed_nanos);
  if (!o.request.body.in_memory()) channel_.metrics.CountSpilled();
  if (!access_log_.enabled()) return;
  AccessRecord record;
  record.time = WallTime(o.received_at);
  record.client = o.client.address;
  record.method = o.request.method();
  record.host = o.client.authority;
  record.target = o.request.target();
  record.protocol = Name(o.request.protocol);
  record.status = o.status;
  record.bytes_sent = o.body_bytes;
  record.bytes_received = o.request.body.size();
  record.duration_ns = now().nanos() - o.received_at.nanos();
  if (o.sent_at != Instant()) {
    record.backend_ns = now().nanos() - o.sent_at.nanos();
    record.queue_ns = o.sent_at.nanos() - o.asked_at.nanos();
  }
  record.routed = true;
  record.pool = o.route.pool;
  record.role = o.route.role;
  record.epoch = o.split.epoch.value();
  record.forced = o.route.forced;
  record.pinned = o.route.pinned;
  record.rescued = o.rescued;
  record.error = o.error;
  record.request_id = o.request_id;
  record.traceparent = o.traceparent;
  record.user_agent = o.request.Find("user-agent").value_or("");
  record.referer = o.request.Find("referer").value_or("");
  access_log_.Append(record);
}

void Worker::LogHere(const Request& request, const EffectiveClient& client, uint16_t status,
                     Instant received_at) {
  if (!access_log_.enabled()) return;
  AccessRecord record;
  record.time = WallTime(received_at);
  record.client = client.address;
  record.method = request.method();
  record.host = client.authority;
  record.target = request.target();
  record.protocol = Name(request.protocol);
  record.status = status;
  record.bytes_received = request.body.size();
  record.duration_ns = now().nanos() - received_at.nanos();
  record.user_agent = request.Find("user-agent").value_or("");
  record.referer = request.Find("referer").value_or("");
  access_log_.Append(record);
}

void Worker::OnTick() {
  wheel_.Advance(now());
  FindOverdue();
  for (PoolId id : kPools) {
    Site(id).probe->Forget();
    Pool& pool = Site(id).pool;
    pool.OnTick();
    channel_.metrics.SetPoolConnections(id, static_cast<uint64_t>(pool.active()),
                                        static_cast<uint64_t>(pool.idle()));
    channel_.metrics.SetConnectionTotals(id, pool.opened(), pool.reused());
    channel_.metrics.SetQueueDepth(id, static_cast<uint64_t>(pool.queued()));
  }
  channel_.metrics.SetBytes(host_.received, host_.sent);
  UpdateListening();
  host_.FlushOutput();
  ++ticks_;
  if (ticks_ % kTicksPerLogFlush == 0) access_log_.Flush();
  if (ticks_ % kTicksPerSecond == 0) OnSecond();
}

void Worker::OnSecond() {
  wall_ = absl::Now();
  wall_at_ = now();
  const bool late = now() - shared_.split.LastBeat() > kControllerLate;
  if (late != controller_late_) {
    controller_late_ = late;
    if (late) {
      LogError("the controller has not beaten for 5 s: all traffic goes to stable");
    } else {
      LogInfo("the controller beats again");
    }
  }
  for (PoolId id : kPools) {
    PoolSite& site = Site(id);
    // PHP-FPM was away, or the release's folder is gone: it was replaced.
    const bool gone = site.probe->visible() && ::access(site.probe->resolved_root().c_str(), F_OK) != 0;
    if (site.pool.refusals() == site.refusals_seen && !gone) continue;
    site.refusals_seen = site.pool.refusals();
    OpenRoot(id);
  }
}

void Worker::FindOverdue() {
  const Instant limit = now() - settings_->slow_limit;
  while (!in_flight_.empty() && in_flight_.front().exchange->received_at() < limit) {
    in_flight_.PopFront().exchange->OnOverdue();
  }
  shadow_.FindOverdue(limit);
}

}  // namespace serin
