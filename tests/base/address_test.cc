#include "proxy/base/address.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace serin {
namespace {

AddressSet Set(const std::vector<std::string>& items) {
  auto set = AddressSet::Parse(items);
  EXPECT_TRUE(set.ok()) << set.status();
  return *std::move(set);
}

TEST(IpAddressTest, ReadsBothFamilies) {
  EXPECT_EQ(ParseIpAddress("203.0.113.7"), (IpAddress{0, 0xFFFFCB007107}));
  EXPECT_EQ(ParseIpAddress("0.0.0.0"), (IpAddress{0, 0xFFFF00000000}));
  EXPECT_EQ(ParseIpAddress("2001:db8::1"), (IpAddress{0x20010DB800000000, 1}));
  EXPECT_EQ(ParseIpAddress("::"), (IpAddress{0, 0}));
  EXPECT_EQ(ParseIpAddress("1:2:3:4:5:6:7:8"), (IpAddress{0x0001000200030004, 0x0005000600070008}));
}

TEST(IpAddressTest, AMappedAddressIsTheOneItMaps) {
  EXPECT_EQ(ParseIpAddress("::ffff:203.0.113.7"), ParseIpAddress("203.0.113.7"));
  EXPECT_EQ(ParseIpAddress("::FFFF:cb00:7107"), ParseIpAddress("203.0.113.7"));
}

TEST(IpAddressTest, RefusesEverythingElse) {
  using std::string_view_literals::operator""sv;
  for (std::string_view text : {""sv,
                                "."sv,
                                "1.2.3"sv,
                                "1.2.3.4.5"sv,
                                "1.2.3.4."sv,
                                ".1.2.3.4"sv,
                                "1.2.3.256"sv,
                                "01.2.3.4"sv,
                                "1.2.3.0004"sv,
                                "1.2.3.4 "sv,
                                " 1.2.3.4"sv,
                                "1.2.3.-4"sv,
                                "0x7f.0.0.1"sv,
                                "1..2.3"sv,
                                "localhost"sv,
                                ":"sv,
                                ":::"sv,
                                "1::2::3"sv,
                                "fe80::1%eth0"sv,
                                "[::1]"sv,
                                "::1\0"sv,
                                "12345::"sv,
                                "unix:"sv,
                                "1.2.3.99999999999999999999"sv,
                                "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"sv}) {
    EXPECT_FALSE(ParseIpAddress(text)) << text;
  }
}

TEST(ClientKeyTest, IsTheAddressForIpv4AndTheSlash64ForIpv6) {
  EXPECT_EQ(ClientKey("203.0.113.7"), ClientKey("::ffff:203.0.113.7"));
  EXPECT_NE(ClientKey("203.0.113.7"), ClientKey("203.0.113.8"));
  EXPECT_EQ(ClientKey("2001:db8:0:1::1"), ClientKey("2001:db8:0:1:ffff::2"));
  EXPECT_NE(ClientKey("2001:db8:0:1::1"), ClientKey("2001:db8:0:2::1"));
}

TEST(ClientKeyTest, IsZeroOnlyForWhatIsNoAddress) {
  EXPECT_EQ(ClientKey(""), 0U);
  EXPECT_EQ(ClientKey("unknown"), 0U);
  EXPECT_NE(ClientKey("0.0.0.0"), 0U);
  EXPECT_NE(ClientKey("::"), 0U);
}

TEST(ClientKeyTest, SpreadsNeighboursOverTheWholeRange) {
  std::set<uint64_t> tops;
  for (uint64_t i = 0; i < 256; ++i) tops.insert(ClientKey(IpAddress{0, 0xFFFF0A000000 + i}) >> 60);
  EXPECT_EQ(tops.size(), 16U);
}

TEST(AddressSetTest, ContainsItsNetworks) {
  const AddressSet set = Set({"10.0.0.0/8", "192.0.2.1", "2001:db8::/33", "unix:"});
  for (const char* inside :
       {"10.0.0.0", "10.255.255.255", "192.0.2.1", "2001:db8::1", "::ffff:10.1.2.3", ""}) {
    EXPECT_TRUE(set.ContainsPeer(inside)) << inside;
  }
  for (const char* outside :
       {"11.0.0.0", "9.255.255.255", "192.0.2.2", "2001:db8:8000::1", "::1", "::a01:203", "junk"}) {
    EXPECT_FALSE(set.ContainsPeer(outside)) << outside;
  }
}

TEST(AddressSetTest, TakesEveryPrefixLength) {
  EXPECT_TRUE(Set({"0.0.0.0/0"}).ContainsPeer("203.0.113.7"));
  EXPECT_FALSE(Set({"0.0.0.0/0"}).ContainsPeer("2001:db8::1"));
  EXPECT_TRUE(Set({"::/0"}).ContainsPeer("2001:db8::1"));
  EXPECT_TRUE(Set({"203.0.113.7/32"}).ContainsPeer("203.0.113.7"));
  EXPECT_FALSE(Set({"203.0.113.7/32"}).ContainsPeer("203.0.113.6"));
  EXPECT_TRUE(Set({"203.0.113.7/31"}).ContainsPeer("203.0.113.6"));
  EXPECT_TRUE(Set({"2001:db8::/64"}).ContainsPeer("2001:db8::ffff"));
  EXPECT_FALSE(Set({"2001:db8::/64"}).ContainsPeer("2001:db8:0:1::"));
  EXPECT_FALSE(Set({"::1/128"}).ContainsPeer("::2"));
}

TEST(AddressSetTest, AnEmptySetTrustsNobody) {
  EXPECT_FALSE(AddressSet().ContainsPeer("127.0.0.1"));
  EXPECT_FALSE(AddressSet().ContainsPeer(""));
}

TEST(AddressSetTest, NamesTheItemThatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"10.0.0.0/33", "\"10.0.0.0/33\" has no valid prefix length; expected 0 to 32"},
      {"::1/129", "\"::1/129\" has no valid prefix length; expected 0 to 128"},
      {"10.0.0.0/", "\"10.0.0.0/\" has no valid prefix length; expected 0 to 32"},
      {"10.0.0.0/-1", "\"10.0.0.0/-1\" has no valid prefix length; expected 0 to 32"},
      {"10.0.0.0/8x", "\"10.0.0.0/8x\" has no valid prefix length; expected 0 to 32"},
      {"proxy.example",
       "\"proxy.example\" is no network; expected an address, a network such as 10.0.0.0/8, or \"unix:\""},
      {"", "\"\" is no network; expected an address, a network such as 10.0.0.0/8, or \"unix:\""},
  };
  for (const auto& [item, message] : cases) {
    EXPECT_EQ(AddressSet::Parse(std::vector<std::string>{"127.0.0.1", item}).status().message(), message);
  }
}

}  // namespace
}  // namespace serin
