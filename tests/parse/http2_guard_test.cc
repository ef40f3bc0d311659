#include "proxy/parse/http2_guard.h"

#include <gtest/gtest.h>

#include <limits>

namespace serin {
namespace {

TEST(Http2GuardTest, BearsABudgetOfNonsenseAndNoMore) {
  Http2Guard guard;
  for (int i = 0; i < Http2Guard::kBudget; ++i) EXPECT_TRUE(guard.Spend(1));
  EXPECT_FALSE(guard.Spend(1));
}

TEST(Http2GuardTest, ForgivesAClientThatIsServed) {
  Http2Guard guard;
  for (int i = 0; i < 100000; ++i) {
    EXPECT_TRUE(guard.Spend(Http2Guard::kReset));
    guard.Earn(Http2Guard::kAnswered);
  }
}

TEST(Http2GuardTest, SavesNoMoreThanItsBudget) {
  Http2Guard guard;
  guard.Earn(1'000'000);
  guard.EarnBody(std::numeric_limits<uint64_t>::max() / 2);
  EXPECT_TRUE(guard.Spend(Http2Guard::kBudget));
  EXPECT_FALSE(guard.Spend(1));
}

TEST(Http2GuardTest, CountsBodiesHoweverTheyAreCut) {
  Http2Guard guard;
  EXPECT_TRUE(guard.Spend(Http2Guard::kBudget));
  for (uint64_t i = 0; i < Http2Guard::kPieceSize; ++i) guard.EarnBody(1);
  EXPECT_TRUE(guard.Spend(Http2Guard::kBodyPiece));
  EXPECT_FALSE(guard.Spend(1));
}

TEST(Http2GuardTest, LetsThroughOneInTenOfTwoThousandRapidResets) {
  Http2Guard guard;
  int passed = 0;
  while (guard.Spend(Http2Guard::kReset)) ++passed;
  EXPECT_EQ(passed, 200);
}

}  // namespace
}  // namespace serin
