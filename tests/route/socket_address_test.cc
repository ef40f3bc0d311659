#include <gtest/gtest.h>

#include <string>

#include "proxy/settings.h"

namespace serin {
namespace {

TEST(SocketAddressTest, ReadsWhatItWrites) {
  for (const char* text :
       {"127.0.0.1:8080", "0.0.0.0:0", "[::1]:8080", "[::]:65535", "unix:/run/serin/http.sock"}) {
    const auto address = ParseSocketAddress(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->ToString(), text);
  }
}

TEST(SocketAddressTest, TakesTheBracketsOff) {
  const auto address = ParseSocketAddress("[2001:db8::1]:80");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->kind, SocketAddress::Kind::kTcp);
  EXPECT_EQ(address->host, "2001:db8::1");
  EXPECT_EQ(address->port, 80);
}

TEST(SocketAddressTest, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"8080", "expected HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080, or unix:/path"},
      {"", "expected HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080, or unix:/path"},
      {"127.0.0.1:", "the port must be a number from 0 to 65535"},
      {"127.0.0.1:65536", "the port must be a number from 0 to 65535"},
      {"127.0.0.1:80x", "the port must be a number from 0 to 65535"},
      {"127.0.0.1:-1", "the port must be a number from 0 to 65535"},
      {"::1:8080", "an IPv6 address stands in brackets, such as [::1]:8080"},
      {"localhost:80", "the host must be a numeric address, such as 127.0.0.1, 0.0.0.0 or [::]"},
      {":80", "the host must be a numeric address, such as 127.0.0.1, 0.0.0.0 or [::]"},
      {"[127.0.0.1]:80", "the host must be a numeric address, such as 127.0.0.1, 0.0.0.0 or [::]"},
      {"unix:", "the path of a unix socket must begin with \"/\""},
      {"unix:relative", "the path of a unix socket must begin with \"/\""},
  };
  for (const auto& [text, why] : cases) {
    const std::string expected = "\"" + std::string(text) + "\" is no address: " + why;
    EXPECT_EQ(ParseSocketAddress(text).status().message(), expected);
  }
  EXPECT_TRUE(ParseSocketAddress("unix:/" + std::string(106, 'a')).ok());
  EXPECT_FALSE(ParseSocketAddress("unix:/" + std::string(107, 'a')).ok());
}

}  // namespace
}  // namespace serin
