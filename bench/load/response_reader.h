#pragma once
// Finds where an HTTP/1.1 response ends; looks at nothing it need not. Trusts
// the server: this is for measuring, not for the open net.

#include <cstdint>
#include <string>
#include <string_view>

namespace serin::bench {

class ResponseReader {
 public:
  // Takes bytes, all of them one response's. True once it is whole.
  bool Take(std::string_view bytes);
  int status() const { return status_; }
  // The server will close the connection after this response.
  bool closes() const { return closes_; }
  void Reset() { *this = ResponseReader(); }

 private:
  void ReadHead(std::string_view head);
  bool TakeChunked(std::string_view bytes);

  enum class Part : uint8_t { kHead, kBody, kChunks };
  Part part_ = Part::kHead;
  std::string head_;   // as far as it has come; then the line of a chunk's size
  uint64_t left_ = 0;  // of the body, or of a chunk and its line end
  bool last_ = false;  // the chunk under way is the last
  bool closes_ = false;
  int status_ = 0;
};

}  // namespace serin::bench
