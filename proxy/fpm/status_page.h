#pragma once
// PHP-FPM's status page (pm.status_path), in its plain text form. Pure.

#include <cstdint>
#include <optional>
#include <string_view>

namespace serin {

struct FpmStatus {
  bool fixed_children = false;  // pm = static: total is pm.max_children
  uint64_t idle = 0;
  uint64_t active = 0;
  uint64_t total = 0;
  uint64_t listen_queue = 0;          // of a TCP socket; PHP-FPM says 0 for a unix one
  uint64_t max_children_reached = 0;  // times, since PHP-FPM started
};

// nullopt when a line that is needed is missing or no number: another page.
std::optional<FpmStatus> ParseFpmStatus(std::string_view page);

}  // namespace serin
