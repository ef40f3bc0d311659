#pragma once
// The kinds of keys there are: each reads one Value into one member, checks its
// range and says what it expected. schema.cc lists the keys themselves.
//
// `get` is a function from the target (Config, ListenerSettings, …) to a
// reference to the member, so that a key is one line in the list.

#include <fmt/format.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/base/types.h"
#include "proxy/config/units.h"
#include "proxy/config/value.h"

namespace serin {

// What a key says its complaints to.
class Complaints {
 public:
  Complaints(Diagnostics& diagnostics, std::string key) : diagnostics_(diagnostics), key_(std::move(key)) {}
  // "rollout.hold is 5; expected a duration …"
  void Expected(const Value& value, std::string_view expected) {
    Say(value.place, fmt::format("{} is {}; expected {}", key_, value.Show(), expected));
  }
  void Say(const Place& place, std::string message) {
    diagnostics_.Add(place, std::move(message));
    any_ = true;
  }
  const std::string& key() const { return key_; }
  bool any() const { return any_; }

 private:
  Diagnostics& diagnostics_;
  std::string key_;
  bool any_ = false;
};

template <typename Target>
struct Key {
  std::string name;  // dotted
  std::function<void(const Value&, Target&, Complaints&)> read;
};

// The common shape: parse gives an optional; nothing means a complaint.
template <typename Target, typename Get, typename Parse>
Key<Target> MakeKey(std::string name, std::string expected, Get get, Parse parse) {
  return {std::move(name), [=](const Value& value, Target& target, Complaints& complaints) {
            if (auto parsed = parse(value)) {
              using Member = std::remove_reference_t<decltype(get(target))>;
              get(target) = static_cast<Member>(*std::move(parsed));
            } else {
              complaints.Expected(value, expected);
            }
          }};
}

template <typename Target, typename Get>
Key<Target> IntegerKey(std::string name, int64_t least, int64_t most, Get get) {
  return MakeKey<Target>(std::move(name), fmt::format("a whole number, {} to {}", least, most), get,
                         [=](const Value& value) {
                           auto number = value.AsInteger();
                           return number && *number >= least && *number <= most ? number : std::nullopt;
                         });
}

template <typename Target, typename Get>
Key<Target> NumberKey(std::string name, double least, double most, Get get) {
  return MakeKey<Target>(std::move(name), fmt::format("a number, {} to {}", least, most), get,
                         [=](const Value& value) {
                           auto number = value.AsNumber();
                           return number && *number >= least && *number <= most ? number : std::nullopt;
                         });
}

template <typename Target, typename Get>
Key<Target> BooleanKey(std::string name, Get get) {
  return MakeKey<Target>(std::move(name), "true or false", get,
                         [](const Value& value) { return value.AsBoolean(); });
}

template <typename Target, typename Get>
Key<Target> DurationKey(std::string name, absl::Duration least, absl::Duration most, Get get) {
  const std::string expected = fmt::format("a duration such as \"250ms\", \"2s\" or \"5m\", {} to {}",
                                           ShowDuration(least), ShowDuration(most));
  return MakeKey<Target>(std::move(name), expected, get, [=](const Value& value) {
    const auto text = value.AsString();
    auto duration = text ? ParseDuration(*text) : std::nullopt;
    return duration && *duration >= least && *duration <= most ? duration : std::nullopt;
  });
}

// A ratio; bounds as ratios too.
template <typename Target, typename Get>
Key<Target> PercentKey(std::string name, double least, double most, Get get) {
  const std::string expected =
      fmt::format("a percentage such as \"5%\", {} to {}", ShowPercent(least), ShowPercent(most));
  return MakeKey<Target>(std::move(name), expected, get, [=](const Value& value) {
    const auto text = value.AsString();
    auto ratio = text ? ParsePercent(*text) : std::nullopt;
    return ratio && *ratio >= least && *ratio <= most ? ratio : std::nullopt;
  });
}

template <typename Target, typename Get>
Key<Target> SizeKey(std::string name, uint64_t least, uint64_t most, Get get) {
  const std::string expected =
      fmt::format("a size such as \"64KiB\" or \"128MiB\", {} to {}", ShowSize(least), ShowSize(most));
  return MakeKey<Target>(std::move(name), expected, get, [=](const Value& value) {
    const auto text = value.AsString();
    auto size = text ? ParseSize(*text) : std::nullopt;
    return size && *size >= least && *size <= most ? size : std::nullopt;
  });
}

// `accept` says whether a string will do.
template <typename Target, typename Get, typename Accept>
Key<Target> TextKey(std::string name, std::string expected, Accept accept, Get get) {
  return MakeKey<Target>(std::move(name), std::move(expected), get, [=](const Value& value) {
    auto text = value.AsString();
    return text && accept(*text) ? text : std::nullopt;
  });
}

template <typename Target, typename Get>
Key<Target> AddressKey(std::string name, Get get) {
  return {std::move(name), [=](const Value& value, Target& target, Complaints& complaints) {
            const auto text = value.AsString();
            if (!text) {
              return complaints.Expected(value, "an address such as \"127.0.0.1:8080\" or \"unix:/path\"");
            }
            auto address = ParseSocketAddress(*text);
            if (!address.ok()) {
              const absl::string_view why = address.status().message();
              return complaints.Say(value.place, fmt::format("{}: {}", complaints.key(),
                                                             std::string_view(why.data(), why.size())));
            }
            get(target) = *std::move(address);
          }};
}

template <typename Target, typename Get>
Key<Target> ModeKey(std::string name, Get get) {
  return MakeKey<Target>(std::move(name), "a file mode in octal such as \"0660\"", get,
                         [](const Value& value) {
                           const auto text = value.AsString();
                           return text ? ParseMode(*text) : std::nullopt;
                         });
}

template <typename Enum>
using Words = std::vector<std::pair<std::string, Enum>>;

// `"http", "https" or "fastcgi"`
std::string ListWords(const std::vector<std::string>& words);

template <typename Target, typename Enum, typename Get>
Key<Target> WordKey(std::string name, Words<Enum> words, Get get) {
  std::vector<std::string> names;
  for (const auto& word : words) names.push_back(word.first);
  return {std::move(name), [=](const Value& value, Target& target, Complaints& complaints) {
            const auto text = value.AsString();
            for (const auto& [word, meaning] : words) {
              if (text == word) return void(get(target) = meaning);
            }
            const auto near = text ? Suggest(*text, names) : std::nullopt;
            complaints.Expected(value, ListWords(names) + (near ? fmt::format("; did you mean \"{}\"?", *near)
                                                                : std::string()));
          }};
}

}  // namespace serin
