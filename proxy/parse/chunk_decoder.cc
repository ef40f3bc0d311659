#include "proxy/parse/chunk_decoder.h"

#include <algorithm>

#include "proxy/parse/ascii.h"

namespace serin {

Refusal ChunkDecoder::Next(std::string_view& in, std::string_view& data, const Limits& limits) {
  data = {};
  while (!in.empty() && state_ != State::kDone) {
    if (state_ == State::kData) {
      data = in.substr(0, static_cast<size_t>(std::min<uint64_t>(left_, in.size())));
      in.remove_prefix(data.size());
      left_ -= data.size();
      if (left_ == 0) state_ = State::kDataCr;
      return Refusal::kNone;
    }
    const Refusal refusal = Step(in.front(), limits);
    if (refusal != Refusal::kNone) return refusal;
    in.remove_prefix(1);
  }
  return Refusal::kNone;
}

Refusal ChunkDecoder::Step(char c, const Limits& limits) {
  switch (state_) {
    case State::kSizeStart:
    case State::kSize:
    case State::kExtension:
      if (++line_ > limits.chunk_line) return Refusal::kBadRequest;
      return SizeStep(c);
    case State::kSizeLf:
      if (c != '\n') return Refusal::kBadRequest;
      return EndOfSizeLine(limits);
    case State::kDataCr:
      if (c != '\r') return Refusal::kBadRequest;
      state_ = State::kDataLf;
      return Refusal::kNone;
    case State::kDataLf:
      if (c != '\n') return Refusal::kBadRequest;
      state_ = State::kSizeStart;
      line_ = 0;
      return Refusal::kNone;
    default:
      if (++line_ > limits.trailers + 2) return Refusal::kHeadTooLarge;  // + 2: the empty line at the end
      return TrailerStep(c);
  }
}

Refusal ChunkDecoder::SizeStep(char c) {
  if (state_ != State::kExtension) {
    const int digit = HexValue(c);
    if (digit >= 0) {
      // 15 digits: no chunk is 2^60 bytes long, and nothing can overflow.
      if (left_ >> 56 != 0) return Refusal::kBadRequest;
      left_ = left_ * 16 + static_cast<uint64_t>(digit);
      state_ = State::kSize;
      return Refusal::kNone;
    }
    // No blanks here, though RFC 9112 §7.1.1 bears with them before ';': what
    // different parsers strip differently has been used for smuggling.
    if (state_ == State::kSizeStart || (c != ';' && c != '\r')) return Refusal::kBadRequest;
  }
  if (c == '\r') {
    state_ = State::kSizeLf;
    return Refusal::kNone;
  }
  state_ = State::kExtension;
  return Is(kValueChar, c) ? Refusal::kNone : Refusal::kBadRequest;
}

Refusal ChunkDecoder::EndOfSizeLine(const Limits& limits) {
  line_ = 0;
  if (left_ == 0) {
    state_ = State::kTrailerStart;
    return Refusal::kNone;
  }
  state_ = State::kData;
  if (left_ > limits.body || total_ > limits.body - left_) return Refusal::kBodyTooLarge;
  total_ += left_;
  return Refusal::kNone;
}

Refusal ChunkDecoder::TrailerStep(char c) {
  switch (state_) {
    case State::kTrailerStart:
      if (c == '\r') {
        state_ = State::kEndLf;
        return Refusal::kNone;
      }
      state_ = State::kTrailerName;  // a fold and an empty name fail here: no token characters
      return Is(kTokenChar, c) ? Refusal::kNone : Refusal::kBadRequest;
    case State::kTrailerName:
      if (c == ':') {
        state_ = State::kTrailerValue;
        return Refusal::kNone;
      }
      return Is(kTokenChar, c) ? Refusal::kNone : Refusal::kBadRequest;
    case State::kTrailerValue:
      if (c == '\r') {
        state_ = State::kTrailerLf;
        return Refusal::kNone;
      }
      return Is(kValueChar, c) ? Refusal::kNone : Refusal::kBadRequest;
    case State::kTrailerLf:
      state_ = State::kTrailerStart;
      return c == '\n' ? Refusal::kNone : Refusal::kBadRequest;
    default:  // kEndLf
      state_ = State::kDone;
      return c == '\n' ? Refusal::kNone : Refusal::kBadRequest;
  }
}

}  // namespace serin
