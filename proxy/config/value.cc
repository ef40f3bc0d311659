#include "proxy/config/value.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string_view>

namespace serin {
namespace {

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <typename Number>
std::optional<Number> ParseWhole(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Value Value::Text(std::string text, Place place) {
  Value value;
  value.kind = Kind::kText;
  value.text = std::move(text);
  value.place = std::move(place);
  return value;
}

std::optional<std::string> Value::AsString() const {
  if (kind == Kind::kString || kind == Kind::kText) return text;
  return std::nullopt;
}

std::optional<int64_t> Value::AsInteger() const {
  if (kind == Kind::kInteger) return integer;
  if (kind == Kind::kText) return ParseWhole<int64_t>(text);
  return std::nullopt;
}

std::optional<double> Value::AsNumber() const {
  std::optional<double> result;
  if (kind == Kind::kInteger) result = static_cast<double>(integer);
  if (kind == Kind::kNumber) result = number;
  if (kind == Kind::kText) result = ParseWhole<double>(text);
  return result && std::isfinite(*result) ? result : std::nullopt;
}

std::optional<bool> Value::AsBoolean() const {
  if (kind == Kind::kBoolean) return boolean;
  if (kind == Kind::kText && text == "true") return true;
  if (kind == Kind::kText && text == "false") return false;
  return std::nullopt;
}

std::optional<std::vector<Value>> Value::AsList() const {
  if (kind == Kind::kList) return items;
  if (kind != Kind::kText) return std::nullopt;
  std::vector<Value> split;
  std::string_view rest = text;
  while (!Trim(rest).empty()) {
    const size_t comma = rest.find(',');
    split.push_back(Text(std::string(Trim(rest.substr(0, comma))), place));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return split;
}

std::string Value::Show() const {
  switch (kind) {
    case Kind::kText:
    case Kind::kString:
      return fmt::format("\"{}\"", text);
    case Kind::kInteger:
      return fmt::format("{}", integer);
    case Kind::kNumber:
      return fmt::format("{}", number);
    case Kind::kBoolean:
      return boolean ? "true" : "false";
    case Kind::kList:
      return "a list";
    case Kind::kOther:
      break;
  }
  return text;
}

}  // namespace serin
