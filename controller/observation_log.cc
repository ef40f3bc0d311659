#include "controller/observation_log.h"

#include <cmath>
#include <cstring>

#include "proxy/base/hash.h"

namespace serin {
namespace {

constexpr std::string_view kMagic = "serin observations 1\n";
constexpr size_t kFrameHead = 8;
constexpr size_t kMaxFrame = 16 << 20;

// First byte of an event; an observation has the top bit set.
constexpr uint8_t kPlanEvent = 1;
constexpr uint8_t kRolloutEvent = 2;
constexpr uint8_t kRestartEvent = 3;
constexpr uint8_t kDecisionEvent = 4;
constexpr uint8_t kObservationBit = 0x80;
constexpr uint8_t kDetailBit = 0x40;  // anything but a plain 200

// Eight bytes at a time: the recording's frames are large, and a bitwise CRC
// would cost more than the judge does.
uint32_t Checksum(std::string_view bytes) {
  uint64_t hash = Mix64(bytes.size() + 1);
  while (bytes.size() >= 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    hash = Mix64(hash ^ word);
    bytes.remove_prefix(8);
  }
  for (char c : bytes) hash = Mix64(hash ^ static_cast<unsigned char>(c));
  return static_cast<uint32_t>(hash >> 32);
}

class Packer {
 public:
  explicit Packer(std::string& out) : out_(out) {}
  void Byte(uint8_t byte) { out_ += static_cast<char>(byte); }
  void Unsigned(uint64_t value) {
    for (; value >= 0x80; value >>= 7) Byte(static_cast<uint8_t>(value | 0x80));
    Byte(static_cast<uint8_t>(value));
  }
  void Signed(int64_t value) {
    Unsigned(static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63));
  }
  void Word(uint64_t word) { out_.append(reinterpret_cast<const char*>(&word), sizeof word); }
  void Real(double value) {
    uint64_t word = 0;
    std::memcpy(&word, &value, sizeof word);
    Word(word);
  }
  void Span(absl::Duration span) { Signed(absl::ToInt64Nanoseconds(span)); }
  void Reals(const std::vector<double>& values) {
    Unsigned(values.size());
    for (double value : values) Real(value);
  }
  void Text(std::string_view text) {
    Unsigned(text.size());
    out_.append(text);
  }

 private:
  std::string& out_;
};

class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : bytes_(bytes) {}
  bool done() const { return bytes_.empty() || failed_; }
  bool failed() const { return failed_; }
  void Fail() { failed_ = true; }

