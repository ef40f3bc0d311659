#include "proxy/admin/webhook_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/explain.h"
#include "proxy/admin/admin_api.h"

namespace serin {
namespace {

using Json = nlohmann::ordered_json;

std::string_view Word(LogLevel severity) {
  return severity == LogLevel::kError ? "critical" : severity == LogLevel::kWarning ? "warning" : "info";
}

bool IsAlarm(std::string_view event) { return event == "alarm" || event == "alarm over"; }

// The paragraph of `explain` where there is more to say than one sentence.
std::string Text(const HistoryEntry& entry, const Report& report, const std::string& host) {
  const std::string line = fmt::format("serin on {}: {}", host, NewsLine(entry));
  const bool told = IsAlarm(entry.event) || SeverityOf(entry.event) == LogLevel::kInfo;
  return told ? line : line + "\n" + report.explanation;
}

}  // namespace

std::string WebhookEventOf(std::string_view event) {
  if (IsAlarm(event)) return "alarm";
  std::string word(event);
  std::replace(word.begin(), word.end(), ' ', '_');
  return word;
}

LogLevel SeverityOf(std::string_view event) {
  if (event == "common cause" || event == "alarm") return LogLevel::kError;
  if (event == "revert" || event == "warn") return LogLevel::kWarning;
  return LogLevel::kInfo;
}

std::string NewsLine(const HistoryEntry& entry) {
  std::string line = entry.event;
  if (!IsAlarm(entry.event)) {
    if (!entry.release.empty()) line += " " + entry.release;
    if (!entry.weight.is_zero()) line += " at " + FormatWeight(entry.weight);
  }
  return line + ": " + entry.reason;
}

std::string WebhookMessage(const HistoryEntry& entry, const Report& report, const std::string& host) {
  const std::string event = WebhookEventOf(entry.event);
  const std::string_view severity = Word(SeverityOf(entry.event));
  const std::string at = Rfc3339(entry.at);
  const char* status = entry.event == "alarm over" ? "resolved" : "firing";
  const Json alert = {{"status", status},
                      {"labels",
                       {{"alertname", "serin_" + event},
                        {"severity", severity},
                        {"instance", host},
                        {"release", entry.release}}},
                      {"annotations", {{"summary", NewsLine(entry)}, {"description", report.explanation}}},
                      {"startsAt", at}};
  Json message = {{"text", Text(entry, report, host)},
                  {"version", "4"},  // of Alertmanager's format
                  {"status", status},
                  {"alerts", Json::array({alert})},
                  {"event", event},
                  {"severity", severity},
                  {"host", host},
                  {"at", at},
                  {"release", entry.release},
                  {"state", Name(entry.state)},
                  {"weight", entry.weight.ratio()},
                  {"by", entry.by},
                  {"reason", entry.reason},
                  {"explanation", report.explanation}};
  const Json status_page = Json::parse(StatusJson(report, ProcessInfo()));
  for (const char* field : {"step", "steps", "roles", "pools", "alarm"}) message[field] = status_page[field];
  // Text from outside may hold anything: what is no UTF-8 becomes U+FFFD.
  return message.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace serin
