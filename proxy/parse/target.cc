#include "proxy/parse/target.h"

#include "proxy/parse/ascii.h"
#include "proxy/parse/authority.h"

namespace serin {
namespace {

// The length of "http://" or "https://" at the front, or 0.
size_t SchemeLength(std::string_view target) {
  if (EqualsIgnoreCase(target.substr(0, 7), "http://")) return 7;
  if (EqualsIgnoreCase(target.substr(0, 8), "https://")) return 8;
  return 0;
}

void SplitQuery(Target& out) {
  const size_t mark = out.origin.find('?');
  out.path = out.origin.substr(0, mark);
  out.query = mark == std::string_view::npos ? std::string_view() : out.origin.substr(mark + 1);
}

std::string_view WithoutExtraSlashes(std::string_view origin) {
  while (origin.size() > 1 && origin[1] == '/') origin.remove_prefix(1);
  return origin;
}

// Takes the last segment off "/a/b/": "/a/". False when there is none.
bool RemoveLastSegment(std::string& path) {
  if (path.size() <= 1) return false;
  path.pop_back();
  path.resize(path.rfind('/') + 1);
  return true;
}

// Called when a segment has ended; `out` holds everything up to it, without
// the slash that ended it. Dot segments vanish together with that slash.
enum class Segment : uint8_t { kName, kDots, kAboveRoot };
Segment EndSegment(std::string& out) {
  const size_t start = out.rfind('/') + 1;
  const std::string_view segment = std::string_view(out).substr(start);
  if (segment == ".") {
    out.resize(start);
    return Segment::kDots;
  }
  if (segment == "..") {
    out.resize(start);
    return RemoveLastSegment(out) ? Segment::kDots : Segment::kAboveRoot;
  }
  return segment.empty() ? Segment::kDots : Segment::kName;
}

// The byte that begins at raw[i], which is moved to its last character; -1
// when the encoding is broken or stands for a control character.
int DecodeByte(std::string_view raw, size_t& i) {
  if (raw[i] != '%') return static_cast<unsigned char>(raw[i]);
  if (raw.size() - i < 3) return -1;
  const int high = HexValue(raw[i + 1]), low = HexValue(raw[i + 2]);
  if (high < 0 || low < 0) return -1;
  i += 2;
  const int byte = high * 16 + low;
  return byte < 0x20 || byte == 0x7F ? -1 : byte;
}

}  // namespace

Refusal ParseTarget(std::string_view method, std::string_view target, Target& out) {
  if (target == "*") {
    out.form = TargetForm::kAsterisk;
    out.origin = out.path = target;
    return method == "OPTIONS" ? Refusal::kNone : Refusal::kBadRequest;
  }
  if (target.empty()) return Refusal::kBadRequest;
  if (target.front() == '/') {
    out.form = TargetForm::kOrigin;
    out.origin = WithoutExtraSlashes(target);
    SplitQuery(out);
    return Refusal::kNone;
  }
  const size_t scheme = SchemeLength(target);
  if (scheme == 0) return Refusal::kBadRequest;
  out.form = TargetForm::kAbsolute;
  const size_t authority_end = std::min(target.find_first_of("/?", scheme), target.size());
  const auto authority = ParseAuthority(target.substr(scheme, authority_end - scheme));
  if (!authority) return Refusal::kBadRequest;
  out.authority = *authority;
  out.origin = target.substr(authority_end);
  if (!out.origin.empty() && out.origin.front() == '/') out.origin = WithoutExtraSlashes(out.origin);
  SplitQuery(out);
  return Refusal::kNone;
}

Refusal StoreTarget(const Target& target, std::string& scratch, Request& request) {
  if (target.form == TargetForm::kAsterisk || IsPlainPath(target.path)) {
    request.set_path(target.path);
  } else {
    const Refusal refusal = NormalizePath(target.path, scratch);
    if (refusal != Refusal::kNone) return refusal;
    request.set_path(scratch);
  }
  if (target.path.empty()) {  // "http://host?query"
    scratch.assign(1, '/').append(target.origin);
    request.set_target(scratch);
  } else {
    request.set_target(target.origin);
  }
  request.set_query(target.query);
  if (target.form == TargetForm::kAbsolute) request.set_authority(target.authority);
  return Refusal::kNone;
}

bool IsPlainPath(std::string_view raw) {
  if (raw.empty() || raw.front() != '/') return false;
  char before = 0;
  for (char c : raw) {
    if (c == '%' || (before == '/' && (c == '/' || c == '.'))) return false;
    before = c;
  }
  return true;
}

Refusal NormalizePath(std::string_view raw, std::string& out) {
  out.assign(1, '/');
  if (raw.empty()) return Refusal::kNone;
  if (raw.front() != '/') return Refusal::kBadRequest;
  for (size_t i = 1; i < raw.size(); ++i) {
    const int byte = DecodeByte(raw, i);
    if (byte < 0) return Refusal::kBadRequest;
    if (byte != '/') {
      out.push_back(static_cast<char>(byte));
      continue;
    }
    const Segment segment = EndSegment(out);
    if (segment == Segment::kAboveRoot) return Refusal::kBadRequest;
    if (segment == Segment::kName) out.push_back('/');
  }
  return EndSegment(out) == Segment::kAboveRoot ? Refusal::kBadRequest : Refusal::kNone;
}

}  // namespace serin
