#pragma once
// Which methods we speak. HTTP/1 learns it from llhttp while it parses; HTTP/2
// asks here, and gets the same list. Pure; any thread.

#include <string_view>

namespace serin {

// As llhttp knows them, CONNECT and TRACE included. Others: 501.
bool IsKnownMethod(std::string_view method);

}  // namespace serin
