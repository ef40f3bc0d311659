#pragma once
// Answers admin requests over a session, and keeps event streams open. Owned by
// the admin service beside its Http1Sessions; main thread.

#include <functional>
#include <string>
#include <vector>

#include "proxy/admin/admin_api.h"
#include "proxy/base/instant.h"
#include "proxy/session.h"

namespace serin {

class AdminHandler final : public RequestHandler {
 public:
  // More than people and dashboards need; bounds what a leaking client costs.
  static constexpr size_t kMaxSubscribers = 32;

  // `flush` hands to the socket what was sent in this turn (ConnectionHost's
  // FlushOutput); called before lent bytes die. `api` must outlive the handler.
  AdminHandler(AdminApi& api, std::function<void()> flush) : api_(api), flush_(std::move(flush)) {}

  void OnRequest(Stream& stream) override;
  void OnClientGone(Stream& stream) override;
  void OnSendable(Stream&) override {}
  void OnRefused(const Request&, uint16_t) override {}

  // Sends an event to every subscriber when state, step, weight, roles, reason
  // or alarm have changed since the last one, or a second has passed. Call it
  // every 100 to 250 ms.
  void Tick(Instant now);
  // Ends all event streams, so that their connections can drain.
  void EndSubscriptions();
  size_t subscribers() const { return subscribers_.size(); }

 private:
  void Subscribe(Stream& stream, const AdminAnswer& answer);
  void SendEvent(Stream& stream, std::string_view event);

  AdminApi& api_;
  std::function<void()> flush_;
  std::vector<Stream*> subscribers_;
  std::string last_key_;  // what the last event said, as far as it counts as news
  Instant last_event_;
};

// Answers /metrics by `render`; for the metrics listener.
class MetricsHandler final : public RequestHandler {
 public:
  MetricsHandler(std::function<std::string()> render, std::function<void()> flush)
      : render_(std::move(render)), flush_(std::move(flush)) {}
  void OnRequest(Stream& stream) override;
  void OnClientGone(Stream&) override {}
  void OnSendable(Stream&) override {}
  void OnRefused(const Request&, uint16_t) override {}

 private:
  std::function<std::string()> render_;
  std::function<void()> flush_;
};

}  // namespace serin
