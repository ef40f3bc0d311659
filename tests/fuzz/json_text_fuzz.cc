// What clients send, as the access log writes it: always the inside of a JSON
// string, never longer than its room. The first byte of the input is the room.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "proxy/observe/json_text.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string out(data[0], '\0');  // exactly its room, so that a sanitizer sees a byte too many
  const size_t written = serin::WriteJsonText(text, out);
  Require(written <= out.size());
  Require(nlohmann::json::accept("\"" + out.substr(0, written) + "\""));

  std::string whole(6 * text.size(), '\0');
  whole.resize(serin::WriteJsonText(text, whole));
  Require(nlohmann::json::accept("\"" + whole + "\""));
  Require(whole.find('\n') == std::string::npos);
  return 0;
}
