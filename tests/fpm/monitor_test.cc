#include "proxy/fpm/monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace serin {
namespace {

using testing::HasSubstr;

class FpmWatchTest : public testing::Test {
 protected:
  FpmWatchTest() {
    settings.max_connections = 5;
    settings.status_address = "unix:/run/status.sock";
  }
  // What the log is told of this page; `reading` afterwards.
  std::string See(bool fixed, uint64_t total, uint64_t reached = 0) {
    reading = {};
    reading.status = FpmStatus{.fixed_children = fixed, .total = total, .max_children_reached = reached};
    return watch.Take(PoolId::kBlue, settings, reading, absl::OkStatus());
  }
  std::string SeeNothing() {
    reading = {};
    return watch.Take(PoolId::kBlue, settings, reading, absl::UnavailableError("gone"));
  }

  PoolSettings settings;
  FpmReading reading;
  FpmWatch watch;
};

TEST_F(FpmWatchTest, SaysOnceThatThereAreNotMoreChildrenThanConnections) {
  EXPECT_EQ(See(true, 5), "");
  EXPECT_EQ(See(true, 5), "");
  EXPECT_FALSE(*reading.overcommitted) << "a master that starts has not all of its children yet";
  EXPECT_THAT(See(true, 5), HasSubstr("pool blue: max_connections is 5, and PHP-FPM has 5 children"));
  EXPECT_TRUE(*reading.overcommitted);
  EXPECT_EQ(See(true, 5), "");
  EXPECT_EQ(See(true, 6), "");
  EXPECT_FALSE(*reading.overcommitted);
}

TEST_F(FpmWatchTest, DoesNotKnowTheLimitOfChildrenThatComeAndGoUntilItIsReached) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(See(false, 2, 1), "");
  EXPECT_FALSE(reading.overcommitted);
  EXPECT_EQ(See(false, 4, 2), "");
  EXPECT_FALSE(*reading.overcommitted);
  EXPECT_EQ(See(false, 1, 2), "");
  EXPECT_THAT(See(false, 1, 2), HasSubstr("has 4 children"));
  EXPECT_EQ(See(false, 1, 0), "");
  EXPECT_FALSE(reading.overcommitted) << "another master";
}

TEST_F(FpmWatchTest, SaysOnceThatThePageCannotBeHad) {
  EXPECT_THAT(SeeNothing(), HasSubstr("pool blue: no status page at unix:/run/status.sock: gone"));
  EXPECT_EQ(SeeNothing(), "");
  EXPECT_EQ(See(true, 9), "");
  EXPECT_THAT(SeeNothing(), HasSubstr("gone"));
}

TEST_F(FpmWatchTest, IsSilentWhenNoPageIsAskedFor) {
  EXPECT_EQ(watch.Take(PoolId::kBlue, settings, reading, absl::OkStatus()), "");
  EXPECT_FALSE(reading.overcommitted);
}

}  // namespace
}  // namespace serin
