// Request targets, paths and authorities: whatever comes in, what comes out
// cannot leave the root, name a control character or break a head.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/parse/ascii.h"
#include "proxy/parse/authority.h"
#include "proxy/parse/request_line.h"
#include "proxy/parse/target.h"

namespace {

using namespace serin;

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckPath(std::string_view raw) {
  std::string path, again;
  const bool accepted = NormalizePath(raw, path) == Refusal::kNone;
  if (IsPlainPath(raw)) {
    bool controls = false;
    for (char c : raw) controls = controls || static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    Require(controls || (accepted && path == raw));
  }
  if (!accepted) return;
  Require(path.front() == '/' && path.size() <= raw.size() + 1);
  Require(path.find("//") == std::string::npos);
  const std::string closed = path + "/";
  Require(closed.find("/../") == std::string::npos && closed.find("/./") == std::string::npos);
  if (path.find('%') == std::string::npos) {
    Require(NormalizePath(path, again) == Refusal::kNone && again == path);
  }
}

void CheckAuthority(std::string_view text) {
  const auto authority = ParseAuthority(text);
  if (!authority) return;
  Require(!authority->empty() && authority->size() <= text.size() && ParseAuthority(*authority) == authority);
  for (char c : *authority) Require(Is(kHostChar, c) || c == ':' || c == '[' || c == ']');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  RequestLine line;
  if (ParseRequestLine(input, line) == Refusal::kNone) {
    Require(!line.method.empty() && !line.target.empty());
    Require(input.size() == line.method.size() + line.target.size() + 10);
  }
  CheckAuthority(input);
  CheckPath(input);
  if (!AllAre(kTargetChar, input)) return 0;
  for (std::string_view method : {"GET", "OPTIONS"}) {
    Target target;
    if (ParseTarget(method, input, target) != Refusal::kNone) continue;
    Require(target.origin.substr(0, 2) != "//");
    if (target.form == TargetForm::kAbsolute) CheckAuthority(target.authority);
    if (target.form != TargetForm::kAsterisk) CheckPath(target.path);
  }
  return 0;
}
