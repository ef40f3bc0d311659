#include "proxy/fpm/client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "proxy/base/instant.h"
#include "proxy/fastcgi/record.h"
#include "proxy/respond/cgi_head.h"
#include "proxy/socket.h"

namespace serin {
namespace {

constexpr size_t kMostBody = 64 * 1024;
constexpr uint16_t kId = RequestId(0);

std::string Encode(std::string_view path) {
  std::string out;
  AppendBeginRequest(out, kId, false);
  ParamsWriter writer(out, kId);
  const std::pair<std::string_view, std::string_view> params[] = {{"GATEWAY_INTERFACE", "CGI/1.1"},
                                                                  {"SERVER_PROTOCOL", "HTTP/1.1"},
                                                                  {"REQUEST_METHOD", "GET"},
                                                                  {"SCRIPT_NAME", path},
                                                                  {"SCRIPT_FILENAME", path},
                                                                  {"REQUEST_URI", path},
                                                                  {"QUERY_STRING", ""}};
  for (const auto& [name, value] : params) static_cast<void>(writer.Add(name, value));  // short ones fit
  writer.Finish();
  AppendStdinEnd(out, kId);
  return out;
}

// Collects the answer.
class Answer final : public RecordDecoder::Sink {
 public:
  void OnStdout(std::string_view bytes) override {
    if (!head_done_) {
      size_t consumed = 0;
      const CgiHeadParser::Result result = head_.Feed(bytes, &consumed);
      bad_ = bad_ || result == CgiHeadParser::Result::kBad;
      if (result != CgiHeadParser::Result::kDone) return;
      head_done_ = true;
      bytes.remove_prefix(consumed);
    }
    bad_ = bad_ || body_.size() + bytes.size() > kMostBody;
    if (!bad_) body_.append(bytes);
  }
  void OnStderr(std::string_view) override {}
  absl::StatusOr<std::string> Take() {
    if (bad_ || !head_done_) return absl::InternalError("an answer that makes no sense");
    if (head_.status() != 200) return absl::NotFoundError(absl::StrCat("status ", head_.status()));
    return std::move(body_);
  }

 private:
  CgiHeadParser head_;
  bool head_done_ = false, bad_ = false;
  std::string body_;
};

// A socket, and the moment until which it may be waited for.
class Patient {
 public:
  Patient(int fd, absl::Duration limit) : fd_(fd), limit_(limit), until_(Instant::Now() + limit) {}

  absl::Status Wait(short events) const {
    for (;;) {
      const absl::Duration left = until_ - Instant::Now();
      pollfd poll{fd_, events, 0};
      const int64_t millis = std::max<int64_t>(0, absl::ToInt64Milliseconds(left) + 1);
      const int ready = left > absl::ZeroDuration() ? ::poll(&poll, 1, static_cast<int>(millis)) : 0;
      if (ready > 0) return absl::OkStatus();
      if (ready == 0) {
        return absl::DeadlineExceededError(absl::StrCat("no answer in ", absl::FormatDuration(limit_)));
      }
      if (errno != EINTR) return Failure();
    }
  }
  absl::Status Connect(const RawAddress& raw) const {
    if (::connect(fd_, raw.get(), raw.size) == 0) return absl::OkStatus();
    if (errno != EINPROGRESS) return Failure();
    if (absl::Status ready = Wait(POLLOUT); !ready.ok()) return ready;
    socklen_t size = sizeof errno;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &errno, &size);
    return errno == 0 ? absl::OkStatus() : Failure();
  }
  absl::Status Send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n > 0) {
        bytes.remove_prefix(static_cast<size_t>(n));
      } else if (errno != EAGAIN && errno != EINTR) {
        return Failure();
      } else if (absl::Status ready = Wait(POLLOUT); !ready.ok()) {
        return ready;
      }
    }
    return absl::OkStatus();
  }
  absl::Status Receive(Answer& answer) const {
    RecordDecoder decoder;
    char buffer[4096];
    for (;;) {
      if (absl::Status ready = Wait(POLLIN); !ready.ok()) return ready;
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n < 0) return Failure();
      if (n == 0) return absl::UnavailableError("closed before the answer");
      size_t consumed = 0;
      const auto result = decoder.Decode({buffer, static_cast<size_t>(n)}, answer, &consumed);
      if (result == RecordDecoder::Result::kError) return absl::InternalError("no FastCGI answer");
      if (result == RecordDecoder::Result::kEnd) return absl::OkStatus();
    }
  }

 private:
  static absl::Status Failure() { return absl::UnavailableError(std::strerror(errno)); }

  const int fd_;
  const absl::Duration limit_;
  const Instant until_;
};

}  // namespace

absl::StatusOr<std::string> AskFpm(const SocketAddress& address, std::string_view path,
                                   absl::Duration limit) {
  absl::StatusOr<RawAddress> raw = ToRaw(address);
  if (!raw.ok()) return raw.status();
  const UniqueFd fd(::socket(raw->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return absl::UnavailableError(std::strerror(errno));
  const Patient socket(fd.get(), limit);
  if (absl::Status status = socket.Connect(*raw); !status.ok()) return status;
  if (absl::Status status = socket.Send(Encode(path)); !status.ok()) return status;
  Answer answer;
  if (absl::Status status = socket.Receive(answer); !status.ok()) return status;
  return answer.Take();
}

}  // namespace serin
