#include "controller/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace serin {
namespace {

std::string Decimals(double value, int decimals) {
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

const char* Plural(int64_t count) { return count == 1 ? "" : "s"; }

// For people; Name is for metrics.
std::string_view Words(BackendError error) {
  switch (error) {
    case BackendError::kNone:
      break;
    case BackendError::kRefused:
      return "connection refused";
    case BackendError::kSaturated:
      return "no connection was free";
    case BackendError::kConnectTimeout:
      return "no connection in time";
    case BackendError::kSendTimeout:
      return "took no more of the request";
    case BackendError::kReset:
      return "closed before the answer";
    case BackendError::kTruncated:
      return "answer cut short";
    case BackendError::kReadTimeout:
      return "no answer in time";
    case BackendError::kProtocol:
      return "malformed answer";
    case BackendError::kOverloaded:
      return "overloaded";
  }
  return "";
}

std::string PoolSentence(const Evidence& evidence, PoolId pool, std::string_view role) {
  const Counts& counts = evidence.window[Index(pool)];
  if (counts.outcomes == 0 && counts.timed == 0)
    return fmt::format("{} ({}) had no counted request", role, Name(pool));
  return fmt::format("{} ({}) had {} of {} fail ({}) and {} of {} slow ({}), p95 {}", role, Name(pool),
                     counts.errors, counts.outcomes, FormatShare(counts.error_ratio()), counts.slow,
                     counts.timed, FormatShare(counts.slow_ratio()),
                     FormatLatency(evidence.p95_us[Index(pool)]));
}

std::string Deciding(const Verdict& verdict) {
  const Observation& deciding = verdict.deciding;
  std::string what = deciding.has_outcome ? "" : "still unanswered, ";
  if (deciding.backend_error != BackendError::kNone) {
    what += fmt::format("{}, ", Words(deciding.backend_error));
  } else if (deciding.status != 0) {
    what += fmt::format("status {}, ", deciding.status);
  }
  return fmt::format("observation {} decided it ({}{} from {})", verdict.number, what,
                     deciding.has_latency ? FormatLatency(deciding.latency_us) : "no time",
                     Name(deciding.pool));
}

std::string SequentialSentence(const Verdict& verdict, std::string_view what, double limit) {
  return fmt::format(
      "the sequential rule is sure that more than {} of the canary's requests {}: the detector for {} "
      "stands at {:.1f} of {:.1f}",
      FormatShare(limit), what, FormatShare(verdict.theta), verdict.level, verdict.threshold);
}

}  // namespace

std::string FormatShare(double share) {
  const double percent = share * 100;
  return Decimals(percent, percent >= 10 ? 1 : 2) + " %";
}

std::string FormatWeight(Weight weight) { return FormatShare(weight.ratio()); }

std::string FormatSpan(absl::Duration span) {
  if (span < absl::Seconds(1)) return fmt::format("{} ms", absl::ToInt64Milliseconds(span));
  if (span < absl::Minutes(1)) return Decimals(absl::ToDoubleSeconds(span), 1) + " s";
  return absl::FormatDuration(absl::Trunc(span, absl::Seconds(1)));
}

std::string FormatLatency(double micros) {
  if (micros < 1000) return fmt::format("{:.0f} us", micros);
  if (micros < 1e6) return Decimals(micros / 1e3, micros < 1e4 ? 1 : 0) + " ms";
  return Decimals(micros / 1e6, 2) + " s";
}

bool Causes::Cause::Is(const FailureDetail& detail) const {
  return status == detail.status && backend_error == detail.backend_error && script == detail.script() &&
         message == detail.message();
}

void Causes::Add(const FailureDetail& detail) {
  if (detail.at >= halve_at_) {
    halve_at_ = detail.at + absl::Minutes(1);
    for (std::vector<Cause>& causes : causes_) {
      for (Cause& cause : causes) cause.count /= 2;
      std::erase_if(causes, [](const Cause& cause) { return cause.count == 0; });
    }
  }
  std::vector<Cause>& causes = causes_[Index(detail.pool)];
  for (Cause& cause : causes) {
    if (!cause.Is(detail)) continue;
    ++cause.count;
    return;
  }
  Cause fresh;
  if (causes.size() == kTracked) {
    const auto least = std::min_element(causes.begin(), causes.end(),
                                        [](const Cause& a, const Cause& b) { return a.count < b.count; });
    fresh.count = least->count;
    causes.erase(least);
  }
  ++fresh.count;
  fresh.status = detail.status;
  fresh.backend_error = detail.backend_error;
  fresh.script = std::string(detail.script());
  fresh.message = std::string(detail.message());
  causes.push_back(std::move(fresh));
}

std::string Causes::Top(PoolId pool, size_t most) const {
  std::vector<const Cause*> sorted;
  for (const Cause& cause : causes_[Index(pool)]) sorted.push_back(&cause);
  std::sort(sorted.begin(), sorted.end(), [](const Cause* a, const Cause* b) { return a->count > b->count; });
  std::string text;
  for (size_t i = 0; i < sorted.size() && i < most; ++i) {
    const Cause& cause = *sorted[i];
    text += fmt::format("{}{}x", i == 0 ? "" : "; ", cause.count);
    if (cause.status != 0) text += fmt::format(" status {}", cause.status);
    if (cause.backend_error != BackendError::kNone) text += fmt::format(" {}", Words(cause.backend_error));
    if (!cause.script.empty()) text += " " + cause.script;
    if (!cause.message.empty()) text += " \"" + cause.message + "\"";
  }
  int64_t all = 0, no_room = 0;
  for (const Cause* cause : sorted) {
    all += cause->count;
    if (MeansNoRoom(cause->backend_error)) no_room += cause->count;
  }
  if (no_room > 0) text += fmt::format("; {} of {} for lack of room, not for a bad answer", no_room, all);
  return text;
}

std::string ExplainBreach(const Verdict& verdict, const Plan& plan) {
  const Counts& canary = verdict.evidence.window[Index(verdict.evidence.canary)];
  const std::string slow_what = "take longer than " + FormatSpan(plan.max_p95);
  std::string text;
  switch (verdict.rule) {
    case Rule::kNone:
      return "";
    case Rule::kWindowErrors:
      text = fmt::format("{} of {} canary requests of the last {} failed ({}, limit {})", canary.errors,
                         canary.outcomes, FormatSpan(plan.window), FormatShare(canary.error_ratio()),
                         FormatShare(plan.max_error_ratio));
      break;
    case Rule::kWindowSlow:
      text = fmt::format("p95 is over {}: {} of {} canary requests of the last {} took longer ({}, limit {})",
                         FormatSpan(plan.max_p95), canary.slow, canary.timed, FormatSpan(plan.window),
                         FormatShare(canary.slow_ratio()), FormatShare(plan.max_slow_ratio));
      break;
    case Rule::kSequentialErrors:
      text = fmt::format("{} of {} canary requests failed and {}", canary.errors, canary.outcomes,
                         SequentialSentence(verdict, "fail", plan.max_error_ratio));
      break;
    case Rule::kSequentialSlow:
      text =
          fmt::format("{} of {} canary requests took longer than {} and {}", canary.slow, canary.timed,
                      FormatSpan(plan.max_p95), SequentialSentence(verdict, slow_what, plan.max_slow_ratio));
      break;
    case Rule::kDeadPool:
      text = fmt::format("pool {} {} for {} of {} canary requests, for at least {}",
                         Name(verdict.evidence.canary),
                         verdict.deciding.backend_error == BackendError::kSaturated ? "had no connection free"
                                                                                    : "was not there",
                         canary.dead, canary.outcomes, FormatSpan(plan.dead_pool_span));
      break;
  }
  return text + "; " + Deciding(verdict);
}

std::string ExplainCommonCause(const Verdict& verdict, const Plan& plan) {
  return fmt::format("both pools fail alike, so reverting would cure nothing: {}; {}",
                     PoolSentence(verdict.evidence, Other(verdict.evidence.canary), "stable"),
                     ExplainBreach(verdict, plan));
}

std::string ExplainEvidence(const Evidence& evidence, const Plan& plan) {
  const Counts& step = evidence.step;
  std::string text = fmt::format(
      "In the last {} {}; {}. Limits: {} failed, p95 {} (that is {} slower). Detectors: errors {:.0f} %, "
      "slowness "
      "{:.0f} %, pool gone {:.0f} % of what reverts.",
      FormatSpan(plan.window), PoolSentence(evidence, evidence.canary, "canary"),
      PoolSentence(evidence, Other(evidence.canary), "stable"), FormatShare(plan.max_error_ratio),
      FormatSpan(plan.max_p95), FormatShare(plan.max_slow_ratio), evidence.error_level * 100,
      evidence.slow_level * 100, evidence.dead_level * 100);
  if (step.outcomes > 0) {
    text += fmt::format(" In this step: {} canary request{} counted, {} failed, {} slow.", step.outcomes,
                        Plural(step.outcomes), step.errors, step.slow);
  }
  return text;
}

std::string Explain(const Rollout& rollout, const Plan& plan, const Evidence& now, const Verdict* verdict,
                    std::string_view causes) {
  std::string head = rollout.release.empty() ? "The rollout" : "Release " + rollout.release;
  head += fmt::format(" is {}", Name(rollout.state));
  if (rollout.active()) head += fmt::format(" at {}", FormatWeight(rollout.split.canary_weight));
  if (rollout.step > 0)
    head += fmt::format(" (step {} of {})", rollout.step, std::max<size_t>(plan.steps.size(), 1));
  if (rollout.state == RolloutState::kStable) {
    head = fmt::format("All traffic is on {}", Name(rollout.split.stable_pool()));
  }
  std::string text = head;
  if (!rollout.reason.empty()) text += ": " + rollout.reason;
  text += ". ";
  if (verdict != nullptr) {
    text += "At that moment: ";
    text += ExplainEvidence(verdict->evidence, plan);
  } else {
    text += ExplainEvidence(now, plan);
  }
  if (!causes.empty()) text += fmt::format(" Commonest failures on the canary: {}.", causes);
  return text;
}

}  // namespace serin
