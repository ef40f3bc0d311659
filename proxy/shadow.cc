#include "proxy/shadow.h"

#include <algorithm>
#include <utility>

#include "proxy/split/sequence.h"
#include "proxy/worker.h"

namespace serin {

bool ShadowCopy::Send(const ShadowOrigin& origin, const Spool& no_body, ShadowEncode encode) {
  origin_ = origin;
  script_ = origin.script;
  origin_.script = script_;
  no_body_ = &no_body;
  encode_ = &encode;
  sent_at_ = worker_.now();
  head_parsed_ = head_bad_ = endless_ = overdue_ = no_room_ = false;
  worker_.shadow().Watch(*this);
  if (!worker_.pool(origin_.split.canary_pool).AcquireNow(*this)) {
    no_room_ = true;
    Finish();
  }
  return !no_room_;
}

void ShadowCopy::OnBackend(BackendConnection& connection) {
  std::string& out = connection.send_buffer();
  out.clear();
  if (!(*encode_)(out, connection.request_id())) {
    connection.Abort();
    return Finish();
  }
  connection_ = &connection;
  connection.Send(*this, *no_body_, origin_.settings->pools[Index(origin_.split.canary_pool)]);
}

void ShadowCopy::OnNoBackend(BackendError error) {
  no_room_ = error == BackendError::kSaturated;
  if (no_room_) return Finish();
  Judge(error);
}

void ShadowCopy::OnStdout(std::string_view bytes) {
  if (head_parsed_ || head_bad_) return;
  size_t consumed = 0;
  const CgiHeadParser::Result result = cgi_head_.Feed(bytes, &consumed);
  head_bad_ = result == CgiHeadParser::Result::kBad;
  head_parsed_ = result == CgiHeadParser::Result::kDone;
  if (!head_parsed_) return;
  ResponseHead head;
  cgi_head_.Fill(head);
  endless_ = IsEventStream(head);
}

void ShadowCopy::OnStderr(std::string_view bytes) { KeepStderr(stderr_, bytes); }

void ShadowCopy::OnBlock() {
  if (!head_bad_ && !endless_) return;
  std::exchange(connection_, nullptr)->Abort();
  Judge(head_bad_ ? BackendError::kProtocol : BackendError::kNone);
}

void ShadowCopy::OnBackendEnd() { Judge(head_parsed_ ? BackendError::kNone : BackendError::kProtocol); }

// A kept connection that PHP-FPM has closed tells nothing of the release.
void ShadowCopy::OnBackendError(BackendError error, bool stale) {
  if (stale) return Finish();
  Judge(error);
}

void ShadowCopy::OnOverdue() {
  overdue_ = true;
  Observation seen;
  seen.has_outcome = false;
  seen.slow = true;
  Observe(seen);
}

void ShadowCopy::Judge(BackendError error) {
  const DataplaneSettings& settings = *origin_.settings;
  Observation seen;
  seen.status = head_parsed_ ? cgi_head_.status() : uint16_t{0};
  seen.backend_error = error;
  seen.has_latency = !overdue_;
  seen.slow = !overdue_ && worker_.now() - sent_at_ > settings.slow_limit;
  seen.error = seen.status >= 500 || error != BackendError::kNone ||
               (settings.fatal_stderr_is_error && TellsOfFatal(stderr_));
  worker_.metrics().CountShadow(error == BackendError::kNone ? seen.status : uint16_t{0});
  Observe(seen);
  Finish();
}

void ShadowCopy::Observe(Observation seen) {
  const int64_t micros = (worker_.now().nanos() - sent_at_.nanos()) / 1000;
  seen.latency_us = static_cast<uint32_t>(std::min<int64_t>(micros, UINT32_MAX));
  seen.client = origin_.client;
  seen.shadow = true;
  RouteDecision route;
  route.role = Role::kCanary;
  route.pool = origin_.split.canary_pool;
  worker_.Observe(seen, origin_.split, route, script_, stderr_);
}

void ShadowCopy::Finish() {
  watch_link.Unlink();
  connection_ = nullptr;
  encode_ = nullptr;
  stderr_.clear();
  cgi_head_.Reset();
  origin_.settings.reset();
  worker_.shadow().Recycle(*this);
}

bool Shadow::Picks(Weight share) { return SequencePicksCanary(ticket_++, share); }

void Shadow::Send(const ShadowOrigin& origin, ShadowEncode encode) {
  if (free_.empty() && copies_.size() < kMostUnderWay) {
    copies_.push_back(std::make_unique<ShadowCopy>(worker_));
    free_.push_back(copies_.back().get());
  }
  if (free_.empty()) return worker_.metrics().CountShadowSkipped();
  ShadowCopy* copy = free_.back();
  free_.pop_back();
  if (!copy->Send(origin, no_body_, encode)) worker_.metrics().CountShadowSkipped();
}

void Shadow::FindOverdue(Instant limit) {
  while (!under_way_.empty() && under_way_.front().copy->sent_at() < limit) {
    under_way_.PopFront().copy->OnOverdue();
  }
}

}  // namespace serin
