// A request of any fields and params, encoded for FastCGI: every record can be
// taken apart again, no pair is split, no name comes twice, no name or value
// can pass for something it is not.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "proxy/fastcgi/params.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

uint8_t ByteAt(std::string_view text, size_t at) {
  Require(at < text.size());
  return static_cast<uint8_t>(text[at]);
}

size_t TakeLength(std::string_view& content) {
  size_t length = ByteAt(content, 0);
  size_t used = 1;
  if (length >= 128) {
    length &= 127;
    for (; used < 4; ++used) length = length << 8 | ByteAt(content, used);
  }
  content.remove_prefix(used);
  return length;
}

// Walks the PARAMS records as PHP-FPM does.
void CheckRecords(std::string_view bytes) {
  std::set<std::string_view> names;
  for (bool ended = false; !bytes.empty();) {
    Require(!ended && bytes.size() >= serin::kRecordHeaderSize);
    Require(ByteAt(bytes, 0) == 1 && ByteAt(bytes, 1) == 4 && ByteAt(bytes, 2) == 0 && ByteAt(bytes, 3) == 1);
    const size_t size = size_t{ByteAt(bytes, 4)} << 8 | ByteAt(bytes, 5);
    bytes.remove_prefix(serin::kRecordHeaderSize);
    Require(size <= bytes.size());
    std::string_view content = bytes.substr(0, size);
    bytes.remove_prefix(size);
    ended = content.empty();
    while (!content.empty()) {
      const size_t name_size = TakeLength(content);
      const size_t value_size = TakeLength(content);
      Require(name_size > 0 && name_size + value_size <= content.size());
      const std::string_view name = content.substr(0, name_size);
      Require(names.insert(name).second);
      Require(name != "HTTP_PROXY" && name != "HTTP_CONTENT_LENGTH" && name != "HTTP_TRANSFER_ENCODING");
      if (name.starts_with("HTTP_")) {
        Require(name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string_view::npos);
      }
      content.remove_prefix(name_size + value_size);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto next = [&input] {
    const std::string_view line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(line.size() + 1, input.size()));
    return line;
  };
  const serin::Spool::Limits limits;
  serin::Request request(limits);
  request.set_method("POST");
  request.set_target(next());
  request.set_query(next());
  request.set_authority(next());
  // Lines: "name:value" is a field, "=name:value" a param, "*name:value" a
  // field large enough to need records of its own.
  for (int i = 0; i < 128 && !input.empty(); ++i) {
    std::string_view line = next();
    const char kind = line.empty() ? ' ' : line.front();
    if (kind == '=' || kind == '*') line.remove_prefix(1);
    const std::string_view name = line.substr(0, line.find(':'));
    const std::string_view value = line.substr(std::min(name.size() + 1, line.size()));
    if (kind == '=') {
      request.AddParam(name, value);
    } else {
      request.AddField(name, kind == '*' ? std::string(20000, 'v') : std::string(value));
    }
  }
  const serin::PoolParams pool("/srv/app/public", "serin/1.0",
                               {{"APP_ENV", "fuzz"}, {"HTTP_X_FIXED", "1"}, {"SERVER_NAME", "fixed"}});
  serin::ParamsContext context;
  context.pool = &pool;
  context.script_name = "/index.php";
  context.path_info = request.query();
  context.authority = request.authority();
  std::string out;
  serin::ParamsWriter writer(out, 1);
  if (!serin::AppendParams(writer, request, context)) return 0;
  writer.Finish();
  CheckRecords(out);
  return 0;
}
