#include "proxy/split/observation.h"

#include <gtest/gtest.h>

#include <string>

namespace serin {
namespace {

TEST(FailureDetailTest, HasNoTextsWhenTheyWereEmpty) {
  FailureDetail detail;
  detail.set_script("/index.php");
  detail.set_message("PHP message: oh");
  detail.set_script({});  // of a request that is still in flight
  detail.set_message({});
  EXPECT_EQ(detail.script(), "");
  EXPECT_EQ(detail.message(), "");
}

TEST(FailureDetailTest, KeepsTheEndOfALongScript) {
  FailureDetail detail;
  detail.set_script(std::string(200, 'x') + "/last.php");
  EXPECT_EQ(detail.script().size(), detail.script_bytes.size());
  EXPECT_TRUE(detail.script().ends_with("/last.php"));
}

TEST(FailureDetailTest, KeepsTheBeginningOfTheFirstLine) {
  FailureDetail detail;
  detail.set_message("first\nsecond");
  EXPECT_EQ(detail.message(), "first");
  detail.set_message("begin" + std::string(300, 'x'));
  EXPECT_EQ(detail.message().size(), detail.message_bytes.size());
  EXPECT_TRUE(detail.message().starts_with("begin"));
}

}  // namespace
}  // namespace serin
