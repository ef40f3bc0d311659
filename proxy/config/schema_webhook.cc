// The keys of [webhook].

#include <algorithm>

#include "proxy/config/schema.h"

namespace serin {
namespace {

constexpr size_t kLongestUrl = 2000;  // those of chat services have some 100 bytes

// No more than a look: libcurl has the last word, when a message is sent.
bool IsUrlOrNone(const std::string& url) {
  if (url.empty()) return true;
  const size_t host = url.starts_with("https://") ? 8 : url.starts_with("http://") ? 7 : 0;
  const bool printable = std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  return host > 0 && url.size() > host && url[host] != '/' && url.size() <= kLongestUrl && printable;
}

void ReadEvents(const Value& value, Config& c, Complaints& complaints) {
  const auto items = value.AsList();
  if (!items) {
    return complaints.Expected(value, "a list of events such as [\"revert\", \"alarm\"]");
  }
  std::vector<std::string> events;
  for (const Value& item : *items) {
    const std::string word = item.AsString().value_or("");
    const std::vector<std::string>& known = WebhookEvents();
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      const auto near = Suggest(word, known);
      complaints.Expected(item,
                          ListWords(known) + (near ? fmt::format("; did you mean \"{}\"?", *near) : ""));
    }
    events.push_back(word);
  }
  if (!complaints.any()) c.webhook.events = events;
}

}  // namespace

const std::vector<std::string>& WebhookEvents() {
  static const std::vector<std::string> kEvents = {
      "start", "step",  "hold",   "warn",   "common_cause", "revert",   "abort",   "undo",
      "retry", "pause", "resume", "weight", "promote",      "finalise", "restart", "alarm"};
  return kEvents;
}

void WebhookKeys(std::vector<Key<Config>>& keys) {
  using C = Config;
  keys.push_back(TextKey<C>(
      "webhook.url", "a URL such as \"https://chat.example.com/hooks/abc\", or \"\" for none", IsUrlOrNone,
      [](C & c) -> auto& { return c.webhook.url; }));
  keys.push_back({"webhook.events", ReadEvents});
  keys.push_back(DurationKey<C>(
      "webhook.timeout", absl::Milliseconds(100), absl::Minutes(1),
      [](C & c) -> auto& { return c.webhook.timeout; }));
}

}  // namespace serin
