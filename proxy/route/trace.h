#pragma once
// The ids by which a request is found again in every log: X-Request-ID and
// W3C Trace Context's traceparent. Passed on if they are sane, begun otherwise.
// Values; a worker's thread.

#include <array>
#include <string_view>

#include "proxy/message.h"
#include "proxy/route/router.h"

namespace serin {

// Letters, digits, '.', '-', '_', 1 to 128 of them: what can do no harm in any
// log or query.
bool IsRequestId(std::string_view text);

// W3C Trace Context §3.2: version 00 exactly, later ones as far as they can be
// read; ids not all zero, lower-case.
bool IsTraceparent(std::string_view text);

// One request's ids. Views borrow from the request or from this object.
class TraceIds {
 public:
  // Takes the request's, draws those that are missing or not sane (several
  // fields of one name are not). No allocation.
  //
  // A trace begun here is marked as sampled: Serin records no spans itself, but
  // OpenTelemetry's default sampler follows its parent, and an application that
  // traced before Serin stood in front of it must not fall silent. Its id is
  // the request's as well, if that had none: one id to search for.
  void Begin(const Request& request, RandomSource& random);
  // Takes the request's as they are and draws none.
  void Note(const Request& request);

  std::string_view request_id() const { return request_id_; }
  std::string_view traceparent() const { return traceparent_; }
  // What must be sent instead of the client's fields; "" to pass those on.
  std::string_view begun_request_id() const { return begun_request_id_ ? request_id_ : std::string_view(); }
  std::string_view begun_traceparent() const {
    return begun_traceparent_ ? traceparent_ : std::string_view();
  }

 private:
  static constexpr size_t kIdDigits = 32;
  static constexpr size_t kParentDigits = 55;

  std::string_view request_id_, traceparent_;
  bool begun_request_id_ = false, begun_traceparent_ = false;
  std::array<char, kIdDigits> id_text_;
  std::array<char, kParentDigits> parent_text_;
};

}  // namespace serin
