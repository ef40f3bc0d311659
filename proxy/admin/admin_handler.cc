#include "proxy/admin/admin_handler.h"

#include <fmt/format.h>

#include <algorithm>

namespace serin {
namespace {

// A subscriber that has this much unread is skipped until it reads on; the
// session's send_timeout ends one that never does.
constexpr size_t kMaxUnsent = 64 * 1024;

std::string ReadBody(const Spool& body) {
  std::string text(static_cast<size_t>(body.size()), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const int64_t n = body.ReadAt(done, {text.data() + done, text.size() - done});
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  text.resize(done);
  return text;
}

std::string EventText(std::string_view json) {
  while (json.ends_with('\n')) json.remove_suffix(1);
  return fmt::format("event: status\ndata: {}\n\n", json);
}

// What makes an event news. Counts and clocks change always; they wait for the
// second.
std::string NewsKey(const Report& report) {
  return fmt::format("{}|{}|{}|{}|{}|{}|{}", Name(report.state), report.release, report.step,
                     report.target_weight.basis_points(), Name(report.split.canary_pool), report.reason,
                     report.alarm);
}

// Everything but the body of a HEAD.
void SendWhole(Stream& stream, ResponseHead& head, std::string_view body,
               const std::function<void()>& flush) {
  head.fields.push_back({"cache-control", "no-store"});
  head.content_length = body.size();
  const bool with_body = stream.request().method() != "HEAD";
  stream.SendHead(head);
  if (with_body && !body.empty()) stream.SendBody(body);
  stream.SendEnd();
  flush();
}

}  // namespace

void AdminHandler::OnRequest(Stream& stream) {
  Request& request = stream.request();
  AdminAnswer answer;
  if (request.body.size() > AdminApi::kMaxBody) {
    answer = AdminApi::TooLarge();
  } else {
    const std::string body = ReadBody(request.body);
    const int64_t uid = request.connection != nullptr ? request.connection->peer_uid : -1;
    answer = api_.Handle({request.method(), request.path(), request.query(), body, uid});
  }
  if (answer.subscribe && request.method() == "GET") return Subscribe(stream, answer);
  ResponseHead head;
  head.status = answer.status;
  head.fields.push_back({"content-type", answer.content_type});
  if (!answer.allow.empty()) head.fields.push_back({"allow", answer.allow});
  SendWhole(stream, head, answer.body, flush_);
}

void AdminHandler::Subscribe(Stream& stream, const AdminAnswer& answer) {
  ResponseHead head;
  if (subscribers_.size() >= kMaxSubscribers) {
    head.status = 503;
    head.fields.push_back({"content-type", "application/json"});
    return SendWhole(stream, head, "{\"error\":\"too many event streams are open\"}\n", flush_);
  }
  head.fields = {{"content-type", "text/event-stream"}, {"cache-control", "no-store"}};
  stream.SendHead(head);
  subscribers_.push_back(&stream);
  SendEvent(stream, EventText(answer.body));
}

void AdminHandler::SendEvent(Stream& stream, std::string_view event) {
  if (stream.Unsent() > kMaxUnsent) return;
  stream.SendBody(event);
  flush_();
}

void AdminHandler::OnClientGone(Stream& stream) { std::erase(subscribers_, &stream); }

void AdminHandler::Tick(Instant now) {
  if (subscribers_.empty()) return;
  const std::shared_ptr<const Report> report = api_.backend().GetReport();
  std::string key = NewsKey(*report);
  if (key == last_key_ && now - last_event_ < absl::Seconds(1)) return;
  last_key_ = std::move(key);
  last_event_ = now;
  const std::string event = EventText(StatusJson(*report, api_.backend().GetProcessInfo()));
  // A copy: a write that fails may end a stream (OnClientGone) in between.
  const std::vector<Stream*> subscribers = subscribers_;
  for (Stream* stream : subscribers) {
    if (std::find(subscribers_.begin(), subscribers_.end(), stream) != subscribers_.end())
      SendEvent(*stream, event);
  }
}

void AdminHandler::EndSubscriptions() {
  while (!subscribers_.empty()) {
    Stream* stream = subscribers_.back();
    subscribers_.pop_back();
    stream->SendEnd();
    flush_();
  }
}

void MetricsHandler::OnRequest(Stream& stream) {
  const Request& request = stream.request();
  ResponseHead head;
  std::string body;
  if (request.path() != "/metrics") {
    head.status = 404;
    body = "The metrics are at /metrics.\n";
  } else if (request.method() != "GET" && request.method() != "HEAD") {
    head.status = 405;
    head.fields.push_back({"allow", "GET, HEAD"});
    body = "/metrics takes GET only.\n";
  } else {
    body = render_();
  }
  // The text exposition format's own type.
  head.fields.push_back({"content-type", head.status == 200 ? "text/plain; version=0.0.4; charset=utf-8"
                                                            : "text/plain; charset=utf-8"});
  SendWhole(stream, head, body, flush_);
}

}  // namespace serin
