#pragma once
// A web server and a handler for FastCgiSession without a socket. For tests and
// fuzz targets.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/parse/fastcgi_records.h"
#include "proxy/parse/fastcgi_session.h"
#include "tests/parse/session_harness.h"

namespace serin {

// What a client writes.
inline std::string FcgiRecord(int type, int id, std::string_view content, int padding = 0) {
  std::string out{1, static_cast<char>(type), static_cast<char>(id >> 8), static_cast<char>(id)};
  out += static_cast<char>(content.size() >> 8);
  out += static_cast<char>(content.size());
  out += static_cast<char>(padding);
  out += '\0';
  out.append(content).append(static_cast<size_t>(padding), 'p');
  return out;
}
inline std::string FcgiBegin(int id, bool keep = true, int role = 1) {
  const char content[8] = {0, static_cast<char>(role), keep ? '\1' : '\0', 0, 0, 0, 0, 0};
  return FcgiRecord(1, id, {content, sizeof content});
}
using FcgiPairs = std::vector<std::pair<std::string, std::string>>;
inline std::string EncodeFcgiPairs(const FcgiPairs& pairs) {
  std::string out;
  const auto length = [&out](size_t n) {
    if (n < 128) {
      out += static_cast<char>(n);
      return;
    }
    out += static_cast<char>(n >> 24 | 0x80);
    out += static_cast<char>(n >> 16);
    out += static_cast<char>(n >> 8);
    out += static_cast<char>(n);
  };
  for (const auto& [name, value] : pairs) {
    length(name.size());
    length(value.size());
    out.append(name).append(value);
  }
  return out;
}
// PARAMS in records of at most `piece` bytes, wherever that cuts, and their end.
inline std::string FcgiParams(int id, const FcgiPairs& pairs, size_t piece = 65535) {
  const std::string all = EncodeFcgiPairs(pairs);
  std::string out;
  for (size_t at = 0; at < all.size(); at += piece)
    out += FcgiRecord(4, id, std::string_view(all).substr(at, piece));
  return out + FcgiRecord(4, id, "");
}
inline std::string FcgiStdin(int id, std::string_view body, size_t piece = 32768) {
  std::string out;
  for (size_t at = 0; at < body.size(); at += piece) out += FcgiRecord(5, id, body.substr(at, piece));
  return out + FcgiRecord(5, id, "");
}

// As nginx sends it with its fastcgi.conf, shortened.
inline FcgiPairs NginxParams(const FcgiPairs& more = {}) {
  FcgiPairs pairs = {{"SCRIPT_FILENAME", "/srv/nginx/public/index.php"},
                     {"QUERY_STRING", "page=2"},
                     {"REQUEST_METHOD", "GET"},
                     {"CONTENT_TYPE", ""},
                     {"CONTENT_LENGTH", ""},
                     {"SCRIPT_NAME", "/index.php"},
                     {"REQUEST_URI", "/shop/list?page=2"},
                     {"DOCUMENT_URI", "/index.php"},
                     {"DOCUMENT_ROOT", "/srv/nginx/public"},
                     {"SERVER_PROTOCOL", "HTTP/2.0"},
                     {"REMOTE_ADDR", "203.0.113.7"},
                     {"HTTP_HOST", "shop.example"}};
  pairs.insert(pairs.end(), more.begin(), more.end());  // the last of a name counts
  return pairs;
}
inline std::string FcgiRequest(int id, const FcgiPairs& pairs, std::string_view body = "", bool keep = true) {
  return FcgiBegin(id, keep) + FcgiParams(id, pairs) + FcgiStdin(id, body);
}

// What came back, record by record.
struct FcgiAnswer {
  struct Record {
    int type, id;
    std::string content;
    friend bool operator==(const Record&, const Record&) = default;
  };
  std::vector<Record> records;
  std::string out;  // all STDOUT
  int ends = 0;     // END_REQUESTs
  int status = -1;  // of the last one
  bool torn = false;

  explicit FcgiAnswer(std::string_view bytes) {
    const auto byte = [&bytes](size_t i) { return static_cast<int>(static_cast<uint8_t>(bytes[i])); };
    while (!bytes.empty()) {
      torn = true;
      if (bytes.size() < 8 || byte(0) != 1) return;
      const auto size = static_cast<size_t>(byte(4) << 8 | byte(5)), padding = static_cast<size_t>(byte(6));
      if (bytes.size() < 8 + size + padding) return;
      records.push_back({byte(1), byte(2) << 8 | byte(3), std::string(bytes.substr(8, size))});
      bytes.remove_prefix(8 + size + padding);
      const Record& record = records.back();
      if (record.type == 6) out += record.content;
      if (record.type == 3) ++ends, status = static_cast<uint8_t>(record.content.at(4));
      torn = false;
    }
  }
};

// Keeps the params, which FakeHandler does not.
class FcgiHandler final : public RequestHandler {
 public:
  void OnRequest(Stream& stream) override {
    params.clear();
    const Request& request = stream.request();
    for (size_t i = 0; i < request.param_count(); ++i) {
      params[std::string(request.param(i).name)] = request.param(i).value;
    }
    inner.OnRequest(stream);
  }
  void OnClientGone(Stream& stream) override { inner.OnClientGone(stream); }
  void OnSendable(Stream& stream) override { inner.OnSendable(stream); }
  void OnRefused(const Request& request, uint16_t status) override { inner.OnRefused(request, status); }

  FakeHandler inner;
  std::map<std::string, std::string> params;  // of the last request
};

struct FcgiHarness {
  explicit FcgiHarness(ClientLimits with = {}) : limits(std::move(with)), pool(limits.spool) {
    handler.inner.answer = AnswerOk;
    session = std::make_unique<FastCgiSession>(info, limits, output, handler, pool, 1000);
  }
  ~FcgiHarness() { session->Abandon(); }

  void Send(std::string_view bytes) { session->Receive(bytes); }
  void SendInPieces(std::string_view bytes, size_t size) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) {
      const std::string piece(bytes.substr(0, size));  // its own allocation: views that outlive it are caught
      session->Receive(piece);
    }
  }
  FcgiAnswer answer() const { return FcgiAnswer(output.sent); }
  // "404 Not Found" of "Status: 404 Not Found".
  std::string status() const {
    const std::string out = answer().out;
    return out.starts_with("Status: ") ? out.substr(8, out.find('\r') - 8) : "(none)";
  }
  const std::vector<SeenRequest>& seen() const { return handler.inner.seen; }
  const std::vector<uint16_t>& refused() const { return handler.inner.refused; }

  ConnectionInfo info;
  ClientLimits limits;
  FakeOutput output;
  FcgiHandler handler;
  RequestPool pool;
  std::unique_ptr<FastCgiSession> session;
};

}  // namespace serin
