#include "proxy/route/front_server.h"

namespace serin {

std::optional<std::string_view> FindParam(const Request& request, std::string_view name) {
  for (size_t i = request.param_count(); i-- > 0;) {
    const Field param = request.param(i);
    if (param.name == name) return param.value;
  }
  return std::nullopt;
}

FrontServer FrontServerOf(const Request& request) {
  FrontServer front;
  if (request.protocol != Protocol::kFastCgi) return front;
  std::string_view root = FindParam(request, "DOCUMENT_ROOT").value_or("");
  while (root.ends_with('/')) root.remove_suffix(1);
  if (!root.starts_with('/')) return front;
  front.root = root;
  std::string_view script = FindParam(request, "SCRIPT_FILENAME").value_or("");
  if (!script.starts_with(root)) return front;
  script.remove_prefix(root.size());
  if (!script.starts_with('/')) return front;
  while (script.starts_with("//")) script.remove_prefix(1);
  front.script = script;
  return front;
}

}  // namespace serin
