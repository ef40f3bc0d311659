#include "proxy/route/front_server.h"

namespace serin {

FrontServer FrontServerOf(const Request& request) {
  FrontServer front;
  if (request.protocol != Protocol::kFastCgi) return front;
  std::string_view root = request.FindParam(CgiParam::kDocumentRoot).value_or("");
  while (root.ends_with('/')) root.remove_suffix(1);
  if (!root.starts_with('/')) return front;
  front.root = root;
  std::string_view script = request.FindParam(CgiParam::kScriptFilename).value_or("");
  if (!script.starts_with(root)) return front;
  script.remove_prefix(root.size());
  if (!script.starts_with('/')) return front;
  while (script.starts_with("//")) script.remove_prefix(1);
  front.script = script;
  return front;
}

}  // namespace serin
