#include "proxy/exchange.h"

#include <algorithm>
#include <utility>

#include "proxy/worker.h"

namespace serin {
Exchange::Exchange(Worker& worker) : worker_(worker), spill_(worker.spill_limits()) {}

void Exchange::Begin(Stream& stream) {
  stream_ = &stream;
  stream.context = this;
  received_at_ = asked_at_ = worker_.now();
  sent_at_ = paused_at_ = Instant();
  paused_nanos_ = 0;
  body_bytes_ = 0;
  pool_status_ = 0;
  error_ = BackendError::kNone;
  head_parsed_ = head_bad_ = head_sent_ = ended_ = spill_failed_ = overdue_ = event_stream_ = retried_ =
      withheld_ = false;
  settings_ = worker_.settings();
  const Request& request = stream.request();
  client_ = EffectiveClientOf(request, *request.connection, worker_.trusted_proxies());
  front_ = FrontServerOf(request);
  if (settings_->request_ids) {
    trace_.Begin(request, worker_.random());
  } else {
    trace_.Note(request);
  }
  split_ = worker_.LoadSplit();
  route_ = Route(request, client_, split_, settings_->split, worker_.split_cell(), worker_.random());
  asked_ = route_.pool;
  worker_.rescues().CountRequest();
  if (!FindScript()) return;
  worker_.Watch(*this);
  Ask();
}

void Exchange::Ask() {
  // A kept connection may turn out to be stale: nothing travels on one that
  // could not be sent again.
  worker_.pool(asked_).Acquire(*this, IsIdempotent(stream_->request().method()));
}

void Exchange::MatchScript(PoolId id) {
  const PoolSettings& pool = settings_->pools[Index(id)];
  const Request& request = stream_->request();
  const ScriptRules rules{pool.scripts, pool.front_controller};
  FileProbe& probe = worker_.probe(id);
  script_ = front_.script.empty()
                ? ResolveScript(request.path(), rules, probe, script_scratch_)
                : ResolveNamedScript(front_.script, request.path(), rules, probe, script_scratch_);
}

// False: the request was answered here, without a pool.
bool Exchange::FindScript() {
  MatchScript(asked_);
  switch (script_.kind) {
    case ScriptMatch::Kind::kScript:
      return true;
    case ScriptMatch::Kind::kNotFound:
      AnswerHere(404);
      return false;
    case ScriptMatch::Kind::kForbidden:
      AnswerHere(403);
      return false;
    case ScriptMatch::Kind::kRedirectSlash:
      // Temporary: the next release may have another idea; 307 keeps a POST one.
      AnswerHere(IsGetOrHead(stream_->request().method()) ? 302 : 307);
      return false;
  }
  return false;
}

bool Exchange::EncodeRequest(PoolId pool, Purpose purpose, std::string& out, uint16_t id) {
  const Request& request = stream_->request();
  const ConnectionInfo& from = *request.connection;
  AppendBeginRequest(out, id, settings_->pools[Index(pool)].keep_alive != KeepAlive::kOff);
  ParamsWriter writer(out, id);
  ParamsContext context;
  context.pool = &worker_.pool_params(pool);
  context.script_name = script_.script_name;
  context.path_info = script_.path_info;
  context.authority = client_.authority;
  context.remote_address = client_.address;
  context.remote_port = client_.port;
  context.server_address = from.local_address;
  context.server_port = client_.server_port;
  context.https = client_.https;
  context.front_root = front_.root;
  context.front_script = !front_.script.empty() && script_.script_name == front_.script;
  context.request_id = trace_.begun_request_id();
  context.traceparent = trace_.begun_traceparent();
  if (!AppendParams(writer, request, context)) return false;
  // No header can be called that, so no client can pretend.
  if (purpose == Purpose::kShadow && !writer.Add("SERIN_SHADOW", "1")) return false;
  writer.Finish();
  return true;
}

void Exchange::OnBackend(BackendConnection& connection) {
  std::string& out = connection.send_buffer();
  out.clear();
  if (!EncodeRequest(asked_, Purpose::kAnswer, out, connection.request_id())) {
    connection.Abort();
    watch_link.Unlink();
    return AnswerHere(431);
  }
  connection_ = &connection;
  sent_at_ = worker_.now();
  connection.Send(*this, stream_->request().body, settings_->pools[Index(asked_)]);
}

void Exchange::OnNoBackend(BackendError error) { Fail(error); }

void Exchange::OnStderr(std::string_view bytes) { KeepStderr(stderr_, bytes); }

void Exchange::OnStdout(std::string_view bytes) {
  if (head_bad_) return;
  if (!head_parsed_) {
    size_t consumed = 0;
    switch (cgi_head_.Feed(bytes, &consumed)) {
      case CgiHeadParser::Result::kMore:
        return;
      case CgiHeadParser::Result::kBad:
        head_bad_ = true;
        return;
      case CgiHeadParser::Result::kDone:
        break;
    }
    head_parsed_ = true;
    pool_status_ = cgi_head_.status();
    bytes.remove_prefix(consumed);
    const bool failed = IsRescuable(pool_status_) || SawFatal();
    withheld_ = failed && ClaimRescue(BackendError::kNone);
  }
  if (bytes.empty() || withheld_) return;
  body_bytes_ += bytes.size();
  slices_.push_back(bytes);
}

void Exchange::OnBlock() {
  if (head_bad_) {
    connection_->Abort();
    return Fail(BackendError::kProtocol);
  }
  if (!head_parsed_ || withheld_) return;
  Deliver(false);
  if (spill_failed_) return CutOff("spill_failed");
  if (spill_.size() - spill_offset_ < settings_->limits.response_spill) return;
  connection_->PauseReading();
  paused_at_ = worker_.now();
}

// The client has taken what it was sent: it gets the next part of what was held
// for it, then the pool goes on, or the exchange ends.
void Exchange::OnSendable() {
  char part[16 * 1024];
  while (spill_offset_ < spill_.size() && stream_->Unsent() < settings_->limits.send_buffer) {
    const int64_t n = spill_.ReadAt(spill_offset_, part);
    if (n <= 0) return CutOff("spill_failed");
    spill_offset_ += static_cast<uint64_t>(n);
    stream_->SendBody({part, static_cast<size_t>(n)});
    worker_.FlushOutput();
  }
  if (spill_offset_ == spill_.size()) {
    if (!spill_.empty()) spill_.Clear();
    spill_offset_ = 0;
    if (ended_) return Complete();
  } else {
    stream_->WantSendable();
  }
  if (connection_ == nullptr || paused_at_ == Instant()) return;
  paused_nanos_ += worker_.now().nanos() - paused_at_.nanos();
  paused_at_ = Instant();
  connection_->ResumeReading();
}

// Passes on what has come in this block; the slices die after it.
void Exchange::Deliver(bool whole) {
  if (!head_sent_) SendHead(whole);
  if (spill_.empty() && stream_->Unsent() < settings_->limits.send_buffer) {
    for (std::string_view slice : slices_) stream_->SendBody(slice);
    if (!whole) worker_.FlushOutput();
  } else if (!slices_.empty()) {
    if (spill_.empty()) stream_->WantSendable();
    for (std::string_view slice : slices_) spill_failed_ = spill_failed_ || !spill_.Append(slice);
  }
  slices_.clear();
}

void Exchange::SendHead(bool whole) {
  head_.Clear();
  cgi_head_.Fill(head_);
  head_sent_ = true;
  const Request& request = stream_->request();
  const bool bodyless = request.method() == "HEAD" || head_.status == 204 || head_.status == 304;
  // The whole answer came in one block: its length is known after all.
  if (whole && !bodyless && !head_.content_length) head_.content_length = body_bytes_;
  event_stream_ = IsEventStream(head_);
  // An event stream is answered when it begins; how long it lasts is its own affair.
  if (event_stream_) Observe(pool_status_, false);
  if (route_.new_id) {
    set_cookie_.clear();
    SetCookieLine(set_cookie_, settings_->split, *route_.new_id, client_.https);
    head_.fields.push_back({"set-cookie", set_cookie_});
  }
  NamePool();
  stream_->SendHead(head_);
}

// The header that says which pool answered is ours: PHP's word does not count.
void Exchange::NamePool() {
  const std::string_view name = worker_.pool_header();
  if (name.empty()) return;
  std::erase_if(head_.fields, [&](const Field& field) { return field.name == name; });
  head_.fields.push_back({name, Name(asked_)});
}

void Exchange::OnBackendEnd() {
  connection_ = nullptr;
  if (!head_parsed_) return Fail(BackendError::kProtocol);
  if (withheld_) return Rescue();
  Deliver(true);
  if (!event_stream_) Observe(pool_status_, false);
  watch_link.Unlink();
  if (spill_failed_) return CutOff("spill_failed");
  if (split_.shadow) CopyToCanary();
  ended_ = true;
  if (spill_.empty()) Complete();
}

void Exchange::OnBackendError(BackendError error, bool stale) {
  connection_ = nullptr;
  if (stale && !retried_ && IsIdempotent(stream_->request().method())) {
    retried_ = true;
    return worker_.pool(asked_).AcquireAgain(*this);
  }
  Fail(error);
}

}  // namespace serin
