#include "proxy/parse/preface.h"

#include <gtest/gtest.h>

#include <string>

namespace serin {
namespace {

TEST(PrefaceTest, IsKnownOnlyWhenWhole) {
  for (size_t n = 0; n < kHttp2Preface.size(); ++n)
    EXPECT_EQ(Sniff(kHttp2Preface.substr(0, n)), Sniffed::kNeedMore);
  EXPECT_EQ(Sniff(kHttp2Preface), Sniffed::kHttp2);
  EXPECT_EQ(Sniff(std::string(kHttp2Preface) + "\0\0\0"), Sniffed::kHttp2);
}

TEST(PrefaceTest, AnythingElseIsHttp1AtItsFirstOtherByte) {
  for (std::string_view bytes :
       {"G", "PO", "PRI * HTTP/1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", "\r", "\x16"}) {
    EXPECT_EQ(Sniff(bytes), Sniffed::kHttp1) << bytes;
  }
}

}  // namespace
}  // namespace serin
