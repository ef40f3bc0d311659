#include "proxy/parse/request_line.h"

#include <gtest/gtest.h>

#include <string>

namespace serin {
namespace {

using namespace std::string_view_literals;

Refusal Line(std::string_view text) {
  RequestLine line;
  return ParseRequestLine(text, line);
}

TEST(RequestLineTest, SplitsMethodTargetAndVersion) {
  RequestLine line;
  EXPECT_EQ(ParseRequestLine("PATCH /a?b=c%20d HTTP/1.1", line), Refusal::kNone);
  EXPECT_EQ(line.method, "PATCH");
  EXPECT_EQ(line.target, "/a?b=c%20d");
  EXPECT_EQ(line.protocol, Protocol::kHttp11);
  EXPECT_EQ(ParseRequestLine("GET / HTTP/1.0", line), Refusal::kNone);
  EXPECT_EQ(line.protocol, Protocol::kHttp10);
}

TEST(RequestLineTest, RefusesWhatIsNotExactlyThreeParts) {
  for (std::string_view text :
       {""sv, "GET"sv, "GET "sv, "GET /"sv, "GET / "sv, "GET  HTTP/1.1"sv, "GET  / HTTP/1.1"sv,
        "GET /  HTTP/1.1"sv, "GET / HTTP/1.1 "sv, "GET / HTTP/1.1 HTTP/1.1"sv, " GET / HTTP/1.1"sv,
        "GET\t/ HTTP/1.1"sv, "GET /a b HTTP/1.1"sv}) {
    EXPECT_EQ(Line(text), Refusal::kBadRequest) << text;
  }
}

TEST(RequestLineTest, RefusesBytesThatNoMethodOrTargetHas) {
  for (std::string_view text : {"G\0T / HTTP/1.1"sv, "GE(T) / HTTP/1.1"sv, "G\xC3\x8BT / HTTP/1.1"sv,
                                "GET /\x01 HTTP/1.1"sv, "GET /\x7F HTTP/1.1"sv, "GET /\xC3\xA9 HTTP/1.1"sv,
                                "GET /a#b HTTP/1.1"sv, "GET /a\rb HTTP/1.1"sv, "GET /a\0 HTTP/1.1"sv}) {
    EXPECT_EQ(Line(text), Refusal::kBadRequest) << text;
  }
}

TEST(RequestLineTest, KnowsAForeignVersionFromAMalformedOne) {
  for (std::string_view version : {"HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.1"}) {
    EXPECT_EQ(Line("GET / " + std::string(version)), Refusal::kVersionNotSupported) << version;
  }
  for (std::string_view version :
       {"HTTP/3", "HTTP/.1", "HTTP/1.", "HTTP/1.10", "HTTP/11.1", "HTTPS/1.1", "http/1.1", "HTTP/1,1",
        "RTSP/1.0", "ICE/1.0", "HTTP/111111111111111111.1"}) {
    EXPECT_EQ(Line("GET / " + std::string(version)), Refusal::kBadRequest) << version;
  }
}

}  // namespace
}  // namespace serin
