#pragma once
// Sends messages to the operator's webhook, one after the other, on a thread
// of its own: a receiver that hangs costs messages, never a decision or a
// request. Main thread, but for Send and counts, which any thread may call.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "controller/controller.h"
#include "proxy/base/instant.h"
#include "proxy/config/config.h"

namespace serin {

class Webhook {
 public:
  // Several rollouts' worth; the oldest go first when a receiver is away.
  static constexpr size_t kMostQueued = 64;
  // A message is tried this often, with growing pauses; it is late by half a
  // minute then, and the next one may be more important.
  static constexpr int kTries = 3;

  struct Counts {
    uint64_t sent = 0;
    uint64_t failed = 0;   // given up
    uint64_t dropped = 0;  // pushed out of a full queue, or still in it at the end
  };

  Webhook() = default;
  ~Webhook() { Stop(); }
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  // Before Start, and again on a reload: what is sent from now on.
  void Configure(WebhookSettings settings);
  void Start();
  // Gives what is queued one more try, two seconds in all, and joins.
  void Stop();

  // Sends what the operator wants to hear of. Never waits.
  void Send(const HistoryEntry& entry, const Report& report);
  Counts counts() const;

 private:
  enum class Result { kDone, kRetry, kGiveUp };
  void Run();
  void Deliver(const std::string& message);
  Result Post(const WebhookSettings& settings, const std::string& message, std::string& problem);
  bool OutOfTime() const;

  static std::string HostName();

  const std::string host_ = HostName();
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  WebhookSettings settings_;  // guarded by mutex_, as all below
  std::deque<std::string> messages_;
  Counts counts_;
  bool stopping_ = false;
  Instant stop_at_;
  std::thread thread_;  // the main thread's
};

}  // namespace serin
