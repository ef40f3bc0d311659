#include "proxy/fastcgi/pool_gate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace serin {
namespace {

Instant At(int64_t nanos) { return Instant::FromNanos(nanos); }

class PoolGateTest : public testing::Test {
 protected:
  void Take(int slots) {
    for (int i = 0; i < slots; ++i) ASSERT_TRUE(gate.TryAcquire());
  }
  std::vector<int> woken;
  PoolGate gate{[this](int worker) { woken.push_back(worker); }};
};

TEST_F(PoolGateTest, HandsOutNoMoreThanTheLimit) {
  gate.SetLimits(2, 0);
  Take(2);
  EXPECT_FALSE(gate.TryAcquire());
  EXPECT_EQ(gate.in_use(), 2);
  gate.Release();
  EXPECT_TRUE(gate.TryAcquire());
}

TEST_F(PoolGateTest, AFreedSlotGoesToTheWorkerWhoseRequestHasWaitedLongest) {
  gate.SetLimits(1, 0);
  Take(1);
  gate.Await(0, At(30));
  gate.Await(5, At(10));
  gate.Await(63, At(20));
  gate.Release();
  EXPECT_EQ(woken, std::vector<int>{5});
  EXPECT_FALSE(gate.TakeGrant(0));
  EXPECT_TRUE(gate.TakeGrant(5));
  EXPECT_FALSE(gate.TakeGrant(5)) << "one slot, one grant";
  EXPECT_EQ(gate.in_use(), 1) << "handed over, not given back";
}

TEST_F(PoolGateTest, AWorkerThatHasAGrantComesLastUntilItSaysWhatItWaitsFor) {
  gate.SetLimits(3, 0);
  Take(3);
  gate.Await(1, At(10));
  gate.Await(2, At(20));
  gate.Release();
  gate.Release();
  EXPECT_EQ(woken, (std::vector<int>{1, 2}));
  gate.SetSince(2, At(25));
  gate.SetSince(1, At(24));
  gate.Release();
  EXPECT_EQ(woken, (std::vector<int>{1, 2, 1}));
}

TEST_F(PoolGateTest, ASlotThatNobodyWaitsForIsFree) {
  gate.SetLimits(1, 0);
  Take(1);
  gate.Await(3, At(1));
  gate.StopAwaiting(3);
  gate.Release();
  EXPECT_TRUE(woken.empty());
  EXPECT_EQ(gate.in_use(), 0);
}

TEST_F(PoolGateTest, TellsWhetherAnotherWorkersRequestHasWaitedLonger) {
  EXPECT_FALSE(gate.OthersWait(1));
  gate.Await(1, At(10));
  EXPECT_FALSE(gate.OthersWait(1));
  EXPECT_TRUE(gate.OthersWait(2));
  EXPECT_FALSE(gate.OthersWaitSince(1, At(100))) << "its own";
  EXPECT_TRUE(gate.OthersWaitSince(2, At(11)));
  EXPECT_FALSE(gate.OthersWaitSince(2, At(10)));
}

TEST_F(PoolGateTest, WhoeverWaitsAsksTheOthersForTheirIdleConnections) {
  gate.SetIdle(0, true);
  gate.SetIdle(4, true);
  gate.SetIdle(7, true);
  gate.SetIdle(7, false);
  gate.Await(4, At(1));
  EXPECT_EQ(woken, std::vector<int>{0});
}

TEST_F(PoolGateTest, BoundsTheQueueOfAllWorkersTogether) {
  gate.SetLimits(1, 2);
  EXPECT_TRUE(gate.TryQueue());
  EXPECT_TRUE(gate.TryQueue());
  EXPECT_FALSE(gate.TryQueue());
  gate.Unqueue();
  EXPECT_TRUE(gate.TryQueue());
  EXPECT_EQ(gate.queued(), 2);
}

TEST_F(PoolGateTest, ALowerLimitIsReachedByGivingNothingAway) {
  gate.SetLimits(3, 0);
  Take(3);
  gate.SetLimits(1, 0);
  gate.Await(2, At(1));
  gate.Release();
  gate.Release();
  EXPECT_TRUE(woken.empty());
  EXPECT_EQ(gate.in_use(), 1);
  gate.Release();
  EXPECT_EQ(woken, std::vector<int>{2});
}

// Each thread is a worker with one request at a time; a lost slot or a lost
// wake-up would leave them waiting for ever (the test's time-out).
TEST(PoolGateThreadsTest, LoseNoSlotAndHoldNeverMoreThanTheLimit) {
  constexpr int kWorkers = 6, kLimit = 2, kRequests = 3000;
  PoolGate gate([](int) {});  // workers look for themselves
  gate.SetLimits(kLimit, 0);
  std::atomic<int> held{0}, most{0}, done{0};
  std::vector<std::thread> threads;
  for (int worker = 0; worker < kWorkers; ++worker) {
    threads.emplace_back([&, worker] {
      for (int i = 0; i < kRequests; ++i) {
        bool mine = gate.TryAcquire();
        if (!mine) {
          gate.Await(worker, Instant::Now());
          mine = gate.TryAcquire();
          while (!mine && !(mine = gate.TakeGrant(worker))) std::this_thread::yield();
          gate.StopAwaiting(worker);
        }
        const int now = held.fetch_add(1) + 1;
        int seen = most.load();
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        held.fetch_sub(1);
        gate.Release();
        while (gate.TakeGrant(worker)) gate.Release();  // came when it was no longer wanted
      }
      done.fetch_add(1);
      // As a worker's loop does for a wake-up: what was granted late goes on to the others.
      while (done.load() < kWorkers) {
        if (gate.TakeGrant(worker)) gate.Release();
        std::this_thread::yield();
      }
      while (gate.TakeGrant(worker)) gate.Release();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most.load(), kLimit);
  EXPECT_EQ(gate.in_use(), 0);
}

}  // namespace
}  // namespace serin
