#include "proxy/ctl/documents.h"

#include <gtest/gtest.h>

#include "proxy/ctl/client.h"
#include "proxy/ctl/completion.h"
#include "tests/admin/fake_backend.h"

namespace serin {
namespace {

TEST(DocumentsTest, ReadWhatTheApiWrites) {
  const auto status = ParseStatus(StatusJson(
      SteppingReport(), {"1.2.3", absl::FromUnixSeconds(0), 2, {{}, {PoolState::kDraining, 3}}}));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->state, "stepping");
  EXPECT_EQ(status->release, "v42");
  EXPECT_EQ(status->step, 2);
  EXPECT_EQ(status->steps, 5);
  EXPECT_EQ(status->hold_remaining_seconds, 90.5);
  EXPECT_EQ(status->target, 0.25);
  EXPECT_EQ(status->observed, 0.249);
  EXPECT_EQ(status->stable, "blue");
  EXPECT_EQ(status->canary, "green");
  EXPECT_EQ(status->pools[1].role, "canary");
  EXPECT_EQ(status->pools[1].requests, 250);
  EXPECT_EQ(status->pools[0].state, "serving");
  EXPECT_EQ(status->pools[1].state, "draining");
  EXPECT_EQ(status->pools[1].in_flight, 3);
  EXPECT_EQ(status->pools[0].error_ratio, 0.004);
  EXPECT_EQ(status->pools[0].p95_seconds, 0.12);
  EXPECT_EQ(status->version, "1.2.3");
}

TEST(DocumentsTest, ToleratesWhatIsMissingOrStrange) {
  EXPECT_FALSE(ParseStatus(""));
  EXPECT_FALSE(ParseStatus("[]"));
  EXPECT_FALSE(ParseStatus("<html>"));
  EXPECT_FALSE(ParseStatus("{\"state\":5}"));
  const auto status = ParseStatus(R"({"state":"new","weight":7,"pools":[],"step":"x","more":{}})");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->state, "new");
  EXPECT_EQ(status->step, 0);
  EXPECT_FALSE(status->observed);
  EXPECT_FALSE(ParseHistory("{}"));
  EXPECT_FALSE(ParseExplanation("{}"));
  EXPECT_EQ(ParseExplanation(R"({"explanation":"why"})"), "why");
}

TEST(DocumentsTest, AnErrorIsItsSentence) {
  EXPECT_EQ(ParseError(R"({"error":"no rollout is under way"})"), "no rollout is under way");
  EXPECT_EQ(ParseError("Bad Request"), "Bad Request");
}

TEST(DocumentsTest, BodiesAreJsonWhateverTheName) {
  EXPECT_EQ(StartBody("v\"1\""), R"({"release":"v\"1\""})");
  EXPECT_EQ(VersionBody("1", ""), "{\"serinctl\":\"1\",\"serin\":null}\n");
}

TEST(EventSplitterTest, FindsEventsHoweverTheBytesAreCut) {
  const std::string stream =
      "event: status\ndata: {\"a\":1}\n\n: comment\n\nevent: status\r\ndata:{\"a\":2}\r\n\r\n";
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    EventSplitter splitter;
    std::vector<std::string> events;
    for (size_t at = 0; at < stream.size(); at += piece) {
      EXPECT_TRUE(splitter.Feed(std::string_view(stream).substr(at, piece), [&](std::string_view data) {
        events.emplace_back(data);
        return true;
      }));
    }
    EXPECT_EQ(events, (std::vector<std::string>{"{\"a\":1}", "{\"a\":2}"})) << piece;
  }
}

TEST(EventSplitterTest, StopsWhenToldTo) {
  EventSplitter splitter;
  int events = 0;
  EXPECT_FALSE(splitter.Feed("data: 1\n\ndata: 2\n\n", [&](std::string_view) { return ++events > 1; }));
  EXPECT_EQ(events, 1);
}

TEST(CompletionTest, KnowsTheVerbs) {
  const CompletionSpec spec{"serinctl",
                            {"--socket", "--json"},
                            {{"drain", "Close what's idle", {}, {"blue", "green"}, false},
                             {"start", "Start", {"--wait"}, {}, false},
                             {"check", "Check", {}, {}, true}}};
  const std::string bash = CompletionScript("bash", spec);
  EXPECT_NE(bash.find("'') words='drain start check' ;;"), bash.npos) << bash;
  EXPECT_NE(bash.find("drain) words='blue green'; files=0 ;;"), bash.npos);
  EXPECT_NE(bash.find("check) words=''; files=1 ;;"), bash.npos);
  const std::string zsh = CompletionScript("zsh", spec);
  EXPECT_TRUE(zsh.starts_with("#compdef serinctl\n"));
  EXPECT_NE(zsh.find("'drain:Close what'\\''s idle'"), zsh.npos);
  const std::string fish = CompletionScript("fish", spec);
  EXPECT_NE(fish.find("complete -c serinctl -n '__fish_seen_subcommand_from start' -l wait\n"), fish.npos);
  EXPECT_NE(fish.find("complete -c serinctl -l socket -r -F\n"), fish.npos);
  EXPECT_EQ(CompletionScript("csh", spec), "");
}

}  // namespace
}  // namespace serin
