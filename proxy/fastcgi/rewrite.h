#pragma once
// FastCGI in: the params of the web server in front name files below its own
// root; PHP must get them below the release's. Pure; any thread.

#include <optional>
#include <string_view>

namespace serin {

// What of `value` lies below `front_root` (absolute, without a slash at its
// end): "" for the root itself, "/…" below it; the pool's root goes in front.
// nullopt: the value stays as it is, because it names nothing there, because
// there is no root, or because param `name` holds a URL: a visitor may ask for
// a path that happens to begin like a folder's name.
std::optional<std::string_view> BelowFrontRoot(std::string_view name, std::string_view value,
                                               std::string_view front_root);

}  // namespace serin
