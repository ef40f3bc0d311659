#include "proxy/admin/admin_handler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "tests/admin/fake_backend.h"

namespace serin {
namespace {

// A stream that keeps what it is sent.
class FakeStream final : public Stream {
 public:
  FakeStream(std::string_view method, std::string_view path) : request_(limits_) {
    request_.set_method(method);
    request_.set_path(path);
    request_.set_query("");
    request_.connection = &connection_;
    connection_.peer_uid = 1000;
  }
  Request& request() override { return request_; }
  void SendHead(const ResponseHead& head) override {
    status = head.status;
    content_length = head.content_length;
    for (const Field& field : head.fields)
      fields += std::string(field.name) + ": " + std::string(field.value) + "\n";
  }
  void SendBody(std::string_view bytes) override { body += bytes; }
  void SendEnd() override { ended = true; }
  void Abort() override { ended = true; }
  size_t Unsent() const override { return unsent; }
  void WantSendable() override {}

  uint16_t status = 0;
  std::optional<uint64_t> content_length;
  std::string fields, body;
  bool ended = false;
  size_t unsent = 0;

 private:
  Spool::Limits limits_;
  ConnectionInfo connection_;
  Request request_;
};

class AdminHandlerTest : public testing::Test {
 protected:
  static Instant At(int64_t millis) { return Instant::FromNanos(millis * 1'000'000); }
  static size_t Events(const FakeStream& stream) {
    size_t count = 0;
    for (size_t at = 0; (at = stream.body.find("event: status\n", at)) != std::string::npos; ++at) ++count;
    return count;
  }

  FakeBackend backend_;
  AdminApi api_{backend_, {}};
  int flushes_ = 0;
  AdminHandler handler_{api_, [this] { ++flushes_; }};
};

TEST_F(AdminHandlerTest, AnswersARequest) {
  FakeStream stream("GET", "/v1/healthz");
  handler_.OnRequest(stream);
  EXPECT_EQ(stream.status, 200);
  EXPECT_EQ(stream.body, "{\"ok\":true}\n");
  EXPECT_EQ(stream.content_length, 12u);
  EXPECT_EQ(stream.fields, "content-type: application/json\ncache-control: no-store\n");
  EXPECT_TRUE(stream.ended);
  EXPECT_EQ(flushes_, 1);
}

TEST_F(AdminHandlerTest, HandsOnBodyAndPeer) {
  FakeStream stream("POST", "/v1/weight");
  ASSERT_TRUE(stream.request().body.Append(R"({"canary":25})"));
  handler_.OnRequest(stream);
  ASSERT_EQ(backend_.commands.size(), 1u);
  EXPECT_EQ(backend_.commands[0].weight, Weight::Percent(25));
  EXPECT_EQ(backend_.commands[0].by, "uid 1000");
}

TEST_F(AdminHandlerTest, RefusesALargeBody) {
  FakeStream stream("POST", "/v1/weight");
  ASSERT_TRUE(stream.request().body.Append(std::string(AdminApi::kMaxBody + 1, ' ')));
  handler_.OnRequest(stream);
  EXPECT_EQ(stream.status, 413);
}

TEST_F(AdminHandlerTest, HeadHasTheLengthAndNoBody) {
  FakeStream stream("HEAD", "/v1/healthz");
  handler_.OnRequest(stream);
  EXPECT_EQ(stream.content_length, 12u);
  EXPECT_EQ(stream.body, "");
}

TEST_F(AdminHandlerTest, SaysWhichMethodIsAllowed) {
  FakeStream stream("DELETE", "/v1/status");
  handler_.OnRequest(stream);
  EXPECT_EQ(stream.status, 405);
  EXPECT_NE(stream.fields.find("allow: GET, HEAD\n"), std::string::npos);
}

TEST_F(AdminHandlerTest, AnEventComesAtOnceOnNewsAndElseEverySecond) {
  FakeStream stream("GET", "/v1/events");
  handler_.OnRequest(stream);
  EXPECT_EQ(stream.status, 200);
  EXPECT_FALSE(stream.content_length);
  EXPECT_FALSE(stream.ended);
  EXPECT_TRUE(stream.fields.starts_with("content-type: text/event-stream\n"));
  EXPECT_EQ(Events(stream), 1u);
  handler_.Tick(At(5000));  // nobody has been told yet
  EXPECT_EQ(Events(stream), 2u);
  handler_.Tick(At(5900));
  EXPECT_EQ(Events(stream), 2u);
  handler_.Tick(At(6000));
  EXPECT_EQ(Events(stream), 3u);
  backend_.report.target_weight = Weight::Percent(10);
  handler_.Tick(At(6100));
  EXPECT_EQ(Events(stream), 4u);
  EXPECT_TRUE(stream.body.ends_with("}\n\n"));
  EXPECT_EQ(stream.body.find("}\n\n\n"), std::string::npos);
}

TEST_F(AdminHandlerTest, ForgetsASubscriberThatLeft) {
  FakeStream stream("GET", "/v1/events");
  handler_.OnRequest(stream);
  handler_.OnClientGone(stream);
  EXPECT_EQ(handler_.subscribers(), 0u);
  handler_.Tick(At(5000));
  EXPECT_EQ(Events(stream), 1u);
}

TEST_F(AdminHandlerTest, SkipsASubscriberThatDoesNotRead) {
  FakeStream stream("GET", "/v1/events");
  handler_.OnRequest(stream);
  stream.unsent = 100'000;
  handler_.Tick(At(5000));
  EXPECT_EQ(Events(stream), 1u);
}

TEST_F(AdminHandlerTest, BoundsItsSubscribers) {
  std::vector<std::unique_ptr<FakeStream>> streams;
  for (size_t i = 0; i <= AdminHandler::kMaxSubscribers; ++i) {
    streams.push_back(std::make_unique<FakeStream>("GET", "/v1/events"));
    handler_.OnRequest(*streams.back());
  }
  EXPECT_EQ(handler_.subscribers(), AdminHandler::kMaxSubscribers);
  EXPECT_EQ(streams.back()->status, 503);
  EXPECT_TRUE(streams.back()->ended);
  handler_.EndSubscriptions();
  EXPECT_EQ(handler_.subscribers(), 0u);
  EXPECT_TRUE(std::all_of(streams.begin(), streams.end(), [](const auto& stream) { return stream->ended; }));
}

TEST(MetricsHandlerTest, ServesThePageAndNothingElse) {
  int flushes = 0;
  MetricsHandler handler([] { return std::string("serin_up 1\n"); }, [&] { ++flushes; });
  FakeStream page("GET", "/metrics");
  handler.OnRequest(page);
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.body, "serin_up 1\n");
  EXPECT_NE(page.fields.find("content-type: text/plain; version=0.0.4; charset=utf-8\n"), std::string::npos);
  FakeStream post("POST", "/metrics"), root("GET", "/");
  handler.OnRequest(post);
  handler.OnRequest(root);
  EXPECT_EQ(post.status, 405);
  EXPECT_EQ(root.status, 404);
  EXPECT_EQ(flushes, 3);
}

}  // namespace
}  // namespace serin
