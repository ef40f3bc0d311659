#pragma once
// Character classes and comparisons of HTTP's grammar, on bytes: no locale, no
// Unicode folding (a folded Kelvin sign must never become a 'k'). Any thread.

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace serin {

enum CharClass : uint8_t {
  kTokenChar = 1,        // RFC 9110 §5.6.2
  kCgiChar = 2,          // letters, digits, '-': what a field name may hold to become a CGI name
  kTargetChar = 4,       // what a request target may hold: visible ASCII without '#'
  kHostChar = 8,         // what we take in a host name: letters, digits, '-', '.', '_', '~'
  kValueChar = 16,       // RFC 9110 §5.5: HTAB, SP, visible, obs-text
  kLowerTokenChar = 32,  // RFC 9113 §8.2.1: a token without capitals
};

namespace internal {

constexpr std::array<uint8_t, 256> MakeCharClasses() {
  std::array<uint8_t, 256> table{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const bool visible = c > 0x20 && c < 0x7F;
    uint8_t bits = 0;
    if (alnum || std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos) {
      bits |= kTokenChar;
    }
    if ((bits & kTokenChar) != 0 && (c < 'A' || c > 'Z')) bits |= kLowerTokenChar;
    if (alnum || c == '-') bits |= kCgiChar;
    if (visible && c != '#') bits |= kTargetChar;
    if (alnum || c == '-' || c == '.' || c == '_' || c == '~') bits |= kHostChar;
    if (c == '\t' || (c >= 0x20 && c != 0x7F)) bits |= kValueChar;
    table[c] = bits;
  }
  return table;
}
inline constexpr std::array<uint8_t, 256> kCharClasses = MakeCharClasses();

}  // namespace internal

constexpr bool Is(CharClass wanted, char c) {
  return (internal::kCharClasses[static_cast<unsigned char>(c)] & wanted) != 0;
}
// Every byte is of that class; true for "".
constexpr bool AllAre(CharClass wanted, std::string_view text) {
  for (char c : text) {
    if (!Is(wanted, c)) return false;
  }
  return true;
}

// AllAre(kValueChar, text), eight bytes at a time: of all that is sent, values are
// the longest.
inline bool IsFieldValue(std::string_view text) {
  constexpr uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;
  while (text.size() >= sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    const uint64_t below_space = (word - kOnes * 0x20) & ~word & kHighs;
    const uint64_t not_delete = word ^ (kOnes * 0x7F);
    const uint64_t is_delete = (not_delete - kOnes) & ~not_delete & kHighs;
    if ((below_space | is_delete) != 0) break;  // perhaps only a tab
    text.remove_prefix(sizeof word);
  }
  return AllAre(kValueChar, text);
}

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr char LowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

// 0 to 15, or -1.
constexpr int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = LowerAscii(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// `lower` must be in lower case.
constexpr bool EqualsIgnoreCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (LowerAscii(text[i]) != lower[i]) return false;
  }
  return true;
}

// Without leading and trailing SP and HTAB (OWS, RFC 9110 §5.6.3).
constexpr std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace serin
