// The life of a FastCGI client's connection.

#include "proxy/parse/fastcgi_session.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/parse/fastcgi_request.h"
#include "tests/parse/fastcgi_harness.h"

namespace serin {
namespace {

// The handler keeps the stream, for answers from outside OnRequest.
struct LaterHarness : FcgiHarness {
  explicit LaterHarness(ClientLimits with = {}) : FcgiHarness(std::move(with)) {
    handler.inner.answer = nullptr;
  }
  Stream& stream() { return *handler.inner.waiting; }
};

const std::string kGet = FcgiRequest(1, NginxParams());
// The end of STDOUT and END_REQUEST, complete.
const FcgiAnswer::Record kStdoutEnd = {6, 1, ""};
const FcgiAnswer::Record kEnd = {3, 1, std::string(8, '\0')};

TEST(FastCgiSessionTest, AnswersAndKeepsTheConnection) {
  FcgiHarness harness;
  EXPECT_EQ(harness.session->phase(), SessionPhase::kIdle);
  harness.Send(kGet);
  ASSERT_EQ(harness.seen().size(), 1u);
  EXPECT_EQ(harness.seen()[0].protocol, Protocol::kFastCgi);
  EXPECT_EQ(harness.handler.params.at("DOCUMENT_ROOT"), "/srv/nginx/public");
  const FcgiAnswer answer = harness.answer();
  ASSERT_EQ(answer.records.size(), 4u);
  EXPECT_EQ(answer.out, "Status: 200 OK\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_EQ(answer.records[2], kStdoutEnd);
  EXPECT_EQ(answer.records[3], kEnd);
  EXPECT_FALSE(harness.output.closed);
  EXPECT_EQ(harness.session->phase(), SessionPhase::kIdle);
  EXPECT_EQ(harness.pool.spare_requests(), 1u);
  harness.Send(FcgiRequest(7, NginxParams()));
  EXPECT_EQ(harness.seen().size(), 2u);
  EXPECT_EQ(harness.answer().records.back().id, 7);
}

TEST(FastCgiSessionTest, IsSmall) { EXPECT_LE(sizeof(FastCgiSession), 400u); }

TEST(FastCgiSessionTest, ClosesWhenTheClientDoesNotAskToKeep) {
  FcgiHarness harness;
  harness.Send(FcgiRequest(1, NginxParams(), "", false));
  EXPECT_EQ(harness.answer().ends, 1);
  EXPECT_TRUE(harness.output.closed);
  EXPECT_FALSE(harness.output.reset);
}

TEST(FastCgiSessionTest, TakesRequestsHoweverTheyAreCut) {
  const std::string body(100000, 'b');
  const FcgiPairs pairs = NginxParams({{"REQUEST_METHOD", "POST"}, {"HTTP_X_LONG", std::string(3000, 'x')}});
  for (const size_t record : {1u, 5u, 127u, 65535u}) {
    for (const size_t piece : {1u, 3u, 4096u}) {
      FcgiHarness harness;
      harness.SendInPieces(FcgiBegin(1) + FcgiParams(1, pairs, record) + FcgiStdin(1, body), piece);
      ASSERT_EQ(harness.seen().size(), 1u) << record << " " << piece;
      EXPECT_EQ(harness.seen()[0].body, body);
      EXPECT_EQ(harness.seen()[0].Get("x-long").size(), 3000u);
    }
  }
}

TEST(FastCgiSessionTest, TellsItsPhase) {
  LaterHarness harness;
  harness.Send(kGet.substr(0, 4));
  EXPECT_EQ(harness.session->phase(), SessionPhase::kHead) << "a record has begun";
  harness.Send(kGet.substr(4, 12));
  EXPECT_EQ(harness.session->phase(), SessionPhase::kHead);
  harness.Send(FcgiParams(1, NginxParams()));
  EXPECT_EQ(harness.session->phase(), SessionPhase::kBody);
  harness.Send(FcgiStdin(1, ""));
  EXPECT_EQ(harness.session->phase(), SessionPhase::kResponding);
  AnswerOk(harness.stream());
  EXPECT_EQ(harness.session->phase(), SessionPhase::kIdle);
  harness.session->BeginDrain();
  EXPECT_EQ(harness.session->phase(), SessionPhase::kClosing);
}

// --- Bodies ----------------------------------------------------------------------

TEST(FastCgiSessionTest, ABodyNeedsNoLength) {
  FcgiHarness harness;
  harness.Send(FcgiRequest(1, NginxParams({{"REQUEST_METHOD", "POST"}}), "chunked upload"));
  ASSERT_EQ(harness.seen().size(), 1u);
  EXPECT_EQ(harness.seen()[0].body, "chunked upload");
}

TEST(FastCgiSessionTest, ALengthThatDisagreesIsRefused) {
  for (const char* body : {"", "1234", "123456"}) {
    FcgiHarness harness;
    harness.Send(FcgiRequest(1, NginxParams({{"REQUEST_METHOD", "POST"}, {"CONTENT_LENGTH", "5"}}), body));
    EXPECT_TRUE(harness.seen().empty()) << body;
    EXPECT_EQ(harness.status(), "400 Bad Request");
    EXPECT_TRUE(harness.output.closed && harness.output.linger);
  }
}

TEST(FastCgiSessionTest, ABodyTooLargeIsRefusedByItsLengthBeforeItComes) {
  ClientLimits limits;
  limits.body = 10;
  FcgiHarness harness(limits);
  harness.Send(FcgiBegin(1) +
               FcgiParams(1, NginxParams({{"REQUEST_METHOD", "POST"}, {"CONTENT_LENGTH", "11"}})));
  EXPECT_EQ(harness.status(), "413 Content Too Large");
  EXPECT_EQ(harness.answer().ends, 1);
  EXPECT_EQ(harness.refused(), std::vector<uint16_t>{413});
  EXPECT_TRUE(harness.output.linger) << "the web server is still sending";
}

TEST(FastCgiSessionTest, ABodyTooLargeIsRefusedByItsBytes) {
  ClientLimits limits;
  limits.body = 10;
  FcgiHarness harness(limits);
  harness.Send(FcgiRequest(1, NginxParams({{"REQUEST_METHOD", "POST"}}), "0123456789a"));
  EXPECT_EQ(harness.status(), "413 Content Too Large");
}

TEST(FastCgiSessionTest, ParamsBeyondTheLimitAreRefused) {
  FcgiHarness harness;
  harness.Send(FcgiBegin(1) + FcgiParams(1, {{"X", std::string(MaxFcgiParams(harness.limits), 'x')}}));
  EXPECT_EQ(harness.status(), "431 Request Header Fields Too Large");
  EXPECT_EQ(harness.refused(), std::vector<uint16_t>{431});
}

// --- Answers ---------------------------------------------------------------------

TEST(FastCgiSessionTest, AnAnswerOfUnknownLengthEndsWithTheRequest) {
  LaterHarness harness;
  harness.Send(kGet);
  ResponseHead head;
  head.status = 404;
  head.fields = {
      {"content-type", "text/plain"}, {"set-cookie", "a=1"}, {"set-cookie", "b=2"}, {"connection", "x"}};
  harness.stream().SendHead(head);
  harness.stream().SendBody("one");
  harness.stream().SendBody("two");
  harness.stream().SendEnd();
  EXPECT_EQ(harness.answer().out,
            "Status: 404 Not Found\r\ncontent-type: text/plain\r\nset-cookie: a=1\r\nset-cookie: "
            "b=2\r\n\r\nonetwo");
  EXPECT_EQ(harness.answer().records.back(), kEnd);
}

TEST(FastCgiSessionTest, LargeSlicesGoIntoSeveralRecords) {
  LaterHarness harness;
  harness.Send(kGet);
  ResponseHead head;
  head.content_length = 200000;
  harness.stream().SendHead(head);
  harness.stream().SendBody(std::string(200000, 'x'));
  harness.stream().SendEnd();
  const FcgiAnswer answer = harness.answer();
  EXPECT_EQ(answer.out.size() - answer.out.find("\r\n\r\n") - 4, 200000u);
  for (const auto& record : answer.records) EXPECT_LE(record.content.size(), kFcgiMaxContent);
}

TEST(FastCgiSessionTest, AHeadRequestHasNoBody) {
  FcgiHarness harness;
  harness.Send(FcgiRequest(1, NginxParams({{"REQUEST_METHOD", "HEAD"}})));
  EXPECT_EQ(harness.answer().out, "Status: 200 OK\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(harness.answer().ends, 1);
}

TEST(FastCgiSessionTest, AnAbortedAnswerHasNoEnd) {
  LaterHarness harness;
  harness.Send(kGet);
  harness.stream().SendHead({});
  harness.stream().SendBody("half");
  harness.stream().Abort();
  EXPECT_EQ(harness.answer().ends, 0);
  EXPECT_TRUE(harness.answer().torn) << "nginx takes a mere close for the end";
  EXPECT_TRUE(harness.output.closed);
}

TEST(FastCgiSessionTest, AnAnswerOfAnotherLengthThanAnnouncedHasNoEnd) {
  for (const char* body : {"1234", "123456"}) {
    LaterHarness harness;
    harness.Send(kGet);
    ResponseHead head;
    head.content_length = 5;
    harness.stream().SendHead(head);
    harness.stream().SendBody(body);
    harness.stream().SendEnd();
    EXPECT_EQ(harness.answer().ends, 0) << body;
    EXPECT_TRUE(harness.answer().torn);
    EXPECT_TRUE(harness.output.closed);
  }
}

TEST(FastCgiSessionTest, AStatusThatIsNoneIsABadGateway) {
  LaterHarness harness;
  harness.Send(kGet);
  ResponseHead head;
  head.status = 99;
  harness.stream().SendHead(head);
  harness.stream().SendEnd();
  EXPECT_EQ(harness.status(), "502 Bad Gateway");
}

TEST(FastCgiSessionTest, CallsTheHandlerWhenTheSocketHasRoom) {
  LaterHarness harness;
  harness.Send(kGet);
  harness.stream().SendHead({});
  harness.stream().SendBody(std::string(harness.limits.send_buffer, 'x'));
  harness.stream().WantSendable();
  EXPECT_FALSE(harness.session->WantsRead());
  harness.session->OnSent();
  EXPECT_EQ(harness.handler.inner.sendable, 0);
  harness.output.unsent = 0;
  harness.session->OnSent();
  harness.session->OnSent();
  EXPECT_EQ(harness.handler.inner.sendable, 1);
  EXPECT_TRUE(harness.session->WantsRead());
}

// --- The rest of the protocol ----------------------------------------------------

TEST(FastCgiSessionTest, ASecondRequestMeanwhileIsTurnedAwayAndTheFirstGoesOn) {
  LaterHarness harness;
  harness.Send(kGet);
  harness.Send(FcgiRequest(2, NginxParams(), "body"));
  EXPECT_EQ(harness.seen().size(), 1u);
  ASSERT_EQ(harness.answer().records.size(), 1u);
  EXPECT_EQ(harness.answer().records[0].id, 2);
  EXPECT_EQ(harness.answer().status, 1) << "CANT_MPX_CONN";
  AnswerOk(harness.stream());
  EXPECT_EQ(harness.answer().records.back(), kEnd);
  EXPECT_FALSE(harness.output.closed);
}

TEST(FastCgiSessionTest, AnotherRoleIsTurnedAway) {
  for (const bool keep : {true, false}) {
    FcgiHarness harness;
    harness.Send(FcgiBegin(1, keep, 2) + FcgiParams(1, NginxParams()) + FcgiStdin(1, ""));
    EXPECT_TRUE(harness.seen().empty());
    EXPECT_EQ(harness.answer().status, 3) << "UNKNOWN_ROLE";
    EXPECT_EQ(harness.output.closed, !keep);
  }
}

TEST(FastCgiSessionTest, AnAbortedRequestIsEnded) {
  LaterHarness harness;
  harness.Send(kGet + FcgiRecord(2, 1, ""));
  EXPECT_EQ(harness.handler.inner.gone, 1);
  EXPECT_EQ(harness.answer().records.back(), kEnd);
  EXPECT_FALSE(harness.output.closed);
  harness.Send(kGet);
  EXPECT_EQ(harness.seen().size(), 2u);
}

TEST(FastCgiSessionTest, ARequestAbortedBeforeItIsWholeReachesNobody) {
  FcgiHarness harness;
  harness.Send(FcgiBegin(1) + FcgiParams(1, NginxParams()) + FcgiRecord(5, 1, "ab") + FcgiRecord(2, 1, ""));
  EXPECT_TRUE(harness.seen().empty());
  EXPECT_EQ(harness.answer().ends, 1);
  harness.Send(kGet);
  EXPECT_EQ(harness.seen().size(), 1u);
}

TEST(FastCgiSessionTest, AnswersGetValuesAtAnyTime) {
  LaterHarness harness;
  const std::string values = FcgiRecord(9, 0, EncodeFcgiPairs({{"FCGI_MPXS_CONNS", ""}}));
  harness.SendInPieces(values + FcgiBegin(1) + values, 3);
  ASSERT_EQ(harness.answer().records.size(), 2u);
  EXPECT_EQ(harness.answer().records[1].content, EncodeFcgiPairs({{"FCGI_MPXS_CONNS", "0"}}));
  harness.Send(FcgiParams(1, NginxParams()) + FcgiStdin(1, ""));
  EXPECT_EQ(harness.seen().size(), 1u);
}

TEST(FastCgiSessionTest, AnswersUnknownTypes) {
  FcgiHarness harness;
  harness.Send(FcgiRecord(77, 0, "whatever", 3) + kGet);
  EXPECT_EQ(harness.answer().records[0], (FcgiAnswer::Record{11, 0, std::string("\x4d\0\0\0\0\0\0\0", 8)}));
  EXPECT_EQ(harness.seen().size(), 1u);
}

TEST(FastCgiSessionTest, RecordsOfNoRequestAreSkipped) {
  FcgiHarness harness;
  harness.Send(FcgiParams(5, NginxParams()) + FcgiStdin(5, "x") + FcgiRecord(8, 5, "data") +
               FcgiRecord(2, 5, ""));
  EXPECT_TRUE(harness.output.sent.empty());
  harness.Send(kGet);
  EXPECT_EQ(harness.seen().size(), 1u);
}

TEST(FastCgiSessionTest, WhatIsNoFastCgiClosesTheConnection) {
  const std::string begin = FcgiBegin(1), params = FcgiParams(1, NginxParams());
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n\r\n"), FcgiBegin(0), FcgiRecord(1, 1, "1234567"),
        FcgiRecord(6, 1, "x"), FcgiRecord(3, 1, std::string(8, '\0')), FcgiRecord(10, 0, ""),
        FcgiRecord(9, 0, std::string(600, 'x')), begin + begin, begin + FcgiStdin(1, "early"),
        begin + params + params}) {
    FcgiHarness harness;
    harness.Send(bytes);
    EXPECT_TRUE(harness.output.closed) << testing::PrintToString(bytes.substr(0, 30));
    EXPECT_TRUE(harness.seen().empty());
    EXPECT_EQ(harness.refused(), std::vector<uint16_t>{400});
    EXPECT_EQ(harness.pool.spare_requests(), 1u);
  }
}

TEST(FastCgiSessionTest, GarbageDuringARequestCancelsIt) {
  LaterHarness harness;
  harness.Send(kGet);
  harness.Send("garbage");
  EXPECT_EQ(harness.handler.inner.gone, 1);
  EXPECT_TRUE(harness.output.closed);
  EXPECT_TRUE(harness.refused().empty());
}

// --- Ending ----------------------------------------------------------------------

TEST(FastCgiSessionTest, AClientThatClosesHasLostInterest) {
  LaterHarness harness;
  harness.Send(kGet);
  EXPECT_TRUE(harness.session->ReceiveEof());
  EXPECT_EQ(harness.handler.inner.gone, 1);
  FcgiHarness idle;
  EXPECT_TRUE(idle.session->ReceiveEof());
  FcgiHarness half;
  half.Send(FcgiBegin(1));
  EXPECT_TRUE(half.session->ReceiveEof());
  EXPECT_TRUE(half.seen().empty());
}

TEST(FastCgiSessionTest, AnAnswerOnItsWayOutlivesTheClientsEnd) {
  FcgiHarness harness;
  harness.output.stuck = true;
  harness.Send(kGet);
  EXPECT_FALSE(harness.session->ReceiveEof());
  EXPECT_TRUE(harness.output.closed) << "when it is sent";
}

TEST(FastCgiSessionTest, SlowParamsAndBodiesAreRefused) {
  for (const std::string& bytes : {FcgiBegin(1), FcgiBegin(1) + FcgiParams(1, NginxParams())}) {
    FcgiHarness harness;
    harness.Send(bytes);
    harness.session->OnTimeout();
    EXPECT_EQ(harness.status(), "408 Request Timeout");
    EXPECT_TRUE(harness.output.closed);
  }
  FcgiHarness header;
  header.Send("\1");
  header.session->OnTimeout();
  EXPECT_TRUE(header.output.closed);
  EXPECT_TRUE(header.output.sent.empty());
}

TEST(FastCgiSessionTest, DrainsAfterTheRequestInFlight) {
  LaterHarness harness;
  harness.Send(kGet);
  harness.session->BeginDrain();
  EXPECT_FALSE(harness.output.closed);
  AnswerOk(harness.stream());
  EXPECT_EQ(harness.answer().ends, 1);
  EXPECT_TRUE(harness.output.closed);
}

TEST(FastCgiSessionTest, DrainsAfterARequestThatIsStillArriving) {
  FcgiHarness harness;
  harness.Send(kGet.substr(0, 3));
  harness.session->BeginDrain();
  EXPECT_FALSE(harness.output.closed);
  harness.Send(kGet.substr(3));
  EXPECT_EQ(harness.answer().ends, 1);
  EXPECT_TRUE(harness.output.closed);
}

TEST(FastCgiSessionTest, NothingIsWrittenAfterTheEnd) {
  FcgiHarness harness;
  harness.Send(FcgiRequest(1, NginxParams(), "", false) + FcgiRequest(2, NginxParams()));
  EXPECT_EQ(harness.seen().size(), 1u);
  EXPECT_EQ(harness.output.writes_after_close, 0);
}

}  // namespace
}  // namespace serin
