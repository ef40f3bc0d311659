// What a client may send over HTTP/1 and what becomes of it, from bytes to the
// handler. Every case is fed whole and in pieces of 1, 2, 3 and 7 bytes.

#include <gtest/gtest.h>

#include <string>

#include "tests/parse/session_harness.h"

namespace serin {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kHost = "Host: shop.test\r\n";
// A request that must never be seen as one: it sits where a body is.
constexpr std::string_view kHidden = "GET /hidden HTTP/1.1\r\nHost: shop.test\r\n\r\n";

std::string Get(std::string_view fields, std::string_view target = "/page") {
  return "GET " + std::string(target) + " HTTP/1.1\r\n" + std::string(fields) + "\r\n";
}
std::string Post(std::string_view fields, std::string_view body) {
  return "POST /page HTTP/1.1\r\n" + std::string(kHost) + std::string(fields) + "\r\n" + std::string(body);
}
std::string Chunked(std::string_view body) { return Post("Transfer-Encoding: chunked\r\n", body); }

template <typename Check>
void InAllPieces(std::string_view bytes, Check&& check) {
  for (size_t piece : {bytes.size(), size_t{1}, size_t{2}, size_t{3}, size_t{7}}) {
    SessionHarness harness;
    harness.SendInPieces(bytes, piece);
    SCOPED_TRACE(testing::Message() << "in pieces of " << piece << ": " << bytes.substr(0, 300));
    check(harness);
  }
}

// Refused with one of the statuses, nothing reaches the handler, and the
// connection ends: whatever follows cannot be trusted to begin where it seems to.
void ExpectRefused(std::string_view bytes, std::initializer_list<int> statuses) {
  InAllPieces(bytes, [&](SessionHarness& harness) {
    EXPECT_EQ(harness.handler.seen.size(), 0u);
    EXPECT_TRUE(std::find(statuses.begin(), statuses.end(), harness.status()) != statuses.end())
        << harness.status();
    EXPECT_EQ(harness.Count("HTTP/1.1 "), 1u);
    EXPECT_EQ(harness.Count("\r\nConnection: close\r\n"), 1u);
    EXPECT_TRUE(harness.output.closed && harness.output.linger);
    ASSERT_EQ(harness.handler.refused.size(), 1u);
    EXPECT_EQ(harness.handler.refused[0], harness.status());
    EXPECT_EQ(harness.session->phase(), SessionPhase::kClosing);
  });
}

SeenRequest Accept(std::string_view bytes) {
  SeenRequest seen;
  InAllPieces(bytes, [&](SessionHarness& harness) {
    ASSERT_EQ(harness.handler.seen.size(), 1u) << harness.sent();
    EXPECT_EQ(harness.status(), 200);
    EXPECT_TRUE(harness.handler.refused.empty());
    seen = harness.handler.seen[0];
  });
  return seen;
}

// --- The request line and the target ------------------------------------------

TEST(Http1RequestTest, PassesMethodTargetPathQueryAndAuthority) {
  const SeenRequest seen = Accept(Get("Host: Shop.Test:8080\r\n", "/a%20b/../c.php?x=%00/../y"));
  EXPECT_EQ(seen.method, "GET");
  EXPECT_EQ(seen.target, "/a%20b/../c.php?x=%00/../y");
  EXPECT_EQ(seen.path, "/c.php");
  EXPECT_EQ(seen.query, "x=%00/../y");
  EXPECT_EQ(seen.authority, "Shop.Test:8080");
  EXPECT_EQ(seen.protocol, Protocol::kHttp11);
}

TEST(Http1RequestTest, TakesTheAuthorityOfAnAbsoluteTargetOverHost) {
  SeenRequest seen = Accept(Get("Host: other.test:9090\r\n", "http://shop.test:8080/a?b"));
  EXPECT_EQ(seen.authority, "shop.test:8080");
  EXPECT_EQ(seen.target, "/a?b");
  EXPECT_EQ(seen.Get("host"), "(absent)");
  seen = Accept(Get(kHost, "HTTP://shop.test"));
  EXPECT_EQ(seen.path, "/");
  EXPECT_EQ(seen.target, "/");
  seen = Accept(Get(kHost, "https://[2001:db8::1]:8443//a_b.php"));
  EXPECT_EQ(seen.authority, "[2001:db8::1]:8443");
  EXPECT_EQ(seen.target, "/a_b.php");
  seen = Accept(Get(kHost, "http://shop.test?a=b"));
  EXPECT_EQ(seen.target, "/?a=b");
  EXPECT_EQ(seen.query, "a=b");
}

TEST(Http1RequestTest, DoesNotLetTwoSlashesBecomeAnotherSite) {
  const SeenRequest seen = Accept(Get(kHost, "//evil.example/index.php"));
  EXPECT_EQ(seen.target, "/evil.example/index.php");
  EXPECT_EQ(seen.path, "/evil.example/index.php");
  EXPECT_EQ(seen.authority, "shop.test");
}

TEST(Http1RequestTest, RefusesTargetsItCannotServe) {
  for (std::string_view target :
       {"/a#b", "?a=b", "*", "page", "ftp://shop.test/", "http://user:pw@shop.test/", "shop.test:443", "/%00",
        "/a%0a.php", "/a%0D", "/%zz", "/%", "/..", "/%2e%2e/x", "/..%2fx", "/a\x01", "/\xC3\xA9"}) {
    ExpectRefused(Get(kHost, target), {400});
  }
}

TEST(Http1RequestTest, RefusesMalformedRequestLines) {
  for (std::string_view line :
       {"GET\r\n"sv, "GET  HTTP/1.1\r\n"sv, "GET  / HTTP/1.1\r\n"sv, "GET /  HTTP/1.1\r\n"sv,
        "GET / HTTP/1.1 HTTP/1.1\r\n"sv, "GET /a\rb HTTP/1.1\r\n"sv, "G\0T / HTTP/1.1\r\n"sv,
        "GE(T) / HTTP/1.1\r\n"sv, "GET / HTTP/1.10\r\n"sv, "GET / HTTPS/1.1\r\n"sv, "GET / HTTP/.1\r\n"sv,
        "GET / HTTP/3\r\n"sv, "GET /\r\n"sv, "GET / HTTP/1.1\n"sv, "GET / HTTP/1.1\rHost: a\r\n"sv,
        "SOURCE / ICE/1.0\r\n"sv, "PLAY / RTSP/1.0\r\n"sv}) {
    ExpectRefused(std::string(line) + std::string(kHost) + "\r\n", {400});
  }
}

TEST(Http1RequestTest, RefusesHttp09BeforeTheClientSaysMore) {
  SessionHarness harness;
  harness.Send("GET /page\r\n");
  EXPECT_EQ(harness.status(), 400);
}

TEST(Http1RequestTest, RefusesForeignVersionsAndTheHttp2Preface) {
  ExpectRefused("GET / HTTP/1.2\r\n" + std::string(kHost) + "\r\n", {505});
  ExpectRefused("GET / HTTP/2.0\r\n" + std::string(kHost) + "\r\n", {505});
  ExpectRefused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {505});
}