  uint8_t Byte() {
    if (bytes_.empty()) return Failed();
    const auto byte = static_cast<uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte;
  }
  uint64_t Unsigned() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = Byte();
      value |= uint64_t{byte & 0x7Fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return Failed();
  }
  int64_t Signed() {
    const uint64_t value = Unsigned();
    return static_cast<int64_t>(value >> 1 ^ (0 - (value & 1)));
  }
  uint64_t Word() {
    if (bytes_.size() < 8) return Failed();
    uint64_t word = 0;
    std::memcpy(&word, bytes_.data(), 8);
    bytes_.remove_prefix(8);
    return word;
  }
  double Real() {
    const uint64_t word = Word();
    double value = 0;
    std::memcpy(&value, &word, sizeof value);
    if (!std::isfinite(value)) Fail();
    return failed_ ? 0 : value;
  }
  absl::Duration Span() { return absl::Nanoseconds(Signed()); }
  std::vector<double> Reals() {
    std::vector<double> values;
    for (uint64_t n = Count(64); n > 0 && !failed_; --n) values.push_back(Real());
    return values;
  }
  std::string Text() {
    const uint64_t size = Count(4096);
    if (size > bytes_.size()) Fail();
    if (failed_) return "";
    std::string text(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return text;
  }
  uint64_t Count(uint64_t most) {
    const uint64_t count = Unsigned();
    if (count > most) Fail();
    return failed_ ? 0 : count;
  }

 private:
  uint8_t Failed() {
    failed_ = true;
    return 0;
  }
  std::string_view bytes_;
  bool failed_ = false;
};

Plan UnpackPlan(Unpacker& in) {
  Plan plan;
  plan.steps.clear();
  for (uint64_t n = in.Count(1000); n > 0 && !in.failed(); --n) {
    plan.steps.push_back(Weight::BasisPoints(static_cast<uint32_t>(in.Count(Weight::kFull))));
  }
  plan.hold = in.Span();
  plan.max_error_ratio = in.Real();
  plan.max_p95 = in.Span();
  plan.max_slow_ratio = in.Real();
  plan.window = in.Span();
  plan.min_requests = in.Signed();
  plan.min_step_requests = in.Signed();
  plan.client_burst_failures = static_cast<int>(in.Count(1000000));
  plan.client_burst_window = in.Span();
  plan.dead_pool_span = in.Span();
  plan.common_cause_rho = in.Real();
  plan.on_common_cause = in.Byte() == 0 ? OnCommonCause::kPause : OnCommonCause::kRevert;
  plan.sequential.enabled = in.Byte() != 0;
  plan.sequential.alpha = in.Real();
  plan.sequential.theta = in.Reals();
  plan.sequential.correction = in.Reals();
  // What a damaged file could make the judge divide by or loop over.
  if (plan.window <= absl::ZeroDuration() || plan.sequential.alpha <= 0 || plan.common_cause_rho <= 0)
    in.Fail();
  return plan;
}

Rollout UnpackRollout(Unpacker& in) {
  Rollout rollout;
  rollout.state = static_cast<RolloutState>(in.Count(kRolloutStateCount - 1));
  rollout.split = SplitState::Unpack(in.Word());
  rollout.first_epoch = Epoch(static_cast<uint32_t>(in.Count(0xFFFFFFFF)));
  rollout.step_epoch = Epoch(static_cast<uint32_t>(in.Count(0xFFFFFFFF)));
  rollout.step = static_cast<int>(in.Count(1000));
  rollout.release = in.Text();
  return rollout;
}

JudgeMemory UnpackMemory(Unpacker& in) {
  JudgeMemory memory;
  memory.error_levels = in.Reals();
  memory.slow_levels = in.Reals();
  memory.expected_requests = in.Real();
  memory.counted = in.Signed();
  return memory;
}

RecordedDecision UnpackDecision(Unpacker& in) {
  RecordedDecision decision;
  decision.rule = static_cast<Rule>(in.Count(static_cast<uint64_t>(Rule::kDeadPool)));
  decision.common_cause = in.Byte() != 0;
  decision.number = in.Unsigned();
  decision.weight = Weight::BasisPoints(static_cast<uint32_t>(in.Count(Weight::kFull)));
  return decision;
}

Observation UnpackObservation(uint8_t head, int64_t& last_at, Unpacker& in) {
  Observation observation;
  observation.pool = static_cast<PoolId>(head & 1);
  observation.role = static_cast<Role>(head >> 1 & 1);
  observation.has_outcome = (head & 4) != 0;
  observation.has_latency = (head & 8) != 0;
  observation.error = (head & 16) != 0;
  observation.slow = (head & 32) != 0;
  last_at = static_cast<int64_t>(static_cast<uint64_t>(last_at) + static_cast<uint64_t>(in.Signed()));
  // A steady clock's range, so that differences of two cannot overflow.
  if (last_at < 0 || last_at > int64_t{1} << 61) in.Fail();
  observation.at = Instant::FromNanos(last_at);
  observation.client = in.Word();
  observation.epoch = Epoch(static_cast<uint32_t>(in.Count(0xFFFFFFFF)));
  observation.latency_us = static_cast<uint32_t>(in.Count(0xFFFFFFFF));
  observation.status = 200;
  if ((head & kDetailBit) != 0) {
    const uint8_t flags = in.Byte();
    observation.forced = (flags & 1) != 0;
    observation.client_left = (flags & 2) != 0;
    observation.shadow = (flags & 4) != 0;
    observation.backend_error = static_cast<BackendError>(in.Count(kBackendErrorCount - 1));
    observation.status = static_cast<uint16_t>(in.Count(0xFFFF));
  }
  return observation;
}

bool ReadFrame(std::string_view frame, const ObservationEvents& events) {
  Unpacker in(frame);
  int64_t last_at = 0;
  while (!in.done()) {
    const uint8_t head = in.Byte();
    if ((head & kObservationBit) != 0) {
      const Observation observation = UnpackObservation(head, last_at, in);
      if (!in.failed() && events.observation) events.observation(observation);
    } else if (head == kPlanEvent) {
      const Plan plan = UnpackPlan(in);
      if (!in.failed() && events.plan) events.plan(plan);
    } else if (head == kRolloutEvent) {
      const Rollout rollout = UnpackRollout(in);
      if (!in.failed() && events.rollout) events.rollout(rollout);
    } else if (head == kRestartEvent) {
      const JudgeMemory memory = UnpackMemory(in);
      if (!in.failed() && events.restart) events.restart(memory);
    } else if (head == kDecisionEvent) {
      const RecordedDecision decision = UnpackDecision(in);
      if (!in.failed() && events.decision) events.decision(decision);
    } else {
      return false;
    }
  }
  return !in.failed();
}

}  // namespace

