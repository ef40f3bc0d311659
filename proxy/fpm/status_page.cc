#include "proxy/fpm/status_page.h"

#include <algorithm>
#include <charconv>

namespace serin {
namespace {

// "idle processes:       3": the value of the line with this name.
std::optional<std::string_view> ValueOf(std::string_view page, std::string_view name) {
  while (!page.empty()) {
    const size_t end = std::min(page.find('\n'), page.size());
    std::string_view line = page.substr(0, end);
    page.remove_prefix(std::min(end + 1, page.size()));
    if (!line.starts_with(name) || line.substr(name.size(), 1) != ":") continue;
    line.remove_prefix(name.size() + 1);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    return line;
  }
  return std::nullopt;
}

bool Number(std::string_view page, std::string_view name, uint64_t& number) {
  const std::optional<std::string_view> text = ValueOf(page, name);
  if (!text) return false;
  const char* end = text->data() + text->size();
  const auto [stopped, error] = std::from_chars(text->data(), end, number);
  return error == std::errc() && stopped == end;
}

}  // namespace

std::optional<FpmStatus> ParseFpmStatus(std::string_view page) {
  FpmStatus status;
  const std::optional<std::string_view> manager = ValueOf(page, "process manager");
  if (!manager || !Number(page, "idle processes", status.idle) ||
      !Number(page, "active processes", status.active) || !Number(page, "total processes", status.total) ||
      !Number(page, "listen queue", status.listen_queue) ||
      !Number(page, "max children reached", status.max_children_reached)) {
    return std::nullopt;
  }
  status.fixed_children = *manager == "static";
  return status;
}

}  // namespace serin
