#include "proxy/fastcgi/record.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace serin {
namespace {

using Result = RecordDecoder::Result;

std::string Bytes(std::initializer_list<int> values) {
  std::string out;
  for (int v : values) out.push_back(static_cast<char>(v));
  return out;
}

std::string Record(int type, std::string_view content, int padding = 0, int id = 1, int version = 1) {
  const int size = static_cast<int>(content.size());
  return Bytes({version, type, id >> 8, id & 255, size >> 8, size & 255, padding, 0})
      .append(content)
      .append(static_cast<size_t>(padding), 'P');
}

constexpr int kEnd = 3, kOut = 6, kErr = 7;

std::string End(int protocol_status = 0, int app_status = 0) {
  return Record(kEnd, Bytes({0, 0, app_status >> 8, app_status & 255, protocol_status, 0, 0, 0}));
}

struct Taken final : RecordDecoder::Sink {
  void OnStdout(std::string_view bytes) override {
    EXPECT_FALSE(bytes.empty());
    out += bytes;
  }
  void OnStderr(std::string_view bytes) override {
    EXPECT_FALSE(bytes.empty());
    err += bytes;
  }
  std::string out, err;
};

// Decodes in pieces of `piece` bytes, as far as the decoder takes them.
Result DecodeInPieces(RecordDecoder& decoder, std::string_view bytes, size_t piece, Taken& taken,
                      size_t* used) {
  *used = 0;
  Result result = Result::kMore;
  while (result == Result::kMore && !bytes.empty()) {
    size_t consumed = 0;
    const std::string_view part = bytes.substr(0, piece);
    result = decoder.Decode(part, taken, &consumed);
    EXPECT_TRUE(result != Result::kMore || consumed == part.size());
    *used += consumed;
    bytes.remove_prefix(part.size());
  }
  return result;
}

Result DecodeAll(std::string_view bytes, Taken& taken) {
  RecordDecoder decoder;
  size_t used = 0;
  return DecodeInPieces(decoder, bytes, bytes.size(), taken, &used);
}

// What a FastCGI server reads: pairs per PARAMS record. Fails on a split pair.
std::vector<std::vector<std::pair<std::string, std::string>>> ReadParams(std::string_view bytes) {
  std::vector<std::vector<std::pair<std::string, std::string>>> records;
  const auto length = [](std::string_view& in) {
    size_t n = static_cast<unsigned char>(in.at(0));
    size_t used = 1;
    if (n & 0x80) {
      n = (n & 0x7F) << 24;
      for (size_t i = 1; i < 4; ++i)
        n |= static_cast<size_t>(static_cast<unsigned char>(in.at(i))) << (24 - 8 * i);
      used = 4;
    }
    in.remove_prefix(used);
    return n;
  };
  while (!bytes.empty()) {
    EXPECT_EQ(bytes.substr(0, 4), Bytes({1, 4, 0, 1}));
    const size_t size =
        static_cast<size_t>(static_cast<unsigned char>(bytes[4])) << 8 | static_cast<unsigned char>(bytes[5]);
    std::string_view content = bytes.substr(8, size);
    EXPECT_EQ(content.size(), size);
    bytes.remove_prefix(8 + size);
    auto& pairs = records.emplace_back();
    while (!content.empty()) {
      const size_t name = length(content);
      const size_t value = length(content);
      if (name + value > content.size()) {
        ADD_FAILURE() << "a pair is split between two records";
        return records;
      }
      pairs.emplace_back(content.substr(0, name), content.substr(name, value));
      content.remove_prefix(name + value);
    }
  }
  return records;
}

TEST(RecordTest, BeginsARequestAsResponder) {
  std::string out;
  AppendBeginRequest(out, 1, false);
  EXPECT_EQ(out, Bytes({1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}));
}

TEST(RecordTest, AsksToKeepTheConnection) {
  std::string out = "before";
  AppendBeginRequest(out, 1, true);
  EXPECT_EQ(out, "before" + Bytes({1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0}));
}

TEST(RecordTest, WritesTheHeaderOfAStdinRecordAndItsEnd) {
  std::string out;
  AppendStdinHeader(out, 1, kMaxStdin);
  AppendStdinEnd(out, 1);
  EXPECT_EQ(out, Bytes({1, 5, 0, 1, 0xFF, 0xF8, 0, 0, 1, 5, 0, 1, 0, 0, 0, 0}));
}

TEST(RecordTest, GivesEachRequestOfAConnectionTheNextId) {
  EXPECT_EQ(RequestId(0), 1);
  EXPECT_EQ(RequestId(1), 2);
  EXPECT_EQ(RequestId(65534), 65535);
  EXPECT_EQ(RequestId(65535), 1) << "0 is no request's";
}

TEST(RecordTest, PutsTheIdIntoEveryRecordOfARequest) {
  std::string out;
  AppendBeginRequest(out, 0x1234, false);
  ParamsWriter writer(out, 0x1234);
  EXPECT_TRUE(writer.Add("A", "1"));
  writer.Finish();
  AppendStdinHeader(out, 0x1234, 2);
  out += "xy";
  AppendStdinEnd(out, 0x1234);
  std::string types;
  for (size_t at = 0; at < out.size(); at += 8 + static_cast<unsigned char>(out[at + 5])) {
    types += static_cast<char>('0' + out[at + 1]);
    EXPECT_EQ(out.substr(at + 2, 2), Bytes({0x12, 0x34})) << "record " << types.size();
  }
  EXPECT_EQ(types, "14455");
}

TEST(ParamsWriterTest, WritesPairsIntoOneRecordAndEndsTheStream) {
  std::string out = "x";
  ParamsWriter writer(out, 1);
  EXPECT_TRUE(writer.Add("A", "1"));
  EXPECT_TRUE(writer.Add("BC", ""));
  writer.Finish();
  EXPECT_EQ(out,
            "x" + Bytes({1, 4, 0, 1, 0, 8, 0, 0, 1, 1, 'A', '1', 2, 0, 'B', 'C', 1, 4, 0, 1, 0, 0, 0, 0}));
}

TEST(ParamsWriterTest, WithoutPairsWritesTheEndOnly) {
  std::string out;
  ParamsWriter writer(out, 1);
  EXPECT_TRUE(writer.AddEncoded(""));
  writer.Finish();
  EXPECT_EQ(out, Bytes({1, 4, 0, 1, 0, 0, 0, 0}));
}

TEST(ParamsWriterTest, EncodesLengthsFrom128OnInFourBytes) {
  std::string out;
  ParamsWriter writer(out, 1);
  EXPECT_TRUE(writer.Add("N", std::string(127, 'v')));
  EXPECT_TRUE(writer.Add("N", std::string(128, 'v')));
  EXPECT_EQ(out.substr(8, 2), Bytes({1, 127}));
  EXPECT_EQ(out.substr(8 + 2 + 128, 5), Bytes({1, 0x80, 0, 0, 128}));
  EXPECT_EQ(out.size(), 8 + EncodedPairSize(1, 127) + EncodedPairSize(1, 128));
}

TEST(ParamsWriterTest, NeverSplitsAPairBetweenRecords) {
  for (size_t size : {100U, 127U, 128U, 1000U, 21839U, 32000U, 60000U, 65529U}) {
    std::string out;
    ParamsWriter writer(out, 1);
    const std::string value(size, 'v');
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(writer.Add("N", value));
    writer.Finish();
    const auto records = ReadParams(out);
    size_t pairs = 0;
    for (const auto& record : records) pairs += record.size();
    EXPECT_EQ(pairs, 200U);
    EXPECT_TRUE(records.back().empty());
    for (size_t i = 0; i + 1 < records.size(); ++i)
      EXPECT_FALSE(records[i].empty()) << "ends the stream early";
  }
}

TEST(ParamsWriterTest, RefusesAPairThatFitsIntoNoRecordAndWritesNothing) {
  std::string out;
  ParamsWriter writer(out, 1);
  const size_t largest = kMaxRecordContent - 1 - 4 - 1;
  EXPECT_FALSE(writer.Add("N", std::string(largest + 1, 'v')));
  EXPECT_FALSE(writer.Add(std::string(70000, 'n'), ""));
  EXPECT_EQ(writer.Reserve(static_cast<size_t>(-1), 2), nullptr);
  EXPECT_TRUE(out.empty());
  EXPECT_TRUE(writer.Add("N", std::string(largest, 'v')));
  EXPECT_EQ(out.size(), kRecordHeaderSize + kMaxRecordContent);
  EXPECT_EQ(out.substr(4, 2), Bytes({0, 0})) << "patched when the record is closed";
  writer.Finish();
  EXPECT_EQ(out.substr(4, 2), Bytes({0xFF, 0xFF}));
}

TEST(ParamsWriterTest, KeepsAnEncodedBlockInOneRecord) {
  std::string block;
  AppendPair(block, "CONSTANT", std::string(300, 'c'));
  AppendPair(block, "OTHER", "o");
  std::string out;
  ParamsWriter writer(out, 1);
  ASSERT_TRUE(writer.Add("BIG", std::string(65400, 'b')));
  ASSERT_TRUE(writer.AddEncoded(block));
  EXPECT_FALSE(writer.AddEncoded(std::string(kMaxRecordContent + 1, 'x')));
  writer.Finish();
  const auto records = ReadParams(out);
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[1].size(), 2U);
  EXPECT_EQ(records[1][1], std::make_pair(std::string("OTHER"), std::string("o")));
}

