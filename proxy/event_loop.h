#pragma once
// libevent in RAII: one loop per thread, descriptors to watch, a mailbox from
// other threads, a clock read once per turn, and work for the end of a turn.
// The library appears in this pair of files only.

#include <event2/event.h>
#include <event2/event_struct.h>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/time/time.h"
#include "proxy/base/instant.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/base/unique_fd.h"

namespace serin {

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs until Stop. The loop's thread.
  void Run();
  // Any thread.
  void Stop();
  // Runs `task` on the loop's thread, soon, in order. Any thread; not for the
  // request path (it takes a lock and wakes the loop).
  void Post(std::function<void()> task);
  // The time of this turn: read once, when first asked for.
  Instant now() {
    if (!now_is_fresh_) {
      now_ = Instant::Now();
      now_is_fresh_ = true;
    }
    return now_;
  }

  // Something that is to happen once at the end of the current turn: freeing
  // what must not be freed inside its own callback, flushing output.
  class TurnEnd : public ListNode {
   public:
    virtual void OnTurnEnd() = 0;

   protected:
    ~TurnEnd() = default;
  };
  void AtTurnEnd(TurnEnd& work) {
    if (!work.linked()) turn_end_.PushBack(work);
  }

  // Part of Run; on its own for whoever takes things down after Run.
  void RunTurnEnd();

  event_base* base() { return base_; }

 private:
  void RunPosted();

  event_base* base_;
  Instant now_;
  bool now_is_fresh_ = false;
  IntrusiveList<TurnEnd> turn_end_;
  UniqueFd wake_fd_;
  event wake_{};
  bool stopped_ = false;  // the loop's thread
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
};

// Watches one descriptor, level-triggered, so that nothing is lost when less
// is read than there is; a watch is changed only when a direction blocks.
class IoWatch {
 public:
  // Called with what the descriptor is ready for.
  using Callback = void (*)(void* self, bool readable, bool writable);

  IoWatch() = default;
  IoWatch(const IoWatch&) = delete;
  IoWatch& operator=(const IoWatch&) = delete;
  ~IoWatch() { Stop(); }

  void Start(EventLoop& loop, int fd, bool read, bool write, Callback callback, void* self);
  // Changes the directions; a system call only if they differ.
  void Set(bool read, bool write);
  // As if the descriptor had become readable: for bytes that a library holds.
  void TriggerRead();
  void Stop();
  bool reading() const { return (directions_ & EV_READ) != 0; }
  bool writing() const { return (directions_ & EV_WRITE) != 0; }

 private:
  static void OnEvent(int fd, short what, void* self);

  event event_{};
  event_base* base_ = nullptr;
  int fd_ = -1;
  short directions_ = 0;
  Callback callback_ = nullptr;
  void* self_ = nullptr;
};

// Calls back every `period`, first after one period; late by more than one, once.
// A timer of the kernel that stays armed: with a time-out each wait of the loop
// would arm and cancel one, which costs more than the wait when there is little
// to do.
class PeriodicTimer {
 public:
  PeriodicTimer();
  ~PeriodicTimer() { Stop(); }
  PeriodicTimer(const PeriodicTimer&) = delete;
  PeriodicTimer& operator=(const PeriodicTimer&) = delete;
  void Start(EventLoop& loop, absl::Duration period, std::function<void()> callback);
  void Stop();

 private:
  static void OnExpired(void* self, bool readable, bool writable);

  UniqueFd fd_;
  IoWatch watch_;
  std::function<void()> callback_;
};

// Calls back on the loop's thread when the process receives `signal`.
class SignalWatch {
 public:
  SignalWatch(EventLoop& loop, int signal, std::function<void()> callback);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  event event_{};
  std::function<void()> callback_;
};

}  // namespace serin
