#include "proxy/admin/webhook_message.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/admin/fake_backend.h"

namespace serin {
namespace {

using Json = nlohmann::json;

HistoryEntry Revert() {
  return {.at = absl::FromUnixMillis(1767225599042),
          .event = "revert",
          .release = "v42",
          .weight = {},
          .state = RolloutState::kReverted,
          .by = "serin",
          .reason = "reverted at 10 %: 6 of 6 canary requests failed"};
}

TEST(WebhookMessageTest, HasATextForChatServices) {
  const Json message = Json::parse(WebhookMessage(Revert(), SteppingReport(), "web1"));
  EXPECT_EQ(message["text"],
            "serin on web1: revert v42: reverted at 10 %: 6 of 6 canary requests failed\nA paragraph.");
}

TEST(WebhookMessageTest, HasTheFieldsOfHistoryAndStatus) {
  const Json message = Json::parse(WebhookMessage(Revert(), SteppingReport(), "web1"));
  EXPECT_EQ(message["event"], "revert");
  EXPECT_EQ(message["severity"], "warning");
  EXPECT_EQ(message["at"], "2025-12-31T23:59:59.042Z");
  EXPECT_EQ(message["state"], "reverted");
  EXPECT_EQ(message["weight"], 0.0);
  EXPECT_EQ(message["by"], "serin");
  EXPECT_EQ(message["steps"], 5);
  EXPECT_EQ(message["roles"]["canary"], "green");
  EXPECT_EQ(message["pools"]["green"]["requests"], 250);
  EXPECT_EQ(message["explanation"], "A paragraph.");
}

TEST(WebhookMessageTest, IsWhatAlertmanagerSendsToo) {
  HistoryEntry alarm = Revert();
  alarm.event = "alarm";
  alarm.reason = "the journal cannot be written: no space";
  Json message = Json::parse(WebhookMessage(alarm, SteppingReport(), "web1"));
  EXPECT_EQ(message["version"], "4");
  EXPECT_EQ(message["status"], "firing");
  ASSERT_EQ(message["alerts"].size(), 1u);
  EXPECT_EQ(message["alerts"][0]["labels"]["alertname"], "serin_alarm");
  EXPECT_EQ(message["alerts"][0]["labels"]["severity"], "critical");
  EXPECT_EQ(message["alerts"][0]["annotations"]["summary"], "alarm: the journal cannot be written: no space");
  EXPECT_EQ(message["alerts"][0]["startsAt"], "2025-12-31T23:59:59.042Z");
  alarm.event = "alarm over";
  message = Json::parse(WebhookMessage(alarm, SteppingReport(), "web1"));
  EXPECT_EQ(message["event"], "alarm");
  EXPECT_EQ(message["status"], "resolved");
  EXPECT_EQ(message["alerts"][0]["status"], "resolved");
  EXPECT_EQ(message["severity"], "info");
}

TEST(WebhookMessageTest, SurvivesTextThatIsNone) {
  HistoryEntry entry = Revert();
  entry.release = "v\xFF\"\\";
  EXPECT_EQ(Json::parse(WebhookMessage(entry, SteppingReport(), "web1"))["release"], "v\xEF\xBF\xBD\"\\");
}

TEST(NewsLineTest, SaysWhatOfWhatWhereAndWhy) {
  HistoryEntry entry = Revert();
  EXPECT_EQ(NewsLine(entry), "revert v42: reverted at 10 %: 6 of 6 canary requests failed");
  entry.event = "step";
  entry.weight = Weight::Percent(25);
  entry.reason = "10 % held for 5m";
  EXPECT_EQ(NewsLine(entry), "step v42 at 25 %: 10 % held for 5m");
  entry.release.clear();
  EXPECT_EQ(NewsLine(entry), "step at 25 %: 10 % held for 5m");
}

TEST(WebhookEventTest, IsSpelledAsInTheConfiguration) {
  EXPECT_EQ(WebhookEventOf("common cause"), "common_cause");
  EXPECT_EQ(WebhookEventOf("alarm over"), "alarm");
  EXPECT_EQ(WebhookEventOf("revert"), "revert");
}

}  // namespace
}  // namespace serin
