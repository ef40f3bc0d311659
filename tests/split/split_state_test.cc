#include "proxy/split/split_state.h"

#include <gtest/gtest.h>

#include "proxy/base/hash.h"
#include "proxy/split/cohort.h"
#include "proxy/split/sequence.h"

namespace serin {
namespace {

TEST(SplitStateTest, SurvivesPacking) {
  for (uint32_t weight : {0u, 1u, 1000u, 9999u, 10000u}) {
    for (PoolId pool : kPools) {
      const SplitState state{Epoch(0xFFFFFFFF), 65535, Weight::BasisPoints(weight), pool, weight % 2 == 0};
      EXPECT_EQ(SplitState::Unpack(state.Pack()), state);
    }
  }
}

TEST(SplitStateTest, ShadowIsWeightZero) {
  SplitState state{Epoch(7), 3, Weight::Zero(), PoolId::kBlue, true};
  state.shadow = true;
  EXPECT_EQ(SplitState::Unpack(state.Pack()), state);
  EXPECT_TRUE(SplitState::Unpack(state.Pack()).canary_weight.is_zero());
  EXPECT_FALSE(state.idle());
  EXPECT_TRUE(SplitState().idle());
}

TEST(SplitStateTest, RolesFollowTheCanaryPool) {
  const SplitState state{Epoch(1), 1, Weight::Percent(10), PoolId::kBlue, true};
  EXPECT_EQ(state.stable_pool(), PoolId::kGreen);
  EXPECT_EQ(state.pool(Role::kCanary), PoolId::kBlue);
}

TEST(SequenceTest, SharesAreExactOverAnyThousandRequests) {
  for (uint32_t bp : {0u, 1u, 333u, 1000u, 2500u, 5000u, 7500u, 9999u, 10000u}) {
    const Weight weight = Weight::BasisPoints(bp);
    for (uint64_t start : {0ull, 7ull, 9990ull, 123456789ull}) {
      int canary = 0;
      for (uint64_t n = 0; n < 1000; ++n) canary += SequencePicksCanary(start + n, weight);
      EXPECT_NEAR(canary, bp / 10.0, 1.0) << bp << " from " << start;
    }
  }
}

TEST(CohortTest, UnmixInvertsMix) {
  for (uint64_t x : {0ull, 1ull, 0xDEADBEEFull, ~0ull}) EXPECT_EQ(Unmix64(Mix64(x)), x);
}

TEST(CohortTest, NobodyMovesBackWhileTheWeightRises) {
  const uint64_t salt = SplitState{}.cohort_salt();
  for (uint64_t key = 0; key < 20000; ++key) {
    bool was_canary = false;
    for (uint32_t percent : {10u, 25u, 50u, 75u, 100u}) {
      const bool canary = CohortPicksCanary(HashBytes(std::to_string(key)), salt, Weight::Percent(percent));
      EXPECT_TRUE(canary || !was_canary);
      was_canary = canary;
    }
    EXPECT_TRUE(was_canary);
    EXPECT_FALSE(CohortPicksCanary(key, salt, Weight::Zero()));
  }
}

TEST(CohortTest, AKeyCanBeDrawnForAPlace) {
  const uint64_t salt = 42;
  const uint64_t key = CohortKeyAt(uint64_t{1} << 60, salt);  // 6.25 %
  EXPECT_TRUE(CohortPicksCanary(key, salt, Weight::Percent(7)));
  EXPECT_FALSE(CohortPicksCanary(key, salt, Weight::Percent(6)));
}

}  // namespace
}  // namespace serin
