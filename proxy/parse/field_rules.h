#pragma once
// What becomes of a header field, by its name: on its way in from a client,
// and on its way out. Shared by HTTP/1 and HTTP/2. Pure; any thread.

#include <cstdint>
#include <string_view>

namespace serin {

enum class FieldKind : uint8_t {
  kPlain,    // goes to the handler
  kDropped,  // legal, but must not reach a CGI script
  kInvalid,  // no token: 400
  kHost,
  kConnection,
  kContentLength,
  kTransferEncoding,
  kExpect,
};

// Dropped are: the fields of the hop (RFC 9110 §7.6.1; those that Connection
// names are kept: a client could otherwise have a trusted proxy's
// X-Forwarded-For removed); Proxy (CVE-2016-5385); and names with bytes other
// than letters, digits and '-', because "X_Real_Ip" and "X.Real.Ip" become the
// same CGI variable as "X-Real-Ip".
FieldKind ClassifyField(std::string_view name);

// What a backend may not set, because the session does: framing and the hop.
bool IsOurs(std::string_view answer_field);

// A name that is a token and a value without CR, LF, NUL and other controls: a
// field that does not break the head it is written into.
bool IsWritable(std::string_view name, std::string_view value);

// The options of all Connection fields of one request. Other options are ignored.
struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;
};
void AddConnectionOptions(std::string_view value, ConnectionOptions& options);

}  // namespace serin
