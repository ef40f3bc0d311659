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
  const std::string failed = counts.outcomes == 0
                                 ? "no answer yet"
                                 : fmt::format("{} of {} fail ({})", counts.errors, counts.outcomes,
                                               FormatShare(counts.error_ratio()));
  return fmt::format("{} ({}) had {}, {} of {} slow ({}), p95 {}", role, Name(pool), failed, counts.slow,
                     counts.timed, FormatShare(counts.slow_ratio()),
                     FormatLatency(evidence.p95_us[Index(pool)]));
}

std::string Deciding(const Verdict& verdict) {
  const Observation& deciding = verdict.deciding;
  std::string what = deciding.has_outcome ? "" : "still unanswered";
  const auto add = [&what](std::string_view more) { (what += what.empty() ? "" : ", ").append(more); };
  if (deciding.status != 0) add(fmt::format("status {}", deciding.status));
  if (deciding.backend_error != BackendError::kNone) {
    add(Words(deciding.backend_error));
  } else if (deciding.error && deciding.status < 500) {
    what += " with a fatal error";
  }
  if (deciding.has_latency) add("after " + FormatLatency(deciding.latency_us));
  return fmt::format("observation {} decided it ({})", verdict.number, what);
}

std::string_view Gone(const Verdict& verdict) {
  return verdict.deciding.backend_error == BackendError::kSaturated ? "had no connection free"
                                                                    : "was not there";
}

// `share` of the canary's requests in the window, of what the rule is about.
std::string SequentialSentence(const Verdict& verdict, double share, double limit) {
  const std::string rule = fmt::format("(sequential rule: evidence {:.1f} of {:.1f} for a rate of {})",
                                       verdict.level, verdict.threshold, FormatShare(verdict.theta));
  if (share > limit) {
    return fmt::format("({}), surely more than the limit of {} {}", FormatShare(share), FormatShare(limit),
                       rule);
  }
  // A late fault, in a window full of good answers.
  return fmt::format(
      "({}), the latest so close together that the rate is surely above the limit of {} now {}",
      FormatShare(share), FormatShare(limit), rule);
}

// What the person who reads this may do.
std::string WhatNow(const Rollout& rollout) {
  switch (rollout.state) {
    case RolloutState::kReverted:
      return fmt::format(" All traffic is on {}; \"serinctl retry\" tries the release again.",
                         Name(rollout.split.stable_pool()));
    case RolloutState::kHolding:
      return " It goes on by itself when that is there; \"serinctl promote\" does not wait for it.";
    case RolloutState::kPaused:
      if (rollout.warned) {
        return " Nobody was moved: \"serinctl resume\" goes on when both pools are well, "
               "\"serinctl abort\" sends everybody to stable.";
      }
      if (rollout.step == 0) return " \"serinctl abort\" sends everybody to stable.";
      return " \"serinctl resume\" goes on with the plan.";
    default:
      return "";
  }
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
  return status == detail.status && backend_error == detail.backend_error && slow == detail.slow &&
         script == detail.script() && message == detail.message();
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
  fresh.slow = detail.slow;
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
    if (cause.slow) text += " slow";
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
  const std::string window = FormatSpan(plan.window);
  const std::string limit = FormatSpan(plan.max_p95);
  const std::string_view pool = Name(verdict.evidence.canary);
  std::string text;
  switch (verdict.rule) {
    case Rule::kNone:
      return "";
    case Rule::kWindowErrors:
      text = fmt::format("{} of {} canary requests in the last {} failed ({}, limit {})", canary.errors,
                         canary.outcomes, window, FormatShare(canary.error_ratio()),
                         FormatShare(plan.max_error_ratio));
      if (canary.dead > 0) {
        const std::string how_many = canary.dead == canary.errors ? "all" : fmt::format("{}", canary.dead);
        text += fmt::format(", {} of them because pool {} {}", how_many, pool, Gone(verdict));
      }
      break;
    case Rule::kWindowSlow:
      text = fmt::format("p95 is over {}: {} of {} canary requests in the last {} took longer ({}, limit {})",
                         limit, canary.slow, canary.timed, window, FormatShare(canary.slow_ratio()),
                         FormatShare(plan.max_slow_ratio));
      break;
    case Rule::kSequentialErrors:
      text = fmt::format("{} of {} canary requests failed {}", canary.errors, canary.outcomes,
                         SequentialSentence(verdict, canary.error_ratio(), plan.max_error_ratio));
      break;
    case Rule::kSequentialSlow:
      text = fmt::format("{} of {} canary requests took longer than {} {}", canary.slow, canary.timed, limit,
                         SequentialSentence(verdict, canary.slow_ratio(), plan.max_slow_ratio));
      break;
    case Rule::kDeadPool:
      text = fmt::format("pool {} {} for {} of {} canary requests, for at least {}", pool, Gone(verdict),
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
      "In the last {} {}; {}. Limits: {} failed, p95 {} (at most {} slower). Evidence of the "
      "sequential rule: errors {:.0f} %, slowness {:.0f} %, pool gone {:.0f} % of what reverts.",
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

std::string Explain(const Rollout& rollout, absl::Time since, const Plan& plan, std::string_view numbers) {
  std::string text = rollout.release.empty() ? "The rollout" : "Release " + rollout.release;
  text += fmt::format(" is {}", Name(rollout.state));
  if (rollout.active()) text += fmt::format(" at {}", FormatWeight(rollout.split.canary_weight));
  if (rollout.split.shadow) {
    text += " (shadow, before step 1)";
  } else if (rollout.step > 0)
    text += fmt::format(" (step {} of {})", rollout.step, std::max<size_t>(plan.steps.size(), 1));
  if (rollout.state == RolloutState::kStable) {
    text = fmt::format("All traffic is on {}", Name(rollout.split.stable_pool()));
  }
  if (since > absl::InfinitePast()) {
    text += absl::FormatTime(", since %Y-%m-%d %H:%M:%S UTC", since, absl::UTCTimeZone());
  }
  if (!rollout.reason.empty()) text += ": " + rollout.reason;
  text += ". ";
  text += numbers;
  return text + WhatNow(rollout);
}

}  // namespace serin
