#include "proxy/config/reader.h"

#include <toml++/toml.h>

#include <algorithm>
#include <set>

namespace serin {
namespace {

const Key<Config>* FindKey(const std::vector<Key<Config>>& keys, std::string_view name) {
  const auto it = std::find_if(keys.begin(), keys.end(), [&](const auto& key) { return key.name == name; });
  return it == keys.end() ? nullptr : &*it;
}

std::string Join(const std::string& prefix, std::string_view name) {
  return prefix.empty() ? std::string(name) : fmt::format("{}.{}", prefix, name);
}

// The names that may stand directly in section `prefix`.
std::vector<std::string> NamesIn(const std::vector<Key<Config>>& keys, const std::string& prefix) {
  std::set<std::string> names;
  const std::string start = prefix.empty() ? "" : prefix + ".";
  for (const auto& key : keys) {
    if (!key.name.starts_with(start)) continue;
    const std::string rest = key.name.substr(start.size());
    names.insert(rest.substr(0, rest.find('.')));
  }
  if (prefix.empty()) names.insert("listen");
  if (prefix == "tls") names.insert("certificates");
  if (prefix == "split") names.insert("pin");
  if (prefix == "pools.blue" || prefix == "pools.green") names.insert("params");
  return {names.begin(), names.end()};
}

std::string VariableName(std::string key) {
  for (char& c : key) c = c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return "SERIN_" + key;
}

std::string Describe(const toml::node& node) {
  if (node.is_table()) return "a section";
  if (node.is_array()) return "a list";
  return "a date or time";
}

}  // namespace

Place Origins::Find(std::initializer_list<std::string> paths, const Place& otherwise) const {
  for (const std::string& path : paths) {
    const auto it = entries_.find(path);
    if (it != entries_.end()) return it->second.place;
  }
  return otherwise;
}

void Origins::Forget(const std::string& prefix) {
  std::erase_if(entries_, [&](const auto& entry) { return entry.first.starts_with(prefix); });
}

ConfigReader::ConfigReader(std::string_view text, std::string name)
    : keys_(ConfigKeys()),
      whole_{name.empty() ? Place::Source::kEnvironment : Place::Source::kFile,
             name.empty() ? "environment" : std::move(name), 0, 0},
      text_(text),
      diagnostics_(text) {
  // A place for [tls] certificate and key; LoadConfig drops it if it stays empty.
  config_.tls.certificates.emplace_back();
}

Place ConfigReader::PlaceOf(const toml::node& node) const {
  return {Place::Source::kFile, whole_.name, node.source().begin.line, node.source().begin.column};
}

void ConfigReader::ReadFile() {
  try {
    ReadTable(toml::parse(text_), "");
  } catch (const toml::parse_error& error) {
    parsed_ = false;
    const toml::source_position at = error.source().begin;
    diagnostics_.Add({Place::Source::kFile, whole_.name, at.line, at.column},
                     fmt::format("not TOML: {}", error.description()));
  }
}

namespace {

Value ToValue(const toml::node& node, const Place& whole) {
  Value value;
  value.place = {Place::Source::kFile, whole.name, node.source().begin.line, node.source().begin.column};
  if (const auto* text = node.as_string()) {
    value.kind = Value::Kind::kString;
    value.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    value.kind = Value::Kind::kInteger;
    value.integer = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    value.kind = Value::Kind::kNumber;
    value.number = number->get();
  } else if (const auto* boolean = node.as_boolean()) {
    value.kind = Value::Kind::kBoolean;
    value.boolean = boolean->get();
  } else if (const auto* array = node.as_array()) {
    value.kind = Value::Kind::kList;
    for (const toml::node& item : *array) value.items.push_back(ToValue(item, whole));
  } else {
    value.text = Describe(node);
  }
  return value;
}

}  // namespace

bool ConfigReader::IsSection(const std::string& path) const {
  return std::any_of(keys_.begin(), keys_.end(),
                     [&](const auto& key) { return key.name.starts_with(path + "."); });
}

void ConfigReader::ReadTable(const toml::table& table, const std::string& prefix) {
  for (auto&& [key, node] : table) {
    const std::string path = Join(prefix, key.str());
    const Place key_place{Place::Source::kFile, whole_.name, key.source().begin.line,
                          key.source().begin.column};
    if (path == "listen") {
      ReadElements(node, path, ListenerKeys(), config_.dataplane.listeners);
    } else if (path == "tls.certificates") {
      ReadElements(node, path, CertificateKeys(), config_.tls.certificates);
    } else if (path == "split.pin") {
      ReadElements(node, path, PinKeys(), config_.dataplane.split.pins);
    } else if (path == "pools.blue.params" || path == "pools.green.params") {
      ReadParams(node, path);
    } else if (FindKey(keys_, path) != nullptr) {
      ReadOne(path, ToValue(node, whole_));
    } else if (!IsSection(path)) {
      SayUnknown(prefix, std::string(key.str()), key_place);
    } else if (const toml::table* section = node.as_table()) {
      origins_.Set(path, PlaceOf(node), true);
      ReadTable(*section, path);
    } else {
      diagnostics_.Add(PlaceOf(node), fmt::format("{} is {}; expected a section [{}]", path,
                                                  ToValue(node, whole_).Show(), path));
    }
  }
}

void ConfigReader::SayUnknown(const std::string& prefix, const std::string& name, const Place& place) {
  const std::string where = prefix.empty() ? "" : fmt::format(" in [{}]", prefix);
  std::string message =
      fmt::format("unknown {} \"{}\"{}", prefix.empty() ? "section or key" : "key", name, where);
  if (const auto near = Suggest(name, NamesIn(keys_, prefix))) {
    message += fmt::format("; did you mean \"{}\"?", *near);
  } else {
    // The right name in the wrong section.
    std::vector<std::string> homes;
    for (const auto& key : keys_) {
      if (key.name.ends_with("." + name))
        homes.push_back(key.name.substr(0, key.name.size() - name.size() - 1));
    }
    if (homes.size() == 1) message += fmt::format("; it belongs in [{}]", homes[0]);
  }
  diagnostics_.Add(place, std::move(message));
}

void ConfigReader::ReadOne(const std::string& path, const Value& value) {
  Complaints complaints(diagnostics_, path);
  FindKey(keys_, path)->read(value, config_, complaints);
  origins_.Set(path, value.place, !complaints.any());
}

template <typename Target>
void ConfigReader::ReadElement(const toml::node& node, const std::string& path, const std::string& shown,
                               const std::vector<Key<Target>>& keys, Target& target) {
  origins_.Set(path, PlaceOf(node), true);
  const toml::table* table = node.as_table();
  if (table == nullptr) {
    diagnostics_.Add(PlaceOf(node), fmt::format("{} is {}; expected a section [[{}]]", shown,
                                                ToValue(node, whole_).Show(), shown));
    origins_.Set(path, PlaceOf(node), false);
    return;
  }
  for (auto&& [name, child] : *table) {
    const auto it =
        std::find_if(keys.begin(), keys.end(), [&](const auto& key) { return key.name == name.str(); });
    if (it == keys.end()) {
      std::vector<std::string> known;
      for (const auto& key : keys) known.push_back(key.name);
      const auto near = Suggest(name.str(), known);
      diagnostics_.Add(
          {Place::Source::kFile, whole_.name, name.source().begin.line, name.source().begin.column},
          fmt::format("unknown key \"{}\" in [[{}]]{}", name.str(), shown,
                      near ? fmt::format("; did you mean \"{}\"?", *near) : ""));
      continue;
    }
    Complaints complaints(diagnostics_, fmt::format("{}.{}", shown, it->name));
    it->read(ToValue(child, whole_), target, complaints);
    origins_.Set(fmt::format("{}.{}", path, it->name), PlaceOf(child), !complaints.any());
  }
}

// All sections of one kind, such as [[listen]].
template <typename Target>
void ConfigReader::ReadElements(const toml::node& node, const std::string& path,
                                const std::vector<Key<Target>>& keys, std::vector<Target>& targets) {
  const toml::array* list = node.as_array();
  if (list == nullptr) {
    origins_.Set(path, PlaceOf(node), false);
    diagnostics_.Add(PlaceOf(node),
                     fmt::format("{0} is one section; write [[{0}]], there may be several", path));
    return;
  }
  origins_.Set(path, PlaceOf(node), true);
  for (const toml::node& item : *list) {
    Target target;
    ReadElement(item, fmt::format("{}.{}", path, targets.size()), path, keys, target);
    targets.push_back(std::move(target));
  }
}

void ConfigReader::ReadParams(const toml::node& node, const std::string& path) {
  const toml::table* table = node.as_table();
  if (table == nullptr) {
    diagnostics_.Add(PlaceOf(node), fmt::format("{} is {}; expected a section [{}]", path,
                                                ToValue(node, whole_).Show(), path));
    return;
  }
  PoolSettings& pool = config_.dataplane.pools[path.starts_with("pools.blue") ? 0 : 1];
  for (auto&& [name, child] : *table) {
    const Value value = ToValue(child, whole_);
    if (const std::string why = WhyNotParam(name.str()); !why.empty()) {
      diagnostics_.Add(
          {Place::Source::kFile, whole_.name, name.source().begin.line, name.source().begin.column},
          fmt::format("{}: \"{}\" {}", path, name.str(), why));
    } else if (!value.AsString() || value.text.find('\0') != std::string::npos || value.text.size() > 4096) {
      diagnostics_.Add(value.place, fmt::format("{}.{} is {}; expected a string of at most 4096 bytes", path,
                                                name.str(), value.Show()));
    } else {
      pool.params.emplace_back(std::string(name.str()), value.text);
    }
  }
}

// "http://127.0.0.1:8080, fastcgi://unix:/run/serin/fastcgi.sock"
void ConfigReader::ReadListenText(const Value& value) {
  config_.dataplane.listeners.clear();
  origins_.Forget("listen");
  bool good = true;
  for (const Value& item : value.AsList().value_or(std::vector<Value>())) {
    const size_t colon = item.text.find("://");
    ListenerSettings listener;
    bool known = false;
    for (const auto& [word, protocol] : ListenProtocols()) {
      if (colon == std::string::npos || item.text.substr(0, colon) != word) continue;
      listener.protocol = protocol;
      known = true;
    }
    const absl::StatusOr<SocketAddress> address =
        known ? ParseSocketAddress(item.text.substr(colon + 3)) : absl::InvalidArgumentError("");
    if (!address.ok()) {
      Complaints(diagnostics_, "listen")
          .Expected(item, "\"http://127.0.0.1:8080\", with http, https or fastcgi before an address");
      good = false;
      continue;
    }
    listener.address = *address;
    const std::string path = fmt::format("listen.{}", config_.dataplane.listeners.size());
    origins_.Set(path, item.place, true);
    origins_.Set(path + ".address", item.place, true);
    config_.dataplane.listeners.push_back(listener);
  }
  origins_.Set("listen", value.place, good);
}

void ConfigReader::ReadEnvironment(const Environment& environment) {
  std::vector<std::string> variables = {"SERIN_LISTEN"};
  for (const auto& key : keys_) variables.push_back(VariableName(key.name));
  for (const auto& [name, text] : environment) {
    const Value value = Value::Text(text, {Place::Source::kEnvironment, name, 0, 0});
    if (name == "SERIN_LISTEN") {
      ReadListenText(value);
      continue;
    }
    const auto it = std::find_if(keys_.begin(), keys_.end(), [&, &wanted = name](const auto& key) {
      return VariableName(key.name) == wanted;
    });
    if (it != keys_.end()) {
      ReadOne(it->name, value);
      continue;
    }
    const auto near = Suggest(name, variables);
    diagnostics_.Add(value.place,
                     fmt::format("unknown variable{}", near ? fmt::format("; did you mean {}?", *near) : ""));
  }
}

void ConfigReader::ReadOverrides(const std::vector<ConfigOverride>& overrides) {
  for (const ConfigOverride& change : overrides) {
    const Value value = Value::Text(change.value, {Place::Source::kFlag, change.flag, 0, 0});
    if (change.key == "listen") {
      ReadListenText(value);
    } else if (FindKey(keys_, change.key) != nullptr) {
      ReadOne(change.key, value);
    } else {
      std::vector<std::string> names = {"listen"};
      for (const auto& key : keys_) names.push_back(key.name);
      const auto near = Suggest(change.key, names);
      diagnostics_.Add(value.place, fmt::format("unknown key \"{}\"{}", change.key,
                                                near ? fmt::format("; did you mean \"{}\"?", *near) : ""));
    }
  }
}

}  // namespace serin
