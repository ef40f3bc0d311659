#include "proxy/parse/http_date.h"

#include <gtest/gtest.h>

namespace serin {
namespace {

TEST(HttpDateTest, WritesTheFixedFormat) {
  HttpDate date;
  EXPECT_EQ(date.LineAt(784111777), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  EXPECT_EQ(date.LineAt(0), "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
  EXPECT_EQ(date.LineAt(1709251199), "Date: Thu, 29 Feb 2024 23:59:59 GMT\r\n");
  EXPECT_EQ(date.Line().size(), 37u);
}

}  // namespace
}  // namespace serin
