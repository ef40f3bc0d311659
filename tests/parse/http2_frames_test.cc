// What RFC 9113 wants an endpoint to make of wrong frames, section by section,
// with frames built by hand. A stricter answer is allowed (§5.4.1: a stream
// error may be treated as one of the connection).

#include <gtest/gtest.h>

#include "tests/parse/http2_harness.h"

namespace serin {
namespace {

class Http2FramesTest : public testing::Test {
 protected:
  void SetUp() override { harness.Start(); }
  // The connection ends with that error, and nothing is said after it.
  void ExpectConnectionError(uint32_t error) {
    ASSERT_TRUE(harness.GoawayError());
    EXPECT_EQ(*harness.GoawayError(), error);
    EXPECT_EQ(harness.Frames().back().type, kGoaway);
    EXPECT_TRUE(harness.output.closed);
    EXPECT_TRUE(harness.output.linger);  // or a reset could take the GOAWAY from the client
    const size_t before = harness.output.sent.size();
    harness.Send(harness.Get(99));
    EXPECT_EQ(harness.output.sent.size(), before);
    EXPECT_EQ(harness.output.writes_after_close, 0);
  }
  // The stream is reset with that error, and the connection goes on.
  void ExpectStreamError(uint32_t id, uint32_t error) {
    ASSERT_TRUE(harness.ResetOf(id));
    EXPECT_EQ(*harness.ResetOf(id), error);
    EXPECT_FALSE(harness.GoawayError());
    harness.Send(harness.Get(id + 2));
    EXPECT_EQ(harness.Status(id + 2), 200);
  }
  void ExpectNothing(uint32_t next = 1) {
    EXPECT_FALSE(harness.GoawayError());
    harness.Send(harness.Get(next));
    EXPECT_EQ(harness.Status(next), 200);
  }
  // A request whose answer is not yet given.
  void OpenStream(uint32_t id) {
    late.emplace(harness);
    harness.Send(harness.Get(id));
    ASSERT_EQ(late->streams.size(), 1u);
    harness.handler.answer = AnswerOk;
  }
  std::string Junk(size_t size) { return std::string(size, '\0'); }

