#pragma once
// One reading of the configuration: collects values from the file, then from
// variables, then from flags, and remembers where each came from. Used once,
// on one thread.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/config/schema.h"

// TOML stays in reader.cc.
namespace toml {
inline namespace v3 {
class table;
class node;
class array;
}  // namespace v3
}  // namespace toml

namespace serin {

// Where each key was given, and whether it could be read. Also holds sections
// ("pools.green", "listen") and elements ("listen.0", "listen.0.address").
class Origins {
 public:
  void Set(const std::string& path, const Place& place, bool good) { entries_[path] = {place, good}; }
  bool Given(const std::string& path) const { return entries_.count(path) > 0; }
  // Given and read without complaint: only such keys are compared with others.
  bool Good(const std::string& path) const {
    const auto it = entries_.find(path);
    return it != entries_.end() && it->second.good;
  }
  // Given wrongly: somebody was already told.
  bool Bad(const std::string& path) const { return Given(path) && !Good(path); }
  // The place of the first of `paths` that is known; `otherwise` if none is.
  Place Find(std::initializer_list<std::string> paths, const Place& otherwise) const;
  void Forget(const std::string& prefix);

 private:
  struct Entry {
    Place place;
    bool good = false;
  };
  std::map<std::string, Entry> entries_;
};

class ConfigReader {
 public:
  // `text` must outlive the reader.
  ConfigReader(std::string_view text, std::string name);

  void ReadFile();
  void ReadEnvironment(const Environment& environment);
  void ReadOverrides(const std::vector<ConfigOverride>& overrides);

  // The file was TOML.
  bool parsed() const { return parsed_; }
  Config& config() { return config_; }
  const Origins& origins() const { return origins_; }
  Diagnostics& diagnostics() { return diagnostics_; }
  // The file as a whole, or the environment when there is no file.
  const Place& whole() const { return whole_; }

 private:
  void ReadTable(const toml::table& table, const std::string& prefix);
  template <typename Target>
  void ReadElements(const toml::node& node, const std::string& path, const std::vector<Key<Target>>& keys,
                    std::vector<Target>& targets);
  void ReadParams(const toml::node& node, const std::string& path);
  template <typename Target>
  void ReadElement(const toml::node& node, const std::string& path, const std::string& shown,
                   const std::vector<Key<Target>>& keys, Target& target);
  void ReadOne(const std::string& path, const Value& value);
  void ReadListenText(const Value& value);
  void SayUnknown(const std::string& prefix, const std::string& name, const Place& place);
  bool IsSection(const std::string& path) const;
  Place PlaceOf(const toml::node& node) const;

  std::vector<Key<Config>> keys_;
  Place whole_;
  std::string_view text_;
  Diagnostics diagnostics_;
  Origins origins_;
  Config config_;
  bool parsed_ = true;
};

// What one key alone cannot know: rules between keys. check.cc.
void CheckConfig(const Config& config, const Origins& origins, const Place& whole, Diagnostics& diagnostics);

}  // namespace serin
