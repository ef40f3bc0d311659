#include "proxy/parse/http_date.h"

#include <cstdio>

namespace serin {

std::string_view HttpDate::Line() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return LineAt(now.tv_sec);
}

std::string_view HttpDate::LineAt(time_t second) {
  if (second != second_) {
    second_ = second;
    // Not strftime: its names follow the locale.
    static constexpr char kDays[] = "SunMonTueWedThuFriSat";
    static constexpr char kMonths[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    tm utc{};
    gmtime_r(&second, &utc);
    const auto day = static_cast<unsigned>(utc.tm_mday) % 100;
    const auto year = static_cast<unsigned>(utc.tm_year + 1900) % 10000;
    const auto hour = static_cast<unsigned>(utc.tm_hour) % 100;
    const auto minute = static_cast<unsigned>(utc.tm_min) % 100;
    const auto sec = static_cast<unsigned>(utc.tm_sec) % 100;
    std::snprintf(line_, sizeof(line_), "Date: %.3s, %02u %.3s %04u %02u:%02u:%02u GMT\r\n",
                  kDays + 3 * utc.tm_wday, day, kMonths + 3 * utc.tm_mon, year, hour, minute, sec);
  }
  return {line_, kSize};
}

}  // namespace serin
