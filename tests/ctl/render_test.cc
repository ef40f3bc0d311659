#include "proxy/ctl/render.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <sstream>

namespace serin {
namespace {

StatusDocument Stepping() {
  StatusDocument status;
  status.state = "stepping";
  status.release = "v42";
  status.step = 2;
  status.steps = 5;
  status.hold_remaining_seconds = 90.4;
  status.target = 0.25;
  status.observed = 0.2492;
  status.stable = "blue";
  status.canary = "green";
  status.pools[0] = {"stable", 750, 3, 1, 0.004, 0.12};
  status.pools[1] = {"canary", 0, 0, 0, 0, 0};
  status.reason = "step 2 of 5 is being held";
  return status;
}

TEST(RenderTest, StatusIsAPage) {
  EXPECT_EQ(RenderStatus(Stepping(), Terminal{}),
            "state     stepping, step 2 of 5\n"
            "release   v42\n"
            "weight    █████░░░░░░░░░░░░░░░ 25%, observed 24.92%\n"
            "roles     stable blue, canary green\n"
            "hold      1m30s left\n"
            "reason    step 2 of 5 is being held\n"
            "\n"
            "POOL   ROLE    REQUESTS  ERRORS  ERROR RATE     P95  SLOW\n"
            "blue   stable       750       3        0.4%  120 ms     1\n"
            "green  canary         0       0           –       –     0\n");
}

TEST(RenderTest, APoolThatTakesNoRequestsSaysSo) {
  StatusDocument status = Stepping();
  status.pools[0].state = "serving";
  status.pools[1].state = "draining";
  status.pools[1].in_flight = 3;
  EXPECT_NE(RenderStatus(status, Terminal{}).find("green  canary, draining (3 left)"), std::string::npos);
  status.pools[1].state = "drained";
  EXPECT_NE(RenderStatus(status, Terminal{}).find("green  canary, drained"), std::string::npos);
  EXPECT_NE(RenderStatusLine(status, "").find("| green canary, drained 0 requests"), std::string::npos);
}

TEST(RenderTest, AnAlarmAndEvidenceAreShown) {
  StatusDocument status = Stepping();
  status.alarm = true;
  status.error_evidence = 0.5;
  const std::string page = RenderStatus(status, Terminal{});
  EXPECT_NE(page.find("state     stepping, step 2 of 5  ALARM\n"), page.npos);
  EXPECT_NE(page.find("evidence  errors 50%, latency 0% of what reverts\n"), page.npos);
}

TEST(RenderTest, ColourOnlyWhenAskedFor) {
  EXPECT_EQ(RenderStatus(Stepping(), Terminal{}).find('\x1b'), std::string::npos);
  Terminal terminal;
  terminal.colour = true;
  EXPECT_NE(RenderStatus(Stepping(), terminal).find("\x1b[36mstepping\x1b[0m"), std::string::npos);
}

TEST(RenderTest, NoLineIsWiderThanTheTerminal) {
  StatusDocument status = Stepping();
  status.reason =
      std::string(100, 'x') + " " + std::string(300, 'y') + " and some more words, to be broken at blanks";
  status.release = std::string(128, 'z');
  for (const size_t width : {40, 60, 80, 200}) {
    Terminal terminal;
    terminal.is_terminal = true;
    terminal.width = width;
    std::istringstream page(RenderStatus(status, terminal));
    for (std::string line; std::getline(page, line);) {
      size_t characters = 0;
      for (const char c : line) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
      EXPECT_LE(characters, width) << line;
    }
  }
}

TEST(RenderTest, WhatApplicationsPrintCannotMoveTheCursor) {
  StatusDocument status = Stepping();
  status.reason = "stderr said \x1b[2J\r\nboo";
  status.release = "a\x1b[31m";
  const std::string page = RenderStatus(status, Terminal{}) + RenderStatusLine(status, "12:00:00");
  EXPECT_EQ(page.find('\x1b'), std::string::npos);
  EXPECT_EQ(page.find('\r'), std::string::npos);
}

TEST(RenderTest, AStatusLineIsOneLine) {
  EXPECT_EQ(RenderStatusLine(Stepping(), "12:00:01"),
            "12:00:01 stepping v42 step 2/5 weight 25% observed 24.92% | blue stable 750 requests, errors "
            "0.4%, p95 "
            "120 ms | green canary 0 requests, errors –, p95 –\n");
}

TEST(RenderTest, HistoryIsATableInLocalTime) {
  setenv("TZ", "UTC", 1);
  tzset();
  const std::vector<HistoryDocument> history = {
      {"2025-12-31T23:59:59.042Z", "start", "v42", "stepping", "uid 1000", "started by an operator", 0.1},
      {"2026-01-01T00:00:10.000Z", "revert", "v42", "reverted", "serin", "errors 20% > 5%", 0}};
  EXPECT_EQ(RenderHistory(history, Terminal{}),
            "TIME                 EVENT   WEIGHT  STATE     RELEASE  BY        REASON\n"
            "2025-12-31 23:59:59  start      10%  stepping  v42      uid 1000  started by an operator\n"
            "2026-01-01 00:00:10  revert      0%  reverted  v42      serin     errors 20% > 5%\n");
  EXPECT_EQ(RenderHistory({}, Terminal{}), "nothing has happened yet\n");
}

TEST(RenderTest, WrapBreaksAtBlanksOnly) {
  EXPECT_EQ(Wrap("aa bb  cc\ndd", 5), "aa bb\ncc dd");
  EXPECT_EQ(Wrap("aa bb cc", 5, "  "), "aa bb\n  cc");
  EXPECT_EQ(Wrap("", 5), "");
  EXPECT_EQ(Wrap("abcdefgh", 5), "abcd…");
}

}  // namespace
}  // namespace serin
