#include "proxy/ctl/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <utility>

namespace serin {
namespace {

// A whole history is a few hundred kilobytes; more than this is no answer of ours.
constexpr size_t kLargestAnswer = 16 * 1024 * 1024;

using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

size_t TakeBody(char* bytes, size_t, size_t count, void* target) {
  auto& body = *static_cast<std::string*>(target);
  if (body.size() + count > kLargestAnswer) return 0;  // libcurl gives up
  body.append(bytes, count);
  return count;
}

struct EventSink {
  EventSplitter splitter;
  const std::function<bool(std::string_view)>* take = nullptr;
  CURL* handle = nullptr;
  std::string error_body;
  bool stopped = false;
};

size_t TakeEvents(char* bytes, size_t, size_t count, void* target) {
  auto& sink = *static_cast<EventSink*>(target);
  long status = 0;
  curl_easy_getinfo(sink.handle, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) return TakeBody(bytes, 1, count, &sink.error_body);
  sink.stopped = !sink.splitter.Feed({bytes, count}, *sink.take);
  return sink.stopped ? 0 : count;
}

std::string Explain(CURLcode code, CURL* handle, const std::string& socket) {
  long error = 0;
  curl_easy_getinfo(handle, CURLINFO_OS_ERRNO, &error);
  if (code == CURLE_COULDNT_CONNECT) {
    if (error == EACCES || error == EPERM) {
      return fmt::format("permission denied on {}: use sudo, or join the socket's group ([admin] mode)",
                         socket);
    }
    if (error == ENOENT || error == ECONNREFUSED || error == 0) {
      return fmt::format("nobody answers on {}: serin is not running, or its socket is elsewhere (--socket)",
                         socket);
    }
    return fmt::format("cannot connect to {}: {}", socket, strerror(static_cast<int>(error)));
  }
  if (code == CURLE_OPERATION_TIMEDOUT) return fmt::format("serin did not answer in time on {}", socket);
  if (code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_PARTIAL_FILE ||
      code == CURLE_OK) {
    return fmt::format("serin closed the connection on {}", socket);
  }
  return fmt::format("no answer on {}: {}", socket, curl_easy_strerror(code));
}

Handle Open(const std::string& socket, const std::string& path) {
  Handle handle(curl_easy_init(), &curl_easy_cleanup);
  if (!handle) return handle;
  curl_easy_setopt(handle.get(), CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_URL, ("http://serin" + path).c_str());
  curl_easy_setopt(handle.get(), CURLOPT_PROXY, "");  // http_proxy is not for this
  curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_CONNECTTIMEOUT, 5L);
  return handle;
}

// sun_path is that short; libcurl would only say "could not connect".
std::string PathProblem(const std::string& socket) {
  return socket.size() > 107 ? fmt::format("{} is too long for a unix socket (107 bytes)", socket) : "";
}

}  // namespace

AdminClient::Answer AdminClient::Fetch(const char* method, const std::string& path,
                                       const std::string& body) const {
  Answer answer;
  if (answer.problem = PathProblem(socket_); !answer.problem.empty()) return answer;
  const Handle handle = Open(socket_, path);
  if (!handle) return {0, "", "libcurl cannot be used"};
  curl_slist* const headers = curl_slist_append(nullptr, "Content-Type: application/json");
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> owned(headers, &curl_slist_free_all);
  if (std::string_view(method) == "POST") {
    curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    curl_easy_setopt(handle.get(), CURLOPT_COPYPOSTFIELDS, body.c_str());
  }
  // Every answer comes within the time the journal's disk takes.
  curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT, 30L);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, &TakeBody);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &answer.body);
  if (const CURLcode code = curl_easy_perform(handle.get()); code != CURLE_OK) {
    answer.problem = Explain(code, handle.get(), socket_);
    return answer;
  }
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

AdminClient::Answer AdminClient::Watch(const std::function<bool(std::string_view data)>& take) const {
  Answer answer;
  if (answer.problem = PathProblem(socket_); !answer.problem.empty()) return answer;
  const Handle handle = Open(socket_, "/v1/events");
  if (!handle) return {0, "", "libcurl cannot be used"};
  EventSink sink;
  sink.take = &take;
  sink.handle = handle.get();
  // An event comes every second; without one for this long the daemon hangs.
  curl_easy_setopt(handle.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_LOW_SPEED_TIME, 15L);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, &TakeEvents);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &sink);
  const CURLcode code = curl_easy_perform(handle.get());
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  answer.body = std::move(sink.error_body);
  if (sink.stopped || (answer.status != 0 && answer.status != 200)) return answer;
  answer.status = 0;
  answer.problem = Explain(code, handle.get(), socket_);
  return answer;
}

bool EventSplitter::Feed(std::string_view bytes, const std::function<bool(std::string_view data)>& take) {
  for (const char c : bytes) {
    if (c != '\n') {
      if (line_.size() < kLargestAnswer) line_ += c;
      continue;
    }
    if (line_.ends_with('\r')) line_.pop_back();
    if (line_.starts_with("data:")) {
      data_ += line_.substr(line_.starts_with("data: ") ? 6 : 5);
    } else if (line_.empty() && !data_.empty()) {
      const std::string data = std::exchange(data_, {});
      line_.clear();
      if (!take(data)) return false;
    }
    line_.clear();
  }
  return true;
}

}  // namespace serin
