#include "proxy/parse/fastcgi_records.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace serin {
namespace {

constexpr uint8_t kVersion = 1;

char Byte(size_t value) { return static_cast<char>(static_cast<uint8_t>(value)); }

// A pair's name or value length: one byte below 128, else four. False: cut off.
bool TakeLength(std::string_view& in, size_t& length) {
  if (in.empty()) return false;
  const auto byte = [&in](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(in[i])); };
  if (byte(0) < 128) {
    length = byte(0);
    in.remove_prefix(1);
    return true;
  }
  if (in.size() < 4) return false;
  length = (byte(0) & 0x7F) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
  in.remove_prefix(4);
  return true;
}

// Both shorter than 128 bytes.
void AppendShortPair(std::string& out, std::string_view name, std::string_view value) {
  out.push_back(Byte(name.size()));
  out.push_back(Byte(value.size()));
  out.append(name).append(value);
}

}  // namespace

FcgiRecordReader::Result FcgiRecordReader::Next(std::string_view& in, Piece& piece) {
  if (state_ == State::kPadding) {
    const size_t n = std::min<size_t>(in.size(), padding_);
    in.remove_prefix(n);
    padding_ = static_cast<uint8_t>(padding_ - n);
    if (padding_ > 0) return Result::kMore;
    state_ = State::kHeader;
  }
  if (state_ == State::kHeader) {
    const size_t n = std::min(in.size(), sizeof header_ - have_);
    std::copy_n(in.data(), n, reinterpret_cast<char*>(header_) + have_);
    in.remove_prefix(n);
    have_ = static_cast<uint8_t>(have_ + n);
    // The first byte is enough to tell another protocol from this one.
    if (have_ > 0 && header_[0] != kVersion) state_ = State::kBad;
    if (state_ == State::kBad) return Result::kBad;
    if (have_ < sizeof header_) return Result::kMore;
    have_ = 0;
    content_ = static_cast<uint16_t>(header_[4] << 8 | header_[5]);
    padding_ = header_[6];
    state_ = State::kContent;
    if (content_ > 0 && in.empty()) return Result::kMore;
  }
  if (state_ == State::kBad) return Result::kBad;
  const size_t n = std::min<size_t>(in.size(), content_);
  if (n == 0 && content_ > 0) return Result::kMore;
  piece.type = static_cast<FcgiType>(header_[1]);
  piece.id = static_cast<uint16_t>(header_[2] << 8 | header_[3]);
  piece.size = static_cast<uint16_t>(header_[4] << 8 | header_[5]);
  piece.content = in.substr(0, n);
  in.remove_prefix(n);
  content_ = static_cast<uint16_t>(content_ - n);
  piece.last = content_ == 0;
  if (piece.last) state_ = padding_ > 0 ? State::kPadding : State::kHeader;
  return Result::kPiece;
}

FcgiPairResult NextFcgiPair(std::string_view& pairs, std::string_view& name, std::string_view& value) {
  if (pairs.empty()) return FcgiPairResult::kEnd;
  size_t name_size = 0, value_size = 0;
  if (!TakeLength(pairs, name_size) || !TakeLength(pairs, value_size)) return FcgiPairResult::kBad;
  if (name_size > pairs.size() || value_size > pairs.size() - name_size) return FcgiPairResult::kBad;
  name = pairs.substr(0, name_size);
  value = pairs.substr(name_size, value_size);
  pairs.remove_prefix(name_size + value_size);
  return FcgiPairResult::kPair;
}

void AppendFcgiHeader(std::string& out, FcgiType type, uint16_t id, size_t size) {
  const char header[kFcgiHeaderSize] = {Byte(kVersion),
                                        Byte(static_cast<uint8_t>(type)),
                                        Byte(id >> 8),
                                        Byte(id),
                                        Byte(size >> 8),
                                        Byte(size),
                                        0,
                                        0};
  out.append(header, sizeof header);
}

void AppendFcgiEnd(std::string& out, uint16_t id, FcgiStatus status) {
  AppendFcgiHeader(out, FcgiType::kEndRequest, id, 8);
  // appStatus, as an exit status: always 0, as PHP-FPM has it.
  const char content[8] = {0, 0, 0, 0, Byte(static_cast<uint8_t>(status)), 0, 0, 0};
  out.append(content, sizeof content);
}

void AppendFcgiUnknownType(std::string& out, FcgiType type) {
  AppendFcgiHeader(out, FcgiType::kUnknownType, 0, 8);
  const char content[8] = {Byte(static_cast<uint8_t>(type)), 0, 0, 0, 0, 0, 0, 0};
  out.append(content, sizeof content);
}

void AppendFcgiValues(std::string& out, std::string_view pairs, int max_connections) {
  char digits[12];
  const std::string_view count(
      digits,
      static_cast<size_t>(std::to_chars(digits, digits + sizeof digits, max_connections).ptr - digits));
  const std::pair<std::string_view, std::string_view> known[] = {
      {"FCGI_MAX_CONNS", count}, {"FCGI_MAX_REQS", count}, {"FCGI_MPXS_CONNS", "0"}};
  std::string answer;
  for (const auto& [name, value] : known) {
    std::string_view rest = pairs, asked, unused;
    bool wanted = false;
    while (!wanted && NextFcgiPair(rest, asked, unused) == FcgiPairResult::kPair) wanted = asked == name;
    if (wanted) AppendShortPair(answer, name, value);
  }
  AppendFcgiHeader(out, FcgiType::kGetValuesResult, 0, answer.size());
  out.append(answer);
}

}  // namespace serin
