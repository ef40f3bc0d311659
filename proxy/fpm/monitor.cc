#include "proxy/fpm/monitor.h"

#include <fmt/format.h>

#include <chrono>

#include "proxy/base/log.h"
#include "proxy/fpm/client.h"
#include "proxy/fpm/listen_queue.h"

namespace serin {
namespace {

constexpr std::chrono::seconds kEvery(1);
constexpr absl::Duration kPatience = absl::Milliseconds(500);
// While a master starts, some of its children are still to come.
constexpr int kSureAfter = 3;

}  // namespace

std::string FpmWatch::Take(PoolId pool, const PoolSettings& settings, FpmReading& reading,
                           const absl::Status& asked) {
  if (!reading.status) {
    seen_ = false;
    over_ = 0;
    if (silent_ || asked.ok()) return "";
    silent_ = true;
    const absl::string_view why = asked.message();
    return fmt::format("pool {}: no status page at {}: {}", Name(pool), settings.status_address,
                       std::string_view(why.data(), why.size()));
  }
  silent_ = false;
  const FpmStatus& status = *reading.status;
  // pm = dynamic shows its limit only when it has reached it.
  if (status.fixed_children || (seen_ && status.max_children_reached > reached_)) children_ = status.total;
  if (seen_ && status.max_children_reached < reached_) children_.reset();  // another master
  reached_ = status.max_children_reached;
  seen_ = true;
  if (!children_) return "";
  const bool over = static_cast<uint64_t>(settings.max_connections) >= *children_;
  over_ = over ? std::min(over_ + 1, kSureAfter + 1) : 0;
  reading.overcommitted = over_ >= kSureAfter;
  if (over_ != kSureAfter) return "";
  return fmt::format(
      "pool {}: max_connections is {}, and PHP-FPM has {} children (pm.max_children): what is too much "
      "waits in its backlog, out of sight; it should be lower",
      Name(pool), settings.max_connections, *children_);
}

void FpmMonitor::Configure(const PoolSettings (&pools)[kPoolCount]) {
  const std::lock_guard lock(mutex_);
  for (const PoolId pool : kPools) pools_[static_cast<size_t>(Index(pool))] = pools[Index(pool)];
}

void FpmMonitor::Start() {
  thread_ = std::thread([this] { Run(); });
}

void FpmMonitor::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

FpmReading FpmMonitor::reading(PoolId pool) const {
  const std::lock_guard lock(mutex_);
  return readings_[static_cast<size_t>(Index(pool))];
}

void FpmMonitor::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const std::array<PoolSettings, kPoolCount> pools = pools_;
    lock.unlock();
    for (const PoolId pool : kPools) Look(pool, pools[static_cast<size_t>(Index(pool))]);
    lock.lock();
    wake_.wait_for(lock, kEvery, [this] { return stopping_; });
  }
}

void FpmMonitor::Look(PoolId pool, const PoolSettings& settings) {
  const auto index = static_cast<size_t>(Index(pool));
  FpmReading reading;
  absl::Status asked;
  if (!settings.status_address.empty()) {
    const absl::StatusOr<SocketAddress> address = ParseSocketAddress(settings.status_address);
    absl::StatusOr<std::string> page = address.ok() ? AskFpm(*address, settings.status_path, kPatience)
                                                    : absl::StatusOr<std::string>(address.status());
    asked = page.status();
    if (page.ok()) reading.status = ParseFpmStatus(*page);
    if (page.ok() && !reading.status) asked = absl::InternalError("not PHP-FPM's status page");
  }
  if (settings.address.kind == SocketAddress::Kind::kUnix) {
    reading.listen_queue = UnixListenQueue(settings.address.path);
  } else if (reading.status) {
    reading.listen_queue = reading.status->listen_queue;
  }
  if (const std::string text = watches_[index].Take(pool, settings, reading, asked); !text.empty()) {
    LogWarning(text);
  }
  const std::lock_guard lock(mutex_);
  readings_[index] = reading;
}

}  // namespace serin
