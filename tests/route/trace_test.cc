#include "proxy/route/trace.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace serin {
namespace {

const std::string kParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

struct TraceTest : testing::Test {
  void Begin() { ids.Begin(request, random); }

  Spool::Limits limits;
  Request request{limits};
  RandomSource random{7};
  TraceIds ids;
};

TEST(TraceparentTest, IsWhatTheStandardSays) {
  EXPECT_TRUE(IsTraceparent(kParent));
  EXPECT_TRUE(IsTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
  EXPECT_TRUE(IsTraceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")) << "a later version";
  EXPECT_TRUE(IsTraceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes"));
  for (const char* bad : {"", "00", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                          "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                          "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
                          "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011",
                          "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what"}) {
    EXPECT_FALSE(IsTraceparent(bad)) << bad;
  }
}

TEST(RequestIdTest, IsShortAndHarmless) {
  EXPECT_TRUE(IsRequestId("a"));
  EXPECT_TRUE(IsRequestId("7b1f-AZ_09.x"));
  EXPECT_TRUE(IsRequestId(std::string(128, 'a')));
  for (const std::string& bad :
       {std::string(), std::string(129, 'a'), std::string("a b"), std::string("a\"b"), std::string("<x>"),
        std::string("\xc3\xbc"), std::string("a\0b", 3)}) {
    EXPECT_FALSE(IsRequestId(bad)) << bad;
  }
}

TEST_F(TraceTest, PassesOnWhatIsSane) {
  request.AddField("traceparent", kParent);
  request.AddField("X-Request-ID", "from-the-load-balancer");
  Begin();
  EXPECT_EQ(ids.traceparent(), kParent);
  EXPECT_EQ(ids.request_id(), "from-the-load-balancer");
  EXPECT_EQ(ids.begun_traceparent(), "");
  EXPECT_EQ(ids.begun_request_id(), "");
}

TEST_F(TraceTest, BeginsBothWithOneId) {
  Begin();
  ASSERT_TRUE(IsTraceparent(ids.traceparent())) << ids.traceparent();
  EXPECT_TRUE(ids.traceparent().ends_with("-01")) << "sampled";
  EXPECT_EQ(ids.request_id(), ids.traceparent().substr(3, 32));
  EXPECT_EQ(ids.begun_traceparent(), ids.traceparent());
  EXPECT_EQ(ids.begun_request_id(), ids.request_id());
}

TEST_F(TraceTest, ARequestWithinATraceHasAnIdOfItsOwn) {
  request.AddField("traceparent", kParent);
  Begin();
  EXPECT_EQ(ids.begun_traceparent(), "");
  ASSERT_EQ(ids.begun_request_id().size(), 32u);
  EXPECT_NE(ids.request_id(), kParent.substr(3, 32)) << "a trace has many requests";
}

TEST_F(TraceTest, ReplacesWhatIsNotSane) {
  request.AddField("traceparent", "nonsense");
  request.AddField("x-request-id", "' OR 1=1");
  Begin();
  EXPECT_TRUE(IsTraceparent(ids.begun_traceparent()));
  EXPECT_EQ(ids.begun_request_id().size(), 32u);
}

TEST_F(TraceTest, TwoFieldsOfANameAreNotSane) {
  for (int i = 0; i < 3; ++i) request.AddField("traceparent", kParent);
  for (int i = 0; i < 2; ++i) request.AddField("x-request-id", "same");
  Begin();
  EXPECT_NE(ids.begun_traceparent(), "");
  EXPECT_NE(ids.begun_request_id(), "");
}

TEST_F(TraceTest, IdsDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    Begin();
    seen.insert(std::string(ids.request_id()));
    seen.insert(std::string(ids.traceparent().substr(36, 16)));
  }
  EXPECT_EQ(seen.size(), 2000u);
}

TEST_F(TraceTest, NotesWithoutBeginning) {
  request.AddField("x-request-id", "anything at all");
  ids.Note(request);
  EXPECT_EQ(ids.request_id(), "anything at all");
  EXPECT_EQ(ids.traceparent(), "");
  EXPECT_EQ(ids.begun_request_id(), "");
  EXPECT_EQ(ids.begun_traceparent(), "");
}

}  // namespace
}  // namespace serin
