#include "proxy/respond/cgi_head.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace serin {
namespace {

using Result = CgiHeadParser::Result;

struct Parsed {
  Result result = Result::kMore;
  std::string body;
  uint16_t status = 0;
  std::optional<uint64_t> content_length;
  std::vector<std::string> fields;  // "name: value"
};

Parsed Parse(std::string_view bytes, size_t piece = static_cast<size_t>(-1)) {
  Parsed parsed;
  CgiHeadParser parser;
  while (parsed.result == Result::kMore && !bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece);
    size_t consumed = 0;
    parsed.result = parser.Feed(part, &consumed);
    EXPECT_TRUE(parsed.result != Result::kMore || consumed == part.size());
    if (parsed.result == Result::kDone) parsed.body = bytes.substr(consumed);
    bytes.remove_prefix(part.size());
  }
  if (parsed.result != Result::kDone) return parsed;
  ResponseHead head;
  parser.Fill(head);
  parsed.status = head.status;
  parsed.content_length = head.content_length;
  for (const Field& f : head.fields)
    parsed.fields.push_back(std::string(f.name) + ": " + std::string(f.value));
  return parsed;
}

using Fields = std::vector<std::string>;

TEST(CgiHeadTest, ReadsWhatPhpFpmWrites) {
  const Parsed p = Parse(
      "Status: 404 Not Found\r\nX-Powered-By: PHP/8.2.36\r\nContent-type: text/html; "
      "charset=UTF-8\r\n\r\n<html>");
  EXPECT_EQ(p.result, Result::kDone);
  EXPECT_EQ(p.status, 404);
  EXPECT_EQ(p.fields, (Fields{"x-powered-by: PHP/8.2.36", "content-type: text/html; charset=UTF-8"}));
  EXPECT_EQ(p.body, "<html>");
  EXPECT_FALSE(p.content_length);
}

TEST(CgiHeadTest, TakesAHeadBrokenAtEveryByte) {
  const std::string head = "Status: 201\r\nA: 1\nB:2\r\nContent-Length: 4\r\n\r\n";
  for (size_t piece = 1; piece <= head.size(); ++piece) {
    const Parsed p = Parse(head + "body", piece);
    EXPECT_EQ(p.result, Result::kDone) << piece;
    EXPECT_EQ(p.status, 201);
    EXPECT_EQ(p.content_length, 4U);
    EXPECT_EQ(p.fields, (Fields{"a: 1", "b: 2"}));
    EXPECT_EQ(p.body, "body");
  }
}

TEST(CgiHeadTest, TakesBareLineFeeds) {
  const Parsed p = Parse("Status: 200 OK\nA: 1\n\nbody\n\n");
  EXPECT_EQ(p.result, Result::kDone);
  EXPECT_EQ(p.fields, Fields{"a: 1"});
  EXPECT_EQ(p.body, "body\n\n");
}

TEST(CgiHeadTest, WaitsForTheBlankLine) {
  EXPECT_EQ(Parse("Status: 200 OK\r\nA: 1\r\n").result, Result::kMore);
  EXPECT_EQ(Parse("Status: 200 OK\r\nA: 1\r\n\r").result, Result::kMore);
  EXPECT_EQ(Parse("").result, Result::kMore);
}

TEST(CgiHeadTest, AnEmptyHeadIs200) {
  const Parsed p = Parse("\r\nbody");
  EXPECT_EQ(p.result, Result::kDone);
  EXPECT_EQ(p.status, 200);
  EXPECT_TRUE(p.fields.empty());
  EXPECT_EQ(p.body, "body");
}

TEST(CgiHeadTest, ALocationWithoutAStatusIs302) {
  EXPECT_EQ(Parse("Location: /x\r\n\r\n").status, 302);
  EXPECT_EQ(Parse("Location: /x\r\nStatus: 201 Created\r\n\r\n").status, 201);
  EXPECT_EQ(Parse("Location: /x\r\n\r\n").fields, Fields{"location: /x"});
}

