#pragma once
// The thread that owns the Controller: drains what the workers saw, ticks,
// beats, and executes commands in between. Created on the main thread;
// Execute, report and History may be called from any other thread.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "controller/controller.h"
#include "proxy/base/unique_fd.h"
#include "proxy/split/split_state.h"
#include "proxy/worker.h"

namespace serin {

class ControllerThread {
 public:
  // All must outlive it.
  ControllerThread(Controller& controller, SplitCell& cell, std::vector<WorkerChannel*> channels);
  ~ControllerThread();

  // Restores from the journal, on the calling thread, so that the split is
  // right before the first request; then starts the thread.
  void Start();
  // Stops and joins. The split stays as it is.
  void Stop();

  // Looks at the observations now instead of at the next tick. One write per
  // burst of failures. Workers call it.
  void Wake();

  // Wait for the controller: milliseconds, or what the journal's disk takes.
  absl::Status Execute(const Command& command);
  void SetPlan(const Plan& plan);
  std::vector<HistoryEntry> History();

  // As of the last tick.
  std::shared_ptr<const Report> report() const;

 private:
  using Task = std::function<void(Controller&, Now)>;
  void Run();
  void RunTurn();
  void RunTasks(Now now);
  void Publish();
  absl::Duration TickPeriod() const;
  // Runs `task` on the controller's thread and waits for it.
  void Call(Task task);

  Controller& controller_;
  SplitCell& cell_;
  std::vector<WorkerChannel*> channels_;
  UniqueFd wake_fd_;
  std::atomic<bool> wake_pending_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_;
  mutable std::mutex mutex_;
  std::vector<Task> tasks_;               // guarded by mutex_
  std::shared_ptr<const Report> report_;  // guarded by mutex_
};

}  // namespace serin
