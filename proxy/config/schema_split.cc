// The keys of [split], [[split.pin]] and [rescue].

#include <algorithm>

#include "proxy/config/schema.h"

namespace serin {
namespace {

using absl::Hours;
using absl::Minutes;

std::string Lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

// Fits into a header and a cookie; short ones can be guessed.
bool IsSecretOrNone(const std::string& text) {
  const auto plain = [](char c) { return IsAlnum(c) || c == '-' || c == '_' || c == '.'; };
  return text.empty() ||
         (text.size() >= 16 && text.size() <= 128 && std::all_of(text.begin(), text.end(), plain));
}

// As Request::path() has it: decoded, and no dot segments.
bool IsPinPath(const std::string& text) {
  return text.starts_with('/') && text.size() <= 1024 && (text + "/").find("/../") == text.npos &&
         (text + "/").find("/./") == text.npos && text.find_first_of(std::string("?#\0", 3)) == text.npos;
}

void ReadMethods(const Value& value, PinRule& pin, Complaints& complaints) {
  const auto items = value.AsList();
  if (!items) return complaints.Expected(value, "a list of methods such as [\"POST\", \"PUT\"]");
  for (const Value& item : *items) {
    const std::string method = item.AsString().value_or("");
    const bool upper =
        std::none_of(method.begin(), method.end(), [](char c) { return c >= 'a' && c <= 'z'; });
    if (!IsToken(method) || !upper) {
      complaints.Expected(item, "a method in capitals such as \"POST\"");
    } else {
      pin.methods.push_back(method);
    }
  }
}

}  // namespace

void SplitKeys(std::vector<Key<Config>>& keys) {
  using C = Config;
  keys.push_back(
      {"split.key", [](const Value& value, C& c, Complaints& complaints) {
         const Words<SplitKey> words = {
             {"cookie", SplitKey::kCookie}, {"address", SplitKey::kAddress}, {"none", SplitKey::kNone}};
         const std::string text = value.AsString().value_or("");
         for (const auto& [word, meaning] : words) {
           if (text == word) return void(c.dataplane.split.key = meaning);
         }
         if (!text.starts_with("header:") || !IsToken(text.substr(7))) {
           const auto near = Suggest(text, {"cookie", "address", "none"});
           return complaints.Expected(value, "\"cookie\", \"address\", \"header:NAME\" or \"none\"" +
                                                 (near ? fmt::format("; did you mean \"{}\"?", *near) : ""));
         }
         c.dataplane.split.key = SplitKey::kHeader;
         c.dataplane.split.header = Lower(text.substr(7));
       }});
  keys.push_back(TextKey<C>(
      "split.cookie_name", "the name of a cookie", IsToken,
      [](C & c) -> auto& { return c.dataplane.split.cookie_name; }));
  keys.push_back(DurationKey<C>(
      "split.cookie_max_age", Minutes(1), Hours(24 * 400),
      [](C & c) -> auto& { return c.dataplane.split.cookie_max_age; }));
  keys.push_back({"split.override_header", [](const Value& value, C& c, Complaints& complaints) {
                    const auto text = value.AsString();
                    if (!text || !IsTokenOrNone(*text)) {
                      return complaints.Expected(value, "the name of a header field, or \"\" for none");
                    }
                    c.dataplane.split.override_header = Lower(*text);
                  }});
  keys.push_back(TextKey<C>(
      "split.override_cookie", "the name of a cookie, or \"\" for none", IsTokenOrNone,
      [](C & c) -> auto& { return c.dataplane.split.override_cookie; }));
  keys.push_back({"split.override_from", [](const Value& value, C& c, Complaints& complaints) {
                    const auto networks = ReadNetworks(value, complaints);
                    auto set = networks ? AddressSet::Parse(*networks) : absl::InvalidArgumentError("");
                    if (set.ok()) c.dataplane.split.override_from = *std::move(set);
                  }});
  keys.push_back(TextKey<C>(
      "split.override_secret", "16 to 128 letters, digits, \"-\", \"_\" or \".\", or \"\" for none",
      IsSecretOrNone, [](C & c) -> auto& { return c.dataplane.split.override_secret; }));
  keys.push_back(BooleanKey<C>(
      "rescue.enabled", [](C & c) -> auto& { return c.dataplane.rescue.enabled; }));
  keys.push_back(PercentKey<C>(
      "rescue.budget", 0, 1, [](C & c) -> auto& { return c.dataplane.rescue.budget; }));
}

std::vector<Key<PinRule>> PinKeys() {
  return {
      TextKey<PinRule>(
          "path", "a path such as \"/checkout\"", IsPinPath, [](PinRule & pin) -> auto& { return pin.path; }),
      {"methods", ReadMethods}};
}

}  // namespace serin
