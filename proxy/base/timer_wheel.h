#pragma once
// Coarse deadlines for many connections at next to no cost: one wheel per
// thread instead of one kernel or heap timer per request. Moving a deadline
// later is a store; the wheel finds out when it comes by. One thread.

#include <cstdint>

#include "proxy/base/instant.h"
#include "proxy/base/intrusive_list.h"

namespace serin {

class TimerWheel {
 public:
  // Deadlines fire up to this much late, never early.
  static constexpr int64_t kTickNanos = 50'000'000;

  class Entry : public ListNode {
   public:
    // The deadline has passed. The entry is disarmed and may be destroyed.
    virtual void OnDeadline() = 0;
    bool armed() const { return linked(); }

   protected:
    virtual ~Entry() = default;

   private:
    friend class TimerWheel;
    Instant deadline_;
    int64_t slot_tick_ = 0;
  };

  explicit TimerWheel(Instant now) : tick_(now.nanos() / kTickNanos) {}

  void Arm(Entry& entry, Instant deadline) {
    entry.deadline_ = deadline;
    // Still sits in a slot that comes no later than the deadline: leave it there.
    if (entry.linked() && entry.slot_tick_ <= DueTick(deadline)) return;
    Place(entry);
  }
  static void Disarm(Entry& entry) { entry.Unlink(); }

  // Fires what is due. Call about once a tick.
  void Advance(Instant now) {
    const int64_t target = now.nanos() / kTickNanos;
    // After a long stall one turn over all slots reaches everything.
    if (target - tick_ > kSlots) tick_ = target - kSlots;
    while (tick_ < target) {
      ++tick_;
      IntrusiveList<Entry> due;
      slots_[tick_ & (kSlots - 1)].MoveTo(due);
      while (!due.empty()) {
        Entry& entry = due.PopFront();
        if (entry.deadline_ <= now) {
          entry.OnDeadline();
        } else {
          Place(entry);
        }
      }
    }
  }

 private:
  static constexpr int64_t kSlots = 256;  // 12.8 s; later deadlines are looked at once a turn

  static int64_t DueTick(Instant deadline) { return deadline.nanos() / kTickNanos + 1; }
  void Place(Entry& entry) {
    int64_t tick = DueTick(entry.deadline_);
    if (tick <= tick_) tick = tick_ + 1;
    if (tick > tick_ + kSlots - 1) tick = tick_ + kSlots - 1;
    entry.slot_tick_ = tick;
    slots_[tick & (kSlots - 1)].PushBack(entry);
  }

  int64_t tick_;
  IntrusiveList<Entry> slots_[kSlots];
};

}  // namespace serin
