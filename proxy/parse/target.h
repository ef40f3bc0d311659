#pragma once
// The request target (RFC 9112 §3.2) and the path in it, shared by HTTP/1 and
// HTTP/2. Pure; any thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/message.h"
#include "proxy/parse/refusal.h"

namespace serin {

enum class TargetForm : uint8_t { kOrigin, kAbsolute, kAsterisk };

// Views into the target.
struct Target {
  TargetForm form = TargetForm::kOrigin;
  std::string_view authority;  // kAbsolute: checked by ParseAuthority
  std::string_view origin;     // path and query. "" or "?…" when an absolute target has no path
  std::string_view path;       // raw; "" as above; "*" for kAsterisk
  std::string_view query;      // raw, without '?'
};

// `target` must consist of kTargetChar (ParseRequestLine sees to it; HTTP/2
// checks by itself). Origin form, absolute form (http, https) and "*" with
// OPTIONS; else 400. Of several leading slashes one is left: PHP's
// parse_url() and browsers read a REQUEST_URI of "//host" as another site.
Refusal ParseTarget(std::string_view method, std::string_view target, Target& out);

// Fills in the request's target (origin form), path (decoded) and query, and
// its authority if the target has one. `scratch` is overwritten. 400 as
// NormalizePath; the request's target is then not set.
Refusal StoreTarget(const Target& target, std::string& scratch, Request& request);

// True when NormalizePath would return `raw` as it is.
bool IsPlainPath(std::string_view raw);

// Decodes percent-encodings once, merges slashes and resolves dot segments, in
// this order as nginx does: "%2e%2e" is "..", "%2F" is a separator, and
// neither can get past a later check in disguise. Backslash and ';' are plain
// bytes. `out` is replaced; it starts with '/'. 400: a broken encoding, an
// encoded control character (NUL cuts names in C, CR and LF break PATH_INFO
// patterns, CVE-2019-11043), a path that leaves the root.
Refusal NormalizePath(std::string_view raw, std::string& out);

}  // namespace serin
