// The floor: a proxy from HTTP/1.1 to FastCGI that does nothing but move the
// bytes, with the fewest system calls that can. It checks nothing, limits
// nothing, times nothing and records nothing, so that what it costs is what
// the kernel costs. Not for use. A body of a request fits into two records:
// 128 KB at most.

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/unique_fd.h"
#include "proxy/fastcgi/record.h"
#include "proxy/socket.h"

namespace serin::bench {
namespace {

using Slices = std::vector<std::string_view>;

constexpr int kEventsPerTurn = 256;
constexpr uint16_t kRequestId = 1;
constexpr size_t kReadBytes = 128 * 1024;
// What PHP is told besides the client's head, about as much as a real proxy says.
constexpr size_t kParamsBytes = 640;
// A head longer than this says something of its own, which is passed on.
constexpr size_t kPlainHead = 200;

class Floor;

// One socket: gathered output, what it does not take is kept.
class Peer {
 public:
  explicit Peer(Floor& owner) : floor(owner) {}
  virtual ~Peer() = default;
  void Open(UniqueFd socket);
  void Send(std::span<const std::string_view> parts);
  void OnReady(uint32_t events);
  virtual void OnBytes(std::string_view bytes) = 0;
  virtual void OnEof() = 0;

  Floor& floor;
  UniqueFd fd;

 private:
  void Ask(int operation, uint32_t events);
  std::string unsent_;
};

class Backend;

class Client final : public Peer {
 public:
  using Peer::Peer;
  void OnBytes(std::string_view bytes) override;
  void OnEof() override;
  Backend* backend = nullptr;
  bool close = false;

 private:
  std::string request_;  // as far as it has come
};

class Backend final : public Peer, private RecordDecoder::Sink {
 public:
  using Peer::Peer;
  void Begin(Client& of, std::string_view head, std::string_view body);
  void OnBytes(std::string_view bytes) override;
  void OnEof() override { std::abort(); }  // our responder closes nothing
  Client* client = nullptr;

 private:
  void OnStdout(std::string_view bytes) override;
  void OnStderr(std::string_view) override {}
  void Answer(bool whole);

  RecordDecoder decoder_;
  bool head_seen_ = false, head_sent_ = false;
  Slices parts_;  // of the body, in the block that was read
};

class Floor {
 public:
  Floor(UniqueFd listener, const RawAddress& pool)
      : epoll(::epoll_create1(EPOLL_CLOEXEC)), read(kReadBytes), listener_(std::move(listener)), pool_(pool) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, listener_.get(), &event);
    AppendBeginRequest(begin, kRequestId, true);
    ParamsWriter params(begin, kRequestId);
    if (!params.Add("PARAMS", std::string(kParamsBytes, 'x'))) std::abort();
    params.Finish();
    begin.resize(begin.size() - kRecordHeaderSize);  // more may come
  }

  void Run() {
    epoll_event events[kEventsPerTurn];
    for (;;) {
      const int n = ::epoll_wait(epoll.get(), events, kEventsPerTurn, -1);
      for (int i = 0; i < n; ++i) {
        if (events[i].data.ptr == nullptr) {
          Accept();
        } else {
          static_cast<Peer*>(events[i].data.ptr)->OnReady(events[i].events);
        }
      }
      gone.clear();
    }
  }

