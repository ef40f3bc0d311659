#include "proxy/admin/webhook.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "proxy/admin/webhook_message.h"
#include "proxy/base/log.h"

namespace serin {
namespace {

constexpr absl::Duration kFirstPause = absl::Seconds(1);  // then four times as long
constexpr absl::Duration kLastWords = absl::Seconds(2);

using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

// What a receiver answers is nobody's business but its status is.
size_t IgnoreBody(char*, size_t, size_t count, void*) { return count; }

// Busy, or in trouble itself: later, perhaps.
bool IsTemporary(long status) { return status == 408 || status == 429 || status >= 500; }

}  // namespace

std::string Webhook::HostName() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

void Webhook::Configure(WebhookSettings settings) {
  const std::lock_guard lock(mutex_);
  settings_ = std::move(settings);
}

void Webhook::Start() {
  // Not thread-safe everywhere; here there is one thread still.
  curl_global_init(CURL_GLOBAL_DEFAULT);
  thread_ = std::thread([this] { Run(); });
}

void Webhook::Stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    stop_at_ = Instant::Now() + kLastWords;
  }
  changed_.notify_one();
  thread_.join();
}

void Webhook::Send(const HistoryEntry& entry, const Report& report) {
  {
    const std::lock_guard lock(mutex_);
    const auto& events = settings_.events;
    const bool wanted = std::find(events.begin(), events.end(), WebhookEventOf(entry.event)) != events.end();
    if (settings_.url.empty() || !wanted) return;
    if (messages_.size() == kMostQueued) {
      messages_.pop_front();
      ++counts_.dropped;
    }
    messages_.push_back(WebhookMessage(entry, report, host_));
  }
  changed_.notify_one();
}

Webhook::Counts Webhook::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

bool Webhook::OutOfTime() const {
  const std::lock_guard lock(mutex_);
  return stopping_ && Instant::Now() > stop_at_;
}

void Webhook::Run() {
  for (;;) {
    std::string message;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !messages_.empty(); });
      if (messages_.empty()) return;
      if (stopping_ && Instant::Now() > stop_at_) {
        counts_.dropped += messages_.size();
        return;
      }
      message = std::move(messages_.front());
      messages_.pop_front();
    }
    Deliver(message);
  }
}

void Webhook::Deliver(const std::string& message) {
  absl::Duration pause = kFirstPause;
  std::string problem;
  for (int attempt = 1;; ++attempt) {
    std::unique_lock lock(mutex_);
    const WebhookSettings settings = settings_;
    if (settings.url.empty()) {  // taken out of the configuration meanwhile
      ++counts_.dropped;
      return;
    }
    lock.unlock();
    const Result result = Post(settings, message, problem);
    lock.lock();
    if (result == Result::kDone) {
      ++counts_.sent;
      return;
    }
    if (result == Result::kGiveUp || attempt == kTries || stopping_) {
      ++counts_.failed;
      break;
    }
    changed_.wait_for(lock, absl::ToChronoMilliseconds(pause), [this] { return stopping_; });
    pause *= 4;
  }
  // The URL is a secret: whoever knows it may write there.
  LogWarning(fmt::format("a message to the webhook was given up: {}", problem));
}

Webhook::Result Webhook::Post(const WebhookSettings& settings, const std::string& message,
                              std::string& problem) {
  const Handle handle(curl_easy_init(), &curl_easy_cleanup);
  problem = "libcurl cannot be used";
  if (!handle) return Result::kRetry;
  CURL* const curl = handle.get();
  const Headers headers(curl_slist_append(nullptr, "Content-Type: application/json"), &curl_slist_free_all);
  curl_easy_setopt(curl, CURLOPT_URL, settings.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(absl::ToInt64Milliseconds(settings.timeout)));
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "serin/" SERIN_VERSION);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, message.c_str());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(message.size()));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &IgnoreBody);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  const curl_xferinfo_callback on_progress = [](void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Webhook*>(self)->OutOfTime() ? 1 : 0;
  };
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, this);
  if (const CURLcode code = curl_easy_perform(curl); code != CURLE_OK) {
    problem = curl_easy_strerror(code);
    return code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ? Result::kGiveUp
                                                                             : Result::kRetry;
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 200 && status < 300) return Result::kDone;
  problem = fmt::format("it answered {}", status);
  return IsTemporary(status) ? Result::kRetry : Result::kGiveUp;
}

}  // namespace serin
