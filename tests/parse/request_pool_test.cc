#include "proxy/parse/request_pool.h"

#include <gtest/gtest.h>

#include <vector>

namespace serin {
namespace {

TEST(RequestPoolTest, GivesBackAnEmptyRequest) {
  RequestPool pool({});
  auto request = pool.Take();
  Request* const address = request.get();
  request->set_method("GET");
  request->AddField("A", "b");
  ASSERT_TRUE(request->body.Append("body"));
  pool.Give(std::move(request));
  EXPECT_EQ(pool.spare_requests(), 1u);
  request = pool.Take();
  EXPECT_EQ(request.get(), address);
  EXPECT_EQ(request->method(), "");
  EXPECT_EQ(request->field_count(), 0u);
  EXPECT_TRUE(request->body.empty());
}

TEST(RequestPoolTest, KeepsABoundedNumber) {
  RequestPool pool({});
  std::vector<std::unique_ptr<Request>> taken;
  for (int i = 0; i < 1000; ++i) taken.push_back(pool.Take());
  for (auto& request : taken) pool.Give(std::move(request));
  EXPECT_EQ(pool.spare_requests(), 256u);
}

TEST(RequestPoolTest, KeepsBuffersButNotHugeOnes) {
  RequestPool pool({});
  std::string buffer(1000, 'x');
  const char* const data = buffer.data();
  pool.GiveBuffer(std::move(buffer));
  buffer = pool.TakeBuffer();
  EXPECT_EQ(buffer.data(), data);
  EXPECT_TRUE(buffer.empty());
  pool.GiveBuffer(std::string(1000 * 1000, 'x'));
  EXPECT_LT(pool.TakeBuffer().capacity(), 100u);
}

TEST(RequestPoolTest, IgnoresNoRequest) {
  RequestPool pool({});
  pool.Give(nullptr);
  EXPECT_EQ(pool.spare_requests(), 0u);
}

}  // namespace
}  // namespace serin
