#include "proxy/parse/fastcgi_records.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/parse/fastcgi_harness.h"

namespace serin {
namespace {

using Result = FcgiRecordReader::Result;

struct Seen {
  int type, id;
  std::string content;
  friend bool operator==(const Seen&, const Seen&) = default;
};

// Whole records, read in pieces of `size` bytes.
std::vector<Seen> Read(std::string_view bytes, size_t size, Result* end = nullptr) {
  FcgiRecordReader reader;
  std::vector<Seen> seen;
  bool open = false;
  Result result = Result::kMore;
  for (; !bytes.empty() && result != Result::kBad; bytes.remove_prefix(std::min(size, bytes.size()))) {
    std::string_view in = bytes.substr(0, size);
    FcgiRecordReader::Piece piece;
    while ((result = reader.Next(in, piece)) == Result::kPiece) {
      if (!open) seen.push_back({static_cast<int>(piece.type), piece.id, ""});
      seen.back().content += piece.content;
      open = !piece.last;
    }
  }
  if (end != nullptr) *end = result;
  return seen;
}

TEST(FcgiRecordReaderTest, ReadsRecordsHoweverTheyAreCut) {
  const std::string bytes = FcgiBegin(1) + FcgiRecord(4, 1, "params", 3) + FcgiRecord(4, 1, "") +
                            FcgiRecord(5, 258, std::string(65535, 'b'), 255) + FcgiRecord(9, 0, "x");
  const std::vector<Seen> whole = Read(bytes, bytes.size());
  ASSERT_EQ(whole.size(), 5u);
  EXPECT_EQ(whole[1], (Seen{4, 1, "params"}));
  EXPECT_EQ(whole[2], (Seen{4, 1, ""}));
  EXPECT_EQ(whole[3].id, 258);
  EXPECT_EQ(whole[3].content.size(), 65535u);
  for (const size_t size : {1u, 2u, 7u, 8u, 9u, 100u, 65535u}) EXPECT_EQ(Read(bytes, size), whole) << size;
}

TEST(FcgiRecordReaderTest, TellsWhenNothingOfTheNextRecordHasCome) {
  FcgiRecordReader reader;
  FcgiRecordReader::Piece piece;
  const std::string record = FcgiRecord(5, 1, "ab", 2);
  EXPECT_TRUE(reader.between_records());
  for (const char& c : record) {
    std::string_view in(&c, 1);
    while (reader.Next(in, piece) == Result::kPiece) {
    }
    EXPECT_EQ(reader.between_records(), &c == &record.back());
  }
}

TEST(FcgiRecordReaderTest, KnowsAnotherProtocolByItsFirstByte) {
  Result end = Result::kMore;
  EXPECT_TRUE(Read("G", 1, &end).empty());
  EXPECT_EQ(end, Result::kBad);
  EXPECT_TRUE(Read("\x16\x03\x01", 3, &end).empty());
  EXPECT_EQ(end, Result::kBad);
}

TEST(FcgiRecordReaderTest, StaysBad) {
  FcgiRecordReader reader;
  FcgiRecordReader::Piece piece;
  std::string_view in = "GET";
  EXPECT_EQ(reader.Next(in, piece), Result::kBad);
  const std::string good = FcgiBegin(1);
  in = good;
  EXPECT_EQ(reader.Next(in, piece), Result::kBad);
}

TEST(FcgiPairTest, ReadsShortAndLongLengths) {
  const FcgiPairs pairs = {{"A", ""},
                           {"", "b"},
                           {std::string(127, 'n'), std::string(128, 'v')},
                           {std::string(300, 'N'), std::string(70000, 'V')}};
  const std::string bytes = EncodeFcgiPairs(pairs);
  std::string_view rest = bytes, name, value;
  for (const auto& [n, v] : pairs) {
    ASSERT_EQ(NextFcgiPair(rest, name, value), FcgiPairResult::kPair);
    EXPECT_EQ(name, n);
    EXPECT_EQ(value, v);
  }
  EXPECT_EQ(NextFcgiPair(rest, name, value), FcgiPairResult::kEnd);
}

TEST(FcgiPairTest, RefusesEveryCut) {
  const std::string bytes = EncodeFcgiPairs({{"NAME", std::string(200, 'v')}});
  for (size_t size = 1; size < bytes.size(); ++size) {
    std::string_view rest = std::string_view(bytes).substr(0, size), name, value;
    EXPECT_EQ(NextFcgiPair(rest, name, value), FcgiPairResult::kBad) << size;
  }
}

TEST(FcgiPairTest, RefusesLengthsBeyondAllMemory) {
  const std::string bytes = "\xff\xff\xff\xff\xff\xff\xff\xffxx";
  std::string_view rest = bytes, name, value;
  EXPECT_EQ(NextFcgiPair(rest, name, value), FcgiPairResult::kBad);
}

TEST(FcgiValuesTest, AnswersWhatIsAskedAndKnown) {
  std::string out;
  AppendFcgiValues(
      out, EncodeFcgiPairs({{"FCGI_MPXS_CONNS", ""}, {"FCGI_WHATEVER", ""}, {"FCGI_MAX_CONNS", ""}}), 128);
  const FcgiAnswer answer(out);
  ASSERT_EQ(answer.records.size(), 1u);
  EXPECT_EQ(answer.records[0].type, 10);
  EXPECT_EQ(answer.records[0].id, 0);
  EXPECT_EQ(answer.records[0].content,
            EncodeFcgiPairs({{"FCGI_MAX_CONNS", "128"}, {"FCGI_MPXS_CONNS", "0"}}));
}

}  // namespace
}  // namespace serin
