#pragma once
// One FastCGI answer as it goes over the wire, made once and sent to everybody:
// a CGI head and a body in STDOUT records, then END_REQUEST.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace serin::bench {

class Answer {
 public:
  // `status`: "500 Internal Server Error", or "" for a head without one (200).
  Answer(std::string_view status, size_t body_size);

  size_t size() const { return wire_.size(); }
  // The wire's bytes from `offset` on, at most `most`, for the request `id`.
  // Valid until the next call: they lie in `scratch` unless the id is 1.
  std::string_view Part(size_t offset, size_t most, uint16_t id, std::string& scratch) const;

 private:
  void AppendRecord(uint8_t type, std::string_view content);

  std::string wire_;             // for request id 1
  std::vector<size_t> records_;  // where each begins
};

}  // namespace serin::bench