TEST(Http1RequestTest, RefusesBytesThatBeginNoRequestAtOnce) {
  for (std::string_view bytes :
       {"\x16\x03\x01"sv, "\n"sv, "\0"sv, " GET"sv, "\xFF"sv, "\r\n\r\n\0\r\nQUIT\n"sv, "\rG"sv, ":"sv}) {
    SessionHarness harness;
    harness.Send(bytes);
    EXPECT_EQ(harness.status(), 400) << bytes;
  }
}

TEST(Http1RequestTest, BearsAFewEmptyLinesBeforeARequest) {
  Accept("\r\n" + Get(kHost));
  Accept("\r\n\r\n\r\n" + Get(kHost));
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += "\r\n";
  ExpectRefused(flood + Get(kHost), {400});
}

TEST(Http1RequestTest, AnswersMethodsThatNeverReachAScript) {
  ExpectRefused("CONNECT shop.test:22 HTTP/1.1\r\n" + std::string(kHost) + "\r\n" + std::string(kHidden),
                {405});
  ExpectRefused("TRACE /page HTTP/1.1\r\n" + std::string(kHost) + "\r\n", {405});
  ExpectRefused("BREW /page HTTP/1.1\r\n" + std::string(kHost) + "\r\n", {501});
  ExpectRefused("get /page HTTP/1.1\r\n" + std::string(kHost) + "\r\n", {501});
  ExpectRefused("PLAY /page HTTP/1.1\r\n" + std::string(kHost) + "\r\n", {501});
}

