#pragma once
// A value as somebody wrote it: in the file (typed by TOML), in an environment
// variable or in a flag (text, which a key reads as the type it needs).
// Values; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxy/config/diagnostic.h"

namespace serin {

struct Value {
  enum class Kind : uint8_t { kText, kString, kInteger, kNumber, kBoolean, kList, kOther };
  Kind kind = Kind::kOther;
  std::string text;  // kText, kString; kOther: what it is ("a date", "a section")
  int64_t integer = 0;
  double number = 0;
  bool boolean = false;
  std::vector<Value> items;  // kList
  Place place;

  static Value Text(std::string text, Place place);

  std::optional<std::string> AsString() const;
  std::optional<int64_t> AsInteger() const;
  std::optional<double> AsNumber() const;  // integers too; finite
  std::optional<bool> AsBoolean() const;
  // Text is split at commas, blanks around the items dropped; "" is no item.
  std::optional<std::vector<Value>> AsList() const;

  // As a message quotes it: "5m", 12, true, a list.
  std::string Show() const;
};

}  // namespace serin
