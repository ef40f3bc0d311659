#pragma once
// An AdminBackend that remembers what it was asked. Tests only.

#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/admin_api.h"

namespace serin {

class FakeBackend final : public AdminBackend {
 public:
  std::shared_ptr<const Report> GetReport() override { return std::make_shared<Report>(report); }
  std::vector<HistoryEntry> GetHistory() override { return history; }
  absl::Status Execute(const Command& command) override {
    commands.push_back(command);
    return result;
  }
  absl::Status Reload() override {
    calls.push_back("reload");
    return result;
  }
  ProcessInfo GetProcessInfo() override {
    return {"1.2.3", absl::FromUnixMillis(1767225599042), 2, {{}, {PoolState::kDraining, 3}}};
  }

  Report report;
  std::vector<HistoryEntry> history;
  absl::Status result;
  std::vector<Command> commands;
  std::vector<std::string> calls;
};

// A rollout in its second step.
inline Report SteppingReport() {
  Report report;
  report.state = RolloutState::kStepping;
  report.release = "v42";
  report.step = 2;
  report.steps = 5;
  report.hold_remaining = absl::Milliseconds(90500);
  report.target_weight = Weight::Percent(25);
  report.observed_ratio = 0.249;
  report.split.canary_weight = report.target_weight;
  report.split.canary_pool = PoolId::kGreen;
  report.split.epoch = Epoch(7);
  report.split.engaged = true;
  report.pools[0] = {Role::kStable, 750, 3, 1, 0.004, 0.12};
  report.pools[1] = {Role::kCanary, 250, 2, 0, 0.008, 0.11};
  report.reason = "holding at 25% until 12:00";
  report.explanation = "A paragraph.";
  report.error_evidence = 1.0 / 3;
  return report;
}

}  // namespace serin
