#include "proxy/route/script.h"

#include <algorithm>

namespace serin {
namespace {

constexpr std::string_view kExtension = ".php";
constexpr std::string_view kDefaultIndex = "index.php";
// Looks at files for one path. Only a directory whose name ends in ".php" makes
// the search go on, so this is for a root that has been tampered with.
constexpr int kMaxLooks = 8;

enum class PathKind : uint8_t { kPlain, kHidden, kBad };

// kBad: what the parser should never have let through.
PathKind Classify(std::string_view path) {
  if (path.empty() || path.front() != '/' || path.find('\0') != std::string_view::npos) return PathKind::kBad;
  PathKind kind = PathKind::kPlain;
  for (size_t at = path.find("/."); at != std::string_view::npos; at = path.find("/.", at + 2)) {
    const std::string_view segment = path.substr(at + 1, path.find('/', at + 1) - at - 1);
    if (segment == "." || segment == "..") return PathKind::kBad;
    if (segment != ".well-known") kind = PathKind::kHidden;
  }
  return kind;
}

ScriptMatch Script(std::string_view name, std::string_view path_info) {
  return {ScriptMatch::Kind::kScript, name, path_info};
}

// The front controller for any path; "/index.php/x" keeps its PATH_INFO.
ScriptMatch FrontController(std::string_view path, const ScriptRules& rules, std::string& scratch) {
  if (rules.front_controller.empty()) return {};
  scratch.assign("/").append(rules.front_controller);
  std::string_view info;
  if (path.starts_with(scratch) && path.size() > scratch.size() && path[scratch.size()] == '/') {
    info = path.substr(scratch.size());
  }
  return Script(scratch, info);
}

std::string_view IndexName(const ScriptRules& rules) {
  if (rules.front_controller.empty()) return kDefaultIndex;
  return rules.front_controller.substr(rules.front_controller.rfind('/') + 1);
}

// Where a segment that ends in ".php" ends, from `from` on; npos when none does.
size_t FindScriptEnd(std::string_view path, size_t from) {
  for (size_t at = path.find(kExtension, from); at != std::string_view::npos;
       at = path.find(kExtension, at + 1)) {
    const size_t end = at + kExtension.size();
    if (end == path.size() || path[end] == '/') return end;
  }
  return std::string_view::npos;
}

// Step 1. False when no segment is a script.
bool FindScript(std::string_view path, FileProbe& probe, ScriptMatch& match) {
  size_t from = 1;
  for (int look = 0; look < kMaxLooks; ++look) {
    const size_t end = FindScriptEnd(path, from);
    if (end == std::string_view::npos) return false;
    switch (probe.Look(path.substr(0, end))) {
      case FileKind::kFile:
        match = Script(path.substr(0, end), path.substr(end));
        return true;
      case FileKind::kOutside:
        match.kind = ScriptMatch::Kind::kForbidden;
        return true;
      case FileKind::kDirectory:
        from = end;
        break;
      case FileKind::kMissing:
      case FileKind::kOther:
        return false;  // what is below something that is no directory does not exist
    }
  }
  return false;
}

// Steps 2 and 3. False when the path names no directory with an index.
bool FindIndex(std::string_view path, const ScriptRules& rules, FileProbe& probe, std::string& scratch,
               ScriptMatch& match) {
  const bool slash = path.back() == '/';
  if (!slash) {
    // A name with a dot is a file's: no look for each missing picture.
    const std::string_view last = path.substr(path.rfind('/') + 1);
    if (last.find('.') != std::string_view::npos || probe.Look(path) != FileKind::kDirectory) return false;
  }
  scratch.assign(path).append(slash ? "" : "/").append(IndexName(rules));
  const FileKind kind = probe.Look(scratch);
  if (kind == FileKind::kOutside) {
    match.kind = ScriptMatch::Kind::kForbidden;
    return true;
  }
  if (kind != FileKind::kFile) return false;
  if (slash) {
    match = Script(scratch, {});
  } else {
    match.kind = ScriptMatch::Kind::kRedirectSlash;
  }
  return true;
}

bool GoesUnencoded(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~!$&'()*+,;=:@/").find(c) != std::string_view::npos;
}

}  // namespace

ScriptMatch ResolveScript(std::string_view path, const ScriptRules& rules, FileProbe& probe,
                          std::string& scratch) {
  const PathKind kind = Classify(path);
  ScriptMatch match;
  if (kind == PathKind::kBad) {
    match.kind = ScriptMatch::Kind::kForbidden;
    return match;
  }
  if (rules.scripts == Scripts::kFrontController || !probe.visible())
    return FrontController(path, rules, scratch);
  if (kind == PathKind::kPlain) {
    if (FindScript(path, probe, match)) return match;
    const bool is_front = path == "/" && !rules.front_controller.empty();
    if (!is_front && FindIndex(path, rules, probe, scratch, match)) return match;
  }
  match = FrontController(path, rules, scratch);
  match.path_info = {};
  return match;
}

ScriptMatch ResolveNamedScript(std::string_view script, std::string_view path, const ScriptRules& rules,
                               FileProbe& probe, std::string& scratch) {
  const bool plain = Classify(script) == PathKind::kPlain && script.ends_with(kExtension);
  if (plain && rules.scripts == Scripts::kAny) {
    if (!probe.visible()) return Script(script, {});
    const FileKind kind = probe.Look(script);
    if (kind == FileKind::kFile) return Script(script, {});
    if (kind == FileKind::kOutside) return {ScriptMatch::Kind::kForbidden, {}, {}};
  }
  return ResolveScript(path, rules, probe, scratch);
}

void AppendSlashLocation(std::string& out, std::string_view path, std::string_view query) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  out.push_back('/');
  for (char c : path) {
    if (GoesUnencoded(c)) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<uint8_t>(c);
    out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
  }
  if (out.back() != '/') out.push_back('/');
  if (!query.empty()) out.append("?").append(query);
}

}  // namespace serin
