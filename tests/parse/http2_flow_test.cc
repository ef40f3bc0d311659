// Flow control both ways, floods, deadlines and drain over HTTP/2.

#include <gtest/gtest.h>

#include "tests/parse/http2_harness.h"

namespace serin {
namespace {

constexpr size_t kMega = 1024 * 1024;

std::string Pattern(size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + i % 23);
  return out;
}

// What a pool does: gives pieces until it is held back.
class Download {
 public:
  Download(Http2Harness& harness, std::string body, size_t piece) : body_(std::move(body)), piece_(piece) {
    harness.handler.answer = [this, &harness](Stream& stream) {
      ResponseHead head;
      head.content_length = body_.size();
      stream.SendHead(head);
      Go(harness, stream);
    };
    harness.handler.on_sendable = [this, &harness](Stream& stream) { Go(harness, stream); };
  }
  size_t given() const { return given_; }

 private:
  void Go(Http2Harness& harness, Stream& stream) {
    while (given_ < body_.size()) {
      std::string lent = body_.substr(given_, piece_);
      stream.SendBody(lent);
      given_ += lent.size();
      harness.output.Flush();
      lent.assign(lent.size(), '!');  // the loan is over
      if (given_ < body_.size() && stream.Unsent() >= harness.limits.send_buffer)
        return stream.WantSendable();
    }
    stream.SendEnd();
  }
  const std::string body_;
  const size_t piece_;
  size_t given_ = 0;
};

class Http2FlowTest : public testing::Test {
 protected:
  void Start(uint32_t stream_window, uint32_t connection_window = 0) {
    harness.Start(Setting(kInitialWindowSize, stream_window));
    if (connection_window > 65535) harness.Send(WindowUpdate(0, connection_window - 65535));
  }
  Http2Harness harness;
};

// --- To the client -----------------------------------------------------------------

TEST_F(Http2FlowTest, SendsLargeAnswersWithinTheWindows) {
  const std::string body = Pattern(5 * kMega);
  Start(65535);
  Download download(harness, body, 100'000);
  harness.Send(harness.Get(1));
  size_t seen = 0;
  for (int turns = 0; turns < 1000 && !harness.Ended(1); ++turns) {
    const size_t now = harness.Body(1).size();
    EXPECT_LE(now - seen, 65535u);
    const auto more = static_cast<uint32_t>(now - seen);
    ASSERT_GT(more, 0u) << "stuck at " << now;
    seen = now;
    harness.Send(WindowUpdate(1, more) + WindowUpdate(0, more));
  }
  EXPECT_EQ(harness.Body(1), body);
}

TEST_F(Http2FlowTest, LendsLargePiecesWithoutACopy) {
  const std::string body = Pattern(2 * kMega);
  Start(0x7FFFFFFF, 0x7FFFFFFF);
  Download download(harness, body, 128 * 1024);
  harness.Send(harness.Get(1));
  EXPECT_EQ(harness.Body(1), body);
  EXPECT_EQ(harness.output.borrowed, body.size());
}

TEST_F(Http2FlowTest, SendsPiecesOfAnySizeInOrder) {
  for (size_t piece : {1, 1000, 16384, 16385, 40000}) {
    Http2Harness fresh;
    fresh.Start(Setting(kInitialWindowSize, 50'000));
    const std::string body = Pattern(300'000 + piece);
    Download download(fresh, piece == 1 ? body.substr(0, 2000) : body, piece);
    fresh.Send(fresh.Get(1));
    for (int i = 0; i < 1000 && !fresh.Ended(1); ++i)
      fresh.Send(WindowUpdate(1, 7000) + WindowUpdate(0, 7000));
    EXPECT_EQ(fresh.Body(1), piece == 1 ? body.substr(0, 2000) : body) << piece;
  }
}

TEST_F(Http2FlowTest, HoldsThePoolBackUnderAZeroWindow) {
  Start(0);
  Download download(harness, Pattern(50 * kMega), 64 * 1024);
  harness.Send(harness.Get(1));
  EXPECT_EQ(harness.Body(1), "");
  EXPECT_LE(download.given(), harness.limits.send_buffer + 64 * 1024);
}

TEST_F(Http2FlowTest, TakesNoNewRequestsWhileMuchIsKept) {
  Start(0);
  const std::string body = Pattern(100'000);
  int asked = 0;
  harness.handler.answer = [&](Stream& stream) {
    ++asked;
    ResponseHead head;
    head.content_length = body.size();
    stream.SendHead(head);
    stream.SendBody(body);
    stream.SendEnd();
  };
  std::string all;
  for (uint32_t id = 1; id < 200; id += 2) all += harness.Get(id);
  harness.Send(all);
  EXPECT_EQ(asked, 3);  // 300,000 bytes are above send_buffer
  // The client takes the first one: there is room for another.
  harness.Send(WindowUpdate(1, 100'000) + WindowUpdate(0, 100'000));
  EXPECT_TRUE(harness.Ended(1));
  EXPECT_EQ(asked, 4);
}

TEST_F(Http2FlowTest, LetsAStreamPassThatIsNotBlocked) {
  Start(65535, 0x7FFFFFFF);
  LateHandler handler(harness);
  harness.Send(harness.Get(1));
  harness.Send(harness.Get(3));
  handler.streams[0]->SendHead(ResponseHead());
  const std::string body = Pattern(600'000);
  handler.streams[0]->SendBody(body);
  harness.output.Flush();
  EXPECT_GE(handler.streams[0]->Unsent(), harness.limits.send_buffer);
  EXPECT_LT(handler.streams[1]->Unsent(), harness.limits.send_buffer / 2);
  handler.streams[1]->SendHead(ResponseHead());
  handler.streams[1]->SendBody("small");
  handler.streams[1]->SendEnd();
  harness.Turn();
  EXPECT_EQ(harness.Body(3), "small");
}

TEST_F(Http2FlowTest, ObeysSettingsThatShrinkAWindowBelowZero) {
  Start(20'000);
  const std::string body = Pattern(30'000);
  Download download(harness, body, 30'000);
  harness.Send(harness.Get(1));
  EXPECT_EQ(harness.Body(1).size(), 20'000u);
  harness.Send(Frame(kSettings, 0, 0, Setting(kInitialWindowSize, 0)) + WindowUpdate(1, 15'000));
  EXPECT_EQ(harness.Body(1).size(), 20'000u);
  harness.Send(WindowUpdate(1, 15'000));
  EXPECT_EQ(harness.Body(1), body);
}

TEST_F(Http2FlowTest, WaitsForTheSocketWithoutFramingAll) {
  Start(0x7FFFFFFF, 0x7FFFFFFF);
  const std::string body = Pattern(200'000);
  harness.output.stuck = true;
  Download download(harness, body, 200'000);
  harness.Send(harness.Get(1));
  EXPECT_LE(harness.output.Unsent(), harness.limits.send_buffer / 4 + 32 * 1024);
  for (int i = 0; i < 10; ++i) harness.Unstick();
  EXPECT_EQ(harness.Body(1), body);
}

TEST_F(Http2FlowTest, CallsOnSendableWhenHalfHasGone) {
  Start(0x7FFFFFFF, 0x7FFFFFFF);
  harness.output.stuck = true;
  Download download(harness, Pattern(3 * kMega), 64 * 1024);
  harness.Send(harness.Get(1));
  EXPECT_LT(download.given(), kMega);
  EXPECT_EQ(harness.handler.sendable, 0);
  harness.Unstick();
  EXPECT_GE(harness.handler.sendable, 1);
  EXPECT_TRUE(harness.Ended(1));
}

TEST_F(Http2FlowTest, LetsLongAnswersTakeTurns) {
  Start(0x7FFFFFFF, 0x7FFFFFFF);
  LateHandler handler(harness);
  harness.Send(harness.Get(1));
  harness.Send(harness.Get(3));
  harness.output.stuck = true;
  const std::string body = Pattern(200'000);
  for (Stream* stream : handler.streams) {
    stream->SendHead(ResponseHead());
    stream->SendBody(body);
    harness.output.Flush();
    stream->SendEnd();
  }
  for (int i = 0; i < 20; ++i) {
    harness.output.Unstick();
    harness.output.stuck = true;
    harness.session->OnSent();
    harness.Turn();
  }
  harness.Unstick();
  EXPECT_EQ(harness.Body(1), body);
  EXPECT_EQ(harness.Body(3), body);
  size_t last_of_1 = 0, first_of_3 = 0;
  for (size_t i = 0; i < harness.Frames().size(); ++i) {
    const SentFrame& frame = harness.Frames()[i];
    if (frame.type == kData && frame.id == 1) last_of_1 = i;
    if (frame.type == kData && frame.id == 3 && first_of_3 == 0) first_of_3 = i;
  }
  EXPECT_LT(first_of_3, last_of_1);
}

TEST_F(Http2FlowTest, ResetsStalledStreamsAfterTheSendTimeout) {
  harness.limits.send_timeout = absl::ZeroDuration();
  Start(0);
  LateHandler handler(harness);
  harness.Send(harness.Get(1));
  harness.Send(harness.Get(3));
  handler.streams[0]->SendHead(ResponseHead());
  handler.streams[0]->SendBody("never taken");
  harness.Turn();
  ASSERT_TRUE(harness.session->Deadline());
  harness.session->OnTimeout();
  harness.Turn();
  EXPECT_EQ(harness.ResetOf(1), kCancel);
  EXPECT_EQ(harness.handler.gone, 1);
  EXPECT_EQ(harness.session->open_streams(), 1u);
  EXPECT_FALSE(harness.session->Deadline());
}

// --- From the client -----------------------------------------------------------------

TEST_F(Http2FlowTest, GivesWindowsBackAsTheBodyIsStored) {
  Start(65535);
  harness.Send(harness.Post(1));
  const std::string piece = Pattern(16'000);
  std::string sent;
  for (int i = 0; i < 300; ++i) {
    harness.Send(Data(1, piece, false));
    sent += piece;
    ASSERT_LE(sent.size(), 65536 + harness.WindowGiven(1));
  }
  harness.Send(Data(1, "", true));
  EXPECT_EQ(harness.handler.seen.at(0).body, sent);
  EXPECT_FALSE(harness.GoawayError());
}

TEST_F(Http2FlowTest, GivesNoWindowToAnUploadThatIsRefused) {
  harness.limits.body = 20'000;
  Start(65535);
  harness.output.stuck = true;  // our refusal is slow
  harness.Send(harness.Post(1));
  for (int i = 0; i < 4; ++i) harness.Send(Data(1, Pattern(16'000), false));
  harness.Unstick();
  EXPECT_EQ(harness.Status(1), 413);
  EXPECT_EQ(harness.WindowGiven(1), 0u);
}

TEST_F(Http2FlowTest, GivesTheConnectionsWindowBackForBytesThatNobodyWants) {
  Start(65535);
  uint32_t id = 1;
  for (int i = 0; i < 50; ++i, id += 2) {
    harness.Send(harness.Post(id, {{"content-length", "1"}}));
    harness.Send(Data(id, Pattern(16'000), false) + Data(id, Pattern(16'000), false));  // malformed; reset
  }
  EXPECT_GE(harness.WindowGiven(0), kMega - 65535 + 512 * 1024);
  harness.Send(harness.Get(id));
  EXPECT_EQ(harness.Status(id), 200);
}

// --- Floods ----------------------------------------------------------------------------

TEST_F(Http2FlowTest, EndsFloodsOfFramesThatMoveNothing) {
  const std::string floods[] = {
      Frame(kPing, 0, 0, "12345678"),
      Frame(kSettings, 0, 0, ""),
      Frame(kPriority, 0, 1, Number(0, 5)),
      Frame(kPing, kAck, 0, "12345678"),
      Data(1, "", false),
      Frame(kData, kPadded, 1, std::string(1, '\0')),
  };
  for (const std::string& frame : floods) {
    Http2Harness fresh;
    fresh.Start();
    fresh.Send(fresh.Post(1));
    for (int i = 0; i < 3000; ++i) fresh.Send(frame);
    EXPECT_EQ(fresh.GoawayError(), kEnhanceYourCalm);
    EXPECT_TRUE(fresh.output.closed);
    EXPECT_EQ(fresh.session->open_streams(), 0u);
  }
}

TEST_F(Http2FlowTest, EndsFloodsOfQuestionsWhoseAnswersAreNotRead) {
  for (const std::string& frame : {Frame(kPing, 0, 0, "12345678"), Frame(kSettings, 0, 0, "")}) {
    Http2Harness fresh;
    fresh.Start();
    fresh.output.stuck = true;
    std::string many;
    for (int i = 0; i < 1500; ++i) many += frame;
    for (int i = 0; i < 100; ++i) fresh.Send(many);
    EXPECT_LE(fresh.output.Unsent(), fresh.limits.send_buffer);
    fresh.Unstick();
    EXPECT_EQ(fresh.GoawayError(), kEnhanceYourCalm);
  }
}

TEST_F(Http2FlowTest, BearsTheSameFromAClientThatIsServed) {
  Start(65535);
  for (uint32_t i = 0; i < 3000; ++i) {
    harness.Send(Frame(kPing, 0, 0, "12345678") + harness.Get(1 + 2 * i));
    harness.Send(WindowUpdate(0, 2));
  }
  EXPECT_EQ(harness.handler.seen.size(), 3000u);
  EXPECT_FALSE(harness.GoawayError());
}

TEST_F(Http2FlowTest, EndsRapidResets) {
  Start(65535);
  LateHandler handler(harness);
  for (uint32_t id = 1; id < 4001; id += 2) {
    harness.Send(harness.Get(id));
    harness.Send(Rst(id, kCancel));
  }
  EXPECT_LE(handler.streams.size(), 201u);  // of 2,000
  EXPECT_EQ(handler.streams.size(), static_cast<size_t>(harness.handler.gone));
  EXPECT_EQ(harness.GoawayError(), kEnhanceYourCalm);
}

TEST_F(Http2FlowTest, EndsResetsThatItIsMadeToSend) {
  Start(65535);
  LateHandler handler(harness);
  for (uint32_t id = 1; id < 4001; id += 2) {
    harness.Send(harness.Get(id));
    harness.Send(WindowUpdate(id, 0x7FFFFFFF));  // CVE-2025-8671
  }
  EXPECT_LE(handler.streams.size(), 100u);
  EXPECT_EQ(harness.GoawayError(), kEnhanceYourCalm);
}

TEST_F(Http2FlowTest, BearsABrowserThatLeavesACrowdedPage) {
  Start(65535);
  LateHandler handler(harness);
  std::string all, resets;
  for (uint32_t id = 1; id < 200; id += 2) all += harness.Get(id), resets += Rst(id, kCancel);
  harness.Send(all);
  harness.Send(resets);
  EXPECT_EQ(harness.handler.gone, 100);
  harness.handler.answer = AnswerOk;
  harness.Send(harness.Get(201));
  EXPECT_EQ(harness.Status(201), 200);
}

TEST_F(Http2FlowTest, DoesNotBlameTheClientForBrokenAnswers) {
  Start(65535);
  harness.handler.answer = [](Stream& stream) { stream.Abort(); };
  for (uint32_t id = 1; id < 2001; id += 2) harness.Send(harness.Get(id));
  EXPECT_EQ(harness.handler.seen.size(), 1000u);
  EXPECT_FALSE(harness.GoawayError());
}

TEST_F(Http2FlowTest, EndsFloodsOfContinuations) {
  Start(65535);
  const std::string block = harness.hpack.Encode(Http2Harness::With("GET", "/"));
  std::string flood = Frame(kHeaders, 0, 1, block);
  for (int i = 0; i < 100; ++i) flood += Frame(kContinuation, 0, 1, "");
  harness.Send(flood);  // CVE-2024-28182
  EXPECT_EQ(harness.GoawayError(), kEnhanceYourCalm);
  EXPECT_TRUE(harness.output.closed);
}

TEST_F(Http2FlowTest, StoresNothingOfAnHpackBomb) {
  Start(65535);
  Fields fields = Http2Harness::With("GET", "/", {{"bomb", std::string(2000, 'x')}});
  const std::string block = harness.hpack.Encode(fields);
  // The new entry of the dynamic table, one byte each time.
  harness.Send(Frame(kHeaders, kEndStream, 1, block) +
               Frame(kContinuation, kEndHeaders, 1, std::string(16'000, static_cast<char>(0xBE))));
  EXPECT_EQ(harness.Status(1), 431);
  EXPECT_LT(harness.handler.refused_requests.at(0).fields.size(), 129u);
}

// --- Deadlines -----------------------------------------------------------------------------

TEST_F(Http2FlowTest, RefusesRequestsWhoseBodyIsSlow) {
  harness.limits.body_timeout = absl::ZeroDuration();
  Start(65535);
  LateHandler handler(harness);
  harness.Send(harness.Get(1));
  harness.Send(harness.Post(3) + Data(3, "some", false));
  ASSERT_TRUE(harness.session->Deadline());
  harness.session->OnTimeout();
  harness.Turn();
  EXPECT_EQ(harness.Status(3), 408);
  EXPECT_EQ(harness.ResetOf(3), kNoError);
  EXPECT_EQ(harness.handler.refused, std::vector<uint16_t>{408});
  EXPECT_FALSE(harness.session->Deadline());  // stream 1 has no deadline of ours
  AnswerOk(*handler.streams[0]);
  harness.Turn();
  EXPECT_EQ(harness.Body(1), "ok");
}

TEST_F(Http2FlowTest, TimesEachBodyByItself) {
  Start(65535);
  harness.Send(harness.Post(1));
  const Instant first = *harness.session->Deadline();
  harness.Send(harness.Post(3));
  EXPECT_EQ(*harness.session->Deadline(), first);
  harness.Send(Data(1, "", true));
  EXPECT_GT(*harness.session->Deadline(), first);
  harness.session->OnTimeout();  // nobody's is over
  harness.Turn();
  EXPECT_EQ(harness.Status(3), 0);
}

TEST_F(Http2FlowTest, EndsConnectionsWhoseHeadIsNotCompleted) {
  harness.limits.head_timeout = absl::ZeroDuration();
  Start(65535);
  harness.Send(harness.Get(1).substr(0, 15));
  ASSERT_TRUE(harness.session->Deadline());
  harness.session->OnTimeout();
  harness.Turn();
  EXPECT_EQ(harness.GoawayError(), kEnhanceYourCalm);
  EXPECT_EQ(harness.handler.refused, std::vector<uint16_t>{408});
  EXPECT_TRUE(harness.output.closed);
}

TEST_F(Http2FlowTest, SaysGoodbyeToIdleClients) {
  harness.limits.idle_timeout = absl::ZeroDuration();
  Start(65535);
  harness.Send(harness.Get(1));
  harness.session->OnTimeout();
  harness.Turn();
  EXPECT_EQ(harness.GoawayError(), kNoError);
  EXPECT_TRUE(harness.output.closed);
}

TEST_F(Http2FlowTest, IsNotKeptAwakeByPings) {
  Start(65535);
  const Instant before = *harness.session->Deadline();
  harness.Send(Frame(kPing, 0, 0, "12345678"));
  EXPECT_EQ(*harness.session->Deadline(), before);
  harness.Send(harness.Get(1));
  EXPECT_GT(*harness.session->Deadline(), before);
}

TEST_F(Http2FlowTest, IsNotIdleWhileItAnswers) {
  harness.limits.idle_timeout = absl::ZeroDuration();
  Start(65535);
  LateHandler handler(harness);
  harness.Send(harness.Get(1));
  EXPECT_FALSE(harness.session->Deadline());
  harness.session->OnTimeout();
  harness.Turn();
  EXPECT_FALSE(harness.GoawayError());
}

// --- Drain ---------------------------------------------------------------------------------

TEST_F(Http2FlowTest, DrainsInTwoSteps) {
  Start(65535);
  LateHandler handler(harness);
  harness.Send(harness.Get(1));
  harness.session->BeginDrain();
  harness.session->BeginDrain();
  harness.Turn();
  ASSERT_EQ(harness.Count(kGoaway), 1u);
  const SentFrame ping = harness.Frames().back();
  EXPECT_EQ(ping.type, kPing);
  EXPECT_EQ(ReadNumber(harness.Frames()[harness.Frames().size() - 2].payload.substr(0, 4)), 0x7FFFFFFFu);
  harness.Send(harness.Get(3));  // was on its way
  EXPECT_EQ(handler.streams.size(), 2u);
  harness.Send(Frame(kPing, kAck, 0, ping.payload));
  ASSERT_EQ(harness.Count(kGoaway), 2u);
  EXPECT_EQ(ReadNumber(harness.Frames().back().payload.substr(0, 4)), 3u);
  harness.Send(harness.Get(5));  // ignored: the client has been told
  EXPECT_EQ(handler.streams.size(), 2u);
  EXPECT_FALSE(harness.output.closed);
  for (Stream* stream : handler.streams) AnswerOk(*stream);
  harness.Turn();
  EXPECT_EQ(harness.Body(1) + harness.Body(3), "okok");
  EXPECT_EQ(harness.GoawayError(), kNoError);
  EXPECT_TRUE(harness.output.closed);
  EXPECT_EQ(harness.handler.gone, 0);
}

TEST_F(Http2FlowTest, DrainsAnIdleConnectionAtOnceWhenTheClientHasHeard) {
  Start(65535);
  harness.session->BeginDrain();
  harness.Turn();
  EXPECT_FALSE(harness.output.closed);
  harness.Send(Frame(kPing, kAck, 0, std::string(8, '\0')));
  EXPECT_TRUE(harness.output.closed);
}

TEST_F(Http2FlowTest, DoesNotWaitLongForAClientThatDoesNotHear) {
  Start(65535);
  LateHandler handler(harness);
  harness.Send(harness.Get(1));
  harness.session->BeginDrain();
  harness.Turn();
  ASSERT_TRUE(harness.session->Deadline());
  EXPECT_LE(*harness.session->Deadline(), Instant::Now() + absl::Seconds(1));
}

}  // namespace
}  // namespace serin
