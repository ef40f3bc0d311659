#pragma once
// The admin socket and the metrics listener: the same connections and HTTP/1
// sessions as the workers', on the main thread's loop, with handlers of their
// own. Main thread.

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "proxy/accept/connection.h"
#include "proxy/accept/listener.h"
#include "proxy/admin/admin_api.h"
#include "proxy/admin/admin_handler.h"
#include "proxy/admin/metrics_page.h"
#include "proxy/base/timer_wheel.h"
#include "proxy/config/config.h"
#include "proxy/parse/request_pool.h"

namespace serin {

class Server;

class AdminService final : private AdminBackend {
 public:
  explicit AdminService(Server& server);
  ~AdminService();

  // Opens both listeners. An error says which could not be had.
  absl::Status Open(const AdminSettings& admin, const MetricsSettings& metrics);
  void SetOperators(std::vector<uint32_t> operators) { api_.SetOperators(std::move(operators)); }

 private:
  class Door;

  // AdminBackend
  std::shared_ptr<const Report> GetReport() override;
  std::vector<HistoryEntry> GetHistory() override;
  absl::Status Execute(const Command& command) override;
  absl::Status Reload() override;
  ProcessInfo GetProcessInfo() override;

  void OnTick();

  Server& server_;
  ClientLimits limits_;
  TimerWheel wheel_;
  std::vector<char> scratch_;
  ConnectionHost host_;
  RequestPool requests_;
  AdminApi api_;
  AdminHandler admin_handler_;
  MetricsPage metrics_page_;
  MetricsHandler metrics_handler_;
  std::unique_ptr<Door> admin_door_, metrics_door_;
  PeriodicTimer tick_;
};

}  // namespace serin
