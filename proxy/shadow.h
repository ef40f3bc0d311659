#pragma once
// Shadow: before a rollout's first step some of the GET and HEAD requests that
// stable has answered go to the canary's pool as well. Nobody waits for these
// copies: they are sent when their request has been answered, only if the pool
// has room at once, and of their answers only status, time and complaints are
// looked at. The judge takes them for the canary's requests.
// One per worker, that worker's thread.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "proxy/base/intrusive_list.h"
#include "proxy/base/spool.h"
#include "proxy/fastcgi/pool.h"
#include "proxy/respond/cgi_head.h"
#include "proxy/split/observation.h"
#include "proxy/split/split_state.h"

namespace serin {

class Worker;

// What a copy needs to know of its request.
struct ShadowOrigin {
  std::shared_ptr<const DataplaneSettings> settings;
  SplitState split;
  uint64_t client = 0;      // as in Observation
  std::string_view script;  // of the canary's release
};

// Fills a send buffer with the request, under an id; false: it does not fit.
using ShadowEncode = absl::FunctionRef<bool(std::string& out, uint16_t id)>;

class ShadowCopy final : private PoolWaiter, private BackendUser {
 public:
  explicit ShadowCopy(Worker& worker) : worker_(worker) {}
  // False when the pool has no room.
  bool Send(const ShadowOrigin& origin, const Spool& no_body, ShadowEncode encode);
  void OnOverdue();
  Instant sent_at() const { return sent_at_; }

  // In the list of copies under way that are not overdue, oldest first.
  struct WatchLink : ListNode {
    explicit WatchLink(ShadowCopy& owner) : copy(&owner) {}
    ShadowCopy* const copy;
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

  void Judge(BackendError error);
  void Observe(Observation seen);
  void Finish();

  Worker& worker_;
  ShadowOrigin origin_;
  std::string script_;
  const Spool* no_body_ = nullptr;
  const ShadowEncode* encode_ = nullptr;  // during Send
  BackendConnection* connection_ = nullptr;
  CgiHeadParser cgi_head_;
  std::string stderr_;  // its beginning
  Instant sent_at_;
  bool head_parsed_ = false;
  bool head_bad_ = false;
  bool endless_ = false;  // an event stream: its beginning is all there is to judge
  bool overdue_ = false;  // already observed as slow
  bool no_room_ = false;
};

class Shadow {
 public:
  // Of one worker: enough to find a bad release within seconds, too few to
  // matter to a pool. More are skipped.
  static constexpr size_t kMostUnderWay = 16;

  explicit Shadow(Worker& worker) : worker_(worker), no_body_(limits_) {}
  // Is this request among the `share` that is copied?
  bool Picks(Weight share);
  void Send(const ShadowOrigin& origin, ShadowEncode encode);
  // Copies sent before `limit` and still unanswered are slow.
  void FindOverdue(Instant limit);

  // For its copies.
  void Watch(ShadowCopy& copy) { under_way_.PushBack(copy.watch_link); }
  void Recycle(ShadowCopy& copy) { free_.push_back(&copy); }

 private:
  Worker& worker_;
  const Spool::Limits limits_;
  const Spool no_body_;
  uint64_t ticket_ = 0;
  std::vector<std::unique_ptr<ShadowCopy>> copies_;
  std::vector<ShadowCopy*> free_;
  IntrusiveList<ShadowCopy::WatchLink> under_way_;
};

}  // namespace serin
