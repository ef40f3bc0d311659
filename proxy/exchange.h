#pragma once
// One request from parsed to recorded: the only place where its state changes.
//
//   Begin: route → script → a pool connection, or a place in its queue
//   OnBackend: params out            OnStdout…OnBlock: head and body back
//   OnBackendEnd / OnBackendError / OnClientGone: observed, recorded, recycled
//
// What the canary failed begins again on stable, once, if no byte has gone out
// (Rescue). exchange.cc is the way there, exchange_end.cc what comes of it.
// Recycled by its worker; that worker's thread.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/fastcgi/pool.h"
#include "proxy/respond/cgi_head.h"
#include "proxy/route/forwarded.h"
#include "proxy/route/front_server.h"
#include "proxy/route/rescue.h"
#include "proxy/route/router.h"
#include "proxy/route/script.h"
#include "proxy/route/trace.h"
#include "proxy/session.h"
#include "proxy/split/observation.h"
#include "proxy/split/split_state.h"

namespace serin {

class Worker;

// Of a script's stderr the beginning is kept: enough to name the cause in `explain`.
void KeepStderr(std::string& kept, std::string_view bytes);
// "Primary script unknown": PHP-FPM answers 404 when the release has no front
// controller. To the client that is a 404; to a release it is a death.
bool TellsOfFatal(std::string_view stderr_text);
bool IsEventStream(const ResponseHead& head);

class Exchange final : private PoolWaiter, private BackendUser {
 public:
  explicit Exchange(Worker& worker);

  void Begin(Stream& stream);
  void OnClientGone();
  // The client has taken enough: the pool may go on.
  void OnSendable();
  // Older than the latency limit and still not answered: seen as slow now.
  void OnOverdue();

  Instant received_at() const { return received_at_; }

  // In the worker's list of requests in flight, oldest first.
  struct WatchLink : ListNode {
    explicit WatchLink(Exchange& owner) : exchange(&owner) {}
    Exchange* const exchange;
  };
  WatchLink watch_link{*this};

 private:
  // PoolWaiter
  void OnBackend(BackendConnection& connection) override;
  void OnNoBackend(BackendError error) override;
  // BackendUser
  void OnStdout(std::string_view bytes) override;
  void OnStderr(std::string_view bytes) override;
  void OnBlock() override;
  void OnBackendEnd() override;
  void OnBackendError(BackendError error, bool stale) override;

  void Ask();
  bool FindScript();
  void MatchScript(PoolId pool);
  enum class Purpose : uint8_t { kAnswer, kShadow };
  bool EncodeRequest(PoolId pool, Purpose purpose, std::string& out, uint16_t id);
  void Deliver(bool whole);
  void SendHead(bool whole);
  void NamePool();
  void Complete();
  void CutOff(std::string_view why);
  void AnswerHere(uint16_t status);
  void Fail(BackendError error);
  bool ClaimRescue(BackendError error);
  void Rescue();
  bool rescuing() const { return asked_ != route_.pool; }
  void CopyToCanary();
  void Observe(uint16_t pool_status, bool client_left);
  void Record(uint16_t sent_status, std::string_view error);
  void Finish();
  bool SawFatal() const;
  int64_t ElapsedNanos() const;  // since asked_ was asked

  Worker& worker_;
  Stream* stream_ = nullptr;
  std::shared_ptr<const DataplaneSettings> settings_;  // as of the request's beginning
  SplitState split_;
  RouteDecision route_;
  PoolId asked_ = PoolId::kBlue;  // route_.pool; the other one once it is stable's turn to rescue
  EffectiveClient client_;
  FrontServer front_;  // FastCGI in
  TraceIds trace_;
  ScriptMatch script_;
  std::string script_scratch_;
  BackendConnection* connection_ = nullptr;
  CgiHeadParser cgi_head_;
  ResponseHead head_;
  std::vector<std::string_view> slices_;  // of the body, until the end of the block
  Spool spill_;                // of the body: what the client is too slow to take, so that PHP need not wait
  uint64_t spill_offset_ = 0;  // sent up to here
  std::string set_cookie_;
  std::string stderr_;  // its beginning
  Instant received_at_, asked_at_, sent_at_, paused_at_;
  int64_t paused_nanos_ = 0;  // held back by the client
  uint64_t body_bytes_ = 0;
  uint16_t pool_status_ = 0;  // the pool's answer; 0: none yet
  BackendError error_ = BackendError::kNone;
  std::string_view canary_error_;  // while rescuing: why
  bool head_parsed_ = false;
  bool head_bad_ = false;  // not a CGI head: 502 at the end of the block
  bool head_sent_ = false;
  bool ended_ = false;         // the pool is done, the client is not
  bool spill_failed_ = false;  // the disk took no more
  bool overdue_ = false;       // already observed as slow
  bool event_stream_ = false;  // its end says nothing about latency
  bool retried_ = false;       // once, after a stale connection
  bool withheld_ = false;      // the canary's answer is a failure, to be rescued when it has ended
};

}  // namespace serin
