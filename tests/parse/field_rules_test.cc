#include "proxy/parse/field_rules.h"

#include <gtest/gtest.h>

namespace serin {
namespace {

using namespace std::string_view_literals;

TEST(FieldRulesTest, KnowsTheFieldsThatMeanSomethingToUsInAnyCase) {
  EXPECT_EQ(ClassifyField("HOST"), FieldKind::kHost);
  EXPECT_EQ(ClassifyField("cOnnection"), FieldKind::kConnection);
  EXPECT_EQ(ClassifyField("Content-Length"), FieldKind::kContentLength);
  EXPECT_EQ(ClassifyField("tRANSFER-eNCODING"), FieldKind::kTransferEncoding);
  EXPECT_EQ(ClassifyField("Expect"), FieldKind::kExpect);
}

TEST(FieldRulesTest, DropsTheFieldsOfTheHopAndProxy) {
  for (std::string_view name :
       {"TE", "Proxy", "Upgrade", "Trailer", "Keep-Alive", "Proxy-Connection", "HTTP2-Settings"}) {
    EXPECT_EQ(ClassifyField(name), FieldKind::kDropped) << name;
  }
}

TEST(FieldRulesTest, DropsNamesThatWouldBecomeAnotherFieldsCgiName) {
  for (std::string_view name :
       {"X_Real_Ip", "Content_Length", "Transfer_Encoding", "X.Real.Ip", "X!#$%&'*+^`|~1", "_", "A_"}) {
    EXPECT_EQ(ClassifyField(name), FieldKind::kDropped) << name;
  }
}

TEST(FieldRulesTest, PassesOrdinaryNames) {
  for (std::string_view name : {"Accept", "X-1", "Cookie", "Upgrade-Insecure-Requests", "Hosts", "ho-t",
                                "Proxies", "Content-Lengtl", "Te-", "Connectio", "Authorization"}) {
    EXPECT_EQ(ClassifyField(name), FieldKind::kPlain) << name;
  }
}

TEST(FieldRulesTest, RefusesNamesThatAreNoToken) {
  for (std::string_view name :
       {""sv, "X Y"sv, "X("sv, "X="sv, "X?"sv, "X<"sv, "X\\"sv, "X\""sv, "X\0"sv, "X\xC3"sv, "X\v"sv}) {
    EXPECT_EQ(ClassifyField(name), FieldKind::kInvalid) << name;
  }
}

TEST(FieldRulesTest, KeepsFramingForItselfInAnswers) {
  for (std::string_view name : {"connection", "Transfer-Encoding", "content-length", "keep-alive", "upgrade",
                                "trailer", "te", "proxy-connection"}) {
    EXPECT_TRUE(IsOurs(name)) << name;
  }
  for (std::string_view name : {"content-type", "date", "location", "set-cookie", "x-upgrade"})
    EXPECT_FALSE(IsOurs(name));
}

TEST(FieldRulesTest, WritesNothingThatBreaksAHead) {
  EXPECT_TRUE(IsWritable("X-A", "b\tc \xC3\xA9"));
  EXPECT_TRUE(IsWritable("X-A", ""));
  for (std::string_view value : {"a\r\nX: y"sv, "a\n"sv, "a\r"sv, "\0"sv, "\x7F"sv, "\x1B"sv}) {
    EXPECT_FALSE(IsWritable("X-A", value));
  }
  for (std::string_view name : {""sv, "X A"sv, "X:"sv, "X\r\n"sv}) EXPECT_FALSE(IsWritable(name, "v"));
}

ConnectionOptions Options(std::string_view value) {
  ConnectionOptions options;
  AddConnectionOptions(value, options);
  return options;
}

TEST(ConnectionOptionsTest, ReadsListsWithBlanksInAnyCase) {
  EXPECT_TRUE(Options("close").close);
  EXPECT_TRUE(Options("keep-alive, Close").close);
  EXPECT_TRUE(Options("CLOSE \t,x").close);
  EXPECT_TRUE(Options(",, close").close);
  EXPECT_TRUE(Options(" Keep-Alive ").keep_alive);
  for (std::string_view value : {"", "closed", "clo se", "x-close", "\"close\"", "close;q=1"}) {
    EXPECT_FALSE(Options(value).close) << value;
  }
}

}  // namespace
}  // namespace serin
