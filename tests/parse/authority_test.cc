#include "proxy/parse/authority.h"

#include <gtest/gtest.h>

#include <string>

namespace serin {
namespace {

using namespace std::string_view_literals;

TEST(AuthorityTest, TakesNamesAddressesAndPorts) {
  for (std::string_view text :
       {"example.com", "EXAMPLE.com.", "a_b.example", "localhost:8080", "192.0.2.1:1", "[2001:db8::1]",
        "[::1]:65535", "[::ffff:192.0.2.1]", "a.b:0", "xn--mnchen-3ya.de"}) {
    EXPECT_EQ(ParseAuthority(text), text) << text;
  }
}

TEST(AuthorityTest, DropsAnEmptyPort) {
  EXPECT_EQ(ParseAuthority("example.com:"), "example.com");
  EXPECT_EQ(ParseAuthority("[::1]:"), "[::1]");
}

TEST(AuthorityTest, RefusesEverythingElse) {
  for (std::string_view text : {""sv,
                                ":80"sv,
                                "."sv,
                                ".a"sv,
                                "a..b"sv,
                                "a b"sv,
                                "a\tb"sv,
                                "user@a"sv,
                                "user:pw@a"sv,
                                "a,b"sv,
                                "a, b"sv,
                                "a/b"sv,
                                "a?b"sv,
                                "a#b"sv,
                                "a\"b"sv,
                                "a|b"sv,
                                "a%00b"sv,
                                "a%41"sv,
                                "a\\b"sv,
                                "http://a"sv,
                                "a:b"sv,
                                "a:-1"sv,
                                "a:+1"sv,
                                "a:65536"sv,
                                "a:000080"sv,
                                "a:80:80"sv,
                                "[::1"sv,
                                "[]"sv,
                                "[::zz]"sv,
                                "[1.2.3.4]"sv,
                                "[::1]x"sv,
                                "[::1]80"sv,
                                "[fe80::1%25eth0]"sv,
                                "[v1.a]"sv,
                                "::1"sv,
                                "a\0b"sv,
                                "[::1\0]"sv,
                                "\xC3\xA9.example"sv,
                                "a'b"sv,
                                "a;b"sv,
                                "a*b"sv}) {
    EXPECT_EQ(ParseAuthority(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseAuthority(std::string(256, 'a')), std::nullopt);
}

}  // namespace
}  // namespace serin
