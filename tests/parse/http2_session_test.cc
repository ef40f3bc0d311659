// Requests and answers over HTTP/2, from bytes to handler and back.

#include "proxy/parse/http2_session.h"

#include <gtest/gtest.h>

#include "tests/parse/http2_harness.h"

namespace serin {
namespace {

class Http2SessionTest : public testing::Test {
 protected:
  Http2SessionTest() { harness.Start(); }
  void Answer(uint16_t status, std::optional<uint64_t> length, std::string body, bool end = true) {
    harness.handler.answer = [this, status, length, body, end](Stream& stream) {
      ResponseHead head;
      head.status = status;
      head.content_length = length;
      stream.SendHead(head);
      const std::string dies_after_the_flush = body;
      if (!body.empty()) stream.SendBody(dies_after_the_flush);
      output->Flush();
      end ? stream.SendEnd() : stream.Abort();
    };
  }

  Http2Harness harness;
  Http2Output* output = &harness.output;
};

TEST_F(Http2SessionTest, AnswersARequest) {
  harness.Send(harness.Get(1, "/a?b", {{"accept", "*/*"}}));
  ASSERT_EQ(harness.handler.seen.size(), 1u);
  EXPECT_EQ(harness.handler.seen[0].target, "/a?b");
  EXPECT_EQ(harness.handler.seen[0].protocol, Protocol::kHttp2);
  EXPECT_EQ(harness.handler.seen[0].Get("accept"), "*/*");
  EXPECT_EQ(harness.Status(1), 200);
  EXPECT_EQ(harness.Answer(1).Get("content-length"), "2");
  EXPECT_EQ(harness.Answer(1).Get("date").size(), 29u);
  EXPECT_EQ(harness.Body(1), "ok");
  EXPECT_TRUE(harness.Ended(1));
  EXPECT_EQ(harness.session->open_streams(), 0u);
}

TEST_F(Http2SessionTest, AnswersManyStreamsInOneWrite) {
  LateHandler handler(harness);
  std::string requests;
  for (uint32_t id = 1; id < 65; id += 2) requests += harness.Get(id);
  harness.Send(requests);
  ASSERT_EQ(handler.streams.size(), 32u);
  const int before = harness.output.writes;
  for (Stream* stream : handler.streams) {
    AnswerOk(*stream);
    harness.output.Flush();  // as at the end of each pool connection's callback
  }
  harness.Turn();
  EXPECT_EQ(harness.output.writes, before + 1);
  for (uint32_t id = 1; id < 65; id += 2) EXPECT_EQ(harness.Body(id), "ok");
}

TEST_F(Http2SessionTest, AnswersInAnyOrder) {
  LateHandler handler(harness);
  for (uint32_t id : {1, 3, 5}) harness.Send(harness.Get(id));
  AnswerOk(*handler.streams[2]);
  AnswerOk(*handler.streams[0]);
  harness.Turn();
  EXPECT_TRUE(harness.Ended(5));
  EXPECT_TRUE(harness.Ended(1));
  EXPECT_FALSE(harness.Ended(3));
  AnswerOk(*handler.streams[1]);
  harness.Turn();
  EXPECT_TRUE(harness.Ended(3));
}

TEST_F(Http2SessionTest, SurvivesBeingCutAnywhere) {
  std::string all = harness.Post(1, {{"content-length", "4"}}) + Data(1, "body", true);
  all += harness.Get(3, "/next");
  for (size_t size : {1, 2, 3, 7, 16}) {
    Http2Harness fresh;
    fresh.SendInPieces(std::string(kHttp2Preface) + Frame(kSettings, 0, 0, "") + all, size);
    ASSERT_EQ(fresh.handler.seen.size(), 2u) << size;
    EXPECT_EQ(fresh.handler.seen[0].body, "body");
    EXPECT_EQ(fresh.handler.seen[1].path, "/next");
    EXPECT_EQ(fresh.Body(3), "ok");
  }
}

// --- Answers -----------------------------------------------------------------------

TEST_F(Http2SessionTest, SendsTheFieldsButNotTheHops) {
  harness.handler.answer = [](Stream& stream) {
    ResponseHead head;
    head.status = 404;
    head.fields = {
        {"Content-Type", "text/html"},    {"set-cookie", "a"}, {"set-cookie", "b"}, {"connection", "close"},
        {"transfer-encoding", "chunked"}, {"date", "Thu"},     {"bad name", "x"},   {"x", "a\r\nb"}};
    head.content_length = 0;
    stream.SendHead(head);
    stream.SendEnd();
  };
  harness.Send(harness.Get(1));
  const Fields expected = {{":status", "404"},  {"content-type", "text/html"},
                           {"set-cookie", "a"}, {"set-cookie", "b"},
                           {"date", "Thu"},     {"content-length", "0"}};
  EXPECT_EQ(harness.Answer(1).fields, expected);
  EXPECT_TRUE(harness.Answer(1).ends_stream());
}

TEST_F(Http2SessionTest, WritesAnImpossibleStatusAs502) {
  Answer(99, 0, "");
  harness.Send(harness.Get(1));
  EXPECT_EQ(harness.Status(1), 502);
}

TEST_F(Http2SessionTest, SendsNoBodyToHead) {
  Answer(200, 5, "hello");
  harness.Send(harness.Head(1, Http2Harness::With("HEAD", "/")));
  EXPECT_EQ(harness.Answer(1).Get("content-length"), "5");
  EXPECT_TRUE(harness.Answer(1).ends_stream());
  EXPECT_EQ(harness.Body(1), "");
  EXPECT_EQ(harness.session->open_streams(), 0u);
  EXPECT_EQ(harness.handler.gone, 0);
}

TEST_F(Http2SessionTest, SendsNoBodyWith204And304) {
  for (const uint16_t status : {uint16_t{204}, uint16_t{304}}) {
    Http2Harness fresh;
    fresh.Start();
    fresh.handler.answer = [status](Stream& stream) {
      ResponseHead head;
      head.status = status;
      head.content_length = 5;
      stream.SendHead(head);
      stream.SendBody("hello");
      stream.SendEnd();
    };
    fresh.Send(fresh.Get(1));
    EXPECT_EQ(fresh.Answer(1).Get("content-length"), "(absent)");
    EXPECT_TRUE(fresh.Answer(1).ends_stream());
    EXPECT_EQ(fresh.session->open_streams(), 0u);
  }
}

TEST_F(Http2SessionTest, SendsABodyOfUnknownLength) {
  Answer(200, std::nullopt, "hello");
  harness.Send(harness.Get(1));
  EXPECT_EQ(harness.Answer(1).Get("content-length"), "(absent)");
  EXPECT_EQ(harness.Body(1), "hello");
  EXPECT_TRUE(harness.Ended(1));
}

TEST_F(Http2SessionTest, EndsABodyOfUnknownLengthThatIsEmpty) {
  Answer(200, std::nullopt, "");
  harness.Send(harness.Get(1));
  EXPECT_EQ(harness.Body(1), "");
  EXPECT_TRUE(harness.Ended(1));
}

TEST_F(Http2SessionTest, StreamsAnAnswerAsItComes) {
  LateHandler handler(harness);
  harness.Send(harness.Get(1));
  Stream& stream = *handler.streams[0];
  stream.SendHead(ResponseHead());
  harness.Turn();
  EXPECT_EQ(harness.Status(1), 200);
  for (const char* event : {"data: 1\n\n", "data: 2\n\n"}) {
    stream.SendBody(event);
    harness.Turn();
    EXPECT_TRUE(harness.Body(1).ends_with(event));
    EXPECT_FALSE(harness.Ended(1));
  }
  stream.SendEnd();
  harness.Turn();
  EXPECT_TRUE(harness.Ended(1));
}

TEST_F(Http2SessionTest, ResetsAnAnswerThatIsCutOff) {
  Answer(200, std::nullopt, "half", false);
  harness.Send(harness.Get(1));
  EXPECT_EQ(harness.ResetOf(1), kInternalError);
  EXPECT_FALSE(harness.Ended(1));
  EXPECT_EQ(harness.session->open_streams(), 0u);
  EXPECT_EQ(harness.handler.gone, 0);
}

TEST_F(Http2SessionTest, ResetsAnAnswerThatIsShorterThanAnnounced) {
  Answer(200, 10, "short");
  harness.Send(harness.Get(1));
  EXPECT_EQ(harness.ResetOf(1), kInternalError);
  EXPECT_FALSE(harness.Ended(1));
}

TEST_F(Http2SessionTest, ResetsAnAnswerThatIsLongerThanAnnounced) {
  Answer(200, 3, "too long");
  harness.Send(harness.Get(1));
  EXPECT_EQ(harness.ResetOf(1), kInternalError);
  EXPECT_EQ(harness.Body(1), "");
}

TEST_F(Http2SessionTest, ResetsAStreamThatIsEndedWithoutAHead) {
  harness.handler.answer = [](Stream& stream) { stream.SendEnd(); };
  harness.Send(harness.Get(1));
  EXPECT_EQ(harness.ResetOf(1), kInternalError);
}

TEST_F(Http2SessionTest, SendsHeadsLargerThanAFrame) {
  const std::string large(30000, 'x'), huge(30000, 'y');
  harness.handler.answer = [&](Stream& stream) {
    ResponseHead head;
    head.fields = {{"x-large", large}, {"x-huge", huge}};
    head.content_length = 0;
    stream.SendHead(head);
    stream.SendEnd();
  };
  harness.Send(harness.Get(1));
  EXPECT_EQ(harness.Answer(1).Get("x-large"), large);
  EXPECT_EQ(harness.Answer(1).Get("x-huge"), huge);
}

TEST_F(Http2SessionTest, ResetsWhenAHeadCannotBeFramed) {
  harness.handler.answer = [](Stream& stream) {
    ResponseHead head;
    const std::string huge(300 * 1024, 'x');
    head.fields = {{"x-huge", huge}};
    stream.SendHead(head);
    stream.SendEnd();
  };
  harness.Send(harness.Get(1));
  EXPECT_EQ(harness.ResetOf(1), kInternalError);
  EXPECT_EQ(harness.session->open_streams(), 0u);
}

TEST_F(Http2SessionTest, AnswersOptionsAsteriskItself) {
  harness.Send(harness.Head(1, Http2Harness::With("OPTIONS", "*")));
  EXPECT_TRUE(harness.handler.seen.empty());
  EXPECT_EQ(harness.Status(1), 200);
  EXPECT_EQ(harness.Answer(1).Get("allow"), kAllowedMethods);
  EXPECT_TRUE(harness.Ended(1));
}

// --- Bodies of requests --------------------------------------------------------------

TEST_F(Http2SessionTest, WaitsForTheWholeBody) {
  harness.Send(harness.Post(1));
  harness.Send(Data(1, "one ", false));
  EXPECT_TRUE(harness.handler.seen.empty());
  harness.Send(Data(1, "two", true));
  ASSERT_EQ(harness.handler.seen.size(), 1u);
  EXPECT_EQ(harness.handler.seen[0].body, "one two");
}

TEST_F(Http2SessionTest, TakesAnEmptyLastFrame) {
  harness.Send(harness.Post(1, {{"content-length", "3"}}) + Data(1, "abc", false) + Data(1, "", true));
  EXPECT_EQ(harness.handler.seen.at(0).body, "abc");
}

TEST_F(Http2SessionTest, SpoolsLargeBodiesOfManyStreamsAtOnce) {
  harness.Send(harness.Post(1));
  harness.Send(harness.Post(3));
  std::string one, three;
  for (int i = 0; i < 100; ++i) {
    const std::string a(1000 + i * 100, static_cast<char>('a' + i % 26)), b(i % 7 + 1, 'z');
    harness.Send(Data(1, a, false) + Data(3, b, false));
    one += a;
    three += b;
  }
  harness.Send(Data(3, "", true) + Data(1, "", true));
  ASSERT_EQ(harness.handler.seen.size(), 2u);
  EXPECT_EQ(harness.handler.seen[0].body, three);
  EXPECT_EQ(harness.handler.seen[1].body, one);
}

TEST_F(Http2SessionTest, GathersSmallPiecesOnceTheBodyIsInAFile) {
  ClientLimits limits;
  limits.spool.memory = 10;
  Http2Harness fresh(limits);
  fresh.Start();
  fresh.Send(fresh.Post(1));
  std::string body;
  for (int i = 0; i < 40000; ++i) body.push_back(static_cast<char>('a' + i % 26));
  std::string frames;
  for (char c : body) frames += Data(1, {&c, 1}, false);
  fresh.Send(frames + Data(1, "", true));
  EXPECT_EQ(fresh.handler.seen.at(0).body, body);
}

TEST_F(Http2SessionTest, SaysContinue) {
  harness.Send(harness.Post(1, {{"expect", "100-continue"}}));
  EXPECT_EQ(harness.Status(1), 100);
  EXPECT_FALSE(harness.Ended(1));
  harness.Send(Data(1, "body", true));
  EXPECT_EQ(harness.Status(1), 200);
}

TEST_F(Http2SessionTest, DoesNotSayContinueWithoutABody) {
  harness.Send(harness.Get(1, "/", {{"expect", "100-continue"}}));
  size_t heads = 0;
  for (const SentFrame& frame : harness.Frames()) heads += frame.type == kHeaders;
  EXPECT_EQ(heads, 1u);
}

// --- Refusals --------------------------------------------------------------------------

TEST_F(Http2SessionTest, RefusesWithAPageAndGoesOn) {
  harness.Send(harness.Head(1, {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}));  // no authority
  EXPECT_EQ(harness.Status(1), 400);
  EXPECT_EQ(harness.Answer(1).Get("content-type"), kRefusalType);
  EXPECT_EQ(harness.Answer(1).Get("content-length"), std::to_string(harness.Body(1).size()));
  EXPECT_NE(harness.Body(1).find("400 Bad Request"), std::string::npos);
  EXPECT_TRUE(harness.Ended(1));
  EXPECT_FALSE(harness.ResetOf(1));  // the request was whole
  EXPECT_EQ(harness.handler.refused, std::vector<uint16_t>{400});
  harness.Send(harness.Get(3));
  EXPECT_EQ(harness.Status(3), 200);
}

TEST_F(Http2SessionTest, NamesTheMethodsOfA405) {
  harness.Send(harness.Head(1, {{":method", "CONNECT"}, {":authority", "a:443"}}, false));
  EXPECT_EQ(harness.Status(1), 405);
  EXPECT_EQ(harness.Answer(1).Get("allow"), kAllowedMethods);
  EXPECT_EQ(harness.ResetOf(1), kNoError);
}

TEST_F(Http2SessionTest, RefusesHeadsThatAreTooLarge) {
  std::string block = harness.hpack.Encode(Http2Harness::With("GET", "/", {{"x", std::string(70000, 'x')}}));
  std::string frames = Frame(kHeaders, kEndStream, 1, block.substr(0, 16384));
  for (size_t at = 16384; at < block.size(); at += 16384) {
    frames += Frame(kContinuation, at + 16384 < block.size() ? 0 : kEndHeaders, 1, block.substr(at, 16384));
  }
  harness.Send(frames);
  EXPECT_EQ(harness.Status(1), 431);
  EXPECT_EQ(harness.handler.refused, std::vector<uint16_t>{431});
  harness.Send(harness.Get(3));  // HPACK's tables are still in step
  EXPECT_EQ(harness.Status(3), 200);
}

TEST_F(Http2SessionTest, TellsTheClientToStopAfterARefusal) {
  ClientLimits limits;
  limits.body = 1000;
  Http2Harness small(limits);
  small.Start();
  small.Send(small.Post(1) + Data(1, std::string(1001, 'x'), false));
  EXPECT_EQ(small.Status(1), 413);
  EXPECT_TRUE(small.Ended(1));
  EXPECT_EQ(small.ResetOf(1), kNoError);  // RFC 9113 §8.1, after the answer
  small.Send(Data(1, "late", false) + Data(1, "later", true));
  small.Send(small.Get(3));
  EXPECT_EQ(small.Status(3), 200);
  EXPECT_EQ(small.session->open_streams(), 0u);
}

TEST_F(Http2SessionTest, TellsAHeadRequestToStopAsWell) {
  Fields fields = Http2Harness::With("HEAD", "/", {{"content-length", "999999999999"}});
  harness.Send(harness.Head(1, fields, false));
  EXPECT_EQ(harness.Status(1), 413);
  EXPECT_EQ(harness.Body(1), "");
  EXPECT_TRUE(harness.Ended(1));
  EXPECT_EQ(harness.ResetOf(1), kNoError);
}

TEST_F(Http2SessionTest, Answers507WhenTheBodyCannotBeStored) {
  ClientLimits limits;
  limits.spool.memory = 10;
  limits.spool.directory = "/nonexistent";
  Http2Harness broken(limits);
  broken.Start();
  broken.Send(broken.Post(1) + Data(1, "more than ten bytes", true));
  EXPECT_EQ(broken.Status(1), 507);
}

// --- Clients that leave ------------------------------------------------------------------

TEST_F(Http2SessionTest, TellsTheHandlerWhenAStreamIsReset) {
  LateHandler handler(harness);
  harness.Send(harness.Get(1));
  harness.Send(harness.Get(3));
  harness.Send(Rst(1, kCancel));
  EXPECT_EQ(harness.handler.gone, 1);
  EXPECT_EQ(harness.session->open_streams(), 1u);
  AnswerOk(*handler.streams[1]);
  harness.Turn();
  EXPECT_EQ(harness.Body(3), "ok");
}

TEST_F(Http2SessionTest, NeverShowsTheHandlerWhatWasResetAtOnce) {
  for (uint32_t id = 1; id < 41; id += 2) harness.Send(harness.Get(id) + Rst(id, kCancel));
  EXPECT_TRUE(harness.handler.seen.empty());
  EXPECT_EQ(harness.handler.gone, 0);
  EXPECT_EQ(harness.session->open_streams(), 0u);
}

TEST_F(Http2SessionTest, TellsTheHandlerWhenTheConnectionBreaks) {
  LateHandler handler(harness);
  for (uint32_t id : {1, 3, 5}) harness.Send(harness.Get(id));
  harness.Send(harness.Post(7));
  EXPECT_TRUE(harness.session->ReceiveEof());
  harness.session->Abandon();
  EXPECT_EQ(harness.handler.gone, 3);
  harness.session->Abandon();
  EXPECT_EQ(harness.handler.gone, 3);
}

// A pool connection that becomes free goes to another request of the same client.
class PassingHandler final : public RequestHandler {
 public:
  void OnRequest(Stream& stream) override { streams.push_back(&stream); }
  void OnClientGone(Stream& stream) override {
    ++gone;
    std::erase(streams, &stream);
    if (!streams.empty()) AnswerOk(*std::exchange(streams, {}).back());
  }
  void OnSendable(Stream&) override {}
  void OnRefused(const Request&, uint16_t) override {}
  std::vector<Stream*> streams;
  int gone = 0;
};

TEST(Http2PassingTest, LetsTheHandlerAnswerOneStreamWhenAnotherIsGone) {
  for (const bool broken : {false, true}) {
    Http2Harness harness;
    PassingHandler handler;
    harness.session =
        std::make_unique<Http2Session>(harness.info, harness.limits, harness.output, handler, harness.pool);
    harness.Start();
    harness.Send(harness.Get(1));
    harness.Send(harness.Get(3));
    if (broken) {
      harness.session->Abandon();
    } else {
      harness.Send(Rst(1, kCancel));
      EXPECT_EQ(harness.Body(3), "ok");
    }
    EXPECT_EQ(handler.gone, 1);
    EXPECT_EQ(harness.session->open_streams(), 0u);
    harness.session.reset(
        new Http2Session(harness.info, harness.limits, harness.output, harness.handler, harness.pool));
  }
}

TEST_F(Http2SessionTest, IgnoresAnswersThatComeAfterTheReset) {
  LateHandler handler(harness);
  harness.Send(harness.Get(1));
  Stream& stream = *handler.streams[0];
  stream.SendHead(ResponseHead());
  stream.SendBody("some");
  const std::string rst = Rst(1, kCancel);
  harness.Send(rst);
  EXPECT_EQ(harness.handler.gone, 1);
  EXPECT_EQ(harness.session->open_streams(), 0u);
  harness.Send(harness.Get(3));
  EXPECT_EQ(handler.streams.size(), 2u);
}

// --- Recycling -----------------------------------------------------------------------------

TEST_F(Http2SessionTest, RecyclesStreamsAndRequests) {
  for (uint32_t id = 1; id < 2001; id += 2) harness.Send(harness.Get(id));
  EXPECT_EQ(harness.handler.seen.size(), 1000u);
  EXPECT_EQ(harness.session->kept_streams(), 1u);
  EXPECT_EQ(harness.pool.spare_requests(), 1u);
}

TEST_F(Http2SessionTest, KeepsFewStreamsWhenIdle) {
  std::string all;
  for (uint32_t id = 1; id < 200; id += 2) all += harness.Get(id);
  harness.Send(all);
  EXPECT_EQ(harness.handler.seen.size(), 100u);
  EXPECT_EQ(harness.session->open_streams(), 0u);
  EXPECT_LE(harness.session->kept_streams(), 8u);
}

TEST_F(Http2SessionTest, NamesItsPhase) {
  EXPECT_EQ(harness.session->phase(), SessionPhase::kIdle);
  const std::string head = harness.Post(1);
  harness.Send(head.substr(0, 20));
  EXPECT_EQ(harness.session->phase(), SessionPhase::kHead);
  harness.Send(head.substr(20));
  EXPECT_EQ(harness.session->phase(), SessionPhase::kBody);
  LateHandler handler(harness);
  harness.Send(Data(1, "", true));
  EXPECT_EQ(harness.session->phase(), SessionPhase::kResponding);
  AnswerOk(*handler.streams[0]);
  harness.Turn();
  EXPECT_EQ(harness.session->phase(), SessionPhase::kIdle);
  harness.Send("garbage garbage garbage");
  EXPECT_EQ(harness.session->phase(), SessionPhase::kClosing);
}

}  // namespace
}  // namespace serin
