#include "proxy/event_loop.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdlib>

#include "proxy/base/log.h"

namespace serin {

EventLoop::EventLoop() : wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  event_config* config = event_config_new();
  // One thread per base and our own mailbox: libevent's locks would be waste.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  base_ = event_base_new_with_config(config);
  event_config_free(config);
  if (base_ == nullptr || !wake_fd_) {
    LogError("no event loop: out of file descriptors or memory");
    std::abort();
  }
  event_assign(
      &wake_, base_, wake_fd_.get(), EV_READ | EV_PERSIST,
      [](int, short, void* self) { static_cast<EventLoop*>(self)->RunPosted(); }, this);
  event_add(&wake_, nullptr);
}

EventLoop::~EventLoop() {
  event_del(&wake_);
  event_base_free(base_);
}

void EventLoop::Run() {
  stopped_ = false;
  while (!stopped_) {
    now_is_fresh_ = false;
    event_base_loop(base_, EVLOOP_ONCE);
    RunTurnEnd();
  }
}

void EventLoop::Stop() {
  Post([this] { stopped_ = true; });
}

void EventLoop::Post(std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
  }
  const uint64_t one = 1;
  // Can fail only when the counter is full, and then the loop is awake anyway.
  [[maybe_unused]] const ssize_t n = ::write(wake_fd_.get(), &one, sizeof one);
}

void EventLoop::RunPosted() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(wake_fd_.get(), &count, sizeof count);
  std::vector<std::function<void()>> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
}

void EventLoop::RunTurnEnd() {
  while (!turn_end_.empty()) turn_end_.PopFront().OnTurnEnd();
}

void IoWatch::Start(EventLoop& loop, int fd, bool read, bool write, Callback callback, void* self) {
  Stop();
  base_ = loop.base();
  fd_ = fd;
  callback_ = callback;
  self_ = self;
  Set(read, write);
}

void IoWatch::Set(bool read, bool write) {
  const short wanted = static_cast<short>((read ? EV_READ : 0) | (write ? EV_WRITE : 0));
  if (wanted == directions_ || base_ == nullptr) return;
  if (directions_ != 0) event_del(&event_);
  directions_ = wanted;
  if (wanted == 0) return;
  event_assign(&event_, base_, fd_, static_cast<short>(wanted | EV_PERSIST), OnEvent, this);
  if (event_add(&event_, nullptr) != 0) LogError("epoll refuses a descriptor");
}

void IoWatch::TriggerRead() {
  if (reading()) event_active(&event_, EV_READ, 1);
}

void IoWatch::Stop() {
  if (directions_ != 0) event_del(&event_);
  directions_ = 0;
  base_ = nullptr;
}

void IoWatch::OnEvent(int, short what, void* self) {
  auto* watch = static_cast<IoWatch*>(self);
  watch->callback_(watch->self_, (what & EV_READ) != 0, (what & EV_WRITE) != 0);
}

// Here and not in Start, which may come when descriptors have run out.
PeriodicTimer::PeriodicTimer() : fd_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  if (fd_) return;
  LogError("no timer: out of file descriptors or memory");
  std::abort();
}

void PeriodicTimer::Start(EventLoop& loop, absl::Duration period, std::function<void()> callback) {
  Stop();
  callback_ = std::move(callback);
  const timespec interval = absl::ToTimespec(period);
  const itimerspec times{interval, interval};
  ::timerfd_settime(fd_.get(), 0, &times, nullptr);
  watch_.Start(loop, fd_.get(), true, false, OnExpired, this);
}

void PeriodicTimer::Stop() {
  watch_.Stop();
  const itimerspec never{};
  ::timerfd_settime(fd_.get(), 0, &never, nullptr);
}

void PeriodicTimer::OnExpired(void* self, bool, bool) {
  auto* timer = static_cast<PeriodicTimer*>(self);
  uint64_t count = 0;
  if (::read(timer->fd_.get(), &count, sizeof count) == sizeof count) timer->callback_();
}

SignalWatch::SignalWatch(EventLoop& loop, int signal, std::function<void()> callback)
    : callback_(std::move(callback)) {
  event_assign(
      &event_, loop.base(), signal, EV_SIGNAL | EV_PERSIST,
      [](int, short, void* self) { static_cast<SignalWatch*>(self)->callback_(); }, this);
  event_add(&event_, nullptr);
}

SignalWatch::~SignalWatch() { event_del(&event_); }

}  // namespace serin
