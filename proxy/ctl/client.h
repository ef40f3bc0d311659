#pragma once
// Speaks HTTP to the admin socket, by libcurl. One thread.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace serin {

class AdminClient {
 public:
  struct Answer {
    long status = 0;  // 0: no answer came, and `problem` says why
    std::string body;
    std::string problem;  // one line for people
    bool ok() const { return status >= 200 && status < 300; }
  };

  explicit AdminClient(std::string socket) : socket_(std::move(socket)) {}

  Answer Get(const std::string& path) const { return Fetch("GET", path, ""); }
  Answer Post(const std::string& path, const std::string& body) const { return Fetch("POST", path, body); }

  // Calls `take` with the data of every event of /v1/events until it returns
  // false (then the answer is ok) or the daemon ends the stream.
  Answer Watch(const std::function<bool(std::string_view data)>& take) const;

 private:
  Answer Fetch(const char* method, const std::string& path, const std::string& body) const;

  std::string socket_;
};

// Splits a stream of server-sent events (WHATWG HTML §9.2) into the data of each.
class EventSplitter {
 public:
  // Calls `take` for every event that `bytes` completes; stops and returns false
  // when it does.
  bool Feed(std::string_view bytes, const std::function<bool(std::string_view data)>& take);

 private:
  std::string line_, data_;
};

}  // namespace serin
