#pragma once
// One question to PHP-FPM itself (its status page, its ping) by a thread that
// may wait: never a worker's. Blocks for `limit` at most.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proxy/settings.h"

namespace serin {

// GET of `path` on a connection of its own; the body of an answer with status
// 200 and at most 64 KiB. Otherwise an error for people, such as "no answer in
// 500ms".
absl::StatusOr<std::string> AskFpm(const SocketAddress& address, std::string_view path, absl::Duration limit);

}  // namespace serin
