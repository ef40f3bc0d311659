#pragma once
// Tells HTTP/2 by prior knowledge from HTTP/1 by a connection's first bytes
// (RFC 9113 §3.4). Pure; any thread.

#include <cstdint>
#include <string_view>

namespace serin {

inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum class Sniffed : uint8_t { kHttp1, kHttp2, kNeedMore };

// `bytes`: all that the connection has received so far. kNeedMore at most
// until 24 bytes are there; for POST, PUT and PATCH one byte decides nothing
// and two are enough.
constexpr Sniffed Sniff(std::string_view bytes) {
  if (bytes.size() >= kHttp2Preface.size()) {
    return bytes.substr(0, kHttp2Preface.size()) == kHttp2Preface ? Sniffed::kHttp2 : Sniffed::kHttp1;
  }
  return kHttp2Preface.substr(0, bytes.size()) == bytes ? Sniffed::kNeedMore : Sniffed::kHttp1;
}

}  // namespace serin
