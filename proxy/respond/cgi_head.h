#pragma once
// Parses the head of a CGI response (RFC 3875 §6), as PHP-FPM writes it, in
// whatever pieces it arrives. The backend is not trusted: what could split or
// desynchronise a response is refused. Owned by an exchange; its thread.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/message.h"

namespace serin {

class CgiHeadParser {
 public:
  // Whole head; PHP applications with many cookies reach 16 KiB. kBad beyond.
  static constexpr size_t kMaxHead = 64 * 1024;
  static constexpr size_t kMaxFields = 256;

  // kMore: all of the bytes were taken. kDone: *consumed says where the body
  // begins. kBad: not a CGI head, answer 502; later calls say so too.
  enum class Result : uint8_t { kMore, kDone, kBad };
  Result Feed(std::string_view bytes, size_t* consumed);

  // After kDone. Views borrow from the parser until Reset. Left out: Status,
  // Content-Length (it is head.content_length), the connection's own fields
  // (Connection and what it names, Keep-Alive, Proxy-Connection, TE, Trailer,
  // Transfer-Encoding, Upgrade), and fields that HTTP cannot carry.
  void Fill(ResponseHead& head) const;
  uint16_t status() const { return status_; }
  // No byte has arrived since Reset.
  bool untouched() const { return state_ == State::kReading && text_.empty(); }

  void Reset();

 private:
  enum class State : uint8_t { kReading, kDone, kBad };
  struct Slice {
    uint32_t name = 0, name_size = 0, value = 0, value_size = 0;
  };

  bool ParseLine(size_t begin, size_t end);
  bool TakeField(Slice field);
  bool SetStatus(std::string_view text);
  bool SetContentLength(std::string_view text);
  void Finish();
  bool NamedByConnection(std::string_view name) const;
  std::string_view NameOf(const Slice& s) const {
    return std::string_view(text_).substr(s.name, s.name_size);
  }
  std::string_view ValueOf(const Slice& s) const {
    return std::string_view(text_).substr(s.value, s.value_size);
  }

  std::string text_;  // the head so far, then whole, names in lower case
  std::vector<Slice> fields_;
  State state_ = State::kReading;
  size_t line_ = 0;  // where the line under way begins in text_
  uint16_t status_ = 0;
  bool has_location_ = false;
  bool has_connection_ = false;
  std::optional<uint64_t> content_length_;
};

}  // namespace serin
