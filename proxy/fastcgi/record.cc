#include "proxy/fastcgi/record.h"

#include <algorithm>
#include <cstring>

namespace serin {
namespace {

constexpr uint8_t kVersion = 1;

constexpr uint8_t kBeginRequest = 1;
constexpr uint8_t kEndRequest = 3;
constexpr uint8_t kParams = 4;
constexpr uint8_t kStdin = 5;
constexpr uint8_t kStdout = 6;
constexpr uint8_t kStderr = 7;
constexpr uint8_t kGetValuesResult = 10;
constexpr uint8_t kUnknownType = 11;

constexpr uint8_t kRoleResponder = 1;
constexpr uint8_t kKeepConnection = 1;

char Byte(size_t value) { return static_cast<char>(static_cast<uint8_t>(value)); }

void AppendHeader(std::string& out, uint8_t type, uint16_t id, size_t size) {
  const char header[kRecordHeaderSize] = {
      Byte(kVersion), Byte(type), Byte(id >> 8), Byte(id), Byte(size >> 8), Byte(size), 0, 0};
  out.append(header, sizeof header);
}

// Lengths below 128 take one byte, others four with the top bit set (§3.4).
char* PutLength(char* at, size_t size) {
  if (size < 128) {
    *at++ = Byte(size);
    return at;
  }
  *at++ = Byte(size >> 24 | 0x80);
  *at++ = Byte(size >> 16);
  *at++ = Byte(size >> 8);
  *at++ = Byte(size);
  return at;
}

}  // namespace

void AppendBeginRequest(std::string& out, uint16_t id, bool keep_connection) {
  AppendHeader(out, kBeginRequest, id, 8);
  const char body[8] = {0, Byte(kRoleResponder), keep_connection ? Byte(kKeepConnection) : '\0', 0, 0, 0, 0,
                        0};
  out.append(body, sizeof body);
}

void AppendStdinHeader(std::string& out, uint16_t id, uint16_t size) { AppendHeader(out, kStdin, id, size); }

void AppendStdinEnd(std::string& out, uint16_t id) { AppendHeader(out, kStdin, id, 0); }

size_t EncodedPairSize(size_t name_size, size_t value_size) {
  return name_size + value_size + (name_size < 128 ? 1 : 4) + (value_size < 128 ? 1 : 4);
}

void AppendPair(std::string& out, std::string_view name, std::string_view value) {
  char lengths[8];
  char* end = PutLength(PutLength(lengths, name.size()), value.size());
  out.append(lengths, static_cast<size_t>(end - lengths)).append(name).append(value);
}

bool ParamsWriter::Add(std::string_view name, std::string_view value) {
  char* at = Reserve(name.size(), value.size());
  if (at == nullptr) return false;
  std::copy_n(name.data(), name.size(), at);
  std::copy_n(value.data(), value.size(), at + name.size());
  return true;
}

char* ParamsWriter::Reserve(size_t name_size, size_t value_size) {
  // Checked one by one first: their sum must not wrap around.
  if (name_size > kMaxRecordContent || value_size > kMaxRecordContent) return nullptr;
  const size_t size = EncodedPairSize(name_size, value_size);
  if (!MakeRoom(size)) return nullptr;
  const size_t offset = out_.size();
  out_.resize(offset + size);
  return PutLength(PutLength(out_.data() + offset, name_size), value_size);
}

bool ParamsWriter::AddEncoded(std::string_view pairs) {
  if (pairs.empty()) return true;  // a record without content would end the stream
  if (!MakeRoom(pairs.size())) return false;
  out_.append(pairs);
  return true;
}

void ParamsWriter::Finish() {
  CloseRecord();
  AppendHeader(out_, kParams, id_, 0);
}

// Opens a record, or a further one, so that `size` more bytes fit into it.
bool ParamsWriter::MakeRoom(size_t size) {
  if (size > kMaxRecordContent) return false;
  if (record_ != kNoRecord && out_.size() - record_ - kRecordHeaderSize + size > kMaxRecordContent)
    CloseRecord();
  if (record_ == kNoRecord) {
    record_ = out_.size();
    AppendHeader(out_, kParams, id_, 0);
  }
  return true;
}

void ParamsWriter::CloseRecord() {
  if (record_ == kNoRecord) return;
  const size_t size = out_.size() - record_ - kRecordHeaderSize;
  out_[record_ + 4] = Byte(size >> 8);
  out_[record_ + 5] = Byte(size);
  record_ = kNoRecord;
}

RecordDecoder::Result RecordDecoder::Decode(std::string_view bytes, Sink& sink, size_t* consumed) {
  const size_t total = bytes.size();
  while (state_ != State::kEnded && state_ != State::kFailed) {
    if (state_ == State::kHeader) {
      const size_t n = std::min(bytes.size(), buffer_.size() - have_);
      std::copy_n(bytes.data(), n, reinterpret_cast<char*>(buffer_.data()) + have_);
      bytes.remove_prefix(n);
      have_ = static_cast<uint8_t>(have_ + n);
      if (have_ < buffer_.size()) break;
      have_ = 0;
      state_ = BeginRecord() ? State::kContent : State::kFailed;
    } else if (state_ == State::kContent) {
      const size_t n = std::min<size_t>(bytes.size(), content_);
      if (n > 0) TakeContent(bytes.substr(0, n), sink);
      bytes.remove_prefix(n);
      content_ = static_cast<uint16_t>(content_ - n);
      if (content_ > 0) break;
      state_ = State::kPadding;
    } else {
      const size_t n = std::min<size_t>(bytes.size(), padding_);
      bytes.remove_prefix(n);
      padding_ = static_cast<uint8_t>(padding_ - n);
      if (padding_ > 0) break;
      state_ = EndRecord() ? State::kEnded : State::kHeader;
    }
  }
  *consumed = total - bytes.size();
  if (state_ == State::kFailed) return Result::kError;
  return state_ == State::kEnded ? Result::kEnd : Result::kMore;
}

// Reads the header in buffer_; false when it cannot belong to our answer.
bool RecordDecoder::BeginRecord() {
  const auto [version, type, id_high, id_low, size_high, size_low, padding, reserved] = buffer_;
  static_cast<void>(reserved);
  type_ = type;
  content_ = static_cast<uint16_t>(size_high << 8 | size_low);
  padding_ = padding;
  if (version != kVersion) return false;
  const int id = id_high << 8 | id_low;
  // Management records: nothing we asked for, nothing that harms.
  if (type_ == kGetValuesResult || type_ == kUnknownType) return id == 0;
  if (id != id_) return false;
  switch (type_) {
    case kStdout:
      if (stdout_closed_) return false;
      stdout_closed_ = content_ == 0;
      break;
    case kStderr:
      if (stderr_closed_) return false;
      stderr_closed_ = content_ == 0;
      break;
    case kEndRequest:
      if (content_ != 8) return false;
      break;
    default:
      return false;
  }
  started_ = true;
  return true;
}

void RecordDecoder::TakeContent(std::string_view slice, Sink& sink) {
  if (type_ == kStdout) {
    sink.OnStdout(slice);
  } else if (type_ == kStderr) {
    sink.OnStderr(slice);
  } else if (type_ == kEndRequest) {
    std::copy_n(slice.data(), slice.size(), reinterpret_cast<char*>(buffer_.data()) + have_);
    have_ = static_cast<uint8_t>(have_ + slice.size());
  }
}

// True when the record just finished ends the answer.
bool RecordDecoder::EndRecord() {
  if (type_ != kEndRequest) return false;
  app_status_ =
      uint32_t{buffer_[0]} << 24 | uint32_t{buffer_[1]} << 16 | uint32_t{buffer_[2]} << 8 | buffer_[3];
  protocol_status_ = buffer_[4];
  have_ = 0;
  return true;
}

}  // namespace serin