  Http2Harness harness;
  std::optional<LateHandler> late;
};

// --- §3.4, §4: preface, frame sizes, header blocks -------------------------------

TEST(Http2PrefaceTest, EndsWhatIsNoHttp2) {
  Http2Harness harness;
  harness.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(harness.GoawayError(), kProtocolError);
  EXPECT_TRUE(harness.output.closed);
}

TEST(Http2PrefaceTest, WantsSettingsFirst) {
  Http2Harness harness;
  harness.Send(std::string(kHttp2Preface) + Frame(kPing, 0, 0, "12345678"));
  EXPECT_EQ(harness.GoawayError(), kProtocolError);
  EXPECT_TRUE(harness.output.closed);
}

TEST(Http2PrefaceTest, SendsItsOwnSettingsFirst) {
  Http2Harness harness;
  harness.Start();
  const SentFrame& first = harness.Frames().front();
  EXPECT_EQ(first.type, kSettings);
  EXPECT_EQ(first.payload, Setting(kMaxConcurrentStreams, 100) + Setting(kInitialWindowSize, 65536) +
                               Setting(kMaxHeaderListSize, 60 * 1024) + Setting(9, 1));
  EXPECT_EQ(harness.WindowGiven(0), 1024u * 1024 - 65535);
  EXPECT_EQ(harness.Count(kSettings), 2u);  // ours, and the answer to the client's
}

TEST(Http2PrefaceTest, TakesThePrefaceInSinglePieces) {
  Http2Harness harness;
  harness.SendInPieces(std::string(kHttp2Preface) + Frame(kSettings, 0, 0, "") + harness.Get(1), 1);
  EXPECT_EQ(harness.Status(1), 200);
}

TEST_F(Http2FramesTest, EndsOnFramesAboveTheMaximumSize) {
  harness.Send(Frame(kData, 0, 1, Junk(16385)));
  ExpectConnectionError(kFrameSizeError);
}

TEST_F(Http2FramesTest, EndsOnHeadersAboveTheMaximumSize) {
  harness.Send(Frame(kHeaders, kEndHeaders | kEndStream, 1, Junk(16385)));
  ExpectConnectionError(kFrameSizeError);
}

TEST_F(Http2FramesTest, SkipsFramesOfUnknownTypes) {
  harness.Send(Frame(0xEE, 0xFF, 0, "whatever") + Frame(0xEE, 0xFF, 7, ""));
  ExpectNothing();
}

TEST_F(Http2FramesTest, SkipsUnknownFlagsAndTheReservedBit) {
  harness.Send(Frame(kPing, 0xFE, 0x80000000, "12345678"));
  EXPECT_EQ(harness.Count(kPing), 1u);
  ExpectNothing();
}

TEST_F(Http2FramesTest, EndsOnBrokenHeaderBlocks) {
  harness.Send(Frame(kHeaders, kEndHeaders | kEndStream, 1, "\xFF\xFF\xFF\xFF\xFF"));
  ExpectConnectionError(kCompressionError);
}

TEST_F(Http2FramesTest, EndsOnHeaderBlocksThatAreCutOff) {
  harness.Send(Frame(kHeaders, kEndHeaders | kEndStream, 1, "\x82\x40"));
  ExpectConnectionError(kCompressionError);
}

TEST_F(Http2FramesTest, EndsOnTableSizesAboveTheSetting) {
  harness.Send(Frame(kHeaders, kEndHeaders | kEndStream, 1, "\x3F\xE2\x1F"));  // 4097
  ExpectConnectionError(kCompressionError);
}

TEST_F(Http2FramesTest, EndsOnOtherFramesWithinAHeaderBlock) {
  const std::string block = harness.hpack.Encode(Http2Harness::With("GET", "/"));
  harness.Send(Frame(kHeaders, kEndStream, 1, block.substr(0, 5)) + Frame(kPing, 0, 0, "12345678"));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnContinuationOfAnotherStream) {
  const std::string block = harness.hpack.Encode(Http2Harness::With("GET", "/"));
  harness.Send(Frame(kHeaders, kEndStream, 1, block.substr(0, 5)) +
               Frame(kContinuation, kEndHeaders, 3, block.substr(5)));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, JoinsHeaderBlocks) {
  const std::string block = harness.hpack.Encode(Http2Harness::With("GET", "/joined"));
  harness.Send(Frame(kHeaders, kEndStream, 1, block.substr(0, 1)) +
               Frame(kContinuation, 0, 1, block.substr(1, 2)) + Frame(kContinuation, 0, 1, "") +
               Frame(kContinuation, kEndHeaders, 1, block.substr(3)));
  EXPECT_EQ(harness.Status(1), 200);
  EXPECT_EQ(harness.handler.seen.at(0).path, "/joined");
}

// --- §5.1: states of streams -------------------------------------------------------

TEST_F(Http2FramesTest, EndsOnFramesForIdleStreams) {
  for (const std::string& frame : {Data(1, "x", false), Rst(1, kCancel), WindowUpdate(1, 1)}) {
    Http2Harness fresh;
    fresh.Start();
    fresh.Send(frame);
    EXPECT_EQ(fresh.GoawayError(), kProtocolError);
    EXPECT_TRUE(fresh.output.closed);
  }
}

TEST_F(Http2FramesTest, EndsOnContinuationOfNothing) {
  harness.Send(Frame(kContinuation, kEndHeaders, 1, ""));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnDataAfterTheEnd) {
  OpenStream(1);
  harness.Send(Data(1, "x", true));
  ExpectConnectionError(kStreamClosed);
  EXPECT_EQ(harness.handler.gone, 1);
}

TEST_F(Http2FramesTest, EndsOnHeadersAfterTheEnd) {
  OpenStream(1);
  harness.Send(harness.Get(1));
  ExpectConnectionError(kStreamClosed);
}

TEST_F(Http2FramesTest, BearsFramesForStreamsThatAreOver) {
  harness.Send(harness.Get(1));
  harness.Send(WindowUpdate(1, 1) + Rst(1, kCancel) + Data(1, "x", false) + Frame(kPriority, 0, 1, Junk(5)));
  harness.Send(harness.Head(1, {{"x-late", "trailer"}}));
  ExpectNothing(3);
}

TEST_F(Http2FramesTest, EndsOnEvenStreams) {
  harness.Send(harness.Get(2));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnStreamsThatWereSkipped) {
  harness.Send(harness.Get(5));
  harness.Send(harness.Get(3));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, RefusesStreamsAboveTheLimit) {
  LateHandler handler(harness);
  std::string all;
  for (uint32_t i = 0; i < 101; ++i) all += harness.Get(1 + 2 * i);
  harness.Send(all);
  EXPECT_EQ(handler.streams.size(), 100u);
  // The client has acknowledged our limit, so that it is a breach (§5.1.2).
  EXPECT_EQ(harness.GoawayError(), kProtocolError);
}

TEST(Http2StreamLimitTest, IsGentleWhileTheClientDoesNotKnowTheLimit) {
  Http2Harness harness;
  LateHandler handler(harness);
  std::string all = std::string(kHttp2Preface) + Frame(kSettings, 0, 0, "");
  for (uint32_t i = 0; i < 101; ++i) all += harness.Get(1 + 2 * i);
  harness.Send(all);
  EXPECT_EQ(handler.streams.size(), 100u);
  EXPECT_EQ(harness.ResetOf(201), kRefusedStream);
  EXPECT_FALSE(harness.GoawayError());
}

// --- §6.1, §6.2: DATA and HEADERS --------------------------------------------------

TEST_F(Http2FramesTest, EndsOnDataAndHeadersForStreamZero) {
  harness.Send(Data(0, "x", false));
  ExpectConnectionError(kProtocolError);
  Http2Harness other;
  other.Start();
  other.Send(other.Get(0));
  EXPECT_EQ(other.GoawayError(), kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnPaddingLongerThanTheFrame) {
  harness.Send(harness.Post(1) + Frame(kData, kPadded, 1, "\x05pad"));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnHeadersWithPaddingLongerThanTheFrame) {
  harness.Send(Frame(kHeaders, kPadded | kEndHeaders | kEndStream, 1, "\x7F\x82"));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnPaddedFramesWithoutAnything) {
  harness.Send(harness.Post(1) + Frame(kData, kPadded, 1, ""));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, TakesPadding) {
  const std::string block = harness.hpack.Encode(Http2Harness::With("POST", "/"));
  harness.Send(Frame(kHeaders, kPadded | kEndHeaders, 1, "\x03" + block + Junk(3)) +
               Frame(kData, kPadded | kEndStream, 1,
                     "\x02"
                     "body" +
                         Junk(2)));
  EXPECT_EQ(harness.Status(1), 200);
  EXPECT_EQ(harness.handler.seen.at(0).body, "body");
}

// --- §5.3, §6.3: priorities are ignored --------------------------------------------

TEST_F(Http2FramesTest, IgnoresPriorities) {
  harness.Send(Frame(kPriority, 0, 1, Number(0, 4) + "\x10") +
               Frame(kPriority, 0, 3, Number(0x80000001, 4) + "\xFF"));
  const std::string block = harness.hpack.Encode(Http2Harness::With("GET", "/", {{"priority", "u=1, i"}}));
  harness.Send(
      Frame(kHeaders, kPriorityFlag | kEndHeaders | kEndStream, 1, Number(0x80000000, 4) + "\x10" + block));
  harness.Send(Frame(0x10, 0, 0, Number(1, 4) + "u=3"));  // PRIORITY_UPDATE (RFC 9218 §7.1)
  EXPECT_EQ(harness.Status(1), 200);
  ExpectNothing(3);
}

TEST_F(Http2FramesTest, IgnoresStreamsThatDependOnThemselves) {
  harness.Send(Frame(kPriority, 0, 1, Number(1, 4) + "\x10"));
  ExpectNothing();
}

TEST_F(Http2FramesTest, EndsOnHeadersThatDependOnThemselves) {
  // RFC 7540 §5.3.1 wanted an error, RFC 9113 has dropped the rule; nghttp2 keeps it.
  const std::string block = harness.hpack.Encode(Http2Harness::With("GET", "/"));
  harness.Send(Frame(kHeaders, kPriorityFlag | kEndHeaders | kEndStream, 1, Number(1, 4) + "\x10" + block));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnPriorityOfTheWrongSize) {
  harness.Send(Frame(kPriority, 0, 1, Junk(4)));
  ExpectConnectionError(kFrameSizeError);
}

// --- §6.4: RST_STREAM ----------------------------------------------------------------

TEST_F(Http2FramesTest, EndsOnResetsOfStreamZero) {
  harness.Send(Rst(0, kCancel));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnResetsOfTheWrongSize) {
  OpenStream(1);
  harness.Send(Frame(kRstStream, 0, 1, Junk(3)));
  ExpectConnectionError(kFrameSizeError);
}

// --- §6.5: SETTINGS ------------------------------------------------------------------

TEST_F(Http2FramesTest, AcknowledgesSettings) {
  const size_t before = harness.Count(kSettings);
  harness.Send(Frame(kSettings, 0, 0, Setting(kHeaderTableSize, 0) + Setting(0xABCD, 1)));
  ASSERT_EQ(harness.Count(kSettings), before + 1);
  EXPECT_EQ(harness.Frames().back().flags, kAck);
  EXPECT_EQ(harness.Frames().back().payload, "");
  ExpectNothing();
}

TEST_F(Http2FramesTest, EndsOnSettingsForAStream) {
  harness.Send(Frame(kSettings, 0, 1, ""));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnAcknowledgedSettingsWithAPayload) {
  harness.Send(Frame(kSettings, kAck, 0, Setting(kMaxFrameSize, 16384)));
  ExpectConnectionError(kFrameSizeError);
}

TEST_F(Http2FramesTest, EndsOnSettingsOfTheWrongSize) {
  harness.Send(Frame(kSettings, 0, 0, Junk(5)));
  ExpectConnectionError(kFrameSizeError);
}

TEST_F(Http2FramesTest, EndsOnBadSettings) {
  const std::pair<std::string, uint32_t> cases[] = {
      {Setting(kEnablePush, 2), kProtocolError},
      {Setting(kInitialWindowSize, 0x80000000), kFlowControlError},
      {Setting(kMaxFrameSize, 16383), kProtocolError},
      {Setting(kMaxFrameSize, 16777216), kProtocolError},
  };
  for (const auto& [setting, error] : cases) {
    Http2Harness fresh;
    fresh.Start();
    fresh.Send(Frame(kSettings, 0, 0, setting));
    EXPECT_EQ(fresh.GoawayError(), error);
    EXPECT_TRUE(fresh.output.closed);
  }
}

TEST_F(Http2FramesTest, EndsOnAFirstSettingsFrameWithABadValue) {
  Http2Harness fresh;
  fresh.Start(Setting(kMaxFrameSize, 1));
  EXPECT_EQ(fresh.GoawayError(), kProtocolError);
}

// --- §6.6: PUSH_PROMISE ----------------------------------------------------------------

TEST_F(Http2FramesTest, EndsOnPushesFromAClient) {
  OpenStream(1);
  harness.Send(Frame(kPushPromise, kEndHeaders, 1, Number(2, 4)));
  ExpectConnectionError(kProtocolError);
}

// --- §6.7: PING ------------------------------------------------------------------------

TEST_F(Http2FramesTest, AnswersPings) {
  harness.Send(Frame(kPing, 0, 0, "abcdefgh"));
  EXPECT_EQ(harness.Frames().back().type, kPing);
  EXPECT_EQ(harness.Frames().back().flags, kAck);
  EXPECT_EQ(harness.Frames().back().payload, "abcdefgh");
}

TEST_F(Http2FramesTest, DoesNotAnswerAnswersToPings) {
  harness.Send(Frame(kPing, kAck, 0, "abcdefgh"));
  EXPECT_EQ(harness.Count(kPing), 0u);
  ExpectNothing();
}

TEST_F(Http2FramesTest, EndsOnPingsForAStream) {
  harness.Send(Frame(kPing, 0, 1, "abcdefgh"));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnPingsOfTheWrongSize) {
  harness.Send(Frame(kPing, 0, 0, "abc"));
  ExpectConnectionError(kFrameSizeError);
}

// --- §6.8: GOAWAY ----------------------------------------------------------------------

TEST_F(Http2FramesTest, AnswersWhatIsOpenAfterTheClientsGoaway) {
  OpenStream(1);
  harness.Send(Frame(kGoaway, 0, 0, Number(0, 4) + Number(kNoError, 4)));
  EXPECT_FALSE(harness.output.closed);
  AnswerOk(*late->streams[0]);
  harness.Turn();
  EXPECT_EQ(harness.Status(1), 200);
  EXPECT_TRUE(harness.output.closed);
}

TEST_F(Http2FramesTest, ClosesWhenAnIdleClientSaysGoodbye) {
  harness.Send(Frame(kGoaway, 0, 0, Number(0, 4) + Number(kNoError, 4) + "debug data"));
  EXPECT_TRUE(harness.output.closed);
}

TEST_F(Http2FramesTest, EndsOnGoawayForAStream) {
  harness.Send(Frame(kGoaway, 0, 1, Number(0, 4) + Number(kNoError, 4)));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnGoawayOfTheWrongSize) {
  harness.Send(Frame(kGoaway, 0, 0, Junk(7)));
  ExpectConnectionError(kFrameSizeError);
}

// --- §6.9: WINDOW_UPDATE ---------------------------------------------------------------

TEST_F(Http2FramesTest, EndsOnAConnectionWindowThatGrowsByNothing) {
  harness.Send(WindowUpdate(0, 0));
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnAStreamWindowThatGrowsByNothing) {
  OpenStream(1);
  harness.Send(WindowUpdate(1, 0));  // a stream error; nghttp2 makes it the connection's
  ExpectConnectionError(kProtocolError);
}

TEST_F(Http2FramesTest, EndsOnAConnectionWindowThatOverflows) {
  harness.Send(WindowUpdate(0, 0x7FFFFFFF));
  ExpectConnectionError(kFlowControlError);
}

TEST_F(Http2FramesTest, ResetsAStreamWhoseWindowOverflows) {
  OpenStream(1);
  harness.Send(WindowUpdate(1, 0x7FFFFFFF));
  ExpectStreamError(1, kFlowControlError);
  EXPECT_EQ(harness.handler.gone, 1);
}

TEST_F(Http2FramesTest, EndsOnWindowUpdatesOfTheWrongSize) {
  harness.Send(Frame(kWindowUpdate, 0, 0, Junk(3)));
  ExpectConnectionError(kFrameSizeError);
}

TEST_F(Http2FramesTest, EndsWhenASettingMakesAWindowOverflow) {
  OpenStream(1);
  harness.Send(WindowUpdate(1, 0x7FFFFFFF - 65535));
  harness.Send(Frame(kSettings, 0, 0, Setting(kInitialWindowSize, 65536)));
  const bool ended = harness.GoawayError() == kFlowControlError;
  EXPECT_TRUE(ended || harness.ResetOf(1) == kFlowControlError);  // §6.9.2; nghttp2 resets the stream
}

TEST_F(Http2FramesTest, ResetsStreamsThatExceedTheirWindow) {
  harness.limits.body = 10;  // the upload is refused: no window is given back
  std::string all = harness.Post(1);
  for (int i = 0; i < 5; ++i) all += Data(1, Junk(16384), false);
  harness.Send(all);
  ExpectStreamError(1, kFlowControlError);
}

// --- §8.1: malformed requests --------------------------------------------------------

TEST_F(Http2FramesTest, ResetsMalformedRequests) {
  harness.Send(harness.Get(1, "/", {{"Upper", "case"}}));
  EXPECT_EQ(harness.handler.refused, std::vector<uint16_t>{400});
  EXPECT_TRUE(harness.handler.seen.empty());
  EXPECT_EQ(harness.Status(1), 0);
  ExpectStreamError(1, kProtocolError);
}

TEST_F(Http2FramesTest, ResetsRequestsWithoutAPath) {
  harness.Send(harness.Head(1, {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}}));
  ExpectStreamError(1, kProtocolError);
}

TEST_F(Http2FramesTest, ResetsBodiesShorterThanAnnounced) {
  harness.Send(harness.Post(1, {{"content-length", "5"}}) + Data(1, "four", true));
  EXPECT_TRUE(harness.handler.seen.empty());
  ExpectStreamError(1, kProtocolError);
}

TEST_F(Http2FramesTest, ResetsBodiesLongerThanAnnounced) {
  harness.Send(harness.Post(1, {{"content-length", "3"}}) + Data(1, "four", false));
  ExpectStreamError(1, kProtocolError);
}

TEST_F(Http2FramesTest, ResetsBodiesThatWereAnnouncedAsNone) {
  harness.Send(harness.Post(1, {{"content-length", "0"}}) + Data(1, "x", true));
  ExpectStreamError(1, kProtocolError);
}

TEST_F(Http2FramesTest, TakesTrailersAndDropsThem) {
  harness.Send(harness.Post(1, {{"trailer", "x-sum"}}) + Data(1, "body", false));
  harness.Send(harness.Head(1, {{"x-sum", "1"}, {"connection", "ignored"}}));
  ASSERT_EQ(harness.handler.seen.size(), 1u);
  EXPECT_EQ(harness.handler.seen[0].body, "body");
  EXPECT_EQ(harness.handler.seen[0].Get("x-sum"), "(absent)");
  EXPECT_EQ(harness.Status(1), 200);
}

TEST_F(Http2FramesTest, TakesTrailersWithoutABody) {
  harness.Send(harness.Post(1));
  harness.Send(harness.Head(1, {{"x-sum", "1"}}));
  EXPECT_EQ(harness.Status(1), 200);
}

TEST_F(Http2FramesTest, ResetsTrailersThatDoNotEndTheRequest) {
  harness.Send(harness.Post(1) + Data(1, "body", false));
  harness.Send(harness.Head(1, {{"x", "y"}}, false));
  ExpectStreamError(1, kProtocolError);
}

TEST_F(Http2FramesTest, ResetsTrailersWithPseudoFields) {
  harness.Send(harness.Post(1));
  harness.Send(harness.Head(1, {{":path", "/other"}}));
  ExpectStreamError(1, kProtocolError);
}

TEST_F(Http2FramesTest, ResetsTrailersThatMakeTheBodyTooShort) {
  harness.Send(harness.Post(1, {{"content-length", "5"}}) + Data(1, "four", false));
  harness.Send(harness.Head(1, {{"x", "y"}}));
  ExpectStreamError(1, kProtocolError);
}

TEST_F(Http2FramesTest, RefusesTrailersThatAreTooLarge) {
  harness.Send(harness.Post(1));
  harness.Send(harness.Head(1, {{"x", std::string(9000, 'x')}}));
  EXPECT_EQ(harness.Status(1), 431);
  EXPECT_TRUE(harness.Ended(1));
  ExpectNothing(3);
}

}  // namespace
}  // namespace serin
