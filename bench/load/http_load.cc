// An HTTP/1.1 load generator for what wrk and h2load cannot do: a fixed rate
// whether answers come or not (open loop), with latencies counted from when
// each request's time had come; a connection per request, with TLS sessions
// resumed or not; uploads. Prints one JSON object. See --help.

#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "bench/load/client.h"
#include "proxy/base/instant.h"

namespace serin::bench {
namespace {

constexpr int kEventsPerTurn = 256;
// A server that refuses is asked again, not hammered.
constexpr uint64_t kMostErrors = 10000;

struct Options {
  std::string target;
  std::string path = "/";
  std::string tls = "off";
  int connections = 64;
  double rate = 0;
  double seconds = 5;
  size_t body = 0;
  bool close = false;
};

std::string MakeRequest(const Options& options) {
  std::string request =
      (options.body > 0 ? "POST " : "GET ") + options.path + " HTTP/1.1\r\nHost: " + options.target + "\r\n";
  if (options.close) request += "Connection: close\r\n";
  if (options.body > 0) {
    request +=
        "Content-Type: application/octet-stream\r\nContent-Length: " + std::to_string(options.body) + "\r\n";
  }
  request += "\r\n";
  return request.append(options.body, 'x');
}

class Load {
 public:
  Load(const Options& options, const RawAddress& address)
      : options_(options),
        request_(MakeRequest(options)),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        tls_(options.tls == "resumed") {
    for (int i = 0; i < options.connections; ++i) {
      clients_.push_back(
          std::make_unique<Client>(address, epoll_.get(), options.tls == "off" ? nullptr : &tls_));
      free_.push_back(clients_.back().get());
    }
  }

  void Run() {
    begun_ = Instant::Now();
    const Instant end = begun_ + absl::Seconds(options_.seconds);
    epoll_event events[kEventsPerTurn];
    for (Instant now = begun_; now < end && errors_ < kMostErrors; now = Instant::Now()) {
      Begin(now);
      const timespec timeout = absl::ToTimespec(std::max(Next(end) - Instant::Now(), absl::ZeroDuration()));
      const int n = ::epoll_pwait2(epoll_.get(), events, kEventsPerTurn, &timeout, nullptr);
      for (int i = 0; i < n; ++i) {
        auto* client = static_cast<Client*>(events[i].data.ptr);
        Settle(*client, client->OnReady());
      }
    }
    elapsed_ = absl::ToDoubleSeconds(Instant::Now() - begun_);
  }

  void Print() {
    std::sort(latencies_.begin(), latencies_.end());
    uint64_t received = 0, handshakes = 0, resumed = 0;
    for (const auto& client : clients_) {
      received += client->received();
      handshakes += client->handshakes();
      resumed += client->resumed();
    }
    std::printf(
        "{\"requests\": %zu, \"errors\": %llu, \"seconds\": %.3f, \"received\": %llu, "
        "\"p50_us\": %.1f, \"p99_us\": %.1f, \"handshakes\": %llu, \"resumed\": %llu}\n",
        latencies_.size(), static_cast<unsigned long long>(errors_), elapsed_,
        static_cast<unsigned long long>(received), Quantile(0.50), Quantile(0.99),
        static_cast<unsigned long long>(handshakes), static_cast<unsigned long long>(resumed));
  }

 private:
  Instant Due(uint64_t n) const { return begun_ + absl::Seconds(static_cast<double>(n) / options_.rate); }
  // When to look again, events or not.
  Instant Next(Instant end) const {
    if (free_.empty()) return end;
    return options_.rate > 0 ? std::min(Due(begun_count_), end) : begun_;
  }

  // Open loop: what is due, as far as there are connections; closed: all that are free.
  void Begin(Instant now) {
    for (size_t room = free_.size(); room > 0; --room) {
      if (options_.rate > 0 && Due(begun_count_) > now) return;
      Client& client = *free_.front();
      free_.pop_front();
      const Instant since = options_.rate > 0 ? Due(begun_count_) : Instant::Now();
      ++begun_count_;
      Settle(client, client.Begin(request_, since));
    }
  }

  void Settle(Client& client, Client::State state) {
    if (state == Client::State::kBusy || state == Client::State::kIdle) return;
    if (state == Client::State::kDone) {
      latencies_.push_back(static_cast<float>(absl::ToDoubleMicroseconds(Instant::Now() - client.since())));
      if (client.response().status() != 200) ++errors_;
      if (options_.close) client.Close();
    } else {
      ++errors_;
    }
    free_.push_back(&client);
  }

  double Quantile(double share) const {
    if (latencies_.empty()) return 0;
    return static_cast<double>(
        latencies_[static_cast<size_t>(share * static_cast<double>(latencies_.size() - 1))]);
  }

  const Options& options_;
  const std::string request_;
  UniqueFd epoll_;
  TlsClients tls_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::deque<Client*> free_;
  std::vector<float> latencies_;
  Instant begun_;
  uint64_t begun_count_ = 0, errors_ = 0;
  double elapsed_ = 0;
};

int Main(int argc, char** argv) {
  Options options;
  CLI::App app{"Puts HTTP/1.1 load on a server and says how it did, as JSON."};
  app.add_option("target", options.target, "127.0.0.1:8080")->required();
  app.add_option("--path", options.path)->capture_default_str();
  app.add_option("--connections", options.connections)->capture_default_str()->check(CLI::Range(1, 15000));
  app.add_option("--rate", options.rate,
                 "requests per second, whether answers come or not; 0: as fast as they come");
  app.add_option("--seconds", options.seconds)->capture_default_str();
  app.add_option("--body", options.body, "bytes to POST with each request");
  app.add_option("--tls", options.tls, "off, full (a new session each time) or resumed")
      ->check(CLI::IsMember({"off", "full", "resumed"}));
  app.add_flag("--close", options.close, "a new connection for each request");
  CLI11_PARSE(app, argc, argv);
  const absl::StatusOr<SocketAddress> target = ParseSocketAddress(options.target);
  const absl::StatusOr<RawAddress> address = target.ok() ? ToRaw(*target) : target.status();
  if (!address.ok()) {
    std::fprintf(stderr, "%s\n", std::string(address.status().message()).c_str());
    return 1;
  }
  ::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_TIMERSLACK, 1);  // nanosecond, instead of 50 µs: the rate's clock
  Load load(options, *address);
  load.Run();
  load.Print();
  return 0;
}

}  // namespace
}  // namespace serin::bench

int main(int argc, char** argv) { return serin::bench::Main(argc, argv); }
