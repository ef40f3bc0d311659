#pragma once
// What the kernel says about this process, for the metrics page. Any thread.

namespace serin {

struct ProcessStats {
  double cpu_seconds = 0;
  double resident_bytes = 0;
  double virtual_bytes = 0;
  double open_fds = 0;
  double max_fds = 0;
};

// Reads /proc/self; what cannot be read stays 0.
ProcessStats ReadProcessStats();

}  // namespace serin