TEST(RecordDecoderTest, HandsOnStdoutAndStderrAndEnds) {
  Taken taken;
  RecordDecoder decoder;
  EXPECT_FALSE(decoder.started());
  const std::string bytes =
      Record(kOut, "head\n\n", 2) + Record(kErr, "PHP message") + Record(kOut, "body", 4) + End();
  size_t used = 0;
  EXPECT_EQ(decoder.Decode(bytes, taken, &used), Result::kEnd);
  EXPECT_EQ(used, bytes.size());
  EXPECT_EQ(taken.out, "head\n\nbody");
  EXPECT_EQ(taken.err, "PHP message");
  EXPECT_EQ(decoder.protocol_status(), RecordDecoder::kRequestComplete);
  EXPECT_FALSE(decoder.stdout_closed());
  EXPECT_TRUE(decoder.started());
}

TEST(RecordDecoderTest, TakesRecordsBrokenAtEveryByte) {
  const std::string bytes = Record(kOut, "head\n\n", 2) + Record(kErr, "oops", 7) +
                            Record(10, "ignored", 1, 0) + Record(kOut, std::string(3000, 'b'), 255) +
                            Record(kOut, "") + End(0, 513);
  for (size_t piece = 1; piece < 600; ++piece) {
    Taken taken;
    RecordDecoder decoder;
    size_t used = 0;
    ASSERT_EQ(DecodeInPieces(decoder, bytes, piece, taken, &used), Result::kEnd) << "in pieces of " << piece;
    EXPECT_EQ(used, bytes.size());
    EXPECT_EQ(taken.out, "head\n\n" + std::string(3000, 'b'));
    EXPECT_EQ(taken.err, "oops");
    EXPECT_EQ(decoder.app_status(), 513U);
    EXPECT_TRUE(decoder.stdout_closed());
  }
}

