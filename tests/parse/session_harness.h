#pragma once
// A client and a handler for Http1Session without a socket: what was sent,
// what was asked, in plain values. For tests, fuzz targets and benchmarks.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/parse/http1_session.h"
#include "proxy/parse/request_pool.h"
#include "proxy/session.h"

namespace serin {

// A socket that takes everything at once, or, with `stuck`, nothing.
class FakeOutput final : public SessionOutput {
 public:
  void Write(std::string_view bytes) override { Take(bytes); }
  void WriteBorrowed(std::string_view bytes) override { Take(bytes); }
  size_t Unsent() const override { return unsent; }
  void Flush() override {
    ++flushes;
    if (!stuck) unsent = 0;
  }
  void CloseWhenSent() override { closed = true; }
  void Linger() override { linger = true; }
  void Reset() override { closed = reset = true; }

  std::string sent;
  size_t unsent = 0;
  int flushes = 0;
  bool stuck = false, closed = false, reset = false, linger = false;

 private:
  void Take(std::string_view bytes) {
    if (closed) ++writes_after_close;
    sent.append(bytes);
    unsent += bytes.size();
  }

 public:
  int writes_after_close = 0;
};

// A request as it reached the handler.
struct SeenRequest {
  std::string method, target, path, query, authority, body;
  std::vector<std::pair<std::string, std::string>> fields;
  Protocol protocol = Protocol::kHttp11;
  bool keep_alive = false;

  std::string Get(std::string_view name) const {
    for (const auto& [n, v] : fields) {
      if (n == name) return v;
    }
    return "(absent)";
  }
};

inline SeenRequest Copy(const Request& request) {
  SeenRequest seen{std::string(request.method()),
                   std::string(request.target()),
                   std::string(request.path()),
                   std::string(request.query()),
                   std::string(request.authority()),
                   "",
                   {},
                   request.protocol,
                   request.keep_alive};
  for (size_t i = 0; i < request.field_count(); ++i) {
    seen.fields.emplace_back(request.field(i).name, request.field(i).value);
  }
  seen.body.resize(static_cast<size_t>(request.body.size()));
  for (size_t at = 0; at < seen.body.size();) {
    const int64_t n = request.body.ReadAt(at, {seen.body.data() + at, seen.body.size() - at});
    if (n <= 0) break;
    at += static_cast<size_t>(n);
  }
  return seen;
}

class FakeHandler final : public RequestHandler {
 public:
  void OnRequest(Stream& stream) override {
    ++depth;
    max_depth = depth > max_depth ? depth : max_depth;
    seen.push_back(Copy(stream.request()));
    if (answer) {
      answer(stream);
    } else {
      waiting = &stream;
    }
    --depth;
  }
  void OnClientGone(Stream&) override {
    ++gone;
    waiting = nullptr;
  }
  void OnSendable(Stream& stream) override {
    ++sendable;
    if (on_sendable) on_sendable(stream);
  }
  void OnRefused(const Request& request, uint16_t status) override {
    refused.push_back(status);
    refused_requests.push_back(Copy(request));
  }

  std::function<void(Stream&)> answer;  // called within OnRequest; null: the stream is kept in `waiting`
  std::function<void(Stream&)> on_sendable;
  Stream* waiting = nullptr;
  std::vector<SeenRequest> seen, refused_requests;
  std::vector<uint16_t> refused;
  int gone = 0, sendable = 0, depth = 0, max_depth = 0;
};

inline void AnswerOk(Stream& stream) {
  ResponseHead head;
  head.content_length = 2;
  stream.SendHead(head);
  stream.SendBody("ok");
  stream.SendEnd();
}

struct SessionHarness {
  explicit SessionHarness(ClientLimits with = {}) : limits(std::move(with)), pool(limits.spool) {
    handler.answer = AnswerOk;
    session = std::make_unique<Http1Session>(info, limits, output, handler, pool);
  }
  ~SessionHarness() { session->Abandon(); }

  void Send(std::string_view bytes) { session->Receive(bytes); }
  // In pieces of `size` bytes: every state must survive being cut there.
  void SendInPieces(std::string_view bytes, size_t size) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) {
      session->Receive(bytes.substr(0, size));
      output.Flush();
    }
  }
  const std::string& sent() const { return output.sent; }
  // Status of the first answer, 0 for none.
  int status() const { return output.sent.size() < 12 ? 0 : std::stoi(output.sent.substr(9, 3)); }
  size_t Count(std::string_view text) const {
    size_t n = 0;
    for (size_t at = output.sent.find(text); at != std::string::npos; at = output.sent.find(text, at + 1))
      ++n;
    return n;
  }

  ConnectionInfo info;
  ClientLimits limits;
  FakeOutput output;
  FakeHandler handler;
  RequestPool pool;
  std::unique_ptr<Http1Session> session;
};

}  // namespace serin
