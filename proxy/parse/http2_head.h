#pragma once
// The head of an HTTP/2 request (RFC 9113 §8.3), field by field as HPACK gives
// them: judged by the rules of this folder and of §8.2, stored in the Request.
// No nghttp2 in it: its own checks are off, so that a head is read once and by
// the same rules as HTTP/1's. One session's: only one head can be under way on
// a connection. One thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/message.h"
#include "proxy/parse/framing.h"
#include "proxy/parse/refusal.h"
#include "proxy/session.h"

namespace serin {

class Http2Head {
 public:
  enum class Verdict : uint8_t {
    kGood,
    kRefused,    // answered with refusal()'s status
    kMalformed,  // RFC 9113 §8.1.1: a stream error of type PROTOCOL_ERROR
  };

  // Begins a new head.
  void Start(Request& request);
  // Views are dead after the call. After the first thing that is wrong the rest is
  // looked at no more: a head that is too large costs its decoding and nothing else.
  void Add(std::string_view name, std::string_view value, const ClientLimits& limits);
  // All fields were there. `scratch` is overwritten. `ended`: no body follows.
  Verdict Finish(const ClientLimits& limits, bool ended, std::string& scratch);

  // Valid after Finish.
  Refusal refusal() const { return refusal_; }
  const Framing& framing() const { return framing_; }
  bool asks_to_continue() const { return continue_; }  // Expect: 100-continue
  bool asterisk() const { return asterisk_; }          // OPTIONS *

 private:
  void AddPseudo(std::string_view name, std::string_view value, const ClientLimits& limits);
  void AddRegular(std::string_view name, std::string_view value);
  void AddDropped(std::string_view name, std::string_view value);
  void TakeMethod(std::string_view value);
  void TakeAuthority(std::string_view value);
  void TakeHost(std::string_view value);
  void TakeCookie(std::string_view value);
  void TakeTarget(std::string& scratch);
  bool IsFirst(bool& seen);
  void Malform() { malformed_ = true; }
  void Refuse(Refusal refusal) {
    if (refusal_ == Refusal::kNone) refusal_ = refusal;
  }

  Request* request_ = nullptr;
  Framing framing_;
  std::string path_;      // :path
  std::string cookie_;    // crumbs, joined (RFC 9113 §8.2.3)
  size_t list_size_ = 0;  // as RFC 9113 §6.5.2 counts it
  size_t fields_ = 0;
  Refusal refusal_ = Refusal::kNone;
  bool malformed_ = false;
  bool regular_seen_ = false;
  bool method_seen_ = false, scheme_seen_ = false, path_seen_ = false, authority_seen_ = false,
       host_seen_ = false;
  bool cookie_seen_ = false;
  bool asterisk_ = false;
  bool continue_ = false;
};

// What the fields of a trailer section may look like; they are dropped
// (RFC 9110 §6.5.1 allows it). False: malformed.
bool IsGoodTrailer(std::string_view name, std::string_view value);

}  // namespace serin
