#pragma once
// A FastCGI client's params as a Request. The client is a web server that we
// stand behind: it has parsed the request, so what it says about the path, the
// script and the peer is taken as it is; what its own client may have chosen
// (method, host, header fields) is checked as on the other doors. Pure; any
// thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/message.h"
#include "proxy/parse/refusal.h"
#include "proxy/session.h"

namespace serin {

// How many bytes of params a request may have: the head, and the target in the
// four or five other params that repeat it (QUERY_STRING, DOCUMENT_URI,
// SCRIPT_NAME, SCRIPT_FILENAME …).
size_t MaxFcgiParams(const ClientLimits& limits);

// Fills `request` from the whole PARAMS stream. `content_length`: what
// CONTENT_LENGTH announces; nullopt when it is absent or empty (nginx: a
// chunked upload). Of a param given twice the last counts, as with PHP-FPM;
// fields that come twice stay fields that came twice.
//
// - HTTP_X_Y becomes the field "x-y", by the rules of ClassifyField; HTTP_HOST
//   the authority.
// - Method, target and query come from REQUEST_METHOD, REQUEST_URI and
//   QUERY_STRING; the path, which is decoded already, from SCRIPT_NAME and
//   PATH_INFO, else from DOCUMENT_URI, else decoded from REQUEST_URI. Without
//   any of them it is "/".
// - All other params are kept as params, in their own spelling.
//
// 400: pairs that are cut off, no method or a bad one, a host that is none,
// control characters in a target or a field, a CONTENT_LENGTH that is no
// number. 405: CONNECT, TRACE. 413: CONTENT_LENGTH beyond limits.body. 414: a
// REQUEST_URI beyond limits.request_line. 431: too many fields or params.
Refusal ReadFcgiParams(std::string_view pairs, const ClientLimits& limits, std::string& scratch,
                       Request& request, std::optional<uint64_t>& content_length);

}  // namespace serin
