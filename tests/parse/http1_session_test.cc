// The life of an HTTP/1 connection: pipelining, answers and their framing,
// waiting, draining, ending.

#include "proxy/parse/http1_session.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/parse/session_harness.h"

namespace serin {
namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string kGet10 = "GET / HTTP/1.0\r\n\r\n";

// A session whose handler keeps the stream, for answers from outside OnRequest.
struct LaterHarness : SessionHarness {
  explicit LaterHarness(ClientLimits with = {}) : SessionHarness(std::move(with)) {
    handler.answer = nullptr;
  }
  Stream& stream() { return *handler.waiting; }
};

std::string BodyOf(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

TEST(Http1SessionTest, AnswersARequestAndGoesIdle) {
  SessionHarness harness;
  EXPECT_EQ(harness.session->phase(), SessionPhase::kIdle);
  harness.Send(kGet);
  EXPECT_EQ(harness.status(), 200);
  EXPECT_EQ(BodyOf(harness.sent()), "ok");
  EXPECT_EQ(harness.Count("\r\nDate: "), 1u);
  EXPECT_EQ(harness.session->phase(), SessionPhase::kIdle);
  EXPECT_EQ(harness.pool.spare_requests(), 1u);
  EXPECT_FALSE(harness.output.closed);
}

TEST(Http1SessionTest, IsSmall) { EXPECT_LE(sizeof(Http1Session), 400u); }

TEST(Http1SessionTest, TellsItsPhase) {
  LaterHarness harness;
  harness.Send("P");
  EXPECT_EQ(harness.session->phase(), SessionPhase::kHead);
  harness.Send("OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(harness.session->phase(), SessionPhase::kBody);
  harness.Send("ab");
  EXPECT_EQ(harness.session->phase(), SessionPhase::kResponding);
  AnswerOk(harness.stream());
  EXPECT_EQ(harness.session->phase(), SessionPhase::kIdle);
  harness.session->BeginDrain();
  EXPECT_EQ(harness.session->phase(), SessionPhase::kClosing);
}

// --- Pipelining ------------------------------------------------------------------

TEST(Http1SessionTest, AnswersPipelinedRequestsInOrderOneAtATime) {
  LaterHarness harness;
  harness.Send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTT");
  ASSERT_EQ(harness.handler.seen.size(), 1u);
  AnswerOk(harness.stream());
  ASSERT_EQ(harness.handler.seen.size(), 2u);
  harness.Send("P/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(harness.handler.seen.size(), 2u);
  AnswerOk(harness.stream());
  ASSERT_EQ(harness.handler.seen.size(), 3u);
  EXPECT_EQ(harness.handler.seen[2].path, "/3");
  AnswerOk(harness.stream());
  EXPECT_EQ(harness.Count("HTTP/1.1 200 OK"), 3u);
  EXPECT_EQ(harness.session->phase(), SessionPhase::kIdle);
}

TEST(Http1SessionTest, DoesNotRecurseOverTenThousandPipelinedRequests) {
  std::string requests;
  for (int i = 0; i < 10000; ++i) requests += kGet;
  SessionHarness at_once;
  at_once.Send(requests);
  EXPECT_EQ(at_once.handler.seen.size(), 10000u);
  EXPECT_EQ(at_once.handler.max_depth, 1);

  // The first is answered later, so that all the others run from within its SendEnd.
  LaterHarness later;
  later.Send(requests);
  ASSERT_EQ(later.handler.seen.size(), 1u);
  later.handler.answer = AnswerOk;
  AnswerOk(later.stream());
  EXPECT_EQ(later.handler.seen.size(), 10000u);
  EXPECT_EQ(later.handler.max_depth, 1);
}

TEST(Http1SessionTest, StopsReadingWhenEnoughIsPipelined) {
  LaterHarness harness;
  harness.Send(kGet);
  EXPECT_TRUE(harness.session->WantsRead());
  harness.Send(std::string(64 * 1024, 'x'));
  EXPECT_FALSE(harness.session->WantsRead());
  AnswerOk(harness.stream());
  EXPECT_EQ(harness.Count("HTTP/1.1 414 "), 1u);
}

TEST(Http1SessionTest, AnswersNoFurtherRequestWhileTheClientDoesNotRead) {
  ClientLimits limits;
  limits.send_buffer = 1000;
  SessionHarness harness(limits);
  harness.output.stuck = true;
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += kGet;
  harness.Send(requests);
  const size_t answered = harness.handler.seen.size();
  EXPECT_LT(answered, 20u);
  harness.output.stuck = false;
  harness.output.unsent = 0;
  harness.session->OnSent();
  EXPECT_EQ(harness.handler.seen.size(), 100u);
}

TEST(Http1SessionTest, ParsesNothingAfterARefusal) {
  SessionHarness harness;
  harness.Send(kGet + "BAD\r\n\r\n" + kGet);
  EXPECT_EQ(harness.handler.seen.size(), 1u);
  EXPECT_EQ(harness.Count("HTTP/1.1 400 "), 1u);
  harness.Send(kGet);
  EXPECT_EQ(harness.Count("HTTP/1.1 "), 2u);
  EXPECT_TRUE(harness.output.closed && harness.output.linger);
  EXPECT_EQ(harness.output.writes_after_close, 0);
}

TEST(Http1SessionTest, ParsesNothingAfterARequestThatCloses) {
  SessionHarness harness;
  harness.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + kGet);
  EXPECT_EQ(harness.handler.seen.size(), 1u);
  EXPECT_EQ(harness.Count("\r\nConnection: close\r\n"), 1u);
  EXPECT_TRUE(harness.output.closed && harness.output.linger);
}

// --- Answers -----------------------------------------------------------------------

TEST(Http1SessionTest, ChunksABodyOfUnknownLength) {
  LaterHarness harness;
  harness.Send(kGet);
  Stream& stream = harness.stream();
  stream.SendHead({});
  stream.SendBody("hello");
  stream.SendBody("");
  stream.SendBody(std::string_view("0123456789abcdef!"));
  stream.SendEnd();
  EXPECT_EQ(BodyOf(harness.sent()), "5\r\nhello\r\n11\r\n0123456789abcdef!\r\n0\r\n\r\n");
  EXPECT_EQ(harness.Count("\r\nTransfer-Encoding: chunked\r\n"), 1u);
  EXPECT_FALSE(harness.output.closed);
}

TEST(Http1SessionTest, EndsABodyOfUnknownLengthByClosingForHttp10) {
  LaterHarness harness;
  harness.Send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  harness.stream().SendHead({});
  harness.stream().SendBody("hello");
  harness.stream().SendEnd();
  EXPECT_EQ(BodyOf(harness.sent()), "hello");
  EXPECT_EQ(harness.Count("Transfer-Encoding"), 0u);
  EXPECT_EQ(harness.Count("\r\nConnection: close\r\n"), 1u);
  EXPECT_TRUE(harness.output.closed);
  EXPECT_FALSE(harness.output.reset);
}

TEST(Http1SessionTest, KeepsAnHttp10ConnectionThatAsksForIt) {
  SessionHarness harness;
  harness.Send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(harness.Count("\r\nConnection: keep-alive\r\n"), 1u);
  EXPECT_FALSE(harness.output.closed);
  harness.Send(kGet10);
  EXPECT_EQ(harness.handler.seen.size(), 2u);
  EXPECT_TRUE(harness.output.closed);
}

TEST(Http1SessionTest, SendsNoBodyToHead) {
  SessionHarness harness;
  harness.Send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(BodyOf(harness.sent()), "");
  EXPECT_EQ(harness.Count("\r\nContent-Length: 2\r\n"), 1u);
  EXPECT_FALSE(harness.output.closed);
}

TEST(Http1SessionTest, SendsNoBodyWithAStatusThatHasNone) {
  for (uint16_t status : std::initializer_list<uint16_t>{204, 304}) {
    LaterHarness harness;
    harness.Send(kGet);
    ResponseHead head;
    head.status = status;
    harness.stream().SendHead(head);
    harness.stream().SendBody("a body that must not be there");
    harness.stream().SendEnd();
    EXPECT_EQ(BodyOf(harness.sent()), "");
    EXPECT_FALSE(harness.output.closed);
  }
}

TEST(Http1SessionTest, ShowsThatABodyWasLongerThanAnnounced) {
  LaterHarness harness;
  harness.Send(kGet + kGet);
  ResponseHead head;
  head.content_length = 6;
  harness.stream().SendHead(head);
  harness.stream().SendBody("hello");
  harness.stream().SendBody("worlds");
  harness.stream().SendBody("!");
  EXPECT_FALSE(harness.output.closed);
  harness.stream().SendEnd();
  EXPECT_EQ(BodyOf(harness.sent()), "hello");
  EXPECT_TRUE(harness.output.closed);
  EXPECT_EQ(harness.handler.seen.size(), 1u);
}

TEST(Http1SessionTest, ShowsThatABodyWasShorterThanAnnounced) {
  LaterHarness harness;
  harness.Send(kGet + kGet);
  ResponseHead head;
  head.content_length = 6;
  harness.stream().SendHead(head);
  harness.stream().SendBody("hello");
  harness.stream().SendEnd();
  EXPECT_TRUE(harness.output.closed);
  EXPECT_EQ(harness.handler.seen.size(), 1u);
}

TEST(Http1SessionTest, AbortsAChunkedAnswerWithoutItsLastChunk) {
  LaterHarness harness;
  harness.Send(kGet);
  harness.stream().SendHead({});
  harness.stream().SendBody("hello");
  harness.stream().Abort();
  EXPECT_EQ(BodyOf(harness.sent()), "5\r\nhello\r\n");
  EXPECT_TRUE(harness.output.closed);
  EXPECT_FALSE(harness.output.reset);
  EXPECT_EQ(harness.pool.spare_requests(), 1u);
}

TEST(Http1SessionTest, ResetsWhenAnAnswerWithoutFramingIsAborted) {
  LaterHarness harness;
  harness.Send(kGet10);
  harness.stream().SendHead({});
  harness.stream().SendBody("hello");
  harness.stream().Abort();
  EXPECT_TRUE(harness.output.reset);
}

TEST(Http1SessionTest, ClosesWithoutAWordWhenAbortedBeforeTheHead) {
  LaterHarness harness;
  harness.Send(kGet);
  harness.stream().Abort();
  EXPECT_EQ(harness.sent(), "");
  EXPECT_TRUE(harness.output.closed);
}

TEST(Http1SessionTest, TellsWhenTheSocketHasTakenEnough) {
  ClientLimits limits;
  limits.send_buffer = 1000;
  LaterHarness harness(limits);
  harness.output.stuck = true;
  harness.Send(kGet);
  harness.stream().SendHead({});
  harness.stream().SendBody(std::string(2000, 'x'));
  harness.stream().WantSendable();
  harness.output.unsent = 500;
  harness.session->OnSent();
  EXPECT_EQ(harness.handler.sendable, 0);
  harness.output.unsent = 499;
  harness.session->OnSent();
  harness.session->OnSent();
  EXPECT_EQ(harness.handler.sendable, 1);
}

// --- Expect: 100-continue ------------------------------------------------------------

const std::string kExpect = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n";

TEST(Http1SessionTest, AsksForABodyThatWaits) {
  SessionHarness harness;
  harness.Send(kExpect);
  EXPECT_EQ(harness.sent(), "HTTP/1.1 100 Continue\r\n\r\n");
  harness.Send("ab");
  EXPECT_EQ(harness.handler.seen.size(), 1u);
  EXPECT_EQ(harness.handler.seen[0].Get("expect"), "(absent)");
  EXPECT_EQ(harness.Count("HTTP/1.1 "), 2u);
}

TEST(Http1SessionTest, AsksForAChunkedBodyThatWaits) {
  SessionHarness harness;
  harness.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(harness.Count("100 Continue"), 1u);
  harness.Send("2\r\nab\r\n0\r\n\r\n");
  EXPECT_EQ(harness.handler.seen.size(), 1u);
}

TEST(Http1SessionTest, DoesNotAskInVain) {
  const std::string cases[] = {
      kExpect + "a",                                                                      // it is coming
      kExpect + "ab",                                                                     // it is here
      "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",                        // there is none
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",  // nor here
      "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",  // 1.0 knows no 1xx
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\nExpect: 100-continue\r\n\r\n",  // 413
  };
  for (const std::string& bytes : cases) {
    SessionHarness harness;
    harness.Send(bytes);
    EXPECT_EQ(harness.Count("100 Continue"), 0u) << bytes;
  }
}

// --- Large bodies --------------------------------------------------------------------

TEST(Http1SessionTest, SpillsALargeBodyToAFile) {
  ClientLimits limits;
  limits.spool.memory = 1000;
  limits.spool.directory = testing::TempDir();
  std::string body, chunks;
  for (int i = 0; i < 5000; ++i) {
    body += static_cast<char>('a' + i % 26);
    chunks += "1\r\n" + std::string(1, static_cast<char>('a' + i % 26)) + "\r\n";
  }
  for (const std::string& bytes :
       {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + body,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n"}) {
    for (size_t piece : {size_t{100}, size_t{4096}, bytes.size()}) {
      SessionHarness harness(limits);
      harness.SendInPieces(bytes, piece);
      ASSERT_EQ(harness.handler.seen.size(), 1u);
      EXPECT_EQ(harness.handler.seen[0].body, body);
    }
  }
}

TEST(Http1SessionTest, AnswersThatItCannotStoreABody) {
  ClientLimits limits;
  limits.spool.memory = 10;
  limits.spool.directory = testing::TempDir() + "/there-is-no-such-directory";
  SessionHarness harness(limits);
  harness.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" + std::string(100, 'x'));
  EXPECT_EQ(harness.status(), 507);
  EXPECT_EQ(harness.handler.refused.size(), 1u);
  EXPECT_TRUE(harness.output.closed);
}

TEST(Http1SessionTest, RefusesABodyThatIsTooLarge) {
  ClientLimits limits;
  limits.body = 10;
  SessionHarness declared(limits), counted(limits);
  declared.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
  EXPECT_EQ(declared.status(), 413);
  counted.Send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n5\r\n");
  EXPECT_EQ(counted.status(), 413);
}

// --- Ending --------------------------------------------------------------------------

TEST(Http1SessionTest, AnswersARequestWhoseClientHasShutDownItsSide) {
  LaterHarness harness;
  harness.Send(kGet + kGet);
  EXPECT_FALSE(harness.session->ReceiveEof());
  EXPECT_FALSE(harness.session->WantsRead());
  AnswerOk(harness.stream());
  ASSERT_EQ(harness.handler.seen.size(), 2u) << "it had been sent before the end";
  EXPECT_FALSE(harness.output.closed);
  AnswerOk(harness.stream());
  EXPECT_EQ(harness.Count("\r\nConnection: close\r\n"), 1u);
  EXPECT_TRUE(harness.output.closed);
}

TEST(Http1SessionTest, DropsAnIdleConnectionAtItsEnd) {
  SessionHarness harness;
  EXPECT_TRUE(harness.session->ReceiveEof());
  SessionHarness used;
  used.Send(kGet);
  EXPECT_FALSE(used.session->ReceiveEof()) << "the answer has not been sent yet";
  EXPECT_TRUE(used.output.closed);
}

TEST(Http1SessionTest, TellsTheHandlerThatItsClientIsGone) {
  LaterHarness harness;
  harness.Send(kGet + kGet);
  harness.session->Abandon();
  EXPECT_EQ(harness.handler.gone, 1);
  EXPECT_EQ(harness.pool.spare_requests(), 1u);
  harness.session->Abandon();
  EXPECT_EQ(harness.handler.gone, 1);
  EXPECT_EQ(harness.sent(), "");
}

TEST(Http1SessionTest, HasNobodyToTellWhenNoRequestIsInFlight) {
  SessionHarness harness;
  harness.Send(kGet);
  harness.Send("GET / HT");
  harness.session->Abandon();
  EXPECT_EQ(harness.handler.gone, 0);
}

TEST(Http1SessionTest, AnswersSlowHeadsAndBodiesWith408) {
  for (std::string_view bytes :
       {"GET / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na"}) {
    SessionHarness harness;
    harness.Send(bytes);
    harness.session->OnTimeout();
    EXPECT_EQ(harness.status(), 408);
    EXPECT_TRUE(harness.output.closed);
    EXPECT_EQ(harness.handler.refused, std::vector<uint16_t>{408});
    harness.Send("more");
    EXPECT_EQ(harness.Count("HTTP/1.1 "), 1u);
  }
}

TEST(Http1SessionTest, ClosesAnIdleConnectionWithoutAWord) {
  SessionHarness harness;
  harness.session->OnTimeout();
  EXPECT_EQ(harness.sent(), "");
  EXPECT_TRUE(harness.output.closed);
}

TEST(Http1SessionTest, GivesUpOnAClientThatDoesNotRead) {
  LaterHarness harness;
  harness.Send(kGet);
  harness.session->OnTimeout();
  EXPECT_EQ(harness.handler.gone, 1);
  EXPECT_TRUE(harness.output.reset);
}

TEST(Http1SessionTest, DrainsAtOnceWhenIdle) {
  SessionHarness harness;
  harness.Send(kGet);
  harness.session->BeginDrain();
  EXPECT_TRUE(harness.output.closed);
  harness.Send(kGet);
  EXPECT_EQ(harness.handler.seen.size(), 1u);
}

TEST(Http1SessionTest, DrainsAfterTheRequestInFlight) {
  LaterHarness harness;
  harness.Send(kGet + kGet);
  harness.session->BeginDrain();
  EXPECT_FALSE(harness.output.closed);
  AnswerOk(harness.stream());
  EXPECT_EQ(harness.Count("\r\nConnection: close\r\n"), 1u);
  EXPECT_TRUE(harness.output.closed);
  EXPECT_EQ(harness.handler.seen.size(), 1u) << "nothing new is taken";
}

TEST(Http1SessionTest, DrainsAfterAnAnswerWhoseHeadWasAlreadySent) {
  LaterHarness harness;
  harness.Send(kGet);
  harness.stream().SendHead({});
  harness.session->BeginDrain();
  harness.stream().SendEnd();
  EXPECT_TRUE(harness.output.closed);
}

TEST(Http1SessionTest, FinishesAHeadThatHadBegunWhenDrainStarts) {
  SessionHarness harness;
  harness.Send(kGet.substr(0, 10));
  harness.session->BeginDrain();
  EXPECT_FALSE(harness.output.closed);
  harness.Send(kGet.substr(10));
  EXPECT_EQ(harness.status(), 200);
  EXPECT_TRUE(harness.output.closed);
}

}  // namespace
}  // namespace serin