  Backend& Take() {
    if (free.empty()) {
      UniqueFd socket(::socket(pool_.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      if (::connect(socket.get(), pool_.get(), pool_.size) != 0) std::abort();
      backends_.push_back(std::make_unique<Backend>(*this));
      backends_.back()->Open(std::move(socket));
      free.push_back(backends_.back().get());
    }
    Backend& backend = *free.back();
    free.pop_back();
    return backend;
  }

  UniqueFd epoll;
  std::vector<char> read;
  std::string begin;  // BEGIN_REQUEST and a record of params
  std::vector<Backend*> free;
  std::vector<std::unique_ptr<Client>> gone;  // until the end of the turn

 private:
  void Accept() {
    for (int fd = 0;
         (fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      (new Client(*this))->Open(UniqueFd(fd));  // frees itself: OnEof
    }
  }

  UniqueFd listener_;
  const RawAddress pool_;
  std::vector<std::unique_ptr<Backend>> backends_;
};

void Peer::Open(UniqueFd socket) {
  fd = std::move(socket);
  Ask(EPOLL_CTL_ADD, EPOLLIN);
}

void Peer::Ask(int operation, uint32_t events) {
  epoll_event event{.events = events, .data = {.ptr = this}};
  ::epoll_ctl(floor.epoll.get(), operation, fd.get(), &event);
}

void Peer::Send(std::span<const std::string_view> parts) {
  iovec slices[64];
  msghdr message{};
  message.msg_iov = slices;
  for (std::string_view part : parts)
    slices[message.msg_iovlen++] = {const_cast<char*>(part.data()), part.size()};
  const bool blocked = !unsent_.empty();
  const ssize_t n = blocked ? 0 : ::sendmsg(fd.get(), &message, MSG_NOSIGNAL);
  size_t taken = n > 0 ? static_cast<size_t>(n) : 0;
  for (std::string_view part : parts) {
    const size_t skip = std::min(taken, part.size());
    taken -= skip;
    unsent_.append(part.substr(skip));
  }
  if (!blocked && !unsent_.empty()) Ask(EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

void Peer::OnReady(uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    const ssize_t n = ::send(fd.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (n > 0) unsent_.erase(0, static_cast<size_t>(n));
    if (unsent_.empty()) Ask(EPOLL_CTL_MOD, EPOLLIN);
  }
  if ((events & ~uint32_t{EPOLLOUT}) == 0) return;
  const ssize_t n = ::recv(fd.get(), floor.read.data(), floor.read.size(), 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return OnEof();
  OnBytes({floor.read.data(), static_cast<size_t>(n)});
}

void Client::OnEof() {
  if (!fd) return;  // closed earlier in this turn
  fd.Reset();
  if (backend != nullptr) backend->client = nullptr;
  floor.gone.push_back(std::unique_ptr<Client>(this));
}

void Client::OnBytes(std::string_view bytes) {
  if (!request_.empty()) bytes = request_.append(bytes);
  const size_t end = bytes.find("\r\n\r\n");
  const std::string_view head = bytes.substr(0, end);
  const size_t length_at = head.find("Content-Length: ");
  const size_t body =
      length_at == std::string_view::npos ? 0 : std::strtoull(head.data() + length_at + 16, nullptr, 10);
  if (end == std::string_view::npos || bytes.size() < end + 4 + body) {
    if (request_.empty()) request_.assign(bytes);
    return;
  }
  close = head.find("Connection: close") != std::string_view::npos;
  backend = &floor.Take();
  backend->Begin(*this, head, bytes.substr(end + 4, body));
  request_.clear();
}

void Backend::Begin(Client& of, std::string_view head, std::string_view body) {
  client = &of;
  decoder_.Reset(kRequestId);
  head_seen_ = head_sent_ = false;
  std::string before;
  std::string_view extra;
  if (head.size() > kPlainHead) {
    extra = head;
    AppendStdinHeader(before, kRequestId, static_cast<uint16_t>(head.size()));
    before[1] = 4;  // PARAMS
  }
  std::string after;
  AppendStdinEnd(after, kRequestId);
  after[1] = 4;
  if (!body.empty())
    AppendStdinHeader(after, kRequestId, static_cast<uint16_t>(std::min(body.size(), kMaxStdin)));
  std::string end;
  if (body.size() > kMaxStdin)
    AppendStdinHeader(end, kRequestId, static_cast<uint16_t>(body.size() - kMaxStdin));
  const std::string_view rest = body.substr(std::min(body.size(), kMaxStdin));
  const size_t middle = end.size();
  AppendStdinEnd(end, kRequestId);
  const std::string_view parts[] = {floor.begin,
                                    before,
                                    extra,
                                    after,
                                    body.substr(0, kMaxStdin),
                                    std::string_view(end).substr(0, middle),
                                    rest,
                                    std::string_view(end).substr(middle)};
  Send(parts);
}

void Backend::OnBytes(std::string_view bytes) {
  size_t consumed = 0;
  const bool whole = decoder_.Decode(bytes, *this, &consumed) == RecordDecoder::Result::kEnd;
  if (client != nullptr) Answer(whole);
  parts_.clear();
  if (!whole) return;
  if (client != nullptr) client->backend = nullptr;
  if (client != nullptr && client->close) client->OnEof();
  client = nullptr;
  floor.free.push_back(this);
}

void Backend::OnStdout(std::string_view bytes) {
  if (!head_seen_) bytes.remove_prefix(std::min(bytes.size(), bytes.find("\r\n\r\n") + 4));
  head_seen_ = true;
  if (!bytes.empty()) parts_.push_back(bytes);
}

// With a length if all is here, in chunks otherwise: one chunk for a block.
void Backend::Answer(bool whole) {
  size_t size = 0;
  for (std::string_view part : parts_) size += part.size();
  char before[256] = "";
  int n = 0;
  const bool chunks = head_sent_ || !whole;
  if (!head_sent_) {
    n = std::snprintf(before, sizeof before,
                      "HTTP/1.1 200 OK\r\nx-powered-by: PHP/8.2\r\ncontent-type: text/html; charset=UTF-8\r\n"
                      "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
    n += chunks ? std::snprintf(before + n, sizeof before - n, "Transfer-Encoding: chunked\r\n\r\n")
                : std::snprintf(before + n, sizeof before - n, "Content-Length: %zu\r\n\r\n", size);
  }
  if (chunks && size > 0) n += std::snprintf(before + n, sizeof before - n, "%zx\r\n", size);
  head_sent_ = true;
  parts_.insert(parts_.begin(), {before, static_cast<size_t>(n)});
  if (chunks) parts_.push_back(whole ? (size > 0 ? "\r\n0\r\n\r\n" : "0\r\n\r\n") : "\r\n");
  client->Send(parts_);
}

int Main(int argc, char** argv) {
  std::string listen, pool;
  CLI::App app{"A proxy without features from HTTP/1.1 to FastCGI: what the kernel alone costs."};
  app.add_option("--listen", listen, "127.0.0.1:8080")->required();
  app.add_option("--pool", pool, "unix:/path")->required();
  CLI11_PARSE(app, argc, argv);
  ListenerSettings settings;
  const absl::StatusOr<SocketAddress> address = ParseSocketAddress(listen);
  const absl::StatusOr<SocketAddress> backend = ParseSocketAddress(pool);
  if (address.ok()) settings.address = *address;
  absl::StatusOr<UniqueFd> listener = address.ok() ? Listen(settings) : address.status();
  const absl::StatusOr<RawAddress> raw = backend.ok() ? ToRaw(*backend) : backend.status();
  if (!listener.ok() || !raw.ok()) {
    std::fprintf(stderr, "no such address, or not to be listened on\n");
    return 1;
  }
  ::signal(SIGPIPE, SIG_IGN);
  Floor(*std::move(listener), *raw).Run();
  return 0;
}

}  // namespace
}  // namespace serin::bench

int main(int argc, char** argv) { return serin::bench::Main(argc, argv); }
