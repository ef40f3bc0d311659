#include "proxy/parse/chunk_decoder.h"

#include <gtest/gtest.h>

#include <string>

namespace serin {
namespace {

using namespace std::string_view_literals;

struct Decoded {
  Refusal refusal = Refusal::kNone;
  std::string body, rest;
  bool done = false;
};

Decoded Decode(std::string_view bytes, size_t piece, const ChunkDecoder::Limits& limits = {}) {
  Decoded out;
  ChunkDecoder decoder;
  while (!bytes.empty() && !decoder.done()) {
    std::string_view part = bytes.substr(0, piece);
    const size_t size = part.size();
    while (!part.empty() && !decoder.done()) {
      std::string_view data;
      out.refusal = decoder.Next(part, data, limits);
      if (out.refusal != Refusal::kNone) return out;
      out.body += data;
    }
    bytes.remove_prefix(size - part.size());
  }
  out.rest = bytes;
  out.done = decoder.done();
  return out;
}

TEST(ChunkDecoderTest, JoinsChunksHoweverTheyAreCut) {
  constexpr std::string_view kBytes =
      "1\r\nh\r\n2;x\r\nel\r\n02;a=\"b c\"\r\nlo\r\n0;last\r\nX-T: v\r\nY:\r\n\r\nNEXT";
  for (size_t piece = 1; piece <= kBytes.size(); ++piece) {
    const Decoded out = Decode(kBytes, piece);
    EXPECT_TRUE(out.done);
    EXPECT_EQ(out.body, "hello");
    EXPECT_EQ(out.rest, "NEXT");
  }
}

TEST(ChunkDecoderTest, ReadsHexInBothCases) {
  EXPECT_EQ(Decode("a\r\n0123456789\r\n0\r\n\r\n", 99).body, "0123456789");
  EXPECT_EQ(Decode("0A\r\n0123456789\r\n0\r\n\r\n", 99).body, "0123456789");
}

TEST(ChunkDecoderTest, WaitsForTheLastByte) {
  constexpr std::string_view kBytes = "5\r\nhello\r\n0\r\n\r\n";
  for (size_t n = 0; n < kBytes.size(); ++n) {
    EXPECT_FALSE(Decode(kBytes.substr(0, n), 99).done);
    EXPECT_EQ(Decode(kBytes.substr(0, n), 99).refusal, Refusal::kNone);
  }
}

TEST(ChunkDecoderTest, RefusesWhatTwoParsersCouldReadDifferently) {
  for (std::string_view bytes : {"+5\r\n"sv,
                                 "0x5\r\n"sv,
                                 "5g\r\n"sv,
                                 "\r\n"sv,
                                 "5\t\r\n"sv,
                                 "5 \r\n"sv,
                                 "5 ;a\r\n"sv,
                                 "5,\r\n"sv,
                                 "5.0\r\n"sv,
                                 "5\0\r\n"sv,
                                 "\v5\r\n"sv,
                                 " 5\r\n"sv,
                                 "x\r\n"sv,
                                 "-1\r\n"sv,
                                 "5\n"sv,
                                 "5\r\r\n"sv,
                                 "5;a=\rb\r\n"sv,
                                 "5;a\nb\r\n"sv,
                                 "5;a\0\r\n"sv,
                                 "5\r\nhello0\r\n"sv,
                                 "5\r\nhello\n"sv,
                                 "5\r\nhello\r\r"sv,
                                 "5\r\nhelloXX"sv,
                                 ";a\r\n"sv,
                                 "0\n"sv,
                                 "0\r\n\n"sv,
                                 "0\r\n\rX"sv,
                                 "0\r\nX: y\n"sv,
                                 "0\r\nX: y\r\n z\r\n"sv,
                                 "0\r\n: y\r\n"sv,
                                 "0\r\nX y\r\n"sv,
                                 "0\r\nX : y\r\n"sv,
                                 "0\r\nX\r\n"sv,
                                 "0\r\nX: \0\r\n"sv,
                                 "0\r\nX: a\rb"sv}) {
    for (size_t piece : {size_t{1}, size_t{99}})
      EXPECT_EQ(Decode(bytes, piece).refusal, Refusal::kBadRequest) << bytes;
  }
}

TEST(ChunkDecoderTest, RefusesSizesThatOverflow) {
  for (std::string_view size :
       {"1000000000000000", "10000000000000005", "FFFFFFFFFFFFFFFF", "FFFFFFFFFFFFFFFFFFFFFFFF"}) {
    EXPECT_EQ(Decode(std::string(size) + "\r\n", 99).refusal, Refusal::kBadRequest) << size;
  }
  EXPECT_EQ(Decode("0000000000000000000000005\r\nhello\r\n0\r\n\r\n", 99).body, "hello");
}

TEST(ChunkDecoderTest, RefusesABodyAboveItsLimitWhenItIsAnnounced) {
  const ChunkDecoder::Limits limits{.body = 8};
  EXPECT_EQ(Decode("8\r\n", 99, limits).refusal, Refusal::kNone);
  EXPECT_EQ(Decode("9\r\n", 99, limits).refusal, Refusal::kBodyTooLarge);
  EXPECT_EQ(Decode("5\r\nhello\r\n4\r\n", 99, limits).refusal, Refusal::kBodyTooLarge);
  EXPECT_EQ(Decode("fffffffffffffff\r\n", 99, limits).refusal, Refusal::kBodyTooLarge);
}

TEST(ChunkDecoderTest, BoundsSizeLinesAndTrailers) {
  const ChunkDecoder::Limits limits{.chunk_line = 16, .trailers = 16};
  EXPECT_EQ(Decode("5;" + std::string(13, 'a') + "\r\n", 99, limits).refusal, Refusal::kNone);
  EXPECT_EQ(Decode("5;" + std::string(15, 'a') + "\r\n", 99, limits).refusal, Refusal::kBadRequest);
  EXPECT_EQ(Decode(std::string(17, '0'), 99, limits).refusal, Refusal::kBadRequest);
  EXPECT_TRUE(Decode("0\r\nX: 4567890123\r\n\r\n", 99, limits).done);
  EXPECT_EQ(Decode("0\r\nX: 45678901234567\r\n", 99, limits).refusal, Refusal::kHeadTooLarge);
  EXPECT_EQ(Decode("0\r\nA: b\r\nC: d\r\nE: f\r\nG: h\r\n", 1, limits).refusal, Refusal::kHeadTooLarge);
}

TEST(ChunkDecoderTest, DropsTrailersWhateverTheySay) {
  const Decoded out =
      Decode("0\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\nHost: evil\r\n\r\nGET", 99);
  EXPECT_TRUE(out.done);
  EXPECT_EQ(out.rest, "GET");
}

}  // namespace
}  // namespace serin
