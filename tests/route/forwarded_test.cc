#include "proxy/route/forwarded.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace serin {
namespace {

class ForwardedTest : public testing::Test {
 protected:
  ForwardedTest() : request(limits) {
    trusted = *AddressSet::Parse(std::vector<std::string>{"10.0.0.0/8", "fd00::/8", "unix:"});
    connection.peer_address = "10.0.0.1";
    connection.peer_port = 40000;
    connection.local_address = "10.0.0.2";
    connection.local_port = 8080;
    connection.trusted_peer = true;
    request.set_authority("internal:8080");
  }
  EffectiveClient Client() { return EffectiveClientOf(request, connection, trusted); }
  std::string AddressFrom(std::string_view forwarded_for) {
    request.Clear();
    request.AddField("x-forwarded-for", forwarded_for);
    return std::string(Client().address);
  }

  Spool::Limits limits;
  Request request;
  ConnectionInfo connection;
  AddressSet trusted;
};

TEST_F(ForwardedTest, AnUntrustedPeerIsTheClientWhateverItSays) {
  connection.trusted_peer = false;
  connection.peer_address = "203.0.113.7";
  request.AddField("x-forwarded-for", "198.51.100.1");
  request.AddField("x-forwarded-proto", "https");
  request.AddField("x-forwarded-host", "evil.example");
  request.AddField("x-forwarded-port", "443");
  const EffectiveClient client = Client();
  EXPECT_EQ(client.address, "203.0.113.7");
  EXPECT_EQ(client.port, 40000);
  EXPECT_FALSE(client.https);
  EXPECT_EQ(client.authority, "internal:8080");
  EXPECT_EQ(client.server_port, 8080);
  EXPECT_EQ(client.key, ClientKey("203.0.113.7"));
}

TEST_F(ForwardedTest, ATrustedProxySpeaksForItsClient) {
  request.AddField("x-forwarded-for", "198.51.100.1");
  request.AddField("x-forwarded-proto", "https");
  request.AddField("x-forwarded-host", "shop.example");
  const EffectiveClient client = Client();
  EXPECT_EQ(client.address, "198.51.100.1");
  EXPECT_EQ(client.port, 0);
  EXPECT_TRUE(client.https);
  EXPECT_EQ(client.authority, "shop.example");
  EXPECT_EQ(client.server_port, 443);
  EXPECT_EQ(client.key, ClientKey("198.51.100.1"));
}

TEST_F(ForwardedTest, ATrustedPeerThatForwardsNothingIsTheClient) {
  const EffectiveClient client = Client();
  EXPECT_EQ(client.address, "10.0.0.1");
  EXPECT_EQ(client.port, 40000);
  EXPECT_EQ(client.authority, "internal:8080");
  EXPECT_EQ(client.server_port, 8080) << "from the authority";
}

TEST_F(ForwardedTest, TheClientIsTheRightmostHopThatIsNotTrusted) {
  EXPECT_EQ(AddressFrom("198.51.100.1, 10.0.0.3"), "198.51.100.1");
  EXPECT_EQ(AddressFrom("6.6.6.6, 198.51.100.1, 10.0.0.3,fd00::7"), "198.51.100.1");
  EXPECT_EQ(AddressFrom("6.6.6.6,198.51.100.1"), "198.51.100.1");
  EXPECT_EQ(AddressFrom("10.0.0.9, 10.0.0.8"), "10.0.0.9") << "all trusted: the outermost";
}

TEST_F(ForwardedTest, ReadsSeveralFieldsAsOneList) {
  request.AddField("x-forwarded-for", "6.6.6.6");
  request.AddField("x-forwarded-for", "198.51.100.1, 10.0.0.4");
  request.AddField("x-other", "x");
  request.AddField("x-forwarded-for", "10.0.0.3");
  EXPECT_EQ(Client().address, "198.51.100.1");
}

TEST_F(ForwardedTest, NothingBeyondGarbageIsBelieved) {
  EXPECT_EQ(AddressFrom("198.51.100.1, unknown"), "10.0.0.1");
  EXPECT_EQ(AddressFrom("198.51.100.1, unknown, 10.0.0.3"), "10.0.0.3");
  EXPECT_EQ(AddressFrom("198.51.100.1,,10.0.0.3"), "10.0.0.3");
  EXPECT_EQ(AddressFrom(""), "10.0.0.1");
  EXPECT_EQ(AddressFrom(","), "10.0.0.1");
  EXPECT_EQ(AddressFrom("1.2.3.4\x01"), "10.0.0.1");
  EXPECT_EQ(AddressFrom("[::1"), "10.0.0.1");
  EXPECT_EQ(AddressFrom("[::1]x"), "10.0.0.1");
  EXPECT_EQ(AddressFrom("1.2.3.4:99999"), "10.0.0.1");
}

TEST_F(ForwardedTest, TakesHopsWithPorts) {
  EXPECT_EQ(AddressFrom("198.51.100.1:5678"), "198.51.100.1");
  EXPECT_EQ(AddressFrom("[2001:db8::1]:5678"), "2001:db8::1");
  EXPECT_EQ(AddressFrom("[2001:db8::1]"), "2001:db8::1");
  EXPECT_EQ(AddressFrom("2001:db8::1"), "2001:db8::1");
}

TEST_F(ForwardedTest, WritesAMappedAddressAsTheOneItMaps) {
  EXPECT_EQ(AddressFrom("::ffff:198.51.100.1"), "198.51.100.1");
  EXPECT_EQ(AddressFrom("198.51.100.1, ::ffff:10.0.0.3"), "198.51.100.1");
  connection.trusted_peer = false;
  connection.peer_address = "::ffff:203.0.113.7";
  EXPECT_EQ(Client().address, "203.0.113.7");
  EXPECT_EQ(Client().key, ClientKey("203.0.113.7"));
}

TEST_F(ForwardedTest, LooksAtABoundedNumberOfHops) {
  std::string hops = "198.51.100.1";
  for (int i = 0; i < 5000; ++i) hops += ",10.0.0.3";
  EXPECT_EQ(AddressFrom(hops), "10.0.0.3");
}

TEST_F(ForwardedTest, APeerOnAUnixSocketHasNoAddressUnlessItForwardsOne) {
  connection.peer_address = "";
  connection.peer_port = 0;
  EXPECT_EQ(Client().address, "");
  EXPECT_EQ(Client().key, 0U);
  EXPECT_EQ(AddressFrom("198.51.100.1"), "198.51.100.1");
}

TEST_F(ForwardedTest, TheProxysWordOnTheProtocolBeatsTheConnections) {
  connection.tls = true;
  EXPECT_TRUE(Client().https);
  request.AddField("x-forwarded-proto", "HTTP");
  EXPECT_FALSE(Client().https);
  request.AddField("x-forwarded-proto", "https, HTTPS");
  EXPECT_TRUE(Client().https) << "the last value is the trusted peer's";
  request.AddField("x-forwarded-proto", "wss");
  EXPECT_TRUE(Client().https) << "an unknown word changes nothing";
}

TEST_F(ForwardedTest, TakesThePortFromTheProxyTheHostOrTheScheme) {
  request.AddField("x-forwarded-host", "shop.example");
  EXPECT_EQ(Client().server_port, 80);
  request.AddField("x-forwarded-proto", "https");
  EXPECT_EQ(Client().server_port, 443);
  request.AddField("x-forwarded-host", "shop.example:8443");
  EXPECT_EQ(Client().server_port, 8443);
  request.AddField("x-forwarded-port", "9443");
  EXPECT_EQ(Client().server_port, 9443);
  for (const char* bad : {"0", "65536", "-1", "443x", ""}) {
    request.AddField("x-forwarded-port", bad);
    EXPECT_EQ(Client().server_port, 8443) << bad;
  }
}

TEST_F(ForwardedTest, IgnoresAHostThatIsNone) {
  for (const char* bad : {"", "a b", "a/b", "evil.example/", "user@host", "a\"b", "[::1", "host:", "host:0",
                          "host:99999", ":80", "[1.2.3.4]", "a,", "\xC3\xA4.example", "<script>"}) {
    request.Clear();
    request.set_authority("internal:8080");
    request.AddField("x-forwarded-host", bad);
    EXPECT_EQ(Client().authority, "internal:8080") << bad;
  }
}

class FastCgiClientTest : public ForwardedTest {
 protected:
  FastCgiClientTest() {
    connection = ConnectionInfo();  // a unix socket's peer
    request.protocol = Protocol::kFastCgi;
  }
};

TEST_F(FastCgiClientTest, TheParamsSayWhoTheClientIs) {
  request.AddParam("REMOTE_ADDR", "203.0.113.7");
  request.AddParam("REMOTE_PORT", "40001");
  request.AddParam("HTTPS", "on");
  request.AddParam("SERVER_PORT", "8443");
  request.AddField("x-forwarded-for", "198.51.100.1");
  request.AddField("x-forwarded-host", "evil.example");
  const EffectiveClient client = Client();
  EXPECT_EQ(client.address, "203.0.113.7");
  EXPECT_EQ(client.port, 40001);
  EXPECT_TRUE(client.https);
  EXPECT_EQ(client.server_port, 8443);
  EXPECT_EQ(client.authority, "internal:8080");
  EXPECT_EQ(client.key, ClientKey("203.0.113.7"));
}

TEST_F(FastCgiClientTest, BehindATrustedProxyTheHopsSayIt) {
  request.AddParam("REMOTE_ADDR", "10.0.0.9");
  request.AddField("x-forwarded-for", "198.51.100.1, 203.0.113.8");
  EXPECT_EQ(Client().address, "203.0.113.8");
}

TEST_F(FastCgiClientTest, TheSchemeIsHttpsOrRequestScheme) {
  EXPECT_FALSE(Client().https);
  request.AddParam("REQUEST_SCHEME", "https");
  EXPECT_TRUE(Client().https);
  EXPECT_EQ(Client().server_port, 443);
  request.AddParam("HTTPS", "OFF");
  EXPECT_FALSE(Client().https);
  request.AddParam("HTTPS", "");
  EXPECT_TRUE(Client().https);
}

TEST_F(FastCgiClientTest, WhatIsNoAddressIsNobody) {
  for (const char* address : {"unix:", "", "localhost", "203.0.113.7:80"}) {
    request.AddParam("REMOTE_ADDR", address);
    EXPECT_EQ(Client().address, "") << address;
    EXPECT_EQ(Client().key, 0u) << address;
  }
}

TEST(AuthorityTest, IsAHostWithOrWithoutAPort) {
  for (const char* good : {"shop.example", "shop.example:8080", "SHOP.example.", "a_b", "127.0.0.1:80",
                           "[::1]", "[::1]:80", "xn--bcher-kva.example", "x:1", "x:65535"}) {
    EXPECT_TRUE(IsAuthority(good)) << good;
  }
  EXPECT_TRUE(IsAuthority(std::string(255, 'a') + ":65535"));
  EXPECT_FALSE(IsAuthority(std::string(262, 'a')));
}

}  // namespace
}  // namespace serin
