// RFC 9113 once more, section by section: what the tests of frames, heads and
// flow leave out, all by raw frames. §3.4, §6 and §8.1 are in
// http2_frames_test.cc, §5.2 and §6.9 in http2_flow_test.cc, §8.2 and §8.3 in
// http2_head_test.cc.

#include <gtest/gtest.h>

#include "tests/parse/http2_harness.h"

namespace serin {
namespace {

std::string Junk(size_t size) { return std::string(size, '\0'); }

// What `frames` lead to on a connection whose stream 1 waits for its answer and
// whose stream 3 is an upload under way.
class Http2Rfc9113Test : public testing::Test {
 protected:
  void SetUp() override { Restart(); }
  void Restart() {
    harness = std::make_unique<Http2Harness>();
    late = std::make_unique<LateHandler>(*harness);
    harness->Start();
    harness->Send(harness->Get(1));
    harness->Send(harness->Post(3));
    ASSERT_EQ(late->streams.size(), 1u);
    harness->handler.answer = AnswerOk;
  }
  void ExpectConnectionError(const std::string& frames, uint32_t error) {
    Restart();
    harness->Send(frames);
    EXPECT_EQ(harness->GoawayError(), error);
    EXPECT_TRUE(harness->output.closed);
    EXPECT_EQ(harness->Frames().back().type, kGoaway);
  }
  void ExpectStreamError(const std::string& frames, uint32_t id, uint32_t error) {
    Restart();
    harness->Send(frames);
    EXPECT_EQ(harness->ResetOf(id), error);
    ExpectGoesOn();
  }
  // Neither the connection nor stream 1 has suffered.
  void ExpectGoesOn() {
    EXPECT_FALSE(harness->GoawayError());
    EXPECT_FALSE(harness->ResetOf(1));
    AnswerOk(*late->streams.at(0));
    harness->Turn();
    EXPECT_EQ(harness->Body(1), "ok");
    harness->Send(harness->Get(1001));
    EXPECT_EQ(harness->Status(1001), 200);
  }
  std::string HeadStart(uint32_t id) {  // a header block that is to be continued
    return Frame(kHeaders, kEndStream, id, "\x82");
  }