TEST(CgiHeadTest, TakesAStatusLineInPlaceOfStatus) {
  const Parsed p = Parse("HTTP/1.1 503 Service Unavailable\r\nA: 1\r\n\r\n");
  EXPECT_EQ(p.status, 503);
  EXPECT_EQ(p.fields, Fields{"a: 1"});
  EXPECT_EQ(Parse("A: 1\r\nHTTP/1.1 503 Late\r\n\r\n").result, Result::kBad);
  EXPECT_EQ(Parse("HTTP/1.1\r\n\r\n").result, Result::kBad);
}

TEST(CgiHeadTest, RefusesAStatusOutside200To599) {
  for (const char* status : {"0", "000", "099", "100", "101", "103", "199", "600", "999", "1000", "20",
                             "2000", "abc", "", "-200", "+20", "200x", "2 0", " 20"}) {
    EXPECT_EQ(Parse(std::string("Status: ") + status + "\r\n\r\n").result, Result::kBad) << status;
  }
  for (const char* status : {"200", "599", "404 ", "404 Not Found", "299 \xC3\xA4"}) {
    EXPECT_EQ(Parse(std::string("Status: ") + status + "\r\n\r\n").result, Result::kDone) << status;
  }
}

TEST(CgiHeadTest, RefusesTwoDifferentStatuses) {
  EXPECT_EQ(Parse("Status: 200 OK\r\nStatus: 404\r\n\r\n").result, Result::kBad);
  EXPECT_EQ(Parse("Status: 404 Not Found\r\nStatus: 404\r\n\r\n").result, Result::kDone);
}

TEST(CgiHeadTest, RefusesAContentLengthThatIsNone) {
  for (const char* length :
       {"", "-1", "+5", "5 ", "0x10", "1e3", "5, 5", "5,6", "5;", "18446744073709551616", "5\t5"}) {
    const Result expected =
        std::string_view(length) == "5 " ? Result::kDone : Result::kBad;  // the blank is trimmed
    EXPECT_EQ(Parse(std::string("Content-Length: ") + length + "\r\n\r\n").result, expected) << length;
  }
  EXPECT_EQ(Parse("Content-Length: 18446744073709551615\r\n\r\n").content_length, 18446744073709551615U);
}

TEST(CgiHeadTest, RefusesTwoDifferentContentLengths) {
  EXPECT_EQ(Parse("Content-Length: 5\r\ncontent-length: 6\r\n\r\n").result, Result::kBad);
  EXPECT_EQ(Parse("Content-Length: 5\r\ncontent-length: 5\r\n\r\n").content_length, 5U);
}

TEST(CgiHeadTest, KeepsRepeatedFieldsInOrder) {
  EXPECT_EQ(Parse("Set-Cookie: a=1\r\nX: y\r\nSet-Cookie: b=2\r\n\r\n").fields,
            (Fields{"set-cookie: a=1", "x: y", "set-cookie: b=2"}));
}

TEST(CgiHeadTest, TrimsBlanksAndLowersNamesOnly) {
  EXPECT_EQ(Parse("X-ODD:   Some Value \t\r\nE:\r\nF:  \r\n\r\n").fields,
            (Fields{"x-odd: Some Value", "e: ", "f: "}));
}

TEST(CgiHeadTest, RemovesTheConnectionsOwnFields) {
  EXPECT_EQ(
      Parse(
          "Connection: close, X-Private , \r\nKeep-Alive: 5\r\nX-Private: 1\r\nTransfer-Encoding: chunked\r\n"
          "TE: x\r\nTrailer: x\r\nUpgrade: h2c\r\nProxy-Connection: close\r\nA: 1\r\n\r\n")
          .fields,
      Fields{"a: 1"});
  EXPECT_EQ(Parse("A: 1\r\nConnection: b\r\nB: 2\r\nConnection: A\r\nC: 3\r\n\r\n").fields, Fields{"c: 3"});
}

TEST(CgiHeadTest, LeavesXAccelAlone) {
  EXPECT_EQ(Parse("X-Accel-Buffering: no\r\n\r\n").fields, Fields{"x-accel-buffering: no"});
}

TEST(CgiHeadTest, DropsFieldsThatHttpCannotCarry) {
  EXPECT_EQ(
      Parse(
          "X Y: 1\r\n: 2\r\nX(Y): 3\r\n\xC3\xA4: 4\r\nA: 5\x01\r\nB: 6\x7F\r\nC: a\tb\r\nD: \xC3\xA4\r\n\r\n")
          .fields,
      (Fields{"c: a\tb", "d: \xC3\xA4"}));
}