TEST(RecordDecoderTest, PassesContentOnWithoutCopyingIt) {
  struct Places final : RecordDecoder::Sink {
    void OnStdout(std::string_view bytes) override { at = bytes.data(); }
    void OnStderr(std::string_view) override {}
    const char* at = nullptr;
  } places;
  const std::string bytes = Record(kOut, "body");
  RecordDecoder decoder;
  size_t used = 0;
  decoder.Decode(bytes, places, &used);
  EXPECT_EQ(places.at, bytes.data() + kRecordHeaderSize);
}

TEST(RecordDecoderTest, StopsBehindTheEndAndLeavesExtraBytesAlone) {
  Taken taken;
  RecordDecoder decoder;
  size_t used = 0;
  const std::string answer = Record(kOut, "one") + End();
  EXPECT_EQ(decoder.Decode(answer + Record(kOut, "of another"), taken, &used), Result::kEnd);
  EXPECT_EQ(used, answer.size());
  EXPECT_EQ(decoder.Decode("more", taken, &used), Result::kEnd);
  EXPECT_EQ(used, 0U);
  EXPECT_EQ(taken.out, "one");
}

TEST(RecordDecoderTest, WaitsForTheEndRecordsPadding) {
  Taken taken;
  RecordDecoder decoder;
  size_t used = 0;
  EXPECT_EQ(decoder.Decode(Record(kEnd, std::string(8, '\0'), 3).substr(0, 18), taken, &used), Result::kMore);
  EXPECT_EQ(decoder.Decode("P", taken, &used), Result::kEnd);
}

TEST(RecordDecoderTest, ReportsAnOverloadedServer) {
  Taken taken;
  RecordDecoder decoder;
  size_t used = 0;
  EXPECT_EQ(decoder.Decode(End(RecordDecoder::kOverloaded), taken, &used), Result::kEnd);
  EXPECT_EQ(decoder.protocol_status(), RecordDecoder::kOverloaded);
}

TEST(RecordDecoderTest, TakesTheLargestRecord) {
  Taken taken;
  const std::string body(kMaxRecordContent, 'b');
  EXPECT_EQ(DecodeAll(Record(kOut, body, 255) + End(), taken), Result::kEnd);
  EXPECT_EQ(taken.out, body);
}

TEST(RecordDecoderTest, SkipsManagementRecords) {
  Taken taken;
  EXPECT_EQ(
      DecodeAll(Record(10, "values", 2, 0) + Record(11, "\x0Cxxxxxxx", 0, 0) + Record(kOut, "x") + End(),
                taken),
      Result::kEnd);
  EXPECT_EQ(taken.out, "x");
}

