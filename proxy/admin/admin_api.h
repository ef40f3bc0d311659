#pragma once
// The admin API as a function from a request to an answer, without a socket:
// routing, strict JSON, rights, the audit log. docs/OPERATING.md describes it for
// people. Owned by the admin service; main thread.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "controller/controller.h"
#include "proxy/base/types.h"

namespace serin {

// Whether a pool takes requests; kDraining: no new ones, and some are left.
enum class PoolState : uint8_t { kServing, kDraining, kDrained };
std::string_view Name(PoolState state);

struct PoolUse {
  PoolState state = PoolState::kServing;
  int in_flight = 0;  // open connections, idle ones included, and requests that wait for one
};

struct ProcessInfo {
  std::string version;
  absl::Time started_at;
  int workers = 0;
  PoolUse pools[kPoolCount];  // by PoolId
};

// What the API needs from the process. Calls may wait for the controller
// (milliseconds). A failed Status carries a sentence for people; its code
// becomes the answer's: InvalidArgument 400, PermissionDenied 403, NotFound 404,
// FailedPrecondition 409, Unavailable 503, any other 500.
class AdminBackend {
 public:
  virtual std::shared_ptr<const Report> GetReport() = 0;  // never null
  virtual std::vector<HistoryEntry> GetHistory() = 0;     // newest last
  virtual absl::Status Execute(const Command& command) = 0;
  // Reads the configuration again; InvalidArgument with all diagnostics.
  virtual absl::Status Reload() = 0;
  virtual ProcessInfo GetProcessInfo() = 0;

 protected:
  ~AdminBackend() = default;
};

struct AdminRequest {
  std::string_view method;
  std::string_view path;   // decoded
  std::string_view query;  // raw, without '?'
  std::string_view body;
  int64_t peer_uid = -1;  // -1: not known
};

struct AdminAnswer {
  uint16_t status = 200;
  std::string body;  // one JSON object and a newline
  std::string content_type = "application/json";
  std::string allow;       // of a 405
  bool subscribe = false;  // GET /v1/events: the body is not the answer
};

// {"state": …, "weight": …, …}: GET /v1/status, every event, and the answer to
// every change. One line.
std::string StatusJson(const Report& report, const ProcessInfo& process);
// As all times are written: UTC, milliseconds.
std::string Rfc3339(absl::Time time);

class AdminApi {
 public:
  // Beyond it a body is 413: the longest sensible one names a release.
  static constexpr size_t kMaxBody = 16 * 1024;

  // `operators`: who may change things, as in AdminSettings. `backend` must
  // outlive the API.
  AdminApi(AdminBackend& backend, std::vector<uint32_t> operators);

  AdminAnswer Handle(const AdminRequest& request);
  // The answer to a body over kMaxBody.
  static AdminAnswer TooLarge();
  AdminBackend& backend() { return backend_; }
  void SetOperators(std::vector<uint32_t> operators) { operators_ = std::move(operators); }

 private:
  AdminAnswer Read(std::string_view path, std::string_view query);
  AdminAnswer Change(const AdminRequest& request);
  bool MayChange(int64_t uid) const;

  AdminBackend& backend_;
  std::vector<uint32_t> operators_;
};

}  // namespace serin
