#include "proxy/config/units.h"

#include <gtest/gtest.h>

#include "proxy/config/diagnostic.h"

namespace serin {
namespace {

TEST(UnitsTest, Durations) {
  EXPECT_EQ(ParseDuration("250ms"), absl::Milliseconds(250));
  EXPECT_EQ(ParseDuration("1.5s"), absl::Milliseconds(1500));
  EXPECT_EQ(ParseDuration("1h30m"), absl::Minutes(90));
  EXPECT_EQ(ParseDuration("30d"), absl::Hours(720));
  EXPECT_EQ(ParseDuration("0s"), absl::ZeroDuration());
  EXPECT_EQ(ParseDuration("0.1s"), absl::Milliseconds(100));
  for (const char* text : {"", "5", "s", "-5s", "+5s", "5 s", " 5s", "5s ", "inf", "1e3s", "5M", "30m1h",
                           "1m1m", ".5s", "5.s", "101000d", "99999999999999999999s", "5ns", "1s\n"}) {
    EXPECT_EQ(ParseDuration(text), std::nullopt) << text;
  }
}

TEST(UnitsTest, ShownDurationsReadBack) {
  for (const char* text : {"0s", "250ms", "2s", "5m", "1h30m", "30d", "1d1h1m1s1ms"}) {
    EXPECT_EQ(ShowDuration(*ParseDuration(text)), text);
  }
}

TEST(UnitsTest, Percentages) {
  EXPECT_DOUBLE_EQ(ParsePercent("5%").value_or(-1), 0.05);
  EXPECT_DOUBLE_EQ(ParsePercent("0.5%").value_or(-1), 0.005);
  EXPECT_DOUBLE_EQ(ParsePercent("120%").value_or(-1), 1.2);
  for (const char* text : {"", "%", "5", "0.05", "-5%", "5 %", "nan%", "5%%", "1e1%", "2000%"}) {
    EXPECT_EQ(ParsePercent(text), std::nullopt) << text;
  }
  EXPECT_EQ(ShowPercent(0.05), "5%");
  EXPECT_EQ(ShowPercent(0.125), "12.5%");
  EXPECT_EQ(ShowPercent(1), "100%");
  EXPECT_EQ(ShowPercent(0), "0%");
}

TEST(UnitsTest, Sizes) {
  EXPECT_EQ(ParseSize("0B"), 0u);
  EXPECT_EQ(ParseSize("64KiB"), 65536u);
  EXPECT_EQ(ParseSize("128MiB"), uint64_t{128} << 20);
  for (const char* text : {"", "64", "64kb", "64 KiB", "-1B", "1.5MiB", "KiB", "99999999999999999999B"}) {
    EXPECT_EQ(ParseSize(text), std::nullopt) << text;
  }
  EXPECT_EQ(ShowSize(65536), "64KiB");
  EXPECT_EQ(ShowSize(1000), "1000B");
  EXPECT_EQ(ShowSize(0), "0B");
}

TEST(UnitsTest, Modes) {
  EXPECT_EQ(ParseMode("0660"), 0660u);
  EXPECT_EQ(ParseMode("600"), 0600u);
  for (const char* text : {"", "66", "0999", "u+rw", "00660", "1777"})
    EXPECT_EQ(ParseMode(text), std::nullopt);
}

TEST(SuggestTest, FindsTheNearWordAndNoFarOne) {
  const std::vector<std::string> words = {"hold", "window", "steps", "max_p95"};
  EXPECT_EQ(Suggest("hodl", words), "hold");
  EXPECT_EQ(Suggest("step", words), "steps");
  EXPECT_EQ(Suggest("max_p59", words), "max_p95");
  EXPECT_EQ(Suggest("zebra", words), std::nullopt);
  EXPECT_EQ(Suggest("", words), std::nullopt);
  EXPECT_EQ(Suggest(std::string(10000, 'x'), words), std::nullopt);
}

}  // namespace
}  // namespace serin
