#include "proxy/parse/http2_head.h"

#include <gtest/gtest.h>

#include "tests/parse/http2_harness.h"

namespace serin {
namespace {

using Verdict = Http2Head::Verdict;

class Http2HeadTest : public testing::Test {
 protected:
  Verdict Judge(const Fields& fields, bool ended = true) {
    request.Clear();
    head.Start(request);
    for (const auto& [name, value] : fields) {
      head.Add(std::string(name), std::string(value), limits);  // copies that die: no view may be kept
    }
    return head.Finish(limits, ended, scratch);
  }
  static Fields Get(const Fields& more = {}) { return Http2Harness::With("GET", "/a/b?c=d", more); }
  static Fields Without(std::string_view name) {
    Fields fields = Get();
    std::erase_if(fields, [name](const auto& field) { return field.first == name; });
    return fields;
  }
  static Fields Changed(std::string_view name, std::string_view value) {
    Fields fields = Get();
    for (auto& field : fields) {
      if (field.first == name) field.second = value;
    }
    return fields;
  }
  void ExpectRefused(const Fields& fields, Refusal refusal) {
    EXPECT_EQ(Judge(fields), Verdict::kRefused);
    EXPECT_EQ(head.refusal(), refusal);
  }

  ClientLimits limits;
  Request request{limits.spool};
  Http2Head head;
  std::string scratch;
};

TEST_F(Http2HeadTest, StoresTheRequestAsHttp1Does) {
  ASSERT_EQ(Judge(Get({{"accept", "*/*"}, {"x-empty", ""}})), Verdict::kGood);
  EXPECT_EQ(request.method(), "GET");
  EXPECT_EQ(request.target(), "/a/b?c=d");
  EXPECT_EQ(request.path(), "/a/b");
  EXPECT_EQ(request.query(), "c=d");
  EXPECT_EQ(request.authority(), "a.example");
  EXPECT_EQ(request.protocol, Protocol::kHttp2);
  EXPECT_EQ(request.Find("accept"), "*/*");
  EXPECT_EQ(request.Find("x-empty"), "");
  EXPECT_EQ(request.field_count(), 2u);
}

TEST_F(Http2HeadTest, TakesPseudoFieldsInAnyOrder) {
  EXPECT_EQ(Judge({{":path", "/"}, {":authority", "a"}, {":scheme", "https"}, {":method", "GET"}}),
            Verdict::kGood);
}

TEST_F(Http2HeadTest, JoinsCookieCrumbs) {
  ASSERT_EQ(Judge(Get({{"cookie", "a=b"}, {"accept", "*/*"}, {"cookie", "c=d"}, {"cookie", "e"}})),
            Verdict::kGood);
  EXPECT_EQ(request.Find("cookie"), "a=b; c=d; e");
  EXPECT_EQ(request.field_count(), 2u);
}

TEST_F(Http2HeadTest, FindsMissingPseudoFieldsMalformed) {
  EXPECT_EQ(Judge(Without(":method")), Verdict::kMalformed);
  EXPECT_EQ(Judge(Without(":scheme")), Verdict::kMalformed);
  EXPECT_EQ(Judge(Without(":path")), Verdict::kMalformed);
  EXPECT_EQ(Judge({}), Verdict::kMalformed);
}

TEST_F(Http2HeadTest, FindsRepeatedPseudoFieldsMalformed) {
  for (const auto& [name, value] : Get()) {
    Fields fields = Get();
    fields.insert(fields.begin(), {name, value});
    EXPECT_EQ(Judge(fields), Verdict::kMalformed) << name;
  }
}

TEST_F(Http2HeadTest, FindsUnknownAndResponsePseudoFieldsMalformed) {
  for (const char* name : {":status", ":protocol", ":", ":Path", ":foo"}) {
    Fields fields = Get();
    fields.insert(fields.begin(), {name, "200"});
    EXPECT_EQ(Judge(fields), Verdict::kMalformed) << name;
  }
}

TEST_F(Http2HeadTest, FindsPseudoFieldsAfterRegularOnesMalformed) {
  Fields fields = Without(":path");
  fields.push_back({"accept", "*/*"});
  fields.push_back({":path", "/"});
  EXPECT_EQ(Judge(fields), Verdict::kMalformed);
}

TEST_F(Http2HeadTest, FindsEmptyPseudoFieldsMalformed) {
  EXPECT_EQ(Judge(Changed(":path", "")), Verdict::kMalformed);
  EXPECT_EQ(Judge(Changed(":method", "")), Verdict::kMalformed);
  EXPECT_EQ(Judge(Changed(":scheme", "")), Verdict::kMalformed);
}

TEST_F(Http2HeadTest, FindsBadFieldNamesMalformed) {
  for (const char* name : {"Accept", "x y", "x:y", "", "x\n", "x\xC3\xA4", "x(", "aCcept"}) {
    EXPECT_EQ(Judge(Get({{name, "v"}})), Verdict::kMalformed) << name;
  }
}

TEST_F(Http2HeadTest, FindsBadFieldValuesMalformed) {
  const std::string nul("a\0b", 3);
  for (const std::string& value :
       {std::string("a\r\nb"), std::string("a\nb"), nul, std::string(" a"), std::string("a "),
        std::string("\ta"), std::string("a\x7F"), std::string("\x01")}) {
    EXPECT_EQ(Judge(Get({{"x", value}})), Verdict::kMalformed);
    EXPECT_EQ(Judge(Changed(":authority", value)), Verdict::kMalformed);
  }
  EXPECT_EQ(Judge(Get({{"x", "a\tb c \xC3\xA4"}})), Verdict::kGood);
}

TEST_F(Http2HeadTest, FindsFieldsOfTheHopMalformed) {
  for (const char* name : {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}) {
    EXPECT_EQ(Judge(Get({{name, "close"}})), Verdict::kMalformed) << name;
  }
}

TEST_F(Http2HeadTest, TakesTrailersAsTheOnlyTe) {
  ASSERT_EQ(Judge(Get({{"te", "trailers"}})), Verdict::kGood);
  EXPECT_FALSE(request.Find("te"));
  EXPECT_EQ(Judge(Get({{"te", "Trailers"}})), Verdict::kGood);
  for (const char* value : {"gzip", "trailers, deflate", "", "trailers;q=0.5"}) {
    EXPECT_EQ(Judge(Get({{"te", value}})), Verdict::kMalformed) << value;
  }
}

TEST_F(Http2HeadTest, DropsWhatMustNotReachAScript) {
  ASSERT_EQ(Judge(Get({{"proxy", "http://evil"}, {"x_real_ip", "1.2.3.4"}, {"http2-settings", "x"}})),
            Verdict::kGood);
  EXPECT_EQ(request.field_count(), 0u);
}

TEST_F(Http2HeadTest, TakesTheAuthorityFromHostWhenThereIsNoOther) {
  Fields fields = Without(":authority");
  fields.push_back({"host", "b.example:8080"});
  ASSERT_EQ(Judge(fields), Verdict::kGood);
  EXPECT_EQ(request.authority(), "b.example:8080");
  EXPECT_FALSE(request.Find("host"));
}

TEST_F(Http2HeadTest, WantsHostAndAuthorityToAgree) {
  EXPECT_EQ(Judge(Get({{"host", "A.example"}})), Verdict::kGood);
  EXPECT_EQ(request.authority(), "a.example");
  ExpectRefused(Get({{"host", "b.example"}}), Refusal::kBadRequest);
  ExpectRefused(Get({{"host", "a.example:80"}}), Refusal::kBadRequest);
}

TEST_F(Http2HeadTest, RefusesMissingBadAndRepeatedAuthorities) {
  ExpectRefused(Without(":authority"), Refusal::kBadRequest);
  for (const char* value : {"", "user@a", "a/b", "a:99999", "[::1", "a b"}) {
    ExpectRefused(Changed(":authority", value), Refusal::kBadRequest);
    Fields fields = Without(":authority");
    fields.push_back({"host", value});
    ExpectRefused(fields, Refusal::kBadRequest);
  }
  ExpectRefused(Get({{"host", "a.example"}, {"host", "a.example"}}), Refusal::kBadRequest);
}

TEST_F(Http2HeadTest, RefusesOtherSchemes) {
  EXPECT_EQ(Judge(Changed(":scheme", "https")), Verdict::kGood);
  EXPECT_EQ(Judge(Changed(":scheme", "HTTP")), Verdict::kGood);
  ExpectRefused(Changed(":scheme", "ftp"), Refusal::kBadRequest);
}

TEST_F(Http2HeadTest, RefusesBadPaths) {
  for (const char* path :
       {"*", "a", "http://a.example/", "/a b", "/a#b", "/%00", "/%0a", "/../a", "/%zz", "/\xC3\xA4"}) {
    ExpectRefused(Changed(":path", path), Refusal::kBadRequest);
  }
  ASSERT_EQ(Judge(Changed(":path", "//a/%2e%2e/b%20c?d")), Verdict::kGood);
  EXPECT_EQ(request.path(), "/b c");
  EXPECT_EQ(request.target(), "/a/%2e%2e/b%20c?d");
}

TEST_F(Http2HeadTest, TakesAsteriskWithOptionsOnly) {
  ASSERT_EQ(Judge(Http2Harness::With("OPTIONS", "*")), Verdict::kGood);
  EXPECT_TRUE(head.asterisk());
}

TEST_F(Http2HeadTest, RefusesConnectTraceAndUnknownMethods) {
  ExpectRefused({{":method", "CONNECT"}, {":authority", "a:443"}}, Refusal::kMethodNotAllowed);
  EXPECT_EQ(Judge(Changed(":method", "CONNECT")), Verdict::kMalformed);  // RFC 9113 §8.5: no :path
  ExpectRefused(Changed(":method", "TRACE"), Refusal::kMethodNotAllowed);
  ExpectRefused(Changed(":method", "BREW"), Refusal::kNotImplemented);
  ExpectRefused(Changed(":method", "get"), Refusal::kNotImplemented);
  ExpectRefused(Changed(":method", std::string(1000, 'X')), Refusal::kNotImplemented);
  EXPECT_EQ(Judge(Changed(":method", "GE T")), Verdict::kMalformed);
  EXPECT_EQ(Judge(Changed(":method", "PROPFIND")), Verdict::kGood);
}

TEST_F(Http2HeadTest, ReadsContentLengthStrictly) {
  ASSERT_EQ(Judge(Get({{"content-length", "12"}}), false), Verdict::kGood);
  EXPECT_EQ(head.framing().length(), 12u);
  EXPECT_FALSE(request.Find("content-length"));
  for (const char* value : {"", "+1", "1a", "-1", "0x1", "99999999999999999999"}) {
    EXPECT_EQ(Judge(Get({{"content-length", value}}), false), Verdict::kMalformed) << value;
  }
  EXPECT_EQ(Judge(Get({{"content-length", "1"}, {"content-length", "1"}}), false), Verdict::kMalformed);
  EXPECT_EQ(Judge(Get({{"content-length", "1"}}), true), Verdict::kMalformed);
  EXPECT_EQ(Judge(Get({{"content-length", "0"}}), true), Verdict::kGood);
}

TEST_F(Http2HeadTest, RefusesBodiesThatAreAnnouncedTooLarge) {
  limits.body = 100;
  EXPECT_EQ(Judge(Get({{"content-length", "101"}}), false), Verdict::kRefused);
  EXPECT_EQ(head.refusal(), Refusal::kBodyTooLarge);
}

TEST_F(Http2HeadTest, KnowsOneExpectation) {
  ASSERT_EQ(Judge(Get({{"expect", "100-Continue"}}), false), Verdict::kGood);
  EXPECT_TRUE(head.asks_to_continue());
  ExpectRefused(Get({{"expect", "a miracle"}}), Refusal::kExpectationFailed);
}

TEST_F(Http2HeadTest, RefusesWhatIsTooLarge) {
  limits.head = 1000;
  ExpectRefused(Get({{"x", std::string(900, 'x')}}), Refusal::kHeadTooLarge);
  // Each field counts 32 bytes more (RFC 9113 §6.5.2).
  Fields many = Get();
  for (int i = 0; i < 30; ++i) many.push_back({"x", ""});
  ExpectRefused(many, Refusal::kHeadTooLarge);
  limits.head = 60000;
  limits.field_count = 29;
  ExpectRefused(many, Refusal::kHeadTooLarge);
  limits.request_line = 4;
  ExpectRefused(Changed(":path", "/long"), Refusal::kTargetTooLong);
}

TEST_F(Http2HeadTest, StoresNothingBeyondTheLimit) {
  limits.head = 1000;
  Fields bomb = Get();
  for (int i = 0; i < 10000; ++i) bomb.push_back({"x", std::string(100, 'x')});
  ExpectRefused(bomb, Refusal::kHeadTooLarge);
  EXPECT_LT(request.head_size(), 1100u);
}

TEST_F(Http2HeadTest, StartsEachHeadAnew) {
  EXPECT_EQ(Judge(Get({{"cookie", "a"}, {"expect", "100-continue"}, {"content-length", "5"}}), false),
            Verdict::kGood);
  EXPECT_EQ(Judge(Get()), Verdict::kGood);
  EXPECT_FALSE(request.Find("cookie"));
  EXPECT_FALSE(head.asks_to_continue());
  EXPECT_FALSE(head.framing().has_length());
}

}  // namespace
}  // namespace serin
