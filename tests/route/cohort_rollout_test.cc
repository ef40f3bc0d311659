// A hundred thousand people through a whole rollout, by each kind of key.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/route/router.h"

namespace serin {
namespace {

constexpr int kPeople = 100000;
constexpr uint32_t kSteps[] = {10, 25, 50, 75, 100};

class CohortRolloutTest : public testing::Test {
 protected:
  CohortRolloutTest() : request(limits) {
    split.engaged = true;
    split.rollout = 1;
    settings.header = "x-user";
  }
  // The people who are the canary's at this weight.
  std::vector<bool> Canary(uint32_t percent) {
    split.canary_weight = Weight::Percent(percent);
    std::vector<bool> canary(kPeople);
    for (int person = 0; person < kPeople; ++person) {
      request.Clear();
      be(static_cast<uint64_t>(person));
      const RouteDecision decision = Route(request, client, split, settings, tickets, random);
      EXPECT_FALSE(decision.new_id);
      canary[static_cast<size_t>(person)] = decision.role == Role::kCanary;
    }
    return canary;
  }
  // One in a million honest splits would be outside.
  static void ExpectShare(int64_t count, double share) {
    EXPECT_NEAR(static_cast<double>(count), kPeople * share,
                4.9 * std::sqrt(kPeople * share * (1 - share)) + 0.5)
        << "share " << share;
  }
  void GoThroughARollout() {
    std::vector<bool> before(kPeople, false);
    for (uint32_t percent : kSteps) {
      const std::vector<bool> now = Canary(percent);
      int64_t count = 0, moved_back = 0;
      for (size_t person = 0; person < kPeople; ++person) {
        count += now[person];
        moved_back += before[person] && !now[person];
      }
      EXPECT_EQ(moved_back, 0) << "at " << percent << " %";
      ExpectShare(count, percent / 100.0);
      before = now;
    }
    for (bool canary : Canary(0)) ASSERT_FALSE(canary) << "after a revert";
    // The next release is tried on other people.
    split.rollout = 1;
    const std::vector<bool> first = Canary(25);
    split.rollout = 2;
    const std::vector<bool> second = Canary(25);
    int64_t both = 0;
    for (size_t person = 0; person < kPeople; ++person) both += first[person] && second[person];
    ExpectShare(both, 0.25 * 0.25);
    EXPECT_EQ(tickets.NextTicket(), 0U) << "dice or tickets decided nothing";
  }

  Spool::Limits limits;
  Request request;
  EffectiveClient client;
  SplitState split;
  SplitSettings settings;
  SplitCell tickets;
  RandomSource random{20240229};
  std::function<void(uint64_t person)> be;
};

TEST_F(CohortRolloutTest, PeopleWithTheCookieMoveOnceAndForwardOnly) {
  be = [this](uint64_t person) {
    std::string line = "other=1; ";
    SetCookieLine(line, settings, Mix64(person + 77), true);
    request.AddField("cookie", line.substr(0, line.find("; Path")));
  };
  GoThroughARollout();
}

TEST_F(CohortRolloutTest, PeopleByAddressMoveOnceAndForwardOnly) {
  settings.key = SplitKey::kAddress;
  be = [this](uint64_t person) { client.key = ClientKey(IpAddress{0, 0xFFFF0A000000 + person}); };
  GoThroughARollout();
}

TEST_F(CohortRolloutTest, PeopleByTheirIPv6NetworkMoveOnceAndForwardOnly) {
  settings.key = SplitKey::kAddress;
  // Within a /64 a device changes its address as it likes.
  be = [this](uint64_t person) {
    client.key = ClientKey(IpAddress{0x20010DB8'00000000 + person, random.Next()});
  };
  GoThroughARollout();
}

TEST_F(CohortRolloutTest, PeopleByHeaderMoveOnceAndForwardOnly) {
  settings.key = SplitKey::kHeader;
  be = [this](uint64_t person) { request.AddField("x-user", "user-" + std::to_string(person)); };
  GoThroughARollout();
}

}  // namespace
}  // namespace serin
