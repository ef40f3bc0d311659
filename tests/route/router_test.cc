#include "proxy/route/router.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "proxy/split/cohort.h"

namespace serin {
namespace {

class RouterTest : public testing::Test {
 protected:
  RouterTest() : request(limits) {
    split.canary_weight = Weight::Percent(25);
    split.canary_pool = PoolId::kGreen;
    split.rollout = 3;
    split.engaged = true;
    settings.header = "x-tenant";
  }
  RouteDecision Decide() { return Route(request, client, split, settings, tickets, random); }
  void SetCookie(std::string_view line) {
    request.Clear();
    request.AddField("cookie", line);
  }
  static std::string IdText(uint64_t id) {
    std::string line;
    SetCookieLine(line, {}, id, false);
    return line.substr(0, line.find(';'));
  }

  Spool::Limits limits;
  Request request;
  EffectiveClient client;
  SplitState split;
  SplitSettings settings;
  SplitCell tickets;
  RandomSource random{1};
};

TEST_F(RouterTest, AtWeightZeroEveryoneGoesToStableWithoutATicketOrAnId) {
  split.canary_weight = Weight::Zero();
  for (SplitKey key : {SplitKey::kNone, SplitKey::kCookie, SplitKey::kAddress, SplitKey::kHeader}) {
    settings.key = key;
    const RouteDecision decision = Decide();
    EXPECT_EQ(decision.role, Role::kStable);
    EXPECT_EQ(decision.pool, PoolId::kBlue);
    EXPECT_FALSE(decision.forced);
    EXPECT_FALSE(decision.new_id);
  }
  EXPECT_EQ(tickets.NextTicket(), 0U);
}

TEST_F(RouterTest, AtFullWeightEveryoneGoesToTheCanaryWithoutATicketOrAnId) {
  split.canary_weight = Weight::All();
  split.canary_pool = PoolId::kBlue;
  const RouteDecision decision = Decide();
  EXPECT_EQ(decision.role, Role::kCanary);
  EXPECT_EQ(decision.pool, PoolId::kBlue);
  EXPECT_FALSE(decision.new_id);
  EXPECT_EQ(tickets.NextTicket(), 0U);
}

TEST_F(RouterTest, TheSequenceIsExactOverAnyThousand) {
  settings.key = SplitKey::kNone;
  for (uint32_t percent : {1U, 10U, 25U, 33U, 50U, 99U}) {
    split.canary_weight = Weight::Percent(percent);
    int canary = 0;
    for (int i = 0; i < 1000; ++i) canary += Decide().role == Role::kCanary;
    EXPECT_NEAR(canary, static_cast<int>(percent) * 10, 1);
  }
}

TEST_F(RouterTest, AVisitorWithoutAnIdIsGivenOneThatRoutesTheSameWay) {
  for (int i = 0; i < 1000; ++i) {
    request.Clear();
    const RouteDecision first = Decide();
    ASSERT_TRUE(first.new_id);
    SetCookie(IdText(*first.new_id));
    const RouteDecision second = Decide();
    EXPECT_EQ(second.role, first.role);
    EXPECT_FALSE(second.new_id);
  }
}

TEST_F(RouterTest, NewVisitorsMeetTheWeightFromTheFirstOnesOn) {
  for (uint32_t percent : {10U, 25U, 50U, 75U}) {
    split.canary_weight = Weight::Percent(percent);
    int canary = 0;
    for (int n = 1; n <= 2000; ++n) {
      canary += Decide().role == Role::kCanary;
      // The discrepancy of the golden sequence is O(log n); dice would be off by 20.
      EXPECT_NEAR(canary, n * static_cast<int>(percent) / 100.0, 1.0 + 0.6 * std::log(n))
          << percent << "% of " << n;
    }
  }
}

TEST_F(RouterTest, NewIdsDiffer) {
  std::vector<uint64_t> ids;
  for (int i = 0; i < 10000; ++i) ids.push_back(*Decide().new_id);
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
}

TEST_F(RouterTest, ACanaryVisitorStaysOneWhileTheWeightRises) {
  for (uint64_t i = 0; i < 500; ++i) {
    SetCookie(IdText(Mix64(i + 1)));
    bool was_canary = false;
    for (uint32_t percent : {0U, 1U, 10U, 25U, 50U, 75U, 99U, 100U}) {
      split.canary_weight = Weight::Percent(percent);
      const bool is_canary = Decide().role == Role::kCanary;
      EXPECT_TRUE(is_canary || !was_canary);
      was_canary = is_canary;
    }
  }
}

TEST_F(RouterTest, EachRolloutDrawsItsCanaryVisitorsAnew) {
  int same = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    SetCookie(IdText(Mix64(i + 1)));
    split.rollout = 3;
    const Role before = Decide().role;
    split.rollout = 4;
    same += Decide().role == before;
  }
  EXPECT_NEAR(same, 625, 60);  // .25² + .75²
}

TEST_F(RouterTest, AMalformedIdIsNoId) {
  for (const char* value : {"", "0", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF",
                            "0123456789abcdeg", "\"0123456789abcdef\"", "canary", "0x23456789abcdef"}) {
    SetCookie(std::string("serin_id=") + value);
    EXPECT_TRUE(Decide().new_id) << value;
  }
  SetCookie("serin_id=0123456789abcdef");
  EXPECT_FALSE(Decide().new_id);
}

TEST_F(RouterTest, TheAddressKeyFollowsTheClient) {
  settings.key = SplitKey::kAddress;
  client.key = ClientKey("203.0.113.7");
  const Role role = Decide().role;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Decide().role, role);
  EXPECT_FALSE(Decide().new_id);
  int canary = 0;
  for (uint64_t i = 0; i < 4000; ++i) {
    client.key = ClientKey(IpAddress{0, 0xFFFF0A000000 + i});
    canary += Decide().role == Role::kCanary;
  }
  EXPECT_NEAR(canary, 1000, 120);
  EXPECT_EQ(tickets.NextTicket(), 0U);
}

