#include "proxy/ctl/replay_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "controller/replay.h"
#include "proxy/config/reader.h"
#include "proxy/ctl/commands.h"
#include "proxy/ctl/documents.h"
#include "proxy/ctl/render.h"

namespace serin {
namespace {

int Complain(std::string_view problem) {
  std::fputs(fmt::format("serinctl: {}\n", problem).c_str(), stderr);
  return kExitFailed;
}

std::string_view Text(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

// Changes `plan` as asked; "" or what is wrong with it.
std::string Change(Plan& plan, const std::vector<ConfigOverride>& changes) {
  for (const ConfigOverride& change : changes) {
    if (change.key.starts_with("rollout.")) continue;
    return fmt::format("{} {}: expected a key of [rollout], such as rollout.max_p95=1s", change.flag,
                       change.key);
  }
  ConfigReader reader("", "");
  reader.config().plan = plan;
  reader.ReadOverrides(changes);
  std::string problems;
  for (const Diagnostic& diagnostic : reader.diagnostics().Take()) problems += diagnostic.ToString();
  if (problems.ends_with('\n')) problems.pop_back();
  plan = reader.config().plan;
  return problems;
}

ReplayDocument ToDocument(const ReplayResult& result) {
  ReplayDocument document;
  document.release = result.release;
  document.text = result.text;
  document.whole = result.whole;
  document.observations = result.observations;
  document.common_causes = result.common_causes;
  if (result.recorded) {
    Verdict recorded;
    recorded.rule = result.recorded->rule;
    // Whether a window of errors was a pool that was gone, only its evidence tells.
    const bool same = result.replayed && result.replayed->number == result.recorded->number;
    document.recorded = Name(same ? result.replayed->reason() : recorded.reason());
    document.recorded_at = result.recorded->number;
  }
  if (result.replayed) {
    document.replayed = Name(result.replayed->reason());
    document.replayed_at = result.replayed->number;
    document.replayed_after_seconds = absl::ToDoubleSeconds(result.replayed_after);
  }
  return document;
}

}  // namespace

int ReplayFile(const std::string& file, const std::vector<ConfigOverride>& changes, bool json) {
  std::ifstream in(file, std::ios::binary);
  const std::string recording((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad() || !in) return Complain(fmt::format("{} cannot be read", file));
  absl::StatusOr<Plan> plan = RecordedPlan(recording);
  if (!plan.ok()) return Complain(fmt::format("{}: {}", file, Text(plan.status())));
  if (const std::string problem = Change(*plan, changes); !problem.empty()) return Complain(problem);
  const absl::StatusOr<ReplayResult> result = Replay(recording, *plan);
  if (!result.ok()) return Complain(fmt::format("{}: {}", file, Text(result.status())));
  const std::string text =
      json ? ReplayBody(ToDocument(*result))
           : Wrap(result->text, std::min<size_t>(Terminal::OfStandardOutput().width, 100)) + "\n";
  std::fputs(text.c_str(), stdout);
  return kExitOk;
}

}  // namespace serin
