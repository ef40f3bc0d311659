#include "controller/observe.h"

#include <algorithm>

#include "proxy/base/hash.h"

namespace serin {

Counts& Counts::operator+=(const Counts& other) {
  outcomes += other.outcomes;
  errors += other.errors;
  dead += other.dead;
  timed += other.timed;
  slow += other.slow;
  routed += other.routed;
  return *this;
}

Counts& Counts::operator-=(const Counts& other) {
  outcomes -= other.outcomes;
  errors -= other.errors;
  dead -= other.dead;
  timed -= other.timed;
  slow -= other.slow;
  routed -= other.routed;
  return *this;
}

SlidingCounts::SlidingCounts(absl::Duration window)
    : bucket_nanos_(std::max<int64_t>(1, absl::ToInt64Nanoseconds(window) / kBuckets)), buckets_(kBuckets) {}

void SlidingCounts::Add(const Counts& counts) {
  Bucket& bucket = buckets_[current_];
  bucket.outcomes += static_cast<uint32_t>(counts.outcomes);
  bucket.errors += static_cast<uint32_t>(counts.errors);
  bucket.dead += static_cast<uint32_t>(counts.dead);
  bucket.timed += static_cast<uint32_t>(counts.timed);
  bucket.slow += static_cast<uint32_t>(counts.slow);
  bucket.routed += static_cast<uint32_t>(counts.routed);
  sum_ += counts;
}

void SlidingCounts::Clear() {
  std::fill(buckets_.begin(), buckets_.end(), Bucket());
  sum_ = Counts();
}

void SlidingCounts::AdvanceBuckets(Instant now) {
  const int64_t passed = (now.nanos() - bucket_end_) / bucket_nanos_ + 1;
  bucket_end_ += passed * bucket_nanos_;
  if (passed >= kBuckets) {
    Clear();
    return;
  }
  for (int64_t i = 0; i < passed; ++i) {
    current_ = (current_ + 1) % kBuckets;
    Bucket& oldest = buckets_[current_];
    sum_ -= Counts{oldest.outcomes, oldest.errors, oldest.dead, oldest.timed, oldest.slow, oldest.routed};
    oldest = Bucket();
  }
}

absl::Duration SlidingCounts::DeadSpan() const {
  int first = -1;
  int last = -1;
  for (int i = 1; i <= kBuckets; ++i) {  // the bucket after the current one is the oldest
    if (buckets_[(current_ + static_cast<size_t>(i)) % kBuckets].dead == 0) continue;
    if (first < 0) first = i;
    last = i;
  }
  return absl::Nanoseconds(bucket_nanos_ * (last - first));
}

BurstFilter::BurstFilter() : entries_(kWays * kSets) {}

void BurstFilter::Configure(int failures, absl::Duration window) {
  failures_ = std::min(failures, kMaxFailures);
  window_nanos_ = absl::ToInt64Nanoseconds(window);
}

bool BurstFilter::IsMost(uint64_t client, PoolId pool, int64_t at) {
  constexpr int64_t kHalving = 30'000'000'000;  // so it remembers about a minute
  Majority& majority = majority_[Index(pool)];
  if (at >= majority.halve_at) {
    majority.halve_at = at + kHalving;
    majority.votes /= 2;
    majority.total /= 2;
  }
  ++majority.total;
  if (client == majority.client) {
    ++majority.votes;
  } else if (majority.votes > 0) {
    --majority.votes;
  } else {
    majority.client = client;
    majority.votes = 1;
  }
  // Of the first few requests somebody always has the most.
  constexpr int kEnough = 20;
  return majority.total >= kEnough && majority.client == client && majority.votes * 2 > majority.total;
}

BurstFilter::Entry* BurstFilter::Find(uint64_t key) {
  Entry* set = &entries_[(Mix64(key) % kSets) * kWays];
  for (size_t way = 0; way < kWays; ++way) {
    if (set[way].client == key) return &set[way];
  }
  return nullptr;
}

BurstFilter::Entry& BurstFilter::Claim(uint64_t key) {
  if (Entry* found = Find(key)) return *found;
  Entry* set = &entries_[(Mix64(key) % kSets) * kWays];
  Entry* oldest = std::min_element(
      set, set + kWays, [](const Entry& a, const Entry& b) { return a.last_failure < b.last_failure; });
  *oldest = Entry();
  oldest->client = key;
  oldest->failed_at.fill(-window_nanos_ - 1);
  return *oldest;
}

bool BurstFilter::Counts(uint64_t client, PoolId pool, bool failed, Instant at) {
  if (client == 0 || failures_ <= 0) return true;  // unknown: nobody to blame
  const int64_t now = at.nanos();
  const bool most = IsMost(client, pool, now);
  if (!failed && now > muted_until_) return true;
  const uint64_t key = (client ^ static_cast<uint64_t>(Index(pool))) | 2;  // never 0
  Entry* entry = Find(key);
  if (entry != nullptr && !most) {
    // The ring's next slot holds the oldest of the last `failures_` failures.
    const int64_t oldest = entry->failed_at[entry->next];
    if (oldest > now - window_nanos_) return false;
  }
  if (!failed) return true;
  if (entry == nullptr) entry = &Claim(key);
  entry->failed_at[entry->next] = now;
  entry->last_failure = now;
  entry->next = static_cast<uint8_t>((entry->next + 1) % failures_);
  if (entry->failed_at[entry->next] > now - window_nanos_) {
    muted_until_ = std::max(muted_until_, entry->failed_at[entry->next] + window_nanos_);
  }
  return true;
}

Observer::Observer(const Plan& plan) { SetPlan(plan); }

void Observer::SetPlan(const Plan& plan) {
  burst_.Configure(plan.client_burst_failures, plan.client_burst_window);
  const int64_t length = absl::ToInt64Nanoseconds(plan.window);
  if (length == length_nanos_ && !windows_.empty()) return;
  length_nanos_ = length;
  windows_.assign(kPoolCount, Window(plan.window));
}

void Observer::Follow(PoolId canary, Epoch first) {
  canary_ = canary;
  first_epoch_ = first;
}

Sample Observer::Classify(const Observation& observation) const {
  Sample sample;
  sample.canary = observation.pool == canary_;
  // A client that left before the answer tells nothing about it: neither an
  // error nor a success. A pool that had answered 5xx by then had failed.
  const bool answered = observation.status != 0;
  sample.error = observation.has_outcome && observation.error && (answered || !observation.client_left);
  sample.outcome = observation.has_outcome && (sample.error || !observation.client_left);
  sample.dead = sample.error && MeansDeadPool(observation.backend_error);
  // Likewise its time, unless it had waited too long already.
  sample.slow = observation.has_latency && observation.slow;
  sample.timed = observation.has_latency && (sample.slow || !observation.client_left);
  return sample;
}

Sample Observer::Take(const Observation& observation) {
  if (observation.forced) return Sample{};
  if (observation.pool == canary_ && observation.epoch < first_epoch_) return Sample{};
  const Instant at = std::max(observation.at, last_at_);
  if (at.nanos() - last_at_.nanos() > length_nanos_) traffic_since_ = at;
  last_at_ = at;

  Window& window = windows_[Index(observation.pool)];
  Advance(at);
  Counts counts;
  // Each request has its time exactly once, at the latest when it ends.
  counts.routed = observation.has_latency && !observation.shadow;
  Sample sample = Classify(observation);
  if (sample.counts() && !burst_.Counts(observation.client, observation.pool, sample.failed(), at)) {
    sample = Sample{.canary = sample.canary};
  }
  counts.outcomes = sample.outcome;
  counts.errors = sample.error;
  counts.dead = sample.dead;
  counts.timed = sample.timed;
  counts.slow = sample.slow;
  window.counts.Add(counts);
  if (sample.timed) {
    window.latency.Record(observation.latency_us);
  }
  return sample;
}

void Observer::Advance(Instant now) {
  for (Window& window : windows_) {
    window.counts.Advance(now);
    window.latency.Advance(now);
  }
}

double Observer::RequestRate() const {
  const double seconds =
      static_cast<double>(std::min(last_at_.nanos() - traffic_since_.nanos(), length_nanos_)) / 1e9;
  if (seconds < 1) return 0;
  int64_t routed = 0;
  for (const Window& window : windows_) routed += window.counts.sum().routed;
  return static_cast<double>(routed) / seconds;
}

}  // namespace serin
