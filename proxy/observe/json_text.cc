#include "proxy/observe/json_text.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace serin {
namespace {

constexpr std::string_view kCutMark = "\xE2\x80\xA6";  // …

// Plain: printable ASCII but '"' and '\'. DEL is legal but ugly in a terminal.
constexpr auto kPlain = [] {
  std::array<bool, 256> plain{};
  for (size_t c = 0x20; c < 0x7F; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

bool IsTail(std::string_view text, size_t i) {
  return i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
}

// Length of the well-formed sequence that starts with the non-ASCII byte at i;
// 0 when there is none (Unicode 15, table 3-7).
size_t SequenceLength(std::string_view text, size_t i) {
  const auto lead = static_cast<unsigned char>(text[i]);
  if (!IsTail(text, i + 1)) return 0;
  const auto second = static_cast<unsigned char>(text[i + 1]);
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (!IsTail(text, i + 2)) return 0;
  if (lead == 0xE0) return second >= 0xA0 ? 3 : 0;
  if (lead == 0xED) return second <= 0x9F ? 3 : 0;  // surrogates
  if (lead >= 0xE1 && lead <= 0xEF) return 3;
  if (!IsTail(text, i + 3)) return 0;
  if (lead == 0xF0) return second >= 0x90 ? 4 : 0;
  if (lead == 0xF4) return second <= 0x8F ? 4 : 0;
  return lead >= 0xF1 && lead <= 0xF3 ? 4 : 0;
}

struct Piece {
  size_t taken = 1;  // bytes of the input
  size_t size = 0;   // bytes of the output
  std::array<char, 6> bytes{};
};

Piece Escape(std::string_view text, size_t i) {
  Piece piece;
  const auto put = [&piece](std::string_view s) {
    std::copy(s.begin(), s.end(), piece.bytes.begin());
    piece.size = s.size();
  };
  const auto c = static_cast<unsigned char>(text[i]);
  if (c >= 0x80) {
    piece.taken = SequenceLength(text, i);
    if (piece.taken == 0) {
      piece.taken = 1;
      put("\\ufffd");
    } else {
      put(text.substr(i, piece.taken));
    }
    return piece;
  }
  switch (c) {
    case '"':
      put("\\\"");
      return piece;
    case '\\':
      put("\\\\");
      return piece;
    case '\n':
      put("\\n");
      return piece;
    case '\r':
      put("\\r");
      return piece;
    case '\t':
      put("\\t");
      return piece;
    default:
      break;
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  piece.bytes = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
  piece.size = 6;
  return piece;
}

}  // namespace

size_t WriteJsonText(std::string_view text, std::span<char> out) {
  // Nearly all text is plain and fits.
  const auto is_plain = [](char c) { return kPlain[static_cast<unsigned char>(c)]; };
  if (text.size() <= out.size() && std::all_of(text.begin(), text.end(), is_plain)) {
    std::copy(text.begin(), text.end(), out.begin());
    return text.size();
  }
  size_t written = 0;
  size_t cut = 0;  // the last place where the mark would still fit
  for (size_t i = 0; i < text.size();) {
    if (written + kCutMark.size() <= out.size()) cut = written;
    Piece piece;
    if (is_plain(text[i])) {
      piece.bytes[0] = text[i];
      piece.size = 1;
    } else {
      piece = Escape(text, i);
    }
    if (piece.size > out.size() - written) {
      if (out.size() < kCutMark.size()) return written;
      std::memcpy(out.data() + cut, kCutMark.data(), kCutMark.size());
      return cut + kCutMark.size();
    }
    std::memcpy(out.data() + written, piece.bytes.data(), piece.size);
    written += piece.size;
    i += piece.taken;
  }
  return written;
}

}  // namespace serin
