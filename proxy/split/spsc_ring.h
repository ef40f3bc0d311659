#pragma once
// A bounded queue between one worker (the only pusher) and the controller's
// thread (the only drainer). No lock, no allocation after construction.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace serin {

template <typename T>
class SpscRing {
 public:
  // `capacity` is rounded up to a power of two.
  explicit SpscRing(size_t capacity) {
    size_t size = 1;
    while (size < capacity) size *= 2;
    slots_.resize(size);
  }

  // False when full: the value is dropped and counted. The pusher's thread.
  bool Push(const T& value) {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - cached_head_ == slots_.size()) {
      // Acquire: the drainer has finished reading the slots up to head.
      cached_head_ = head_.load(std::memory_order_acquire);
      if (tail - cached_head_ == slots_.size()) {
        dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return false;
      }
    }
    slots_[tail & (slots_.size() - 1)] = value;
    tail_.store(tail + 1, std::memory_order_release);  // publishes the slot
    return true;
  }

  // Calls `take(value)` for all that is queued, oldest first. The drainer's thread.
  template <typename Take>
  size_t Drain(Take&& take) {
    const uint64_t tail = tail_.load(std::memory_order_acquire);
    uint64_t head = head_.load(std::memory_order_relaxed);
    const size_t count = tail - head;
    for (; head != tail; ++head) take(slots_[head & (slots_.size() - 1)]);
    head_.store(head, std::memory_order_release);  // frees the slots
    return count;
  }

  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  std::vector<T> slots_;
  alignas(64) std::atomic<uint64_t> tail_{0};
  uint64_t cached_head_ = 0;  // the pusher's
  std::atomic<uint64_t> dropped_{0};
  alignas(64) std::atomic<uint64_t> head_{0};
};

}  // namespace serin
