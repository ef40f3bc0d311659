#pragma once
// The params of CGI (RFC 3875 §4.1), with PHP's and nginx's additions, that
// Serin sets or reads itself, by number: a web server in front sends twenty of
// them with each request, and several stations ask for some. Pure.

#include <array>
#include <cstdint>
#include <string_view>

namespace serin {

// Those up to kDocumentRoot are the same for all requests to a pool.
enum class CgiParam : uint8_t {
  kGatewayInterface,
  kServerSoftware,
  kRedirectStatus,
  kDocumentRoot,
  kServerProtocol,
  kRequestMethod,
  kRequestUri,
  kRequestScheme,
  kQueryString,
  kContentLength,
  kContentType,
  kScriptFilename,
  kScriptName,
  kPathInfo,
  kPathTranslated,
  kDocumentUri,
  kRemoteAddr,
  kRemotePort,
  kServerAddr,
  kServerPort,
  kServerName,
  kHttps,
  kHttpHost,
  kOther  // any other name
};
inline constexpr size_t kCgiParamCount = static_cast<size_t>(CgiParam::kOther);
constexpr size_t Index(CgiParam id) { return static_cast<size_t>(id); }

inline constexpr std::array<std::string_view, kCgiParamCount> kCgiParamNames = {
    "GATEWAY_INTERFACE", "SERVER_SOFTWARE", "REDIRECT_STATUS", "DOCUMENT_ROOT", "SERVER_PROTOCOL",
    "REQUEST_METHOD",    "REQUEST_URI",     "REQUEST_SCHEME",  "QUERY_STRING",  "CONTENT_LENGTH",
    "CONTENT_TYPE",      "SCRIPT_FILENAME", "SCRIPT_NAME",     "PATH_INFO",     "PATH_TRANSLATED",
    "DOCUMENT_URI",      "REMOTE_ADDR",     "REMOTE_PORT",     "SERVER_ADDR",   "SERVER_PORT",
    "SERVER_NAME",       "HTTPS",           "HTTP_HOST"};
constexpr std::string_view Name(CgiParam id) { return kCgiParamNames[Index(id)]; }

namespace cgi_param_internal {

inline constexpr size_t kSlots = 64, kShortest = 5, kLongest = 17;

// Of a name of 5 bytes or more: its ends and its length tell the names above apart.
constexpr size_t SlotOf(std::string_view name) {
  uint64_t key = 0;
  for (size_t i = 0; i < 4; ++i) {
    key |= uint64_t{static_cast<uint8_t>(name[i])} << (8 * i);
    key |= uint64_t{static_cast<uint8_t>(name[name.size() - 4 + i])} << (32 + 8 * i);
  }
  constexpr uint64_t kMultiplier = 0x1027c4d1c386bbc5;  // found by trial: no two names share a slot
  return ((key + name.size()) * kMultiplier) >> 58;
}

inline constexpr std::array<CgiParam, kSlots> kParamInSlot = [] {
  std::array<CgiParam, kSlots> table{};
  table.fill(CgiParam::kOther);
  for (size_t i = 0; i < kCgiParamCount; ++i) table[SlotOf(kCgiParamNames[i])] = static_cast<CgiParam>(i);
  return table;
}();

}  // namespace cgi_param_internal

constexpr CgiParam FindCgiParam(std::string_view name) {
  using namespace cgi_param_internal;
  if (name.size() < kShortest || name.size() > kLongest) return CgiParam::kOther;
  const CgiParam id = kParamInSlot[SlotOf(name)];
  return id != CgiParam::kOther && Name(id) == name ? id : CgiParam::kOther;
}

// A name that lost its slot to another, or has a length out of bounds, would not be found.
static_assert([] {
  for (size_t i = 0; i < kCgiParamCount; ++i) {
    if (FindCgiParam(kCgiParamNames[i]) != static_cast<CgiParam>(i)) return false;
  }
  return true;
}());

}  // namespace serin
