#pragma once
// What a web server in front of us has decided, read off the params it sent by
// FastCGI. Pure; a worker's thread.

#include <string_view>

#include "proxy/message.h"

namespace serin {

// Views borrow from the request.
struct FrontServer {
  std::string_view root;    // DOCUMENT_ROOT without slashes at its end; "" when it names no folder
  std::string_view script;  // SCRIPT_FILENAME below that root, "/wp-login.php"; "" when it is not there
};

// All empty for a request that did not come by FastCGI. A root of "/" is none:
// it would make every path a file of the release.
FrontServer FrontServerOf(const Request& request);

}  // namespace serin
