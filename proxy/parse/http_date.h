#pragma once
// The Date field of answers (RFC 9110 §5.6.7), made once a second rather than
// once a request. One per worker; its thread.

#include <time.h>

#include <string_view>

namespace serin {

class HttpDate {
 public:
  // "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" for the coarse wall clock (5 ns to
  // read, up to a tick behind). Valid until the next call.
  std::string_view Line();
  // The same for a given second since the epoch.
  std::string_view LineAt(time_t second);

 private:
  static constexpr size_t kSize = 37;
  time_t second_ = -1;
  char line_[kSize + 1] = {};
};

}  // namespace serin
