#include "proxy/fpm/status_page.h"

#include <gtest/gtest.h>

#include <string>

namespace serin {
namespace {

// As PHP-FPM 8.2 writes it.
constexpr char kPage[] =
    "pool:                 blue\n"
    "process manager:      static\n"
    "start time:           20/May/2024:10:00:00 +0000\n"
    "start since:          62\n"
    "accepted conn:        17\n"
    "listen queue:         3\n"
    "max listen queue:     9\n"
    "listen queue len:     511\n"
    "idle processes:       4\n"
    "active processes:     1\n"
    "total processes:      5\n"
    "max active processes: 2\n"
    "max children reached: 7\n"
    "slow requests:        0\n";

TEST(FpmStatusTest, ReadsThePage) {
  const auto status = ParseFpmStatus(kPage);
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->fixed_children);
  EXPECT_EQ(status->idle, 4U);
  EXPECT_EQ(status->active, 1U);
  EXPECT_EQ(status->total, 5U);
  EXPECT_EQ(status->listen_queue, 3U);
  EXPECT_EQ(status->max_children_reached, 7U);
}

TEST(FpmStatusTest, KnowsWhetherTheNumberOfChildrenIsFixed) {
  std::string page = kPage;
  page.replace(page.find("static"), 6, "ondemand");
  EXPECT_FALSE(ParseFpmStatus(page)->fixed_children);
}

TEST(FpmStatusTest, TakesNoOtherPageForIt) {
  EXPECT_FALSE(ParseFpmStatus(""));
  EXPECT_FALSE(ParseFpmStatus("File not found.\n"));
  EXPECT_FALSE(ParseFpmStatus("idle processes: 4\nactive processes: 1\n"));
  for (const char* line : {"process manager", "listen queue:", "idle", "active", "total", "max children"}) {
    std::string page = kPage;
    page.replace(page.find(std::string("\n") + line) + 1, 1, "x");
    EXPECT_FALSE(ParseFpmStatus(page)) << line;
  }
  for (const char* number : {"", "-1", "4x", "4 4", "99999999999999999999"}) {
    std::string page = kPage;
    page.replace(page.find("4\nactive"), 1, number);
    EXPECT_FALSE(ParseFpmStatus(page)) << number;
  }
}

}  // namespace
}  // namespace serin
