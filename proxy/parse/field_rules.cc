#include "proxy/parse/field_rules.h"

#include "proxy/parse/ascii.h"

namespace serin {
namespace {

FieldKind IfName(std::string_view name, std::string_view lower, FieldKind kind) {
  return EqualsIgnoreCase(name, lower) ? kind : FieldKind::kPlain;
}

// By length first: most names are compared with one word or none.
FieldKind ClassifyCgiName(std::string_view name) {
  switch (name.size()) {
    case 2:
      return IfName(name, "te", FieldKind::kDropped);
    case 4:
      return IfName(name, "host", FieldKind::kHost);
    case 5:
      return IfName(name, "proxy", FieldKind::kDropped);
    case 6:
      return IfName(name, "expect", FieldKind::kExpect);
    case 7:
      return EqualsIgnoreCase(name, "upgrade") ? FieldKind::kDropped
                                               : IfName(name, "trailer", FieldKind::kDropped);
    case 10:
      return EqualsIgnoreCase(name, "connection") ? FieldKind::kConnection
                                                  : IfName(name, "keep-alive", FieldKind::kDropped);
    case 14:
      return EqualsIgnoreCase(name, "content-length") ? FieldKind::kContentLength
                                                      : IfName(name, "http2-settings", FieldKind::kDropped);
    case 16:
      return IfName(name, "proxy-connection", FieldKind::kDropped);
    case 17:
      return IfName(name, "transfer-encoding", FieldKind::kTransferEncoding);
    default:
      return FieldKind::kPlain;
  }
}

}  // namespace

FieldKind ClassifyField(std::string_view name) {
  if (name.empty()) return FieldKind::kInvalid;
  if (AllAre(kCgiChar, name)) return ClassifyCgiName(name);
  return AllAre(kTokenChar, name) ? FieldKind::kDropped : FieldKind::kInvalid;
}

bool IsOurs(std::string_view answer_field) {
  switch (answer_field.size()) {
    case 2:
      return EqualsIgnoreCase(answer_field, "te");
    case 7:
      return EqualsIgnoreCase(answer_field, "upgrade") || EqualsIgnoreCase(answer_field, "trailer");
    case 10:
      return EqualsIgnoreCase(answer_field, "connection") || EqualsIgnoreCase(answer_field, "keep-alive");
    case 14:
      return EqualsIgnoreCase(answer_field, "content-length");
    case 16:
      return EqualsIgnoreCase(answer_field, "proxy-connection");
    case 17:
      return EqualsIgnoreCase(answer_field, "transfer-encoding");
    default:
      return false;
  }
}

bool IsWritable(std::string_view name, std::string_view value) {
  return !name.empty() && AllAre(kTokenChar, name) && IsFieldValue(value);
}

void AddConnectionOptions(std::string_view value, ConnectionOptions& options) {
  while (!value.empty()) {
    const size_t comma = value.find(',');
    const std::string_view option = TrimBlanks(value.substr(0, comma));
    options.close = options.close || EqualsIgnoreCase(option, "close");
    options.keep_alive = options.keep_alive || EqualsIgnoreCase(option, "keep-alive");
    if (comma == std::string_view::npos) return;
    value.remove_prefix(comma + 1);
  }
}

}  // namespace serin
