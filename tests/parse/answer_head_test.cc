#include "proxy/parse/answer_head.h"

#include <gtest/gtest.h>

#include <string>

namespace serin {
namespace {

using namespace std::string_view_literals;

AnswerPlan Plan(uint16_t status, std::optional<uint64_t> length, bool is_head = false,
                Protocol protocol = Protocol::kHttp11, bool keep_alive = true) {
  ResponseHead head;
  head.status = status;
  head.content_length = length;
  return PlanAnswer(head, is_head, protocol, keep_alive);
}

std::string Written(const ResponseHead& head, const AnswerPlan& plan, Protocol protocol = Protocol::kHttp11) {
  std::string out;
  AppendAnswerHead(out, head, plan, protocol, "Date: D\r\n");
  return out;
}

TEST(PlanAnswerTest, PrefersAKnownLength) {
  EXPECT_EQ(Plan(200, 5).framing, AnswerFraming::kLength);
  EXPECT_EQ(Plan(200, 0).framing, AnswerFraming::kLength);
  EXPECT_EQ(Plan(200, 5, false, Protocol::kHttp10).framing, AnswerFraming::kLength);
  EXPECT_TRUE(Plan(200, 5, false, Protocol::kHttp10).keep_alive);
}

TEST(PlanAnswerTest, ChunksForHttp11AndClosesForHttp10) {
  EXPECT_EQ(Plan(200, {}).framing, AnswerFraming::kChunked);
  EXPECT_TRUE(Plan(200, {}).keep_alive);
  EXPECT_EQ(Plan(200, {}, false, Protocol::kHttp10).framing, AnswerFraming::kClose);
  EXPECT_FALSE(Plan(200, {}, false, Protocol::kHttp10).keep_alive);
}

TEST(PlanAnswerTest, GivesNoBodyWhereThereCanBeNone) {
  EXPECT_EQ(Plan(200, 5, true).framing, AnswerFraming::kNoBody);
  EXPECT_EQ(Plan(200, 5, true).content_length, 5u);
  EXPECT_EQ(Plan(200, {}, true).content_length, std::nullopt);
  EXPECT_TRUE(Plan(200, {}, true, Protocol::kHttp10).keep_alive);
  for (uint16_t status : std::initializer_list<uint16_t>{204, 304}) {
    EXPECT_EQ(Plan(status, 5).framing, AnswerFraming::kNoBody);
    EXPECT_EQ(Plan(status, 5).content_length, std::nullopt);
  }
  EXPECT_EQ(Plan(205, {}).framing, AnswerFraming::kNoBody);
  EXPECT_EQ(Plan(205, {}).content_length, 0u);
}

TEST(AnswerHeadTest, WritesStatusFieldsAndFraming) {
  ResponseHead head;
  head.status = 404;
  head.fields = {{"content-type", "text/plain"}, {"set-cookie", "a=1"}, {"set-cookie", "b=2"}};
  head.content_length = 12;
  EXPECT_EQ(Written(head, Plan(404, 12)),
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n"
            "Date: D\r\nContent-Length: 12\r\n\r\n");
  EXPECT_EQ(Written({}, Plan(200, {})), "HTTP/1.1 200 OK\r\nDate: D\r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST(AnswerHeadTest, SaysWhetherTheConnectionStays) {
  const auto http10 = Plan(200, 1, false, Protocol::kHttp10);
  EXPECT_NE(Written({}, http10, Protocol::kHttp10).find("\r\nConnection: keep-alive\r\n"), std::string::npos);
  EXPECT_NE(Written({}, Plan(200, 1, false, Protocol::kHttp11, false)).find("\r\nConnection: close\r\n"),
            std::string::npos);
  EXPECT_EQ(Written({}, Plan(200, 1)).find("Connection"), std::string::npos);
}

TEST(AnswerHeadTest, LeavesOutWhatIsTheHopsAndWhatWouldBreakTheHead) {
  ResponseHead head;
  head.fields = {{"transfer-encoding", "chunked"},
                 {"Content-Length", "3"},
                 {"connection", "upgrade"},
                 {"keep-alive", "timeout=5"},
                 {"upgrade", "websocket"},
                 {"trailer", "x"},
                 {"x-bad", "a\r\nset-cookie: b"},
                 {"x bad", "v"},
                 {"", "v"},
                 {"x-nul", "a\0b"sv},
                 {"x-good", "a\tb \xC3\xA9"}};
  EXPECT_EQ(Written(head, Plan(200, 1)),
            "HTTP/1.1 200 OK\r\nx-good: a\tb \xC3\xA9\r\nDate: D\r\nContent-Length: 1\r\n\r\n");
}

TEST(AnswerHeadTest, KeepsTheBackendsDate) {
  ResponseHead head;
  head.status = 204;
  head.fields = {{"Date", "Sun, 06 Nov 1994 08:49:37 GMT"}};
  const std::string out = Written(head, Plan(204, {}));
  EXPECT_EQ(out, "HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
}

TEST(AnswerHeadTest, WritesAStatusWithoutAPhrase) {
  ResponseHead head;
  head.status = 299;
  EXPECT_TRUE(Written(head, Plan(299, 0)).starts_with("HTTP/1.1 299 \r\n"));
  for (uint16_t status : std::initializer_list<uint16_t>{0, 101, 199, 600, 999}) {
    head.status = status;
    EXPECT_TRUE(Written(head, Plan(status, 0)).starts_with("HTTP/1.1 502 Bad Gateway\r\n")) << status;
  }
}

TEST(RefusalAnswerTest, SaysTheStatusAndNothingElse) {
  std::string out;
  AppendRefusal(out, 400, false, "Date: D\r\n");
  EXPECT_EQ(
      out,
      "HTTP/1.1 400 Bad Request\r\nDate: D\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: "
      "72\r\n"
      "Connection: close\r\n\r\n<!doctype html>\n<title>400 Bad Request</title>\n<h1>400 Bad Request</h1>\n");
}

TEST(RefusalAnswerTest, HasNoPageForHeadAndAllowFor405) {
  std::string out;
  AppendRefusal(out, 405, true, "");
  EXPECT_TRUE(out.ends_with("\r\n\r\n"));
  EXPECT_NE(out.find("\r\nAllow: GET, HEAD, "), std::string::npos);
  EXPECT_EQ(out.find("Content-Length: 0"), std::string::npos);
}

}  // namespace
}  // namespace serin
