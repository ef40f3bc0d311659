#pragma once
// Finds where requests end in what a web server sends to a FastCGI responder:
// one request at a time on a connection, as with PHP-FPM, others behind it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace serin::bench {

class RequestReader {
 public:
  struct Request {
    uint16_t id = 0;
    bool keep_connection = false;
  };

  // Takes bytes off the front of `bytes`. A request once its STDIN has ended;
  // nullopt when all bytes are consumed.
  std::optional<Request> Next(std::string_view& bytes);
  // What came was not FastCGI 1.
  bool broken() const { return broken_; }

 private:
  bool EndRecord();

  std::array<unsigned char, 16> record_{};  // the header, and as much content as BEGIN_REQUEST has
  size_t have_ = 0;                         // bytes of the record so far
  size_t size_ = 0;                         // of the whole record; 0: the header is not whole
  Request request_;
  bool broken_ = false;
};

}  // namespace serin::bench
