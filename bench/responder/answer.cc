#include "bench/responder/answer.h"

#include <algorithm>

namespace serin::bench {
namespace {

// FastCGI 1.0 §8. PHP-FPM's largest STDOUT record has this much content.
constexpr uint8_t kEndRequest = 3;
constexpr uint8_t kStdout = 6;
constexpr size_t kMostContent = 65528;
constexpr size_t kIdOffset = 2;  // of the two bytes of the request id in a header

char Byte(size_t value) { return static_cast<char>(static_cast<unsigned char>(value)); }

}  // namespace

Answer::Answer(std::string_view status, size_t body_size) {
  // What PHP says of itself by default; the length it leaves to the server.
  std::string output = "X-Powered-By: PHP/8.2\r\n";
  if (!status.empty()) output.append("Status: ").append(status).append("\r\n");
  output.append("Content-type: text/html; charset=UTF-8\r\n\r\n");
  output.append(body_size, 'x');
  for (size_t at = 0; at < output.size(); at += kMostContent) {
    AppendRecord(kStdout, std::string_view(output).substr(at, kMostContent));
  }
  AppendRecord(kEndRequest, std::string_view("\0\0\0\0\0\0\0\0", 8));
}

void Answer::AppendRecord(uint8_t type, std::string_view content) {
  const size_t padding = (8 - content.size() % 8) % 8;
  records_.push_back(wire_.size());
  for (size_t byte : {size_t{1}, size_t{type}, size_t{0}, size_t{1}, content.size() >> 8, content.size(),
                      padding, size_t{0}}) {
    wire_.push_back(Byte(byte));
  }
  wire_.append(content).append(padding, '\0');
}

std::string_view Answer::Part(size_t offset, size_t most, uint16_t id, std::string& scratch) const {
  const std::string_view part = std::string_view(wire_).substr(offset, most);
  if (id == 1) return part;
  scratch.assign(part);
  const auto set = [&](size_t at, size_t value) {
    if (at >= offset && at - offset < scratch.size()) scratch[at - offset] = Byte(value);
  };
  // From the record before `offset` on: its header may reach into the part.
  auto record = std::lower_bound(records_.begin(), records_.end(), offset);
  if (record != records_.begin()) --record;
  for (; record != records_.end() && *record < offset + part.size(); ++record) {
    set(*record + kIdOffset, id >> 8);
    set(*record + kIdOffset + 1, id);
  }
  return scratch;
}

}  // namespace serin::bench
