#include "proxy/parse/fastcgi_request.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/parse/fastcgi_harness.h"

namespace serin {
namespace {

struct FcgiRequestTest : testing::Test {
  Refusal Read(const FcgiPairs& pairs) {
    request.Clear();
    return ReadFcgiParams(EncodeFcgiPairs(pairs), limits, scratch, request, length);
  }
  std::string Param(std::string_view name) const {
    for (size_t i = request.param_count(); i-- > 0;) {
      if (request.param(i).name == name) return std::string(request.param(i).value);
    }
    return "(absent)";
  }
  std::string Get(std::string_view name) const {
    return std::string(request.Find(name).value_or("(absent)"));
  }

  ClientLimits limits;
  Request request{limits.spool};
  std::string scratch;
  std::optional<uint64_t> length;
};

TEST_F(FcgiRequestTest, TakesWhatNginxSends) {
  ASSERT_EQ(Read(NginxParams({{"HTTP_USER_AGENT", "curl/8"}, {"HTTP_X_SERIN_ROUTE", " canary "}})),
            Refusal::kNone);
  EXPECT_EQ(request.method(), "GET");
  EXPECT_EQ(request.target(), "/shop/list?page=2");
  EXPECT_EQ(request.path(), "/index.php");
  EXPECT_EQ(request.query(), "page=2");
  EXPECT_EQ(request.authority(), "shop.example");
  EXPECT_EQ(Get("user-agent"), "curl/8");
  EXPECT_EQ(Get("x-serin-route"), "canary");
  EXPECT_EQ(Param("SCRIPT_FILENAME"), "/srv/nginx/public/index.php");
  EXPECT_EQ(Param("DOCUMENT_ROOT"), "/srv/nginx/public");
  EXPECT_EQ(Param("REMOTE_ADDR"), "203.0.113.7");
  EXPECT_EQ(Param("CONTENT_TYPE"), "");
  EXPECT_EQ(Param("REQUEST_URI"), "(absent)") << "it is the target";
  EXPECT_EQ(length, std::nullopt);
}

TEST_F(FcgiRequestTest, APathInfoBelongsToThePath) {
  ASSERT_EQ(Read(NginxParams({{"SCRIPT_NAME", "/report.php"}, {"PATH_INFO", "/a b"}})), Refusal::kNone);
  EXPECT_EQ(request.path(), "/report.php/a b");
}

TEST_F(FcgiRequestTest, PathsAreDecodedByTheWebServerAndNotAgain) {
  ASSERT_EQ(Read(NginxParams({{"SCRIPT_NAME", "/100%25.php"}})), Refusal::kNone);
  EXPECT_EQ(request.path(), "/100%25.php");
}

TEST_F(FcgiRequestTest, WithoutAScriptNameTheDocumentUriIsThePath) {
  ASSERT_EQ(Read({{"REQUEST_METHOD", "GET"}, {"DOCUMENT_URI", "/a/"}}), Refusal::kNone);
  EXPECT_EQ(request.path(), "/a/");
  EXPECT_EQ(request.target(), "/a/");
}

TEST_F(FcgiRequestTest, WithoutEitherTheUriIsDecoded) {
  ASSERT_EQ(Read({{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/a%20b/../c?q=1"}}), Refusal::kNone);
  EXPECT_EQ(request.path(), "/c");
  EXPECT_EQ(request.query(), "q=1");
  EXPECT_EQ(Read({{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/%00"}}), Refusal::kBadRequest);
}

TEST_F(FcgiRequestTest, WithoutAUriTheTargetIsPutTogether) {
  ASSERT_EQ(
      Read(
          {{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/x.php"}, {"PATH_INFO", "/y"}, {"QUERY_STRING", "z"}}),
      Refusal::kNone);
  EXPECT_EQ(request.target(), "/x.php/y?z");
  EXPECT_EQ(request.path(), "/x.php/y");
  ASSERT_EQ(Read({{"REQUEST_METHOD", "GET"}}), Refusal::kNone);
  EXPECT_EQ(request.target(), "/");
  EXPECT_EQ(request.path(), "/");
}

TEST_F(FcgiRequestTest, AnAsteriskIsTheRoot) {
  ASSERT_EQ(Read({{"REQUEST_METHOD", "OPTIONS"}, {"REQUEST_URI", "*"}}), Refusal::kNone);
  EXPECT_EQ(request.path(), "/");
}

TEST_F(FcgiRequestTest, AnEmptyQueryIsTheWebServersWord) {
  ASSERT_EQ(Read(NginxParams({{"QUERY_STRING", ""}})), Refusal::kNone);
  EXPECT_EQ(request.query(), "");
}

TEST_F(FcgiRequestTest, OfAParamGivenTwiceTheLastCounts) {
  ASSERT_EQ(
      Read(NginxParams({{"SCRIPT_NAME", "/b.php"}, {"HTTP_HOST", "b.example"}, {"REQUEST_METHOD", "HEAD"}})),
      Refusal::kNone);
  EXPECT_EQ(request.path(), "/b.php");
  EXPECT_EQ(request.authority(), "b.example");
  EXPECT_EQ(request.method(), "HEAD");
}

TEST_F(FcgiRequestTest, FieldsGivenTwiceStayTwo) {
  ASSERT_EQ(Read(NginxParams({{"HTTP_ACCEPT", "a"}, {"HTTP_ACCEPT", "b"}})), Refusal::kNone);
  EXPECT_EQ(request.field_count(), 2u);
}

TEST_F(FcgiRequestTest, FieldsOfTheHopAndDisguisedOnesAreDropped) {
  ASSERT_EQ(Read(NginxParams({{"HTTP_PROXY", "evil"},
                              {"HTTP_CONNECTION", "close"},
                              {"HTTP_TRANSFER_ENCODING", "chunked"},
                              {"HTTP_CONTENT_LENGTH", "5"},
                              {"HTTP_CONTENT_TYPE", "text/x"},
                              {"HTTP_X-REAL-IP", "1.2.3.4"},
                              {"HTTP_X.Y", "1"},
                              {"HTTP_", "1"},
                              {"", "1"}})),
            Refusal::kNone);
  EXPECT_EQ(request.field_count(), 0u);
  EXPECT_EQ(Param(""), "(absent)");
}

TEST_F(FcgiRequestTest, ALengthIsANumber) {
  ASSERT_EQ(Read(NginxParams({{"CONTENT_LENGTH", "12"}})), Refusal::kNone);
  EXPECT_EQ(length, 12u);
  for (const char* bad : {"-1", "+1", "1x", "0x1", " 1", "1,1"}) {
    EXPECT_EQ(Read(NginxParams({{"CONTENT_LENGTH", bad}})), Refusal::kBadRequest) << bad;
  }
  for (const char* big : {"134217729", "18446744073709551616"}) {
    EXPECT_EQ(Read(NginxParams({{"CONTENT_LENGTH", big}})), Refusal::kBodyTooLarge) << big;
  }
}

TEST_F(FcgiRequestTest, RefusesWhatNoRequestIs) {
  EXPECT_EQ(Read({}), Refusal::kBadRequest) << "no method";
  EXPECT_EQ(Read(NginxParams({{"REQUEST_METHOD", ""}})), Refusal::kBadRequest);
  EXPECT_EQ(Read(NginxParams({{"REQUEST_METHOD", "GE T"}})), Refusal::kBadRequest);
  EXPECT_EQ(Read(NginxParams({{"REQUEST_METHOD", "TRACE"}})), Refusal::kMethodNotAllowed);
  EXPECT_EQ(Read(NginxParams({{"REQUEST_URI", "/a\r\nb"}})), Refusal::kBadRequest);
  EXPECT_EQ(Read(NginxParams({{"QUERY_STRING", std::string("a\0b", 3)}})), Refusal::kBadRequest);
  EXPECT_EQ(Read(NginxParams({{"HTTP_HOST", "a b"}})), Refusal::kBadRequest);
  EXPECT_EQ(Read(NginxParams({{"HTTP_X", "a\nb"}})), Refusal::kBadRequest);
  EXPECT_EQ(ReadFcgiParams("\x05", limits, scratch, request, length), Refusal::kBadRequest);
}

TEST_F(FcgiRequestTest, UnencodedUtf8IsTakenAsNginxTakesIt) {
  ASSERT_EQ(Read(NginxParams({{"REQUEST_URI",
                               "/b\xc3\xbc"
                               "cher"}})),
            Refusal::kNone);
  EXPECT_EQ(request.target(),
            "/b\xc3\xbc"
            "cher");
}

TEST_F(FcgiRequestTest, KeepsToTheLimits) {
  limits.request_line = 100;
  EXPECT_EQ(Read(NginxParams({{"REQUEST_URI", "/" + std::string(100, 'a')}})), Refusal::kTargetTooLong);
  limits.head = 1000;
  EXPECT_EQ(Read(NginxParams({{"HTTP_X", std::string(1000, 'a')}})), Refusal::kHeadTooLarge);
  limits.field_count = 8;
  FcgiPairs many;
  for (int i = 0; i < 9; ++i) many.push_back({"HTTP_X" + std::to_string(i), ""});
  EXPECT_EQ(Read(NginxParams(many)), Refusal::kHeadTooLarge);
  many.clear();
  for (int i = 0; i < 300; ++i) many.push_back({"X" + std::to_string(i), ""});
  EXPECT_EQ(Read(NginxParams(many)), Refusal::kHeadTooLarge);
}

}  // namespace
}  // namespace serin