void ObservationLog::AddPlan(const Plan& plan) {
  Packer out(events_);
  out.Byte(kPlanEvent);
  out.Unsigned(plan.steps.size());
  for (Weight step : plan.steps) out.Unsigned(step.basis_points());
  out.Span(plan.hold);
  out.Real(plan.max_error_ratio);
  out.Span(plan.max_p95);
  out.Real(plan.max_slow_ratio);
  out.Span(plan.window);
  out.Signed(plan.min_requests);
  out.Signed(plan.min_step_requests);
  out.Unsigned(static_cast<uint64_t>(std::max(0, plan.client_burst_failures)));
  out.Span(plan.client_burst_window);
  out.Span(plan.dead_pool_span);
  out.Real(plan.common_cause_rho);
  out.Byte(plan.on_common_cause == OnCommonCause::kPause ? 0 : 1);
  out.Byte(plan.sequential.enabled ? 1 : 0);
  out.Real(plan.sequential.alpha);
  out.Reals(plan.sequential.theta);
  out.Reals(plan.sequential.correction);
}

void ObservationLog::AddRollout(const Rollout& rollout) {
  Packer out(events_);
  out.Byte(kRolloutEvent);
  out.Unsigned(static_cast<uint64_t>(rollout.state));
  out.Word(rollout.split.Pack());
  out.Unsigned(rollout.first_epoch.value());
  out.Unsigned(rollout.step_epoch.value());
  out.Unsigned(static_cast<uint64_t>(rollout.step));
  out.Text(rollout.release);
}

void ObservationLog::AddRestart(const JudgeMemory& memory) {
  Packer out(events_);
  out.Byte(kRestartEvent);
  out.Reals(memory.error_levels);
  out.Reals(memory.slow_levels);
  out.Real(memory.expected_requests);
  out.Signed(memory.counted);
}

void ObservationLog::AddDecision(const RecordedDecision& decision) {
  Packer out(events_);
  out.Byte(kDecisionEvent);
  out.Unsigned(static_cast<uint64_t>(decision.rule));
  out.Byte(decision.common_cause ? 1 : 0);
  out.Unsigned(decision.number);
  out.Unsigned(decision.weight.basis_points());
}

void ObservationLog::Add(const Observation& observation) {
  const bool detail = observation.status != 200 || observation.backend_error != BackendError::kNone ||
                      observation.forced || observation.client_left || observation.shadow;
  uint8_t head = kObservationBit | static_cast<uint8_t>(observation.pool);
  head |= static_cast<uint8_t>(static_cast<uint8_t>(observation.role) << 1);
  if (observation.has_outcome) head |= 4;
  if (observation.has_latency) head |= 8;
  if (observation.error) head |= 16;
  if (observation.slow) head |= 32;
  if (detail) head |= kDetailBit;
  // Packed aside and appended once: this runs for every response.
  char packed[64];
  char* end = packed;
  const auto put = [&end](uint64_t value) {
    for (; value >= 0x80; value >>= 7) *end++ = static_cast<char>(value | 0x80);
    *end++ = static_cast<char>(value);
  };
  *end++ = static_cast<char>(head);
  const int64_t passed = observation.at.nanos() - last_at_;
  last_at_ = observation.at.nanos();
  put(static_cast<uint64_t>(passed) << 1 ^ static_cast<uint64_t>(passed >> 63));
  std::memcpy(end, &observation.client, sizeof observation.client);
  end += sizeof observation.client;
  put(observation.epoch.value());
  put(observation.latency_us);
  if (detail) {
    *end++ = static_cast<char>((observation.forced ? 1 : 0) | (observation.client_left ? 2 : 0) |
                               (observation.shadow ? 4 : 0));
    put(static_cast<uint64_t>(observation.backend_error));
    put(observation.status);
  }
  events_.append(packed, static_cast<size_t>(end - packed));
}

static void AppendFrame(std::string_view events, std::string& bytes) {
  const auto length = static_cast<uint32_t>(events.size());
  const uint32_t checksum = Checksum(events);
  bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
  bytes.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
  bytes.append(events);
}

std::string ObservationLog::TakeFrame(bool first) {
  std::string bytes(first ? kMagic : "");
  if (events_.empty()) return bytes;
  AppendFrame(events_, bytes);
  events_.clear();
  last_at_ = 0;
  return bytes;
}

std::string FrameObservations(std::string_view events) {
  std::string bytes(kMagic);
  AppendFrame(events, bytes);
  return bytes;
}

bool ReadObservationLog(std::string_view bytes, const ObservationEvents& events) {
  if (!bytes.starts_with(kMagic)) return false;
  bytes.remove_prefix(kMagic.size());
  while (!bytes.empty()) {
    if (bytes.size() < kFrameHead) return false;
    uint32_t length = 0;
    uint32_t checksum = 0;
    std::memcpy(&length, bytes.data(), 4);
    std::memcpy(&checksum, bytes.data() + 4, 4);
    bytes.remove_prefix(kFrameHead);
    if (length > bytes.size() || length > kMaxFrame) return false;
    const std::string_view frame = bytes.substr(0, length);
    if (Checksum(frame) != checksum || !ReadFrame(frame, events)) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

}  // namespace serin
