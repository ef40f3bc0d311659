#pragma once
// FastCGI 1.0 records as an application receives and sends them: the other
// side of fastcgi/record, for a web server that takes us for PHP-FPM. Bytes in,
// pieces out, no copies. Owned by a session; its thread.
//
// Source: FastCGI Specification 1.0 (Open Market, 1996).

#include <cstdint>
#include <string>
#include <string_view>

namespace serin {

// §8. Those that only an application sends are a breach of protocol here.
enum class FcgiType : uint8_t {
  kBeginRequest = 1,
  kAbortRequest = 2,
  kEndRequest = 3,
  kParams = 4,
  kStdin = 5,
  kStdout = 6,
  kStderr = 7,
  kData = 8,
  kGetValues = 9,
  kGetValuesResult = 10,
  kUnknownType = 11,
};

// §5.5, protocolStatus.
enum class FcgiStatus : uint8_t {
  kRequestComplete = 0,
  kCantMultiplex = 1,
  kOverloaded = 2,
  kUnknownRole = 3
};

inline constexpr uint16_t kFcgiResponder = 1;      // §5.1, role
inline constexpr uint8_t kFcgiKeepConnection = 1;  // §5.1, flags
// The largest multiple of 8 that a record can hold: no padding is ever needed.
inline constexpr size_t kFcgiMaxContent = 65528;
inline constexpr size_t kFcgiHeaderSize = 8;

// Takes a client's bytes apart. Content is handed on as it lies, in as many
// pieces as it arrives in; padding is skipped.
class FcgiRecordReader {
 public:
  struct Piece {
    FcgiType type = FcgiType::kBeginRequest;  // may be a value that is none of the enum's
    uint16_t id = 0;
    uint16_t size = 0;         // content of the whole record
    std::string_view content;  // a slice of the input; "" for an empty record
    bool last = false;         // the record's content ends with it
  };
  enum class Result : uint8_t {
    kMore,  // all of the input was taken
    kPiece,
    kBad,  // not FastCGI 1: every later call says so too
  };
  Result Next(std::string_view& in, Piece& piece);
  // Not within a record: nothing of the next one has arrived.
  bool between_records() const { return state_ == State::kHeader && have_ == 0; }

 private:
  enum class State : uint8_t { kHeader, kContent, kPadding, kBad };

  uint8_t header_[kFcgiHeaderSize] = {};
  State state_ = State::kHeader;
  uint8_t have_ = 0;      // bytes of header_
  uint8_t padding_ = 0;   // still to come
  uint16_t content_ = 0;  // still to come
};

// The next name-value pair (§3.4) off the front of `pairs`. kEnd: there was
// none left. kBad: it is cut off, or longer than what is there.
enum class FcgiPairResult : uint8_t { kPair, kEnd, kBad };
FcgiPairResult NextFcgiPair(std::string_view& pairs, std::string_view& name, std::string_view& value);

// A record's header, to be followed by `size` bytes of content.
void AppendFcgiHeader(std::string& out, FcgiType type, uint16_t id, size_t size);
// The end of STDOUT and of the request.
void AppendFcgiEnd(std::string& out, uint16_t id, FcgiStatus status);
void AppendFcgiUnknownType(std::string& out, FcgiType type);
// GET_VALUES_RESULT for the names in `pairs` that we know (§4.1): one request
// at a time per connection, `max_connections` of these.
void AppendFcgiValues(std::string& out, std::string_view pairs, int max_connections);

}  // namespace serin