TEST_F(RouterTest, TheHeaderKeyFollowsItsValue) {
  settings.key = SplitKey::kHeader;
  request.AddField("x-tenant", "acme");
  const Role role = Decide().role;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Decide().role, role);
  EXPECT_EQ(tickets.NextTicket(), 0U);
}

TEST_F(RouterTest, WithoutItsKeyARequestTakesItsPlaceInTheSequence) {
  for (SplitKey key : {SplitKey::kAddress, SplitKey::kHeader}) {
    settings.key = key;
    request.Clear();
    request.AddField("x-tenant", "");
    int canary = 0;
    for (int i = 0; i < 1000; ++i) canary += Decide().role == Role::kCanary;
    EXPECT_EQ(canary, 250);
  }
}

TEST_F(RouterTest, AnOverrideWorksAtEveryWeightAndIsMarked) {
  for (uint32_t percent : {0U, 25U, 100U}) {
    split.canary_weight = Weight::Percent(percent);
    request.Clear();
    request.AddField("x-serin-route", "canary");
    EXPECT_EQ(Decide().pool, PoolId::kGreen);
    EXPECT_TRUE(Decide().forced);
    SetCookie("a=b; serin_route=stable");
    EXPECT_EQ(Decide().pool, PoolId::kBlue);
    EXPECT_TRUE(Decide().forced);
    EXPECT_FALSE(Decide().new_id);
  }
}

TEST_F(RouterTest, TheOverrideHeaderBeatsTheCookie) {
  request.AddField("cookie", "serin_route=stable");
  request.AddField("x-serin-route", "canary");
  EXPECT_EQ(Decide().role, Role::kCanary);
}

TEST_F(RouterTest, AnOverrideWithAnotherWordOrNameIsIgnored) {
  split.canary_weight = Weight::Zero();
  request.AddField("x-serin-route", "green");
  request.AddField("cookie", "serin_route=CANARY");
  EXPECT_FALSE(Decide().forced);
  settings.override_header = settings.override_cookie = "";
  request.Clear();
  request.AddField("x-serin-route", "canary");
  request.AddField("cookie", "serin_route=canary; =canary");
  request.AddField("", "canary");
  EXPECT_FALSE(Decide().forced);
}

TEST_F(RouterTest, FindsCookiesInEveryForm) {
  request.AddField("cookie", "a=1;b=2 ;\t c=x=y; ab=3; d=; e");
  request.AddField("x", "z=9");
  request.AddField("cookie", "f=6; a=7;");
  EXPECT_EQ(FindCookie(request, "a"), "1");
  EXPECT_EQ(FindCookie(request, "b"), "2");
  EXPECT_EQ(FindCookie(request, "c"), "x=y");
  EXPECT_EQ(FindCookie(request, "d"), "");
  EXPECT_EQ(FindCookie(request, "f"), "6");
  for (const char* none : {"e", "z", "x", "bc", "A"}) EXPECT_FALSE(FindCookie(request, none)) << none;
}

