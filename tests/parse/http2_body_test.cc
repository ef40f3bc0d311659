#include "proxy/parse/http2_body.h"

#include <gtest/gtest.h>

#include "tests/parse/http2_harness.h"

namespace serin {
namespace {

TEST(Http2BodyTest, WritesWhatIsKeptBeforeWhatIsLent) {
  Http2Body body;
  Http2Output output;
  body.Append("kept ");
  body.Lend("lent");
  EXPECT_EQ(body.size(), 9u);
  EXPECT_EQ(body.kept(), 5u);
  body.WriteTo(output, 7);
  output.Flush();
  EXPECT_EQ(output.sent, "kept le");
  EXPECT_EQ(output.borrowed, 2u);
  EXPECT_EQ(body.kept(), 0u);
}

TEST(Http2BodyTest, KeepsWhatIsLeftOfALoan) {
  Http2Body body;
  Http2Output output;
  std::string lent = "0123456789";
  body.Lend(lent);
  body.WriteTo(output, 4);
  output.Flush();
  body.Keep();
  lent.assign(10, '!');
  EXPECT_EQ(body.kept(), 6u);
  body.Append("abc");
  body.WriteTo(output, 9);
  output.Flush();
  EXPECT_EQ(output.sent, "0123456789abc");
}

TEST(Http2BodyTest, AsksForABufferOnlyWhileItIsEmpty) {
  Http2Body body;
  EXPECT_TRUE(body.needs_buffer());
  body.Append("x");  // without a buffer: none of the pool's may replace it now
  EXPECT_FALSE(body.needs_buffer());
  EXPECT_EQ(body.Release().size(), 0u);
  EXPECT_TRUE(body.needs_buffer());
}

TEST(Http2BodyTest, GivesItsBufferBack) {
  Http2Body body;
  std::string buffer;
  buffer.reserve(5000);
  body.set_buffer(std::move(buffer));
  body.Append("some");
  EXPECT_GE(body.Release().capacity(), 5000u);
  EXPECT_EQ(body.size(), 0u);
}

TEST(Http2BodyTest, MovesItsBytesForwardInBoundedMemory) {
  Http2Body body;
  Http2Output output;
  std::string expected;
  for (int i = 0; i < 10000; ++i) {
    const std::string piece = std::to_string(i) + ",";
    body.Append(piece);
    expected += piece;
    if (body.size() > 100) body.WriteTo(output, 50);
  }
  body.WriteTo(output, body.size());
  output.Flush();
  EXPECT_EQ(output.sent, expected);
  EXPECT_LT(body.Release().capacity(), 1000u);
}

}  // namespace
}  // namespace serin
