#pragma once
// The chunked coding (RFC 9112 §7.1), byte by byte, strictly. Not llhttp's:
// that one bounds nothing (size lines, extensions, trailers), tells us neither
// where it stands nor how many bytes a trailer had, and hands trailers to the
// callbacks of the head. One body, one thread.

#include <cstdint>
#include <string_view>

#include "proxy/parse/refusal.h"

namespace serin {

class ChunkDecoder {
 public:
  struct Limits {
    size_t chunk_line = 1024;    // size, extensions and CRLF; 400 beyond
    size_t trailers = 8 * 1024;  // all trailer lines together; 431 beyond
    uint64_t body = UINT64_MAX;  // all chunks together; 413 beyond, when announced
  };

  // Takes bytes off the front of `in` until body bytes were found (`data`, a
  // view into them; may be fewer than the chunk has), the body has ended, or
  // `in` is empty. Call again while `in` is not empty and !done().
  // Refused: a size that is not 1*15HEXDIG after leading zeros, blanks after
  // it, a lone LF or CR anywhere, controls in an extension, a trailer line that
  // is no field line. Trailers are checked, then dropped.
  Refusal Next(std::string_view& in, std::string_view& data, const Limits& limits);
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State : uint8_t {
    kSizeStart,
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
    kDone,
  };
  Refusal Step(char c, const Limits& limits);
  Refusal SizeStep(char c);
  Refusal TrailerStep(char c);
  Refusal EndOfSizeLine(const Limits& limits);

  uint64_t left_ = 0;   // of the current chunk; while its size is read, the size
  uint64_t total_ = 0;  // of all chunks announced
  uint32_t line_ = 0;   // bytes of this size line, or of all trailers
  State state_ = State::kSizeStart;
};

}  // namespace serin
