#pragma once
// A rollout as a loop: a clock that only moves when told to, traffic with
// known faults, and the controller between them. For the tests of this folder.

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "controller/controller.h"
#include "controller/record.h"
#include "proxy/split/sequence.h"
#include "proxy/split/split_state.h"

namespace serin {

// What a pool answers: a function of time since the start of the simulation.
struct Behaviour {
  double error = 0;                                  // share of 500s
  double slow = 0;                                   // share slower than 2 s
  BackendError backend_error = BackendError::kNone;  // of what fails
};

class Simulation {
 public:
  explicit Simulation(Plan the_plan = Plan(), uint64_t seed = 1) : plan(std::move(the_plan)), random_(seed) {
    Restart();
  }

  // A new process on the same journal, with the recorder's memory as its disk.
  void Restart() {
    controller = std::make_unique<Controller>(plan, cell, recorder);
    controller->Listen(listener);
    controller->Restore(now());
  }

  Now now() const { return {steady, wall}; }
  void Advance(absl::Duration d) {
    steady = steady + d;
    wall += d;
  }

  absl::Status Do(Verb verb, Weight weight = Weight(), const std::string& release = "v2") {
    return controller->Execute({verb, release, weight, "tester"}, now());
  }
  absl::Status Do(Verb verb, PoolId pool) {
    return controller->Execute({verb, "", Weight(), "tester", pool}, now());
  }

  // One request, routed as a worker would.
  Observation Request() {
    const SplitState split = cell.Load();
    const bool canary = SequencePicksCanary(cell.NextTicket(), split.canary_weight);
    const Observation observation = Answer(split, canary ? Role::kCanary : Role::kStable);
    ++requests;
    bad_answers += observation.error;
    return observation;
  }

  // What a pool makes of a request.
  Observation Answer(const SplitState& split, Role role) {
    Observation observation;
    observation.at = steady;
    observation.client = random_() | 1;
    observation.epoch = split.epoch;
    observation.role = role;
    observation.pool = split.pool(role);
    const Behaviour& behaviour = behaviours[Index(observation.pool)];
    observation.latency_us = 20000 + static_cast<uint32_t>(random_() % 10000);
    observation.status = 200;
    if (Chance(behaviour.error)) {
      observation.error = true;
      observation.backend_error = behaviour.backend_error;
      observation.status = behaviour.backend_error == BackendError::kNone ? 500 : 0;
    }
    if (Chance(behaviour.slow)) {
      observation.slow = true;
      observation.latency_us = 3000000;
    }
    if (observation.error || observation.slow) {
      FailureDetail detail;
      detail.at = steady;
      detail.pool = observation.pool;
      detail.status = observation.status;
      detail.backend_error = observation.backend_error;
      detail.slow = !observation.error;
      detail.set_script("/srv/app/public/index.php");
      detail.set_message("PHP Fatal error:  Uncaught Error: Call to undefined function chirp()");
      controller->Observe(detail);
    }
    return observation;
  }

  void ObserveCopy() {
    Observation copy = Answer(cell.Load(), Role::kCanary);
    copy.shadow = true;
    ++copies;
    controller->Observe(copy);
  }

  // Runs for `length` with `rate` requests per second, ticking each 100 ms and
  // whenever the controller wants it, as the server thread does.
  void Run(absl::Duration length, double rate) {
    const Instant end = steady + length;
    const absl::Duration gap = rate > 0 ? absl::Seconds(1 / rate) : length;
    Instant next_tick = steady;
    Instant next_request = rate > 0 ? steady + gap : end + absl::Seconds(1);
    while (steady < end) {
      const Instant next = std::min({next_tick, next_request, end});
      Advance(next - steady);
      if (steady == next_request) {
        controller->Observe(Request());
        if (cell.Load().shadow && SequencePicksCanary(copy_ticket_++, plan.shadow)) ObserveCopy();
        next_request = next_request + gap;
        if (controller->wants_tick()) controller->Tick(now());
      }
      if (steady == next_tick) {
        controller->Tick(now());
        next_tick = next_tick + absl::Milliseconds(100);
      }
    }
    controller->Tick(now());
  }
  // Until `done`, at most `limit`. False when it never was.
  bool RunUntil(const std::function<bool()>& done, absl::Duration limit, double rate) {
    const Instant end = steady + limit;
    while (!done() && steady < end) Run(absl::Milliseconds(100), rate);
    return done();
  }

  std::shared_ptr<const Report> report() const { return controller->report(); }
  RolloutState state() const { return report()->state; }
  Weight weight() const { return cell.Load().canary_weight; }
  Behaviour& canary() { return behaviours[Index(cell.Load().canary_pool)]; }
  Behaviour& stable() { return behaviours[Index(cell.Load().stable_pool())]; }
  int Events(const std::string& event) const {
    int count = 0;
    for (const HistoryEntry& entry : controller->History()) count += entry.event == event;
    return count;
  }

  Plan plan;
  SplitCell cell;
  MemoryRecorder recorder;
  Controller::Listener listener;  // from the next restart on
  std::unique_ptr<Controller> controller;
  Instant steady = Instant::FromNanos(1'000'000'000'000);
  absl::Time wall = absl::FromUnixSeconds(1'700'000'000);
  Behaviour behaviours[kPoolCount];
  int64_t requests = 0;
  int64_t bad_answers = 0;  // that users got
  int64_t copies = 0;

 private:
  bool Chance(double p) { return p > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < p; }
  uint64_t copy_ticket_ = 0;
  std::mt19937_64 random_;
};

}  // namespace serin
