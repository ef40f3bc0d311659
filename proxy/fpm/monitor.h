#pragma once
// Looks at both PHP-FPM masters once a second, from a thread of its own that
// may wait for them: their status pages, if [pools.*] status_address names
// one, and the backlogs of their sockets. For metrics and a warning; nothing is
// decided by it.

#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "proxy/base/types.h"
#include "proxy/fpm/status_page.h"
#include "proxy/settings.h"

namespace serin {

// What is not known is not there.
struct FpmReading {
  std::optional<FpmStatus> status;
  std::optional<uint64_t> listen_queue;
  // max_connections is not below pm.max_children, as far as the page shows that.
  std::optional<bool> overcommitted;
};

// Compares readings, and says what an operator should know; the monitor's memory of one pool.
class FpmWatch {
 public:
  // Completes `reading` (overcommitted). A warning for the log the first time
  // that something is wrong; "" otherwise.
  std::string Take(PoolId pool, const PoolSettings& settings, FpmReading& reading, const absl::Status& asked);

 private:
  std::optional<uint64_t> children_;
  uint64_t reached_ = 0;
  bool seen_ = false;    // a reading has come, so that reached_ means something
  bool silent_ = false;  // the page could not be had, and that was said
  int over_ = 0;         // readings in a row with max_connections at or above the children
};

class FpmMonitor {
 public:
  ~FpmMonitor() { Stop(); }
  // Main thread, also while it runs.
  void Configure(const PoolSettings (&pools)[kPoolCount]);
  void Start();
  void Stop();
  // Any thread.
  FpmReading reading(PoolId pool) const;

 private:
  void Run();
  void Look(PoolId pool, const PoolSettings& settings);

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::array<PoolSettings, kPoolCount> pools_;
  std::array<FpmReading, kPoolCount> readings_;
  std::array<FpmWatch, kPoolCount> watches_;  // the thread's own
  std::thread thread_;
};

}  // namespace serin
