// PHP-FPM's status page, which anything that listens there may have written.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/fpm/status_page.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view page(reinterpret_cast<const char*>(data), size);
  const auto status = serin::ParseFpmStatus(page);
  if (status && page.find("process manager:") == page.npos) std::abort();
  return 0;
}
