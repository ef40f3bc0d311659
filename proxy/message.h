#pragma once
// What the stations hand each other: one Request in, one ResponseHead out.
// Owned by the exchange (or the admin server) and recycled; one thread.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/spool.h"
#include "proxy/cgi_param.h"

namespace serin {

enum class Protocol : uint8_t { kHttp10, kHttp11, kHttp2, kFastCgi };
std::string_view Name(Protocol protocol);  // as SERVER_PROTOCOL spells it: "HTTP/1.1"

// Where a connection comes from and arrived. Lives as long as its connection.
struct ConnectionInfo {
  std::string peer_address;  // of the socket: "203.0.113.7", "2001:db8::1", or "" on a unix socket
  uint16_t peer_port = 0;
  std::string local_address;
  uint16_t local_port = 0;
  bool tls = false;
  bool fastcgi = false;       // the listener's protocol: a web server in front that takes us for PHP-FPM
  bool proxy_header = false;  // a PROXY header comes before anything else; then the addresses are its
  bool trusted_peer = false;  // peer is in trusted_proxies: its X-Forwarded-* are believed
  uint64_t serial = 0;        // number of the connection within the process
  int64_t peer_uid = -1;      // SO_PEERCRED of a unix socket; -1 elsewhere
};

struct Field {
  std::string_view name;   // lower case
  std::string_view value;  // without leading or trailing blanks
};

// A complete request: head parsed and checked, body whole. All text lies in
// one arena, so a recycled Request allocates nothing.
class Request {
 public:
  explicit Request(const Spool::Limits& spool_limits) : body(spool_limits) {}

  Protocol protocol = Protocol::kHttp11;
  const ConnectionInfo* connection = nullptr;
  Spool body;
  bool keep_alive = false;  // the session's business, recorded for the log

  std::string_view method() const { return View(method_); }
  std::string_view target() const { return View(target_); }  // as received, origin form: REQUEST_URI
  std::string_view path() const { return View(path_); }    // decoded, dot segments resolved, starts with '/'
  std::string_view query() const { return View(query_); }  // raw, without '?'
  std::string_view authority() const { return View(authority_); }  // Host or :authority, with its port

  size_t field_count() const { return fields_.size(); }
  Field field(size_t i) const { return {View(fields_[i].name), View(fields_[i].value)}; }
  // First field of that (lower-case) name; nullopt when there is none.
  std::optional<std::string_view> Find(std::string_view lower_name) const;

  void set_method(std::string_view v) { method_ = Store(v); }
  void set_target(std::string_view v) { target_ = Store(v); }
  void set_path(std::string_view v) { path_ = Store(v); }
  void set_query(std::string_view v) { query_ = Store(v); }
  void set_authority(std::string_view v) { authority_ = Store(v); }
  // Stores the name in lower case.
  void AddField(std::string_view name, std::string_view value);
  // FastCGI-in only: a param that is no HTTP_ header, in its own spelling. At most 65,535.
  void AddParam(std::string_view name, std::string_view value) { AddParam(FindCgiParam(name), name, value); }
  void AddParam(CgiParam id, std::string_view name, std::string_view value);  // `id`: FindCgiParam(name)
  size_t param_count() const { return params_.size(); }
  Field param(size_t i) const { return {View(params_[i].name), View(params_[i].value)}; }
  CgiParam param_id(size_t i) const { return params_[i].id; }
  // The last param of that name, as PHP-FPM has it; nullopt when there is none.
  std::optional<std::string_view> FindParam(CgiParam id) const;
  // Does a later one of its name take the place of a param that is not kOther?
  bool IsOverridden(size_t i) const { return last_params_[Index(params_[i].id)] != i + 1; }

  // Bytes of head stored so far: what the size limits look at.
  size_t head_size() const { return arena_.size(); }
  void Clear();

 private:
  struct Slice {
    uint32_t offset = 0, size = 0;
  };
  struct StoredField {
    Slice name, value;
  };
  struct StoredParam {
    Slice name, value;
    CgiParam id;
  };
  // Offsets, not pointers: the arena may move while it grows.
  std::string_view View(Slice s) const { return std::string_view(arena_).substr(s.offset, s.size); }
  Slice Store(std::string_view text);

  std::string arena_;
  std::vector<StoredField> fields_;
  std::vector<StoredParam> params_;
  std::array<uint16_t, kCgiParamCount> last_params_{};  // counted from 1; 0: none
  Slice method_, target_, path_, query_, authority_;
};

// The head of an answer. Views borrow from whoever filled it in and are valid
// until the call it is passed to returns.
struct ResponseHead {
  uint16_t status = 200;
  std::vector<Field> fields;  // without framing (Content-Length, Transfer-Encoding, Connection)
  std::optional<uint64_t> content_length;

  void Clear() {
    status = 200;
    fields.clear();
    content_length.reset();
  }
};

// "Not Found" for 404; "" for a code without a registered phrase (RFC 9110 §15).
std::string_view ReasonPhrase(uint16_t status);

}  // namespace serin
