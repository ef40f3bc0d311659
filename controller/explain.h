#pragma once
// Explain: sentences for a person on call. Pure functions of values, and the
// bounded table of causes. The controller's thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "controller/judge.h"
#include "controller/plan.h"
#include "controller/rollout.h"
#include "proxy/split/observation.h"

namespace serin {

std::string FormatShare(double share);        // "5 %", "0.12 %"
std::string FormatWeight(Weight weight);      // "10 %"
std::string FormatSpan(absl::Duration span);  // "340 ms", "2 s", "4m30s"
std::string FormatLatency(double micros);     // "12 ms", "2.4 s"

// The commonest failures of each pool, slow answers among them: status, kind,
// script and first line of stderr. Space-saving (Metwally et al. 2005): 16 causes per pool, of which
// any that makes up more than a sixteenth of the failures is surely there.
// Counts halve each minute, so that an old trouble makes room for a new one.
class Causes {
 public:
  static constexpr size_t kTracked = 16;
  void Clear() { causes_[0].clear(), causes_[1].clear(); }
  void Add(const FailureDetail& detail);
  // "12x 500 /index.php "PHP Fatal error: …"", commonest first, `most` at most,
  // and how many of all were for lack of room.
  std::string Top(PoolId pool, size_t most) const;
  bool empty(PoolId pool) const { return causes_[Index(pool)].empty(); }

 private:
  struct Cause {
    int64_t count = 0;
    uint16_t status = 0;
    BackendError backend_error = BackendError::kNone;
    bool slow = false;
    std::string script;
    std::string message;
    bool Is(const FailureDetail& detail) const;
  };
  std::vector<Cause> causes_[kPoolCount];
  Instant halve_at_;
};

// Which limit was broken, by how much, in which window: one sentence.
std::string ExplainBreach(const Verdict& verdict, const Plan& plan);
std::string ExplainCommonCause(const Verdict& verdict, const Plan& plan);

// Both pools side by side and how near the detectors are: three sentences.
std::string ExplainEvidence(const Evidence& evidence, const Plan& plan);

// The paragraph of `serinctl explain`: what is, since when (InfinitePast: not
// known) and why, the numbers behind it, and what may be done.
std::string Explain(const Rollout& rollout, absl::Time since, const Plan& plan, std::string_view numbers);

}  // namespace serin
