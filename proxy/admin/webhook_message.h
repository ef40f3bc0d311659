#pragma once
// What is said of a decision or an alarm: a line for the log, a message for
// the webhook. Pure; any thread.

#include <string>
#include <string_view>

#include "controller/controller.h"
#include "proxy/base/log.h"

namespace serin {

// "common cause" as [webhook] events spells it: "common_cause"; "alarm over"
// goes with "alarm".
std::string WebhookEventOf(std::string_view event);

// How much it is the reader's affair. kError: somebody has to act. kWarning:
// something went wrong and has been dealt with, or waits. kInfo: as planned.
LogLevel SeverityOf(std::string_view event);

// "revert v42: reverted at 10 %: 6 of 6 canary requests failed (…"
std::string NewsLine(const HistoryEntry& entry);

// JSON in one line: "text" for chat services (Slack's incoming webhooks and
// those that follow them), "status" and "alerts" as Alertmanager sends them,
// and the fields of /v1/history and /v1/status for everybody else.
std::string WebhookMessage(const HistoryEntry& entry, const Report& report, const std::string& host);

}  // namespace serin
