#include "proxy/controller_thread.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <future>

namespace serin {
namespace {

// What no Wake announces is the good answer that fills the window above the
// limit. While one may, it is seen this soon: from the answer that decides to
// the first request that is spared is to be less than 10 ms, a thread's waking
// up on a busy machine included.
constexpr absl::Duration kBusyTick = absl::Milliseconds(4);
// Otherwise a step can wait that is due, and only the figures have to be fresh.
constexpr absl::Duration kIdleTick = absl::Milliseconds(100);

Now ReadClocks() { return {Instant::Now(), absl::Now()}; }

}  // namespace

ControllerThread::ControllerThread(Controller& controller, SplitCell& cell,
                                   std::vector<WorkerChannel*> channels)
    : controller_(controller),
      cell_(cell),
      channels_(std::move(channels)),
      wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

ControllerThread::~ControllerThread() { Stop(); }

void ControllerThread::Start() {
  const Now now = ReadClocks();
  controller_.Restore(now);
  cell_.Beat(now.steady);
  Publish();
  thread_ = std::thread([this] { Run(); });
}

void ControllerThread::Stop() {
  if (!thread_.joinable()) return;
  stop_.store(true, std::memory_order_relaxed);
  wake_pending_.store(false, std::memory_order_relaxed);
  Wake();
  thread_.join();
}

void ControllerThread::Wake() {
  // Relaxed would lose nothing but time; acq_rel pairs with the reset in Run,
  // so that whoever finds it set knows that the turn to come sees its ring.
  if (wake_pending_.exchange(true, std::memory_order_acq_rel)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_fd_.get(), &one, sizeof one);
}

void ControllerThread::Run() {
  while (!stop_.load(std::memory_order_relaxed)) {
    pollfd wait{wake_fd_.get(), POLLIN, 0};
    ::poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(TickPeriod())));
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_fd_.get(), &count, sizeof count);
    wake_pending_.exchange(false, std::memory_order_acq_rel);
    RunTurn();
  }
  controller_.FlushRecording();
}

absl::Duration ControllerThread::TickPeriod() const {
  return controller_.near_limit() ? kBusyTick : kIdleTick;
}

void ControllerThread::RunTurn() {
  for (WorkerChannel* channel : channels_) {
    channel->failures.Drain([this](const FailureDetail& detail) { controller_.Observe(detail); });
    channel->observations.Drain([this](const Observation& seen) { controller_.Observe(seen); });
  }
  const Now now = ReadClocks();
  controller_.Tick(now);
  cell_.Beat(now.steady);
  RunTasks(now);
  Publish();
}

void ControllerThread::RunTasks(Now now) {
  std::vector<Task> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) task(controller_, now);
}

void ControllerThread::Publish() {
  std::shared_ptr<const Report> report = controller_.report();
  std::lock_guard lock(mutex_);
  report_ = std::move(report);
}

void ControllerThread::Call(Task task) {
  if (!thread_.joinable()) return;
  std::promise<void> done;
  std::future<void> finished = done.get_future();
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back([&](Controller& controller, Now now) {
      task(controller, now);
      // What the caller reads next is what it has just done.
      std::shared_ptr<const Report> report = controller.report();
      {
        std::lock_guard inner(mutex_);
        report_ = std::move(report);
      }
      done.set_value();
    });
  }
  wake_pending_.store(false, std::memory_order_release);
  Wake();
  finished.wait();
}

absl::Status ControllerThread::Execute(const Command& command) {
  absl::Status status = absl::UnavailableError("the controller has stopped");
  Call([&](Controller& controller, Now now) { status = controller.Execute(command, now); });
  return status;
}

void ControllerThread::SetPlan(const Plan& plan) {
  Call([&](Controller& controller, Now now) { controller.SetPlan(plan, now); });
}

std::vector<HistoryEntry> ControllerThread::History() {
  std::vector<HistoryEntry> history;
  Call([&](Controller& controller, Now) { history = controller.History(); });
  return history;
}

std::shared_ptr<const Report> ControllerThread::report() const {
  std::lock_guard lock(mutex_);
  return report_;
}

}  // namespace serin
