#pragma once
// A request as CGI/1.1 meta-variables (RFC 3875 §4.1), with the additions that
// PHP expects and nginx and Apache send. Pure; a worker's thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/fastcgi/record.h"
#include "proxy/message.h"

namespace serin {

// What is the same in all requests to one pool, encoded once: rebuilt when the
// pool is opened (its root may have been a symlink) and on a reload.
class PoolParams {
 public:
  PoolParams() = default;
  // `root`: resolved, without a trailing slash. `server_software`: "serin/1.0".
  // `extra`: the pool's own params; they win over all that Serin would send,
  // SCRIPT_FILENAME and DOCUMENT_ROOT included, but for CONTENT_LENGTH: a wrong
  // one stalls PHP-FPM or cuts bodies. Of a name given twice the last counts.
  PoolParams(std::string_view root, std::string_view server_software,
             const std::vector<std::pair<std::string, std::string>>& extra);

  // False when these params alone exceed one FastCGI record (64 KiB): a
  // mistake of the configuration.
  bool fits() const { return encoded_.size() <= kMaxRecordContent; }

  const std::string& root() const { return root_; }
  const std::string& server_software() const { return server_software_; }
  std::string_view encoded() const { return encoded_; }
  // Without our own constants: what stays when a web server in front has its own.
  std::string_view encoded_extra() const { return std::string_view(encoded_).substr(0, extra_size_); }
  uint64_t overridden() const { return overridden_; }  // bit per CgiParam
  bool HasExtra(std::string_view name) const;
  bool HasExtraForField(std::string_view field) const;  // "x-real": is there an HTTP_X_REAL?
  bool has_http_extra() const { return has_http_extra_; }

 private:
  std::string root_;
  std::string server_software_;
  std::string encoded_;
  size_t extra_size_ = 0;  // of encoded_
  std::vector<std::string> extra_names_;
  uint64_t overridden_ = 0;
  bool has_http_extra_ = false;
};

// What the other stations found out about the request. Views are borrowed for
// the call.
struct ParamsContext {
  const PoolParams* pool = nullptr;
  std::string_view script_name;     // "/index.php": of a file below pool->root()
  std::string_view path_info;       // "" or "/…"
  std::string_view authority;       // effective host, with its port if any: HTTP_HOST
  std::string_view remote_address;  // effective client; "" (a unix socket's peer): 127.0.0.1
  uint16_t remote_port = 0;
  std::string_view server_address;  // "": 127.0.0.1
  uint16_t server_port = 0;         // effective; 0: 80 or 443
  bool https = false;               // effective
  // FastCGI in: the root of the web server in front; "": it named none. And
  // whether script_name is the script that it chose: its other params about
  // script and path then stand.
  std::string_view front_root;
  bool front_script = false;
  // Sent instead of the fields of these names; "": the fields stand.
  std::string_view request_id;   // X-Request-ID
  std::string_view traceparent;  // replaces tracestate as well, by nothing
};

// Writes all params but not the final empty record (ParamsWriter::Finish).
// Every name appears once. False when one pair does not fit into a record;
// then nothing may be sent and 431 is the answer.
//
// - Repeated fields are joined with ", ", Cookie with "; " (RFC 3875 §4.1.18).
// - CONTENT_LENGTH is the size of the whole body, however it was framed;
//   "" without a body, as nginx sends it.
// - HTTP_HOST is the effective authority. Never sent: HTTP_PROXY
//   (CVE-2016-5385), HTTP_CONTENT_LENGTH, HTTP_CONTENT_TYPE, the fields of the
//   connection (Connection, Keep-Alive, TE, Trailer, Transfer-Encoding,
//   Upgrade …), and names with any byte but letters, digits and '-': PHP turns
//   '.' and others into '_', so that they could pass for another field.
// - Params that came in by FastCGI (Request::param) win over ours, the last of
//   a name; values that name files below front_root are moved to the pool's root
//   (BelowFrontRoot). Always ours: DOCUMENT_ROOT, SCRIPT_FILENAME, CONTENT_LENGTH
//   and HTTP_HOST, and, if the script is our choice, the path's params.
[[nodiscard]] bool AppendParams(ParamsWriter& writer, const Request& request, const ParamsContext& context);

}  // namespace serin
