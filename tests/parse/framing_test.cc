#include "proxy/parse/framing.h"

#include <gtest/gtest.h>

#include <utility>

namespace serin {
namespace {

Refusal LengthOf(std::string_view value, uint64_t limit = UINT64_MAX) {
  Framing framing;
  framing.AddContentLength(value);
  return framing.Decide(Protocol::kHttp11, limit);
}

TEST(FramingTest, ReadsOneDecimalLength) {
  for (const auto& [text, length] : {std::pair{"0", 0}, {"5", 5}, {"0042", 42}}) {
    Framing framing;
    framing.AddContentLength(text);
    EXPECT_EQ(framing.Decide(Protocol::kHttp11, 100), Refusal::kNone);
    EXPECT_EQ(framing.length(), length);
    EXPECT_EQ(framing.kind(), length == 0 ? BodyKind::kNone : BodyKind::kLength);
  }
}

TEST(FramingTest, RefusesEveryOtherSpellingOfALength) {
  for (std::string_view value :
       {"", "-1", "+5", "0x5", "5 0", "\"5\"", "\v5", "5a", "0o5", "5 (five)", "5,5", "5,", "\xD9\xA5",
        "9223372036854775808", "18446744073709551616", "99999999999999999999", "1e3", "5.0"}) {
    EXPECT_EQ(LengthOf(value), Refusal::kBadRequest) << value;
  }
}

TEST(FramingTest, RefusesSeveralLengthsEvenEqualOnes) {
  for (std::string_view second : {"5", "50"}) {
    Framing framing;
    framing.AddContentLength("5");
    framing.AddContentLength(second);
    EXPECT_EQ(framing.Decide(Protocol::kHttp11, 100), Refusal::kBadRequest);
  }
}

TEST(FramingTest, RefusesALengthAboveTheLimitAsTooLarge) {
  EXPECT_EQ(LengthOf("100", 100), Refusal::kNone);
  EXPECT_EQ(LengthOf("101", 100), Refusal::kBodyTooLarge);
}

Refusal EncodingOf(std::string_view value, Protocol protocol = Protocol::kHttp11) {
  Framing framing;
  framing.AddTransferEncoding(value);
  return framing.Decide(protocol, UINT64_MAX);
}

TEST(FramingTest, TakesChunkedAloneInAnyCase) {
  EXPECT_EQ(EncodingOf("chunked"), Refusal::kNone);
  EXPECT_EQ(EncodingOf("CHUNKED"), Refusal::kNone);
  Framing framing;
  framing.AddTransferEncoding("chunked");
  EXPECT_EQ(framing.kind(), BodyKind::kChunked);
}

TEST(FramingTest, RefusesChunkedInDisguise) {
  for (std::string_view value : {"xchunked", "chunked, gzip", "chunked, identity", "identity, chunked",
                                 "chunked, chunked", "chunked;q=1", "\"chunked\"", "\vchunked", "chunked,",
                                 ", chunked", "chunked-", "chunked x", ":chunked", "[chunked]",
                                 "\xEF\xBB\xBF"
                                 "chunked",
                                 "chunked (c)"}) {
    EXPECT_EQ(EncodingOf(value), Refusal::kBadRequest) << value;
  }
}

TEST(FramingTest, DoesNotImplementOtherCodings) {
  for (std::string_view value : {"", "gzip", "identity", "cow", "chun ked", "\\x63hunked"}) {
    EXPECT_EQ(EncodingOf(value), Refusal::kNotImplemented) << value;
  }
}

TEST(FramingTest, RefusesCombinations) {
  Framing both;
  both.AddContentLength("5");
  both.AddTransferEncoding("chunked");
  EXPECT_EQ(both.Decide(Protocol::kHttp11, 100), Refusal::kBadRequest);
  Framing twice;
  twice.AddTransferEncoding("identity");
  twice.AddTransferEncoding("chunked");
  EXPECT_EQ(twice.Decide(Protocol::kHttp11, 100), Refusal::kBadRequest);
  EXPECT_EQ(EncodingOf("chunked", Protocol::kHttp10), Refusal::kBadRequest);
}

}  // namespace
}  // namespace serin
