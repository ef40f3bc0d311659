#pragma once
// What `serin -t` and `serinctl check` say of a configuration, including the
// certificates that it names. Any thread.

#include <string>

#include "proxy/config/config.h"

namespace serin {

struct CheckReport {
  bool ok = false;
  std::string text;  // each line ends in a newline
};

// `name` is the file's.
CheckReport ReportOf(const ConfigResult& result, const std::string& name);

}  // namespace serin
