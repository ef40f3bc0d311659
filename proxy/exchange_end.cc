// The other half of Exchange: how a request ends, and what is told about it.

#include <algorithm>
#include <utility>

#include "proxy/exchange.h"
#include "proxy/respond/error_page.h"
#include "proxy/worker.h"

namespace serin {
namespace {

constexpr uint16_t kClientLeft = 499;  // nginx's number for it

uint16_t PageFor(BackendError error) {
  switch (error) {
    case BackendError::kSaturated:
    case BackendError::kOverloaded:
      return 503;
    case BackendError::kConnectTimeout:
    case BackendError::kSendTimeout:
    case BackendError::kReadTimeout:
      return 504;
    default:
      return 502;
  }
}

// Whose failures may be put down to one misbehaving client. Loopback that names
// nobody behind it is a proxy or a load test, so everybody: 0.
uint64_t ClientToBlame(const EffectiveClient& client) {
  const bool loopback = client.address.starts_with("127.") || client.address == "::1";
  return loopback ? 0 : client.key;
}

}  // namespace

void KeepStderr(std::string& kept, std::string_view bytes) {
  constexpr size_t kMost = 1024;
  kept.append(bytes.substr(0, kMost - std::min(kMost, kept.size())));
}

bool TellsOfFatal(std::string_view stderr_text) {
  return stderr_text.find("PHP Fatal error") != std::string_view::npos ||
         stderr_text.find("Primary script unknown") != std::string_view::npos;
}

bool IsEventStream(const ResponseHead& head) {
  return std::any_of(head.fields.begin(), head.fields.end(), [](const Field& field) {
    return field.name == "content-type" && field.value.starts_with("text/event-stream");
  });
}

// All that the pool gave has been passed on.
void Exchange::Complete() {
  Record(pool_status_, error_ == BackendError::kNone ? "" : Name(error_));
  std::exchange(stream_, nullptr)->SendEnd();
  worker_.FlushOutput();
  Finish();
}

// We cannot go on, and it is not the pool's fault: the client sees a cut.
void Exchange::CutOff(std::string_view why) {
  if (connection_ != nullptr) std::exchange(connection_, nullptr)->Abort();
  Record(pool_status_, why);
  std::exchange(stream_, nullptr)->Abort();
  worker_.FlushOutput();
  Finish();
}

// The pool gave no whole answer.
void Exchange::Fail(BackendError error) {
  connection_ = nullptr;
  slices_.clear();
  error_ = error;
  worker_.metrics().CountBackendError(asked_, error);
  if (withheld_ || (!head_sent_ && ClaimRescue(error))) return Rescue();
  if (!event_stream_) Observe(pool_status_, false);
  if (head_sent_) {
    Record(pool_status_, Name(error));
    std::exchange(stream_, nullptr)->Abort();
  } else {
    const uint16_t page = PageFor(error);
    body_bytes_ = ErrorPage(page).size();
    Record(page, Name(error));
    head_.Clear();
    FillErrorHead(page, head_);
    NamePool();
    stream_->SendHead(head_);
    stream_->SendBody(ErrorPage(page));
    std::exchange(stream_, nullptr)->SendEnd();
  }
  worker_.FlushOutput();
  Finish();
}

// The canary has failed, with `error` or by its answer, and the client has seen
// nothing of it. True: stable is to be asked, and the budget has paid for it.
bool Exchange::ClaimRescue(BackendError error) {
  // Who asked for the canary by name is to see what it does.
  if (route_.role != Role::kCanary || route_.forced || rescuing() || !settings_->rescue.enabled) return false;
  if (!NothingReachedPool(error) && !IsIdempotent(stream_->request().method())) return false;
  switch (worker_.rescues().Claim(worker_.now())) {
    case RescueClaim::kAllowed:
      return true;
    case RescueClaim::kNoBudget:
      worker_.metrics().CountUnrescued(Unrescued::kBudget);
      return false;
    case RescueClaim::kStableUnhealthy:
      worker_.metrics().CountUnrescued(Unrescued::kStableUnhealthy);
      return false;
  }
  return false;
}

// The canary's part is over, and is told as its failure; stable begins anew.
void Exchange::Rescue() {
  Observe(pool_status_, false);
  const bool answered = error_ == BackendError::kNone;
  canary_error_ = answered ? "bad_status" : Name(error_);
  worker_.metrics().CountRequest(asked_, route_.role, answered ? pool_status_ : PageFor(error_),
                                 ElapsedNanos());
  watch_link.Unlink();
  asked_ = Other(asked_);
  asked_at_ = worker_.now();
  sent_at_ = Instant();
  body_bytes_ = 0;
  pool_status_ = 0;
  error_ = BackendError::kNone;
  head_parsed_ = head_bad_ = withheld_ = retried_ = false;
  stderr_.clear();
  cgi_head_.Reset();
  if (FindScript()) Ask();
}

// 302, 307, 403, 404, 431: no pool is asked, so none is judged.
void Exchange::AnswerHere(uint16_t status) {
  worker_.metrics().CountRefused(status);
  worker_.LogHere(stream_->request(), client_, status, received_at_);
  head_.Clear();
  FillErrorHead(status, head_);
  if (script_.kind == ScriptMatch::Kind::kRedirectSlash) {
    set_cookie_.clear();
    AppendSlashLocation(set_cookie_, stream_->request().path(), stream_->request().query());
    head_.fields.push_back({"location", set_cookie_});
  }
  stream_->SendHead(head_);
  stream_->SendBody(ErrorPage(status));
  std::exchange(stream_, nullptr)->SendEnd();
  worker_.FlushOutput();
  Finish();
}

void Exchange::OnClientGone() {
  stream_->context = nullptr;
  if (connection_ != nullptr) {
    std::exchange(connection_, nullptr)->Abort();
  } else if (!ended_) {
    worker_.pool(asked_).Cancel(*this);
  }
  if (!event_stream_ && !ended_) Observe(pool_status_, true);
  Record(kClientLeft, "client_left");
  stream_ = nullptr;
  Finish();
}

void Exchange::OnOverdue() {
  // Held back by its client, or an event stream under way: not the pool's slowness.
  if (event_stream_ || paused_at_ != Instant() || paused_nanos_ > 0) return;
  overdue_ = true;
  Observation seen;
  seen.has_outcome = false;
  seen.slow = true;
  seen.latency_us = static_cast<uint32_t>(ElapsedNanos() / 1000);
  seen.client = ClientToBlame(client_);
  seen.status = pool_status_;
  worker_.Observe(seen, split_, route_, script_.script_name, {});
}

int64_t Exchange::ElapsedNanos() const {
  int64_t nanos = worker_.now().nanos() - asked_at_.nanos() - paused_nanos_;
  if (paused_at_ != Instant()) nanos -= worker_.now().nanos() - paused_at_.nanos();
  return nanos;
}

bool Exchange::SawFatal() const { return settings_->fatal_stderr_is_error && TellsOfFatal(stderr_); }

// Stable has answered: the canary is tried by the same request, for the judge
// alone, if it is one of those that should make no difference.
void Exchange::CopyToCanary() {
  const Request& request = stream_->request();
  const bool fit = route_.role == Role::kStable && !route_.forced && !route_.pinned && !split_.drained() &&
                   !event_stream_ && IsGetOrHead(request.method()) && request.body.empty();
  if (!fit || !worker_.shadow().Picks(settings_->shadow)) return;
  worker_.FlushOutput();  // first the answer
  const PoolId canary = split_.canary_pool;
  MatchScript(canary);
  if (script_.kind != ScriptMatch::Kind::kScript) return;
  worker_.shadow().Send(
      {settings_, split_, ClientToBlame(client_), script_.script_name},
      [&](std::string& out, uint16_t id) { return EncodeRequest(canary, Purpose::kShadow, out, id); });
}

// Tells the controller how the pool did.
void Exchange::Observe(uint16_t pool_status, bool client_left) {
  const int64_t elapsed = ElapsedNanos();
  Observation seen;
  seen.client = ClientToBlame(client_);
  seen.status = pool_status;
  seen.backend_error = error_;
  seen.client_left = client_left;
  seen.has_latency = !overdue_;
  seen.latency_us = static_cast<uint32_t>(std::min<int64_t>(elapsed / 1000, UINT32_MAX));
  seen.slow = !overdue_ && elapsed > absl::ToInt64Nanoseconds(settings_->slow_limit);
  // Whether a client that left makes a difference is the controller's to say.
  seen.error = pool_status >= 500 || error_ != BackendError::kNone || SawFatal();
  const bool stable = route_.role == Role::kStable || rescuing();
  if (stable && !client_left) worker_.rescues().NoteStable(seen.error, worker_.now());
  // What the canary failed is no sample of requests: it would make stable look
  // worse than it is, and the request is the canary's in the verdict already.
  if (rescuing()) return;
  worker_.Observe(seen, split_, route_, script_.script_name, stderr_);
}

void Exchange::Record(uint16_t sent_status, std::string_view error) {
  const bool rescued = rescuing() && error.empty() && sent_status < 500;
  if (rescued) {
    worker_.metrics().CountRescued();
  } else if (rescuing() && sent_status != kClientLeft) {
    worker_.metrics().CountUnrescued(Unrescued::kStableFailed);
  }
  worker_.Record({stream_->request(), client_, split_, route_, asked_, rescued, received_at_, asked_at_,
                  sent_at_, sent_status, body_bytes_, ElapsedNanos(), rescued ? canary_error_ : error,
                  trace_.request_id(), trace_.traceparent()});
}

void Exchange::Finish() {
  watch_link.Unlink();
  slices_.clear();
  if (!spill_.in_memory()) worker_.metrics().CountSpilled();
  spill_.Clear();
  spill_offset_ = 0;
  stderr_.clear();
  cgi_head_.Reset();
  settings_.reset();
  worker_.Recycle(*this);
}

}  // namespace serin
