#include "proxy/fastcgi/rewrite.h"

#include <algorithm>
#include <array>

namespace serin {
namespace {

// CGI's URL variables (RFC 3875 §4.1), nginx's and Apache's additions.
constexpr std::array<std::string_view, 8> kUrls = {"REQUEST_URI",      "DOCUMENT_URI", "SCRIPT_NAME",
                                                   "PATH_INFO",        "QUERY_STRING", "ORIG_PATH_INFO",
                                                   "ORIG_SCRIPT_NAME", "REDIRECT_URL"};

}  // namespace

std::optional<std::string_view> BelowFrontRoot(std::string_view name, std::string_view value,
                                               std::string_view front_root) {
  if (front_root.empty() || !value.starts_with(front_root)) return std::nullopt;
  value.remove_prefix(front_root.size());
  if (!value.empty() && value.front() != '/') return std::nullopt;  // "/srv/app2" is not below "/srv/app"
  if (std::find(kUrls.begin(), kUrls.end(), name) != kUrls.end()) return std::nullopt;
  return value;
}

}  // namespace serin