TEST(SetCookieLineTest, IsReadableByTheServerOnlyAndForTheWholeSite) {
  std::string line;
  SetCookieLine(line, {}, 0xC0FFEE, false);
  EXPECT_EQ(line, "serin_id=0000000000c0ffee; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax");
  line.clear();
  SetCookieLine(line, {}, ~uint64_t{0}, true);
  EXPECT_EQ(line, "serin_id=ffffffffffffffff; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure");
}

TEST_F(RouterTest, WithASecretOnlyWhoKnowsItOverrides) {
  settings.override_secret = "0123456789abcdef";
  split.canary_weight = Weight::Zero();
  for (const char* value : {"canary", "canary:", "canary:0123456789abcdeF", "canary:0123456789abcdef0",
                            "0123456789abcdef", "canary:0123456789abcdef:"}) {
    request.Clear();
    request.AddField("x-serin-route", value);
    EXPECT_FALSE(Decide().forced) << value;
    SetCookie(std::string("serin_route=") + value);
    EXPECT_FALSE(Decide().forced) << value;
  }
  SetCookie("serin_route=canary:0123456789abcdef");
  EXPECT_EQ(Decide().role, Role::kCanary);
  request.AddField("x-serin-route", "stable:0123456789abcdef");
  EXPECT_EQ(Decide().role, Role::kStable);
  EXPECT_TRUE(Decide().forced);
}

TEST_F(RouterTest, WithoutASecretNoneMayBeGiven) {
  request.AddField("x-serin-route", "canary:0123456789abcdef");
  EXPECT_FALSE(Decide().forced);
}

TEST_F(RouterTest, OnlyTrustedClientsOverrideWhereTheyAreNamed) {
  const std::vector<std::string> office = {"192.0.2.0/24"};
  settings.override_from = *AddressSet::Parse(office);
  request.AddField("x-serin-route", "canary");
  client.address = "198.51.100.7";
  EXPECT_FALSE(Decide().forced);
  client.address = "";
  EXPECT_FALSE(Decide().forced) << "a local peer that names no client";
  client.address = "192.0.2.7";
  EXPECT_TRUE(Decide().forced);
  EXPECT_EQ(Decide().role, Role::kCanary);
}

TEST_F(RouterTest, PinsKeepRequestsOnStableAtEveryWeight) {
  settings.pins = {{"/checkout", {"POST", "PUT"}}, {"/admin/", {}}};
  const auto pinned = [this](std::string_view method, std::string_view path) {
    request.Clear();
    request.set_method(method);
    request.set_path(path);
    const RouteDecision decision = Decide();
    EXPECT_FALSE(decision.forced);
    EXPECT_EQ(decision.role, decision.pinned ? Role::kStable : Role::kCanary) << path;
    EXPECT_EQ(decision.pool, decision.pinned ? PoolId::kBlue : PoolId::kGreen);
    EXPECT_FALSE(decision.pinned && decision.new_id);
    return decision.pinned;
  };
  split.canary_weight = Weight::All();
  EXPECT_TRUE(pinned("POST", "/checkout"));
  EXPECT_TRUE(pinned("PUT", "/checkout/pay"));
  EXPECT_FALSE(pinned("GET", "/checkout"));
  EXPECT_FALSE(pinned("POST", "/checkouts"));
  EXPECT_FALSE(pinned("POST", "/Checkout"));
  EXPECT_TRUE(pinned("GET", "/admin/"));
  EXPECT_TRUE(pinned("POST", "/admin/users"));
  EXPECT_FALSE(pinned("GET", "/admin"));
  request.Clear();
  request.set_method("POST");
  request.set_path("/checkout");
  request.AddField("x-serin-route", "canary");
  EXPECT_EQ(Decide().role, Role::kCanary) << "a tester may";
  split.canary_weight = Weight::Zero();
  request.Clear();
  request.set_path("/admin/x");
  EXPECT_FALSE(Decide().pinned) << "it is stable's anyway";
}

TEST_F(RouterTest, ADrainedCanaryGetsNothingWhateverIsAskedFor) {
  split.canary_weight = Weight::All();
  split.drains = 1;
  request.AddField("x-serin-route", "canary");
  EXPECT_EQ(Decide().role, Role::kStable);
  EXPECT_EQ(Decide().pool, PoolId::kBlue);
  EXPECT_FALSE(Decide().forced);
  split.drains = 2;
  EXPECT_EQ(Decide().pool, PoolId::kGreen);
}

}  // namespace
}  // namespace serin
