// Whatever is sent to the admin API: every answer is JSON with a fitting
// status, a command only reaches the controller whole, and what the command
// line tool makes of such answers never crashes it. Lines of the input: method,
// path, query; the rest is the body.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "proxy/admin/admin_api.h"
#include "proxy/base/log.h"
#include "proxy/ctl/client.h"
#include "proxy/ctl/documents.h"
#include "proxy/ctl/render.h"
#include "tests/admin/fake_backend.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckCommand(const serin::Command& command) {
  Require(command.by == "uid 1000");
  Require(command.release.size() <= 128 && (command.verb == serin::Verb::kStart) == !command.release.empty());
}

void CheckTool(std::string_view text) {
  if (const auto status = serin::ParseStatus(text)) {
    const std::string page = serin::RenderStatus(*status, {}) + serin::RenderStatusLine(*status, "12:00:00");
    Require(page.find('\x1b') == std::string::npos);
  }
  if (const auto history = serin::ParseHistory(text)) serin::RenderHistory(*history, {});
  serin::ParseExplanation(text);
  serin::ParseError(text);
  serin::EventSplitter().Feed(text, [](std::string_view) { return true; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  serin::SetLogLevel(serin::LogLevel::kError);  // the audit log would be all output
  std::string_view input(reinterpret_cast<const char*>(data), size);
  CheckTool(input);
  const auto next = [&input] {
    const std::string_view line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(line.size() + 1, input.size()));
    return line;
  };
  serin::FakeBackend backend;
  serin::AdminApi api(backend, {});
  serin::AdminRequest request;
  request.method = next();
  request.path = next();
  request.query = next();
  request.body = input;
  request.peer_uid = 1000;
  const serin::AdminAnswer answer = api.Handle(request);
  Require(answer.status == 200 || (answer.status >= 400 && answer.status <= 405));
  const auto json = nlohmann::json::parse(answer.body, nullptr, false);
  Require(json.is_object() && json.contains("error") == (answer.status != 200));
  Require(answer.allow.empty() == (answer.status != 405));
  for (const serin::Command& command : backend.commands) CheckCommand(command);
  CheckTool(answer.body);
  return 0;
}