TEST(Http1RequestTest, PassesTheMethodsOfTheWeb) {
  for (std::string_view method :
       {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT", "PROPFIND", "PURGE"}) {
    InAllPieces(std::string(method) + " /page HTTP/1.1\r\n" + std::string(kHost) + "\r\n",
                [&](SessionHarness& harness) {
                  ASSERT_EQ(harness.handler.seen.size(), 1u) << method;
                  EXPECT_EQ(harness.handler.seen[0].method, method);
                });
  }
}

TEST(Http1RequestTest, AnswersOptionsAsteriskWithoutTheHandler) {
  InAllPieces("OPTIONS * HTTP/1.1\r\n" + std::string(kHost) + "Content-Length: " +
                  std::to_string(kHidden.size()) + "\r\n\r\n" + std::string(kHidden) + Get(kHost),
              [](SessionHarness& harness) {
                EXPECT_EQ(harness.handler.seen.size(), 1u);
                EXPECT_EQ(harness.Count("HTTP/1.1 200 OK"), 2u);
                EXPECT_EQ(harness.Count("\r\nAllow: GET, HEAD, "), 1u);
                EXPECT_EQ(harness.handler.seen[0].path, "/page");
              });
}

// --- Host ----------------------------------------------------------------------

TEST(Http1RequestTest, WantsExactlyOneValidHost) {
  ExpectRefused(Get(""), {400});
  ExpectRefused(Get("", "http://shop.test/"), {400});
  ExpectRefused(Get("Host: shop.test\r\nHost: shop.test\r\n"), {400});
  ExpectRefused(Get("Host: shop.test\r\nHost: evil.test\r\n", "http://shop.test/"), {400});
  for (std::string_view host : {"", "user@shop.test", "shop.test, evil.test", "shop.test?x", "shop.test#x",
                                "shop\"test", "[::1", "[::zz]", "shop.test:a", "shop.test:99999999", ":80",
                                "shop|test", "shop%00.test", "http://shop.test", "shop\ttest", "shop/test"}) {
    ExpectRefused(Get("Host: " + std::string(host) + "\r\n"), {400});
  }
  ExpectRefused(Get("Host: " + std::string(5000, 'a') + "\r\n"), {400});
}

TEST(Http1RequestTest, LetsHttp10GoWithoutHost) {
  const SeenRequest seen = Accept("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(seen.authority, "");
  EXPECT_FALSE(seen.keep_alive);
  ExpectRefused("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", {400});
}

// --- Fields --------------------------------------------------------------------

TEST(Http1RequestTest, StoresFieldsInLowerCaseWithoutBlanks) {
  const SeenRequest seen =
      Accept(Get("HOST: shop.test\r\nX-One:1\r\nX-Two: \t 2 2 \t \r\nX-EMPTY:\r\nX-Blank: \t\r\nCookie: "
                 "a=1\r\nCookie: b=2\r\n"));
  EXPECT_EQ(seen.Get("x-one"), "1");
  EXPECT_EQ(seen.Get("x-two"), "2 2");
  EXPECT_EQ(seen.Get("x-empty"), "");
  EXPECT_EQ(seen.Get("x-blank"), "");
  ASSERT_EQ(seen.fields.size(), 6u);
  EXPECT_EQ(seen.fields[4], std::pair(std::string("cookie"), std::string("a=1")));
  EXPECT_EQ(seen.fields[5], std::pair(std::string("cookie"), std::string("b=2")));
}

TEST(Http1RequestTest, KeepsAnEmptyValueAsTheLastFieldApart) {
  const SeenRequest seen = Accept(Get(std::string(kHost) + "X-Empty:\r\nX-After: 1\r\nX-Last:\r\n"));
  EXPECT_EQ(seen.Get("x-empty"), "");
  EXPECT_EQ(seen.Get("x-after"), "1");
  EXPECT_EQ(seen.Get("x-last"), "");
  EXPECT_EQ(seen.fields.size(), 3u);
}

TEST(Http1RequestTest, DropsWhatMustNotReachAScript) {
  const SeenRequest seen =
      Accept(Get(std::string(kHost) +
                 "Proxy: http://evil\r\nX_Real_Ip: 6.6.6.6\r\nX.Real.Ip: 6.6.6.6\r\nTE: trailers\r\n"
                 "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, Cookie\r\n"
                 "Keep-Alive: 5\r\nX!#$%&'*+^`|~1: v\r\nCookie: a=1\r\nX-Real-Ip: 10.0.0.1\r\n"));
  ASSERT_EQ(seen.fields.size(), 2u);
  EXPECT_EQ(seen.Get("cookie"), "a=1")
      << "a client must not have fields removed by naming them in Connection";
  EXPECT_EQ(seen.Get("x-real-ip"), "10.0.0.1");
}

TEST(Http1RequestTest, RefusesMalformedFields) {
  for (std::string_view field : {"X-Test : v\r\n"sv,
                                 "X-Test\t: v\r\n"sv,
                                 ":\r\n"sv,
                                 ": v\r\n"sv,
                                 "X\0: v\r\n"sv,
                                 "X-\xE9: v\r\n"sv,
                                 "X\v: v\r\n"sv,
                                 "X(T: v\r\n"sv,
                                 "X=T: v\r\n"sv,
                                 "X?T: v\r\n"sv,
                                 "X<T: v\r\n"sv,
                                 "X\\T: v\r\n"sv,
                                 "\"X\": v\r\n"sv,
                                 "X-Test\r\n"sv,
                                 "X-Test v\r\n"sv,
                                 "X: a\0b\r\n"sv,
                                 "X: a\rb\r\n"sv,
                                 "X: a\r\rb\r\n"sv,
                                 "X: a\x01\r\n"sv,
                                 "X: \x07\r\n"sv,
                                 "X: \x1B[2J\r\n"sv,
                                 "X: a\x7F\r\n"sv,
                                 "X: a\rY: b\r\n"sv,
                                 "X: a\r\n b\r\n"sv,
                                 "X: a\r\n\tb\r\n"sv,
                                 "X: a\r\n \r\n"sv,
                                 "X:\r\n a\r\n"sv,
                                 "X: a\n"sv,
                                 "X: a\nY: b\r\n"sv,
                                 "Connection: clo\x01se\r\n"sv,
                                 "Connection: close\r\n x\r\n"sv,
                                 "Upgrade: \x01\r\n"sv}) {
    ExpectRefused(Get(std::string(kHost) + std::string(field)), {400});
    ExpectRefused(Get(std::string(field) + std::string(kHost)), {400});
  }
}

// --- Limits --------------------------------------------------------------------

TEST(Http1RequestTest, BoundsHeads) {
  ExpectRefused(Get(kHost, "/" + std::string(70000, 'a')), {414});
  ExpectRefused("GET /" + std::string(70000, 'a'), {414});
  ExpectRefused(Get(std::string(kHost) + "X-Big: " + std::string(70000, 'v') + "\r\n"), {431});
  std::string many(kHost);
  for (int i = 0; i < 2000; ++i) many += "X-A: 1\r\n";
  ExpectRefused(Get(many), {431});
  Accept(Get(std::string(kHost) + "X-Big: " + std::string(8000, 'v') + "\r\n"));
}

TEST(Http1RequestTest, RecordsWhatItRefuses) {
  SessionHarness harness;
  harness.Send("BREW /pot?a HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(harness.handler.refused_requests.size(), 1u);
  EXPECT_EQ(harness.handler.refused_requests[0].method, "BREW");
  EXPECT_EQ(harness.handler.refused_requests[0].target, "/pot?a");
}

// --- Bodies and their framing -----------------------------------------------------

TEST(Http1RequestTest, ReadsBodies) {
  EXPECT_EQ(Accept(Post("Content-Length: 5\r\n", "hello")).body, "hello");
  EXPECT_EQ(Accept(Post("", "")).body, "");
  EXPECT_EQ(Accept(Post("Content-Length: 0\r\n", "")).body, "");
  EXPECT_EQ(
      Accept(Chunked("1\r\nh\r\n2;x=y\r\nel\r\n2\r\nlo\r\n0;last\r\nX-Trail: t\r\nHost: evil\r\n\r\n")).body,
      "hello");
  EXPECT_EQ(Accept(Post("tRANSFER-eNCODING:\t CHUNKED \t\r\n", "0\r\n\r\n")).body, "");
  EXPECT_EQ(Accept("DELETE / HTTP/1.1\r\n" + std::string(kHost) + "Content-Length: 2\r\n\r\n{}").body, "{}");
  const SeenRequest seen = Accept(Chunked("0\r\nX-Trail: t\r\n\r\n"));
  EXPECT_EQ(seen.Get("x-trail"), "(absent)");
  EXPECT_EQ(seen.Get("content-length"), "(absent)");
  EXPECT_EQ(seen.Get("transfer-encoding"), "(absent)");
}

TEST(Http1RequestTest, RefusesLengthsThatAreNotPlain) {
  for (std::string_view value :
       {"-1", "+5", "0x5", "5 0", "\"5\"", "\v5", "\xD9\xA5", "9223372036854775808", "18446744073709551616",
        "4294967301,5", "5, 5", "99999999999999999999", "\r\n 5", "5a", "0o5", "5 (five)", ""}) {
    ExpectRefused(Post("Content-Length: " + std::string(value) + "\r\n", "hello"), {400});
  }
  ExpectRefused(Post("Content-Length: 50\r\nContent-Length: 5\r\n", "hello" + std::string(kHidden)), {400});
  ExpectRefused(Post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), {400});
  ExpectRefused(Post("Content-Length\t: 5\r\n", "hello"), {400});
}

TEST(Http1RequestTest, RefusesEncodingsThatAreNotExactlyChunked) {
  for (std::string_view value : {"xchunked",
                                 "chunked, gzip",
                                 "chunked, identity",
                                 "identity, chunked",
                                 "chunked, chunked",
                                 "chunked;q=1",
                                 "\"chunked\"",
                                 "\vchunked",
                                 "chunked\x01",
                                 "chunked,",
                                 ", chunked",
                                 "chunked-",
                                 "chun ked",
                                 "chun\rked",
                                 "\xEF\xBB\xBF"
                                 "chunked",
                                 "chunked x",
                                 ":chunked",
                                 "chunked\r\n , identity",
                                 "\x7F"
                                 "chunked",
                                 "chunked (c)",
                                 "[chunked]",
                                 "\\x63hunked",
                                 "identity",
                                 "gzip",
                                 ""}) {
    const std::string body = "2a\r\n" + std::string(kHidden) + "\r\n0\r\n\r\n";
    ExpectRefused(Post("Transfer-Encoding: " + std::string(value) + "\r\n", body), {400, 501});
    ExpectRefused(Post("Content-Length: 4\r\nTransfer-Encoding: " + std::string(value) + "\r\n", body),
                  {400, 501});
  }
  ExpectRefused(Post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
                {400, 501});
  ExpectRefused(Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
                {400, 501});
}

TEST(Http1RequestTest, RefusesLengthBesideEncoding) {
  const std::string body = "0\r\n\r\n" + std::string(kHidden);
  ExpectRefused(Post("Content-Length: 50\r\nTransfer-Encoding: chunked\r\n", body), {400});
  ExpectRefused(Post("Transfer-Encoding: chunked\r\nContent-Length: 50\r\n", body), {400});
  ExpectRefused("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body, {400});
  ExpectRefused(
      "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: "
      "chunked\r\n\r\n" +
          body,
      {400});
}

TEST(Http1RequestTest, RefusesBrokenChunks) {
  for (std::string_view body :
       {"+5\r\nhello\r\n0\r\n\r\n"sv, "0x5\r\nhello\r\n0\r\n\r\n"sv, "5\t\r\nhello\r\n0\r\n\r\n"sv,
        "\r\nhello\r\n0\r\n\r\n"sv, "5\0\r\nhello\r\n0\r\n\r\n"sv,
        "10000000000000005\r\nhello\r\n0\r\n\r\n"sv, "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"sv,
        "5;a=\rb\r\nhello\r\n0\r\n\r\n"sv, "5\nhello\r\n0\r\n\r\n"sv, "5\r\nhello0\r\n\r\n"sv,
        "5\r\nhelloXX0\r\n\r\n"sv, "5\r\nhello\r\n0\n\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"sv,
        "5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"sv}) {
    ExpectRefused(Chunked(body), {400});
  }
  ExpectRefused(Chunked(std::string(2000, '0') + "5\r\nhello\r\n0\r\n\r\n"), {400});
  std::string trailers = "0\r\n";
  for (int i = 0; i < 300; ++i) trailers += "X-T: " + std::string(90, 'v') + "\r\n";
  ExpectRefused(Chunked(trailers), {431});
}

TEST(Http1RequestTest, NeverTakesABodyForARequest) {
  const std::string length = "Content-Length: " + std::to_string(kHidden.size()) + "\r\n";
  for (std::string_view extra : {"", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "Content_Length: 0\r\n",
                                 "Transfer_Encoding: chunked\r\n"}) {
    EXPECT_EQ(Accept(Post(length + std::string(extra), kHidden)).body, kHidden);
  }
  ExpectRefused("TRACE / HTTP/1.1\r\n" + std::string(kHost) + length + "\r\n" + std::string(kHidden), {405});
  ExpectRefused(Post(length + "Expect: nonsense\r\n", kHidden), {417});
}

TEST(Http1RequestTest, PassesNothingThatIsNotWhole) {
  const std::string requests[] = {Post("Content-Length: 6\r\n", "hello"), Chunked("5\r\nhello\r\n"),
                                  Chunked("5\r\nhello\r\n0\r\n"), Get(kHost).substr(0, 20),
                                  "GET / HTTP/1.1\r\nHost: a\r\n"};
  for (const std::string& bytes : requests) {
    InAllPieces(bytes, [&](SessionHarness& harness) {
      EXPECT_TRUE(harness.session->ReceiveEof());
      EXPECT_EQ(harness.handler.seen.size(), 0u);
      EXPECT_EQ(harness.sent(), "");
      EXPECT_EQ(harness.pool.spare_requests(), 1u);
    });
  }
}

// --- Keep-alive -----------------------------------------------------------------

TEST(Http1RequestTest, DecidesOnKeepAliveByItself) {
  EXPECT_TRUE(Accept(Get(kHost)).keep_alive);
  for (std::string_view value : {"close", "Close", "keep-alive, close", "close\t", "\tclose ,", "x, CLOSE"}) {
    EXPECT_FALSE(Accept(Get(std::string(kHost) + "Connection: " + std::string(value) + "\r\n")).keep_alive)
        << value;
  }
  EXPECT_FALSE(
      Accept(Get(std::string(kHost) + "Connection: keep-alive\r\nConnection: close\r\n")).keep_alive);
  EXPECT_TRUE(Accept("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
  EXPECT_FALSE(Accept("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").keep_alive);
}

}  // namespace
}  // namespace serin