TEST(RecordDecoderTest, RefusesAnotherVersion) {
  Taken taken;
  EXPECT_EQ(DecodeAll(Record(kOut, "x", 0, 1, 2), taken), Result::kError);
  EXPECT_EQ(DecodeAll("HTTP/1.1 400 Bad Request\r\n", taken), Result::kError);
  EXPECT_TRUE(taken.out.empty());
}

TEST(RecordDecoderTest, RefusesAnotherRequestsRecords) {
  for (int type : {kOut, kErr, kEnd}) {
    for (int id : {0, 2, 256, 257, 65535}) {
      Taken taken;
      EXPECT_EQ(DecodeAll(Record(type, std::string(8, 'x'), 0, id), taken), Result::kError);
      EXPECT_TRUE(taken.out.empty());
    }
  }
  Taken taken;
  EXPECT_EQ(DecodeAll(Record(10, "x", 0, 1), taken), Result::kError)
      << "a management record belongs to no request";
}

TEST(RecordDecoderTest, TellsWhatIsLeftOverOfTheLastAnswerFromABreachInOurOwn) {
  Taken taken;
  size_t used = 0;
  RecordDecoder decoder;
  decoder.Reset(2);
  const std::string left_over = Record(10, "x", 0, 0) + Record(kOut, "poison") + End();
  EXPECT_EQ(decoder.Decode(left_over, taken, &used), Result::kError);
  EXPECT_FALSE(decoder.started());
  decoder.Reset(2);
  EXPECT_EQ(decoder.Decode(Record(kOut, "ours", 0, 2) + left_over, taken, &used), Result::kError);
  EXPECT_TRUE(decoder.started());
  EXPECT_EQ(taken.out, "ours");
}

TEST(RecordDecoderTest, RefusesRecordsThatAServerNeverSends) {
  for (int type : {0, 1, 2, 4, 5, 8, 9, 12, 255}) {
    Taken taken;
    EXPECT_EQ(DecodeAll(Record(type, "x"), taken), Result::kError) << "type " << type;
    EXPECT_EQ(DecodeAll(Record(type, "x", 0, 0), taken), Result::kError) << "type " << type;
  }
}

TEST(RecordDecoderTest, RefusesStdoutAfterItsEnd) {
  Taken taken;
  EXPECT_EQ(DecodeAll(Record(kOut, "x") + Record(kOut, "") + Record(kOut, "late"), taken), Result::kError);
  EXPECT_EQ(taken.out, "x");
}

TEST(RecordDecoderTest, TakesStderrAndTheEndAfterStdoutWasClosed) {
  Taken taken;
  EXPECT_EQ(
      DecodeAll(Record(kOut, "x") + Record(kOut, "") + Record(kErr, "e") + Record(kErr, "") + End(), taken),
      Result::kEnd);
  EXPECT_EQ(taken.err, "e");
}

TEST(RecordDecoderTest, RefusesAnEndRecordOfAnotherSize) {
  for (size_t size : {0U, 7U, 9U, 65535U}) {
    Taken taken;
    EXPECT_EQ(DecodeAll(Record(kEnd, std::string(size, '\0')), taken), Result::kError);
  }
}

TEST(RecordDecoderTest, StaysInErrorUntilReset) {
  Taken taken;
  RecordDecoder decoder;
  size_t used = 0;
  EXPECT_EQ(decoder.Decode(Record(99, ""), taken, &used), Result::kError);
  EXPECT_EQ(decoder.Decode(Record(kOut, "x"), taken, &used), Result::kError);
  EXPECT_EQ(used, 0U);
  decoder.Reset(1);
  EXPECT_FALSE(decoder.started());
  EXPECT_EQ(decoder.Decode(Record(kOut, "x") + End(), taken, &used), Result::kEnd);
  EXPECT_EQ(taken.out, "x");
}

TEST(RecordDecoderTest, DecodesTheNextAnswerAfterReset) {
  RecordDecoder decoder;
  for (int i = 0; i < 3; ++i) {
    Taken taken;
    size_t used = 0;
    EXPECT_EQ(decoder.Decode(Record(kOut, "x") + Record(kOut, "") + End(0, 7), taken, &used), Result::kEnd);
    EXPECT_EQ(taken.out, "x");
    EXPECT_EQ(decoder.app_status(), 7U);
    decoder.Reset(1);
    EXPECT_FALSE(decoder.stdout_closed());
    EXPECT_EQ(decoder.app_status(), 0U);
  }
}

}  // namespace
}  // namespace serin
