// The record decoder, fed with anything, whole and in pieces: both ways must
// agree, and nothing may be handed on that lies outside the input.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/fastcgi/record.h"

namespace {

struct Collected final : serin::RecordDecoder::Sink {
  void OnStdout(std::string_view bytes) override { Take(bytes, out); }
  void OnStderr(std::string_view bytes) override { Take(bytes, err); }
  void Take(std::string_view bytes, std::string& to) {
    if (bytes.empty() || bytes.data() < input.data() ||
        bytes.data() + bytes.size() > input.data() + input.size()) {
      std::abort();
    }
    to += bytes;
  }
  std::string_view input;
  std::string out, err;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using Result = serin::RecordDecoder::Result;
  if (size == 0) return 0;
  const size_t piece = data[0] % 32 + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

  serin::RecordDecoder whole;
  Collected all;
  all.input = bytes;
  size_t used = 0;
  const Result result = whole.Decode(bytes, all, &used);
  if (used > bytes.size() || (result == Result::kMore && used != bytes.size())) std::abort();

  serin::RecordDecoder pieces;
  Collected parts;
  parts.input = bytes;
  Result last = Result::kMore;
  size_t total = 0;
  for (size_t at = 0; at < bytes.size() && last == Result::kMore; at += piece) {
    size_t n = 0;
    last = pieces.Decode(bytes.substr(at, piece), parts, &n);
    total += n;
  }
  if (last != result || total != used || parts.out != all.out || parts.err != all.err) std::abort();
  if (pieces.app_status() != whole.app_status() || pieces.protocol_status() != whole.protocol_status())
    std::abort();
  return 0;
}
