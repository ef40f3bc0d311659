// A FastCGI responder that answers everything with the same bytes, as fast as
// one thread can: the backend of benchmarks and of load tests. It keeps
// connections when asked to and takes as many as come. See --help.

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "bench/responder/answer.h"
#include "bench/responder/request_reader.h"
#include "proxy/base/instant.h"
#include "proxy/base/unique_fd.h"
#include "proxy/socket.h"

namespace serin::bench {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kWriteBytes = 1024 * 1024;
constexpr int kEventsPerTurn = 256;

struct Options {
  std::string listen;
  size_t size = 150;
  double fail_percent = 0;
  double delay_milliseconds = 0;
};

struct Connection {
  UniqueFd fd;
  RequestReader reader;
  RequestReader::Request request;
  const Answer* answer = nullptr;  // being sent, from `sent` on; null: none
  size_t sent = 0;
  std::string early;  // requests behind the one being answered
  bool waiting_to_write = false;
  uint32_t generation = 0;  // counts uses of the descriptor's number
};

class Responder {
 public:
  Responder(UniqueFd listener, const Options& options)
      : listener_(std::move(listener)),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        good_("", options.size),
        bad_("500 Internal Server Error", options.size),
        fail_share_(options.fail_percent / 100),
        delay_(absl::Milliseconds(options.delay_milliseconds)),
        read_(kReadBytes) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = listener_.get()}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), &event);
  }

  void Run() {
    epoll_event events[kEventsPerTurn];
    for (;;) {
      const int n = ::epoll_pwait2(epoll_.get(), events, kEventsPerTurn, Timeout(), nullptr);
      for (int i = 0; i < n; ++i) {
        if (events[i].data.fd == listener_.get()) {
          Accept();
        } else {
          OnReady(*connections_[static_cast<size_t>(events[i].data.fd)], events[i].events);
        }
      }
      AnswerDue();
    }
  }

 private:
  // One answer that waits for --delay to pass; they become due in order.
  struct Delayed {
    Instant due;
    int fd;
    uint32_t generation;
  };

  const timespec* Timeout() {
    if (delayed_.empty()) return nullptr;
    timeout_ = absl::ToTimespec(std::max(delayed_.front().due - Instant::Now(), absl::ZeroDuration()));
    return &timeout_;
  }

  void Accept() {
    for (;;) {
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const auto number = static_cast<size_t>(fd);
      while (connections_.size() <= number) connections_.push_back(std::make_unique<Connection>());
      const uint32_t generation = connections_[number]->generation + 1;
      *connections_[number] = Connection();
      connections_[number]->fd = UniqueFd(fd);
      connections_[number]->generation = generation;
      epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
    }
  }

  void OnReady(Connection& connection, uint32_t events) {
    if ((events & EPOLLOUT) != 0) Send(connection);
    if (!connection.fd || (events & ~uint32_t{EPOLLOUT}) == 0) return;
    const ssize_t n = ::recv(connection.fd.get(), read_.data(), read_.size(), 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return connection.fd.Reset();
    Take(connection, {read_.data(), static_cast<size_t>(n)});
  }

  void Take(Connection& connection, std::string_view bytes) {
    while (connection.fd && connection.answer == nullptr) {
      const auto request = connection.reader.Next(bytes);
      if (connection.reader.broken()) return connection.fd.Reset();
      if (!request) return;
      connection.request = *request;
      connection.answer = IsToFail() ? &bad_ : &good_;
      connection.sent = 0;
      if (delay_ > absl::ZeroDuration()) {
        delayed_.push_back({Instant::Now() + delay_, connection.fd.get(), connection.generation});
      } else {
        Send(connection);
      }
    }
    if (connection.fd) connection.early.append(bytes);
  }

  // Every so many-th, not by dice: a count of requests tells the count of failures.
  bool IsToFail() {
    const double before = static_cast<double>(requests_) * fail_share_;
    const double after = static_cast<double>(++requests_) * fail_share_;
    return static_cast<uint64_t>(after) > static_cast<uint64_t>(before);
  }

  void AnswerDue() {
    if (delayed_.empty()) return;
    const Instant now = Instant::Now();
    while (!delayed_.empty() && delayed_.front().due <= now) {
      const Delayed delayed = delayed_.front();
      delayed_.pop_front();
      Connection& connection = *connections_[static_cast<size_t>(delayed.fd)];
      if (connection.fd && connection.generation == delayed.generation) Send(connection);
    }
  }

  void Send(Connection& connection) {
    while (connection.answer != nullptr && connection.sent < connection.answer->size()) {
      const std::string_view part =
          connection.answer->Part(connection.sent, kWriteBytes, connection.request.id, scratch_);
      const ssize_t n = ::send(connection.fd.get(), part.data(), part.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EAGAIN) return WaitToWrite(connection, true);
      if (n < 0) return connection.fd.Reset();
      connection.sent += static_cast<size_t>(n);
    }
    if (connection.answer == nullptr) return;
    connection.answer = nullptr;
    if (!connection.request.keep_connection) return connection.fd.Reset();
    WaitToWrite(connection, false);
    if (connection.early.empty()) return;
    const std::string early = std::exchange(connection.early, std::string());
    Take(connection, early);
  }

  void WaitToWrite(Connection& connection, bool wait) {
    if (connection.waiting_to_write == wait) return;
    connection.waiting_to_write = wait;
    epoll_event event{.events = EPOLLIN | (wait ? uint32_t{EPOLLOUT} : 0),
                      .data = {.fd = connection.fd.get()}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd.get(), &event);
  }

  UniqueFd listener_, epoll_;
  const Answer good_, bad_;
  const double fail_share_;
  const absl::Duration delay_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by descriptor
  std::deque<Delayed> delayed_;
  timespec timeout_{};
  std::vector<char> read_;
  std::string scratch_;
  uint64_t requests_ = 0;
};

int Main(int argc, char** argv) {
  Options options;
  CLI::App app{"A FastCGI responder that answers every request with the same bytes."};
  app.add_option("--listen", options.listen, "unix:/path, 127.0.0.1:9000 or [::1]:9000")->required();
  app.add_option("--size", options.size, "bytes of each body")->capture_default_str();
  app.add_option("--fail", options.fail_percent, "percent of the requests that get a 500, evenly spread")
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--delay", options.delay_milliseconds, "milliseconds until each answer")
      ->check(CLI::Range(0.0, 3'600'000.0));
  CLI11_PARSE(app, argc, argv);
  ListenerSettings settings;
  const absl::StatusOr<SocketAddress> address = ParseSocketAddress(options.listen);
  if (address.ok()) settings.address = *address;
  absl::StatusOr<UniqueFd> listener = address.ok() ? Listen(settings) : address.status();
  if (!listener.ok()) {
    std::fprintf(stderr, "%s\n", std::string(listener.status().message()).c_str());
    return 1;
  }
  ::signal(SIGPIPE, SIG_IGN);
  Responder(*std::move(listener), options).Run();
  return 0;
}

}  // namespace
}  // namespace serin::bench

int main(int argc, char** argv) { return serin::bench::Main(argc, argv); }
