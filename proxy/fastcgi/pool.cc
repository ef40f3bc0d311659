#include "proxy/fastcgi/pool.h"

#include <algorithm>

namespace serin {
namespace {

// connect() said EAGAIN: the backlog is full although we are within our limit.
constexpr absl::Duration kBacklogPause = absl::Milliseconds(50);
// How much longer than our next request another worker's must have waited
// before a slot of ours is theirs: a hand-over wakes a thread and may cost a
// kept connection.
constexpr absl::Duration kFairWithin = absl::Milliseconds(5);

}  // namespace

Pool::Pool(const BackendHost& host, PoolGate& gate, int worker) : host_(host), gate_(gate), worker_(worker) {}

Pool::~Pool() = default;

void Pool::Configure(const PoolSettings& settings) {
  const bool moved = settings_ == nullptr || !(settings.address == settings_->address);
  settings_ = &settings;
  if (moved || settings.keep_alive != KeepAlive::kOn) CloseIdle();
}

void Pool::CloseIdle() {
  while (!idle_.empty()) GiveUp(*idle_.back());
}

void Pool::CutOff() {
  while (queued_ > 0) Dequeue().OnNoBackend(BackendError::kSaturated);
  for (size_t i = 0; i < connections_.size(); ++i) connections_[i]->CutOff();
}

void Pool::Acquire(PoolWaiter& waiter, bool may_reuse) {
  waiter.may_reuse_ = may_reuse;
  waiter.since_ = host_.loop.now();
  if (queued_ == 0 && may_reuse && ReuseIdle(waiter)) return;
  OpenOrEnqueue(waiter, Place::kBack);
}

bool Pool::AcquireNow(PoolWaiter& waiter) {
  waiter.may_wait_ = false;
  const bool wanted = queued_ > 0 || gate_.OthersWait(worker_);
  if (wanted || host_.loop.now() < backlog_full_until_) return false;
  if (ReuseIdle(waiter)) return true;
  if (!gate_.TryAcquire()) return false;
  OpenFor(waiter);
  return true;
}

bool Pool::ReuseIdle(PoolWaiter& waiter) {
  if (idle_.empty()) return false;
  BackendConnection* connection = idle_.back();
  idle_.pop_back();
  if (idle_.empty()) gate_.SetIdle(worker_, false);
  ++active_;
  ++reused_;
  waiter.OnBackend(*connection);
  return true;
}

void Pool::AcquireAgain(PoolWaiter& waiter) {
  waiter.may_reuse_ = false;
  // Its first wait is over; the queue stays ordered by time.
  waiter.since_ = queued_ > 0 ? queue_.front().waiter->since_ : host_.loop.now();
  OpenOrEnqueue(waiter, Place::kFront);
}

void Pool::OpenOrEnqueue(PoolWaiter& waiter, Place place) {
  const bool backlog_full = host_.loop.now() < backlog_full_until_;
  if (queued_ == 0 && !backlog_full) {
    if (gate_.TryAcquire()) return OpenFor(waiter);
    // A request that must have a new connection while we sit on idle ones.
    if (!idle_.empty() && !gate_.OthersWait(worker_)) {
      TakeIdle(idle_.begin());
      return OpenFor(waiter);
    }
  }
  if (!gate_.TryQueue()) return waiter.OnNoBackend(BackendError::kSaturated);
  Enqueue(waiter, place);
  if (backlog_full) return;
  gate_.Await(worker_, queue_.front().waiter->since_);
  if (gate_.TryAcquire()) OpenFor(Dequeue());
}

void Pool::Enqueue(PoolWaiter& waiter, Place place) {
  if (place == Place::kFront) {
    queue_.PushFront(waiter.link_);
  } else {
    queue_.PushBack(waiter.link_);
  }
  ++queued_;
}

PoolWaiter& Pool::Dequeue() {
  PoolWaiter& waiter = *queue_.PopFront().waiter;
  gate_.Unqueue();
  --queued_;
  NextChanged();
  return waiter;
}

void Pool::Cancel(PoolWaiter& waiter) {
  if (!waiter.link_.linked()) return;
  waiter.link_.Unlink();
  gate_.Unqueue();
  --queued_;
  NextChanged();
}

// The gate serves the worker first whose next request has waited longest.
void Pool::NextChanged() {
  if (queued_ == 0) return gate_.StopAwaiting(worker_);
  gate_.SetSince(worker_, queue_.front().waiter->since_);
}

// Opens a connection on a slot that is already ours.
void Pool::OpenFor(PoolWaiter& waiter) {
  if (unused_.empty()) {
    connections_.push_back(std::make_unique<BackendConnection>(host_, static_cast<BackendOwner&>(*this)));
    unused_.push_back(connections_.back().get());
  }
  BackendConnection& connection = *unused_.back();
  const BackendError error = connection.Connect(*settings_);
  if (error == BackendError::kNone) {
    unused_.pop_back();
    ++active_;
    ++opened_;
    return waiter.OnBackend(connection);
  }
  // Saturation is no failure: the request keeps its place and its time limit.
  if (error == BackendError::kSaturated && waiter.may_wait_ && gate_.TryQueue()) {
    backlog_full_until_ = host_.loop.now() + kBacklogPause;
    Enqueue(waiter, Place::kFront);
    gate_.StopAwaiting(worker_);  // a slot is no use to us until then
    return gate_.Release();
  }
  if (error == BackendError::kRefused) ++refusals_;
  gate_.Release();
  waiter.OnNoBackend(error);
}

// The slot that is free now belongs to a request of another worker, which waits
// while we have none, or has waited longer.
bool Pool::MustYield() const {
  if (queued_ == 0) return gate_.OthersWait(worker_);
  return gate_.OthersWaitSince(worker_, queue_.front().waiter->since_ - kFairWithin);
}

// PHP-FPM closes a connection of its own accord when it is about to reload: it
// waits for the children whose connections are idle, so those are let go, too.
void Pool::OnConnectionFree(BackendConnection& connection, Ended ended) {
  const auto idle_at = std::find(idle_.begin(), idle_.end(), &connection);
  if (idle_at != idle_.end()) {
    GiveUp(connection);
    if (ended == Ended::kBroken) CloseIdle();
    return;
  }
  const bool may_keep = ended == Ended::kWhole && settings_->keep_alive != KeepAlive::kOff && !MustYield();
  if (may_keep && queued_ > 0 && queue_.front().waiter->may_reuse_) {
    ++reused_;
    return Dequeue().OnBackend(connection);
  }
  --active_;
  if (may_keep && queued_ == 0 && settings_->keep_alive == KeepAlive::kOn) return KeepIdle(connection);
  Recycle(connection);
  ServeNext();
  if (ended == Ended::kBroken) CloseIdle();
}

void Pool::KeepIdle(BackendConnection& connection) {
  connection.WaitIdle(host_.loop.now() + settings_->keep_alive_timeout);
  if (idle_.empty()) gate_.SetIdle(worker_, true);
  idle_.push_back(&connection);
  // Whoever began to wait before that line did not know of it. Sequential
  // consistency: either they see ours now, or we see them here.
  if (gate_.OthersWait(worker_)) GiveUp(connection);
}

// Closes an idle connection and lets its slot go.
void Pool::GiveUp(BackendConnection& connection) {
  TakeIdle(std::find(idle_.begin(), idle_.end(), &connection));
  ServeNext();
}

// Closes an idle connection; its slot is the caller's.
void Pool::TakeIdle(std::vector<BackendConnection*>::iterator at) {
  BackendConnection& connection = **at;
  idle_.erase(at);
  if (idle_.empty()) gate_.SetIdle(worker_, false);
  Recycle(connection);
}

void Pool::Recycle(BackendConnection& connection) {
  connection.Close();
  unused_.push_back(&connection);
}

// A slot of ours is free (one more than active_ and idle_ say): for the next of
// our requests, or for the others.
void Pool::ServeNext() {
  if (queued_ > 0 && !MustYield() && host_.loop.now() >= backlog_full_until_) return OpenFor(Dequeue());
  gate_.Release();
}

void Pool::OnWake() {
  while (gate_.TakeGrant(worker_)) {
    if (queued_ > 0 && host_.loop.now() >= backlog_full_until_) {
      OpenFor(Dequeue());
    } else {
      gate_.Release();
    }
  }
  if (queued_ > 0) NextChanged();  // a grant had put us last
  if (gate_.OthersWait(worker_)) CloseIdle();
}

void Pool::OnTick() {
  const Instant now = host_.loop.now();
  while (queued_ > 0 && now - queue_.front().waiter->since_ > settings_->queue_timeout) {
    Dequeue().OnNoBackend(BackendError::kSaturated);
  }
  if (queued_ > 0 && now >= backlog_full_until_) {
    gate_.Await(worker_, queue_.front().waiter->since_);
    while (queued_ > 0 && now >= backlog_full_until_ && gate_.TryAcquire()) OpenFor(Dequeue());
  }
}

}  // namespace serin