TEST(CgiHeadTest, RefusesWhatCouldSplitAResponse) {
  using std::string_view_literals::operator""sv;
  for (std::string_view head : {"A: 1\rB: 2\r\n\r\n"sv, "A: 1\0\r\n\r\n"sv, "A\0: 1\r\n\r\n"sv,
                                "A: 1\r\n B: 2\r\n\r\n"sv, "A: 1\r\n\tfolded\r\n\r\n"sv, " A: 1\r\n\r\n"sv,
                                "A: 1\r\r\n\r\n"sv, "\r\r\n"sv, "A: 1\r\n\rB: 1\r\n\r\n"sv}) {
    EXPECT_EQ(Parse(head).result, Result::kBad) << head;
  }
}

TEST(CgiHeadTest, RefusesFramingFieldsInDisguise) {
  EXPECT_EQ(Parse("Content-Length : 5\r\n\r\n").result, Result::kBad);
  EXPECT_EQ(Parse("Transfer-Encoding\t: chunked\r\n\r\n").result, Result::kBad);
}

TEST(CgiHeadTest, RefusesWhatIsNoHeadAtAll) {
  EXPECT_EQ(Parse("Hello world\r\n\r\n").result, Result::kBad);
  EXPECT_EQ(Parse("Status: 200\r\nno colon\r\n\r\n").result, Result::kBad);
  EXPECT_EQ(Parse("<html>\n").result, Result::kBad);
}

TEST(CgiHeadTest, DropsTheLineThatPhpMakesOfAHeaderWithoutAColon) {
  EXPECT_EQ(Parse("A: 1\r\nfoo\r\nB: 2\r\n\r\n").fields, (Fields{"a: 1", "b: 2"}));
}

TEST(CgiHeadTest, IsBounded) {
  const std::string fits = "A: " + std::string(CgiHeadParser::kMaxHead - 3 - 4, 'v') + "\r\n\r\n";
  EXPECT_EQ(Parse(fits).result, Result::kDone);
  EXPECT_EQ(Parse("A" + fits).result, Result::kBad);
  EXPECT_EQ(Parse(std::string(10 * CgiHeadParser::kMaxHead, 'v'), 1000).result, Result::kBad);
  std::string many;
  for (size_t i = 0; i < CgiHeadParser::kMaxFields; ++i) many += "A: 1\n";
  EXPECT_EQ(Parse(many + "\n").fields.size(), CgiHeadParser::kMaxFields);
  EXPECT_EQ(Parse(many + "A: 1\n\n").result, Result::kBad);
}

TEST(CgiHeadTest, StaysBadUntilReset) {
  CgiHeadParser parser;
  EXPECT_TRUE(parser.untouched());
  size_t consumed = 0;
  EXPECT_EQ(parser.Feed("not a head\n", &consumed), Result::kBad);
  EXPECT_EQ(parser.Feed("\r\n", &consumed), Result::kBad);
  EXPECT_EQ(consumed, 0U);
  parser.Reset();
  EXPECT_TRUE(parser.untouched());
  EXPECT_EQ(parser.Feed("A: 1\r\n\r\nbody", &consumed), Result::kDone);
  EXPECT_EQ(consumed, 8U);
  EXPECT_EQ(parser.Feed("more body", &consumed), Result::kDone);
  EXPECT_EQ(consumed, 0U);
}

TEST(CgiHeadTest, ForgetsTheLastHeadOnReset) {
  CgiHeadParser parser;
  size_t consumed = 0;
  ResponseHead head;
  parser.Feed("Status: 500\r\nLocation: /\r\nConnection: a\r\nContent-Length: 3\r\n\r\n", &consumed);
  parser.Reset();
  parser.Feed("A: 1\r\n\r\n", &consumed);
  parser.Fill(head);
  EXPECT_EQ(head.status, 200);
  EXPECT_FALSE(head.content_length);
  ASSERT_EQ(head.fields.size(), 1U);
}

}  // namespace
}  // namespace serin