  std::unique_ptr<Http2Harness> harness;
  std::unique_ptr<LateHandler> late;
};

// --- §4.1, §4.2, §5.5: frames ------------------------------------------------------

TEST_F(Http2Rfc9113Test, TakesFramesOfTheMaximumSize) {
  harness->Send(Data(3, Junk(16384), true));
  ASSERT_EQ(harness->handler.seen.size(), 2u);
  EXPECT_EQ(harness->handler.seen[1].body.size(), 16384u);
  ExpectGoesOn();
}

TEST_F(Http2Rfc9113Test, EndsOnLargerFramesOfEveryType) {
  for (uint8_t type = kData; type <= kContinuation; ++type) {
    ExpectConnectionError(
        Frame(type, 0, type == kSettings || type == kPing || type == kGoaway ? 0 : 3, Junk(16385)),
        kFrameSizeError);
  }
  ExpectConnectionError(Frame(0xEE, 0, 0, Junk(16385)), kFrameSizeError);
}

TEST_F(Http2Rfc9113Test, LetsNothingIntoAHeaderBlock) {
  const std::string intruders[] = {
      Data(3, "x", false),
      harness->Head(5, Http2Harness::With("GET", "/")),
      harness->Head(7, Http2Harness::With("GET", "/")),
      Frame(kPriority, 0, 5, Junk(5)),
      Rst(1, kCancel),
      Frame(kSettings, 0, 0, ""),
      Frame(kPing, 0, 0, "12345678"),
      Frame(kGoaway, 0, 0, Junk(8)),
      WindowUpdate(0, 1),
      Frame(0xEE, 0, 5, "extension"),
  };
  for (const std::string& intruder : intruders)
    ExpectConnectionError(HeadStart(5) + intruder, kProtocolError);
}

TEST_F(Http2Rfc9113Test, SeesNothingInUnknownErrorCodes) {
  harness->Send(Rst(3, 0xDEADBEEF));
  EXPECT_EQ(harness->session->open_streams(), 1u);
  ExpectGoesOn();
  Restart();
  harness->Send(Frame(kGoaway, 0, 0, Number(0, 4) + Number(0xDEADBEEF, 4)));
  EXPECT_FALSE(harness->output.closed);  // stream 1 is still to be answered
  AnswerOk(*late->streams.at(0));
  harness->Turn();
  EXPECT_EQ(harness->Body(1), "ok");
}

// --- §4.3: HPACK (RFC 7541) --------------------------------------------------------

TEST_F(Http2Rfc9113Test, EndsOnWhatHpackForbids) {
  const std::string blocks[] = {
      "\x80",                                  // §6.1: index 0
      "\xFF\x80\x01",                          // §2.3.3: an index beyond both tables
      "\x82\x20",                              // §4.2: a table size that does not come first
      "\x82\x40\x01z\x81\xFF",                 // §5.2: padding of eight bits
      "\x82\x40\x01z\x81\x18",                 // §5.2: padding with zeros
      "\x82\x40\x01z\x84\xFF\xFF\xFF\xFF",     // §5.2: EOS within a string
      "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F",  // §5.1: an integer beyond all bounds
      "\x40\x05"
      "ab",  // §5.2: a string that goes beyond the block
  };
  for (const std::string& block : blocks) {
    SCOPED_TRACE(testing::PrintToString(block));
    ExpectConnectionError(Frame(kHeaders, kEndHeaders | kEndStream, 5, block), kCompressionError);
  }
}

TEST_F(Http2Rfc9113Test, KeepsHpackInStepThroughStreamsThatAreRefused) {
  // A malformed head has put a field into the table that the next one refers to.
  harness->Send(harness->Get(5, "/", {{"x-long-name", "a long value"}, {"Bad", "name"}}));
  EXPECT_EQ(harness->ResetOf(5), kProtocolError);
  harness->Send(harness->Get(7, "/", {{"x-long-name", "a long value"}}));
  EXPECT_EQ(harness->handler.seen.at(1).Get("x-long-name"), "a long value");
  ExpectGoesOn();
}

// --- §5.1: states of streams ---------------------------------------------------------

TEST_F(Http2Rfc9113Test, TakesOnlyHousekeepingOnceARequestIsWhole) {
  harness->Send(WindowUpdate(1, 1) + Frame(kPriority, 0, 1, Junk(5)));
  ExpectGoesOn();
  Restart();
  harness->Send(Rst(1, kCancel));
  EXPECT_EQ(harness->handler.gone, 1);
  EXPECT_FALSE(harness->GoawayError());
  ExpectConnectionError(Data(1, "x", false), kStreamClosed);
  ExpectConnectionError(harness->Head(1, {{"x", "trailer"}}), kStreamClosed);
  ExpectConnectionError(Frame(kContinuation, kEndHeaders, 1, ""), kProtocolError);
}

TEST_F(Http2Rfc9113Test, AnswersNoResetWithAReset) {
  harness->Send(Rst(3, kCancel) + Rst(3, kCancel) + Data(3, "late", true) + WindowUpdate(3, 1));
  EXPECT_FALSE(harness->ResetOf(3));
  ExpectGoesOn();
}

TEST_F(Http2Rfc9113Test, BearsWhatWasOnItsWayToAStreamThatItHasReset) {
  harness->Send(harness->Post(5, {{"content-length", "1"}}) + Data(5, "too long", false));
  EXPECT_EQ(harness->ResetOf(5), kProtocolError);
  const size_t before = harness->Count(kRstStream);
  harness->Send(Data(5, "more", false) + harness->Head(5, {{"x", "trailer"}}) + WindowUpdate(5, 1) +
                Frame(kPriority, 0, 5, Junk(5)) + Rst(5, kCancel));
  EXPECT_EQ(harness->Count(kRstStream), before);
  ExpectGoesOn();
}

TEST_F(Http2Rfc9113Test, TakesTheLastStreamThereIs) {
  harness->Send(harness->Get(0x7FFFFFFF));
  EXPECT_EQ(harness->Status(0x7FFFFFFF), 200);
  EXPECT_FALSE(harness->GoawayError());
}

// --- §6: the types of frames ---------------------------------------------------------

TEST_F(Http2Rfc9113Test, CountsPaddingAgainstTheWindowsAndGivesItBack) {
  // §6.1: the whole payload counts. 100 × 5,255 bytes pass only if padding comes back, too.
  for (int i = 0; i < 100; ++i) {
    harness->Send(Frame(kData, kPadded, 3, "\xFE" + Junk(5000) + Junk(254)));
    const uint64_t sent = static_cast<uint64_t>(i + 1) * 5255;
    ASSERT_LE(sent, 65536 + harness->WindowGiven(3));
  }
  harness->Send(Data(3, "", true));
  EXPECT_EQ(harness->handler.seen.at(1).body.size(), 500'000u);
  ExpectGoesOn();
}

TEST_F(Http2Rfc9113Test, EndsOnPriorityForStreamZero) {
  ExpectConnectionError(Frame(kPriority, 0, 0, Junk(5)), kProtocolError);  // §6.3
}

TEST_F(Http2Rfc9113Test, EndsOnContinuationsThatContinueNothing) {
  ExpectConnectionError(Frame(kContinuation, kEndHeaders, 0, ""), kProtocolError);  // §6.10
  ExpectConnectionError(harness->Get(5) + Frame(kContinuation, kEndHeaders, 5, ""), kProtocolError);
  ExpectConnectionError(Frame(kContinuation, kEndHeaders, 3, ""), kProtocolError);
}

TEST_F(Http2Rfc9113Test, SendsNoPushWhateverTheClientAllows) {
  Http2Harness fresh;
  fresh.Start(Setting(kEnablePush, 1));
  fresh.Send(fresh.Get(1));
  EXPECT_EQ(fresh.Body(1), "ok");
  EXPECT_EQ(fresh.Count(kPushPromise), 0u);  // §8.4
}

TEST_F(Http2Rfc9113Test, AppliesSettingsInTheirOrder) {
  // §6.5.3: of a setting that comes twice the last one counts.
  Http2Harness fresh;
  fresh.Start(Setting(kInitialWindowSize, 1) + Setting(kInitialWindowSize, 0));
  fresh.Send(fresh.Get(1));
  EXPECT_EQ(fresh.Status(1), 200);
  EXPECT_EQ(fresh.Body(1), "");
  fresh.Send(Frame(kSettings, 0, 0, Setting(kInitialWindowSize, 1)));
  EXPECT_EQ(fresh.Body(1), "o");
}

TEST_F(Http2Rfc9113Test, NamesTheLastStreamItHasSeen) {
  // §6.8: so that the client knows what it may send again.
  harness->Send(harness->Get(9) + Frame(kPing, 0, 1, "12345678"));
  EXPECT_EQ(ReadNumber(harness->Frames().back().payload.substr(0, 4)), 9u);
}

// --- §8: requests ----------------------------------------------------------------------

TEST_F(Http2Rfc9113Test, ResetsEveryKindOfMalformedHead) {
  const auto with = [](const Fields& more) { return Http2Harness::With("GET", "/", more); };
  const Fields heads[] = {
      with({{"Upper", "x"}}),  // §8.2.1
      with({{"x y", "x"}}),
      with({{"", "x"}}),
      with({{"x", "a\nb"}}),
      with({{"x", "a\rb"}}),
      with({{"x", std::string("a\0b", 3)}}),
      with({{"x", " a"}}),
      with({{"connection", "close"}}),  // §8.2.2
      with({{"transfer-encoding", "chunked"}}),
      with({{"upgrade", "h2c"}}),
      with({{"te", "gzip"}}),
      with({{":path", "/late"}}),  // §8.3
      with({{":unknown", "x"}}),
      with({{":status", "200"}}),
      {{":method", "GET"}, {":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}},
      {{":scheme", "http"}, {":authority", "a"}, {":path", "/"}},  // §8.3.1
      {{":method", "GET"}, {":authority", "a"}, {":path", "/"}},
      {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}},
      {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", ""}},
      {{":method", "CONNECT"}, {":scheme", "http"}, {":authority", "a:1"}, {":path", "/"}},  // §8.5
      with({{"content-length", "5"}}),  // §8.1.1: and nothing comes
      with({{"content-length", "x"}}),
      with({{"content-length", "0"}, {"content-length", "1"}}),
  };
  for (const Fields& head : heads) {
    SCOPED_TRACE(testing::PrintToString(head));
    Restart();
    const std::string frames = harness->Head(5, head);
    harness->Send(frames);
    EXPECT_EQ(harness->ResetOf(5), kProtocolError);
    EXPECT_EQ(harness->handler.seen.size(), 1u);
    EXPECT_EQ(harness->handler.refused, std::vector<uint16_t>{400});
    ExpectGoesOn();
  }
}

TEST_F(Http2Rfc9113Test, ResetsMalformedTrailers) {
  for (const Fields& trailers : {Fields{{"Upper", "x"}}, Fields{{"x", "a\nb"}}, Fields{{":path", "/"}}}) {
    Restart();
    const std::string frames = Data(3, "body", false) + harness->Head(3, trailers);
    harness->Send(frames);
    EXPECT_EQ(harness->ResetOf(3), kProtocolError);
    ExpectGoesOn();
  }
}

TEST_F(Http2Rfc9113Test, AnswersEarlyAndThenAsksTheClientToStop) {
  // §8.1: a whole answer before a whole request is followed by RST_STREAM(NO_ERROR).
  ExpectStreamError(harness->Post(5, {{"content-length", "999999999999"}}), 5, kNoError);
  EXPECT_EQ(harness->Status(5), 413);
  EXPECT_TRUE(harness->Ended(5));
}

TEST_F(Http2Rfc9113Test, SpeaksNoOtherProtocolInside) {
  // §8.5 and RFC 8441: neither tunnels nor WebSockets; both are told so.
  harness->Send(harness->Head(5, {{":method", "CONNECT"}, {":authority", "a:443"}}, false));
  EXPECT_EQ(harness->Status(5), 405);
  harness->Send(harness->Head(7,
                              {{":method", "CONNECT"},
                               {":protocol", "websocket"},
                               {":scheme", "http"},
                               {":authority", "a"},
                               {":path", "/"}},
                              false));
  EXPECT_EQ(harness->ResetOf(7), kProtocolError);
  ExpectGoesOn();
}

}  // namespace
}  // namespace serin
