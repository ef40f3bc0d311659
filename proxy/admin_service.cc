#include "proxy/admin_service.h"

#include <unistd.h>

#include "proxy/parse/http1_session.h"
#include "proxy/server.h"

namespace serin {
namespace {

// People and scrapers, not traffic: small limits, of which none is configurable.
ClientLimits AdminLimits() {
  ClientLimits limits;
  limits.request_line = 8 * 1024;
  limits.head = 16 * 1024;
  limits.body = AdminApi::kMaxBody;
  limits.spool.memory = AdminApi::kMaxBody;  // never a file
  limits.head_timeout = absl::Seconds(5);
  limits.body_timeout = absl::Seconds(5);
  limits.send_buffer = 4 * 1024 * 1024;  // a whole history or metrics page
  return limits;
}

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr int kMaxConnections = 256;

}  // namespace

// One listener, and the sessions behind it.
class AdminService::Door final : private SessionMaker {
 public:
  Door(AdminService& service, RequestHandler& handler) : service_(service), handler_(handler) {}
  ~Door() {
    if (!settings_.address.path.empty() && fd_) ::unlink(settings_.address.path.c_str());
  }

  absl::Status Open(const ListenerSettings& settings) {
    settings_ = settings;
    absl::StatusOr<UniqueFd> fd = Listen(settings);
    if (!fd.ok()) return fd.status();
    fd_ = std::move(*fd);
    listener_ = std::make_unique<Listener>(
        service_.host_.loop, fd_.get(), settings, [this](UniqueFd client, ConnectionInfo info) {
          if (service_.host_.table.size() >= kMaxConnections) return;  // closed at once
          Connection::Start(service_.host_, service_.limits_, std::move(client), std::move(info), *this);
        });
    return absl::OkStatus();
  }
  void Resume() {
    if (listener_) listener_->Resume();
  }

 private:
  std::unique_ptr<Session> MakeSession(Connection& connection, std::string_view) override {
    return std::make_unique<Http1Session>(connection.info(), service_.limits_, connection, handler_,
                                          service_.requests_);
  }

  AdminService& service_;
  RequestHandler& handler_;
  ListenerSettings settings_;
  UniqueFd fd_;
  std::unique_ptr<Listener> listener_;
};

AdminService::AdminService(Server& server)
    : server_(server),
      limits_(AdminLimits()),
      wheel_(Instant::Now()),
      scratch_(64 * 1024),
      host_{server.loop(), wheel_, scratch_},
      requests_(limits_.spool),
      api_(*this, server.config().admin.operators),
      admin_handler_(api_, [this] { host_.FlushOutput(); }),
      metrics_page_({[this](MetricsSnapshot& sum) {
                       for (const auto& channel : server_.channels()) channel->metrics.AddTo(sum);
                     },
                     [this] { return GetReport(); }, [this] { return server_.webhook().counts(); },
                     [this] { return GetProcessInfo(); },
                     [this] {
                       std::vector<CertificateExpiry> expiries;
                       const TlsContext* tls = server_.tls();
                       if (tls == nullptr) return expiries;
                       for (const auto& info : tls->certificates())
                         expiries.push_back({info.path, info.not_after});
                       return expiries;
                     },
                     [this](PoolId pool) { return server_.fpm_reading(pool); }}),
      metrics_handler_([this] { return metrics_page_.Render(); }, [this] { host_.FlushOutput(); }) {}

AdminService::~AdminService() {
  admin_handler_.EndSubscriptions();
  host_.table.ForEach([](Connection& connection) { connection.Drop(); });
  host_.loop.RunTurnEnd();  // frees them, before the doors that made their sessions
}

absl::Status AdminService::Open(const AdminSettings& admin, const MetricsSettings& metrics) {
  ListenerSettings settings;
  settings.address.kind = SocketAddress::Kind::kUnix;
  settings.address.path = admin.socket;
  settings.mode = admin.mode;
  settings.backlog = kMaxConnections;
  admin_door_ = std::make_unique<Door>(*this, admin_handler_);
  if (absl::Status status = admin_door_->Open(settings); !status.ok()) return status;
  if (!metrics.address.empty()) {
    absl::StatusOr<SocketAddress> address = ParseSocketAddress(metrics.address);
    if (!address.ok()) return address.status();
    settings.address = *address;
    settings.mode = 0666;  // figures, no secrets
    metrics_door_ = std::make_unique<Door>(*this, metrics_handler_);
    if (absl::Status status = metrics_door_->Open(settings); !status.ok()) return status;
  }
  tick_.Start(host_.loop, kTick, [this] { OnTick(); });
  return absl::OkStatus();
}

void AdminService::OnTick() {
  wheel_.Advance(host_.loop.now());
  admin_handler_.Tick(host_.loop.now());
  admin_door_->Resume();
  if (metrics_door_) metrics_door_->Resume();
  host_.FlushOutput();
}

std::shared_ptr<const Report> AdminService::GetReport() { return server_.controller().report(); }
std::vector<HistoryEntry> AdminService::GetHistory() { return server_.controller().History(); }
absl::Status AdminService::Execute(const Command& command) {
  if (absl::Status ready = server_.CheckWarm(command); !ready.ok()) return ready;
  const absl::Status status = server_.controller().Execute(command);
  if (status.ok() && command.verb == Verb::kDrain) server_.DrainPool(command.pool);
  return status;
}
absl::Status AdminService::Reload() { return server_.Reload(); }

ProcessInfo AdminService::GetProcessInfo() {
  return {SERIN_VERSION,
          server_.started_at(),
          static_cast<int>(server_.channels().size()),
          {server_.pool_use(PoolId::kBlue), server_.pool_use(PoolId::kGreen)}};
}

}  // namespace serin
