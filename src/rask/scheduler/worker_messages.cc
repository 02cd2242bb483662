// What workers tell.    source: distributed/scheduler.py, the stream handlers of workers
#include <algorithm>
#include <utility>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

namespace {

std::string* stimulus_of(protocol::FromWorker& message) {
  return std::visit(
      [](auto& given) -> std::string* {
        if constexpr (requires { given.stimulus_id; })
          return &given.stimulus_id;
        else
          return nullptr;
      },
      message);
}

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

void State::handle(std::uint32_t number, protocol::FromWorker&& message) {
  auto& worker = *workers[number];
  if (!worker.alive) return;
  worker.last_seen = now;
  if (auto* given = stimulus_of(message)) set_stimulus(std::move(*given));
  std::visit(Overloaded{
                 [&](protocol::TaskFinished& m) { task_finished(number, std::move(m)); },
                 [&](protocol::TaskErred& m) { task_erred(number, std::move(m)); },
                 [&](protocol::ReleaseWorkerData& m) { release_worker_data(number, m.key); },
                 [&](protocol::Reschedule& m) {
                   if (const auto id = find(m.key); id != kNone) reschedule(id, number);
                 },
                 [&](protocol::LongRunning& m) { long_running(number, m); },
                 [&](protocol::AddKeys& m) { add_keys(number, m.keys); },
                 [&](protocol::RequestRefreshWhoHas& m) { refresh_who_has(number, m.keys); },
                 [&](protocol::StealResponse& m) {
                   m.stimulus_id = stimulus();
                   steal_response(m);
                 },
                 [&](protocol::WorkerStatusChanged& m) { set_worker_status(number, m.status); },
                 [](protocol::KeepAlive&) {},
                 [](protocol::LogEvent&) {},
                 [](protocol::OtherMessage&) {},
             },
             message);
  drain();
}

// source: Scheduler.stimulus_task_finished, _transition_processing_memory
void State::task_finished(std::uint32_t worker, protocol::TaskFinished&& message) {
  const auto id = find(message.key);
  if (id == kNone) return send_free_keys(worker, message.key, -1);
  auto& task = tasks[id];
  switch (task.state) {
    case TaskState::released:
    case TaskState::queued:
    case TaskState::no_worker:
    case TaskState::erred:
      return send_free_keys(worker, message.key, task.run_id);
    default:
      break;
  }
  if (task.run_id != message.run_id) {
    // Of a run that was called off. Where the task runs now, the worker must begin anew.
    if (task.processing_on == worker) return recommend(id, TaskState::released);
    return send_free_keys(worker, message.key, task.run_id);
  }
  if (task.state == TaskState::memory) return add_replica(id, worker);
  if (task.state == TaskState::waiting) return;  // See waiting_memory.
  if (task.processing_on != worker) return send_free_keys(worker, message.key, task.run_id);
  auto& pace = workers[worker]->pace;
  ++pace.finished;
  auto& of = prefix(task);
  auto& totals = groups[task.group].totals;
  const bool was_unknown = of.duration_average < 0;
  for (const auto& part : message.startstops) {
    totals.ran(part.action, part.start, part.stop);
    if (part.action != "compute") continue;
    const auto duration = std::max(0.0, part.stop - part.start);
    add_duration(of, duration);
    pace.ran += duration;
  }
  const auto nbytes_before = std::max<std::int64_t>(0, task.nbytes);
  task.nbytes = std::min(message.nbytes, kNbytesMax);
  totals.nbytes += static_cast<double>(std::max<std::int64_t>(0, task.nbytes) - nbytes_before);
  const auto nbytes = static_cast<double>(task.get_nbytes());
  of.nbytes_average = of.nbytes_average < 0 ? nbytes : 0.5 * of.nbytes_average + 0.5 * nbytes;
  task.typename_ = intern_typename(task, std::move(message.typename_));
  finished = &message;
  transition(id, TaskState::memory);
  finished = nullptr;
  if (was_unknown && of.duration_average >= 0) learn_unknown_durations(of);
}

void State::task_erred(std::uint32_t worker, protocol::TaskErred&& message) {
  const auto id = find(message.key);
  if (id == kNone) return;
  auto& task = tasks[id];
  if (task.state != TaskState::processing) return;
  if (task.run_id != message.run_id) {
    if (task.processing_on == worker) recommend(id, TaskState::released);
    return;
  }
  if (task.processing_on != worker) return;
  if (task.retries > 0) {
    --task.retries;
    return recommend(id, TaskState::waiting);
  }
  Failure failure;
  failure.blame = task.key;
  failure.exception = std::move(message.exception);
  failure.traceback = std::move(message.traceback);
  failure.exception_text = std::move(message.exception_text);
  failure.traceback_text = std::move(message.traceback_text);
  failure.worker = worker;
  set_failure(task, add_failure(std::move(failure)));
  transition(id, TaskState::erred);
}

void State::release_worker_data(std::uint32_t worker, const Key& key) {
  const auto id = find(key);
  if (id == kNone || !holds(tasks[id], worker)) return;
  remove_replica(id, worker);
  if (!tasks[id].has_data()) recommend(id, TaskState::released);
}

void State::reschedule(std::uint32_t id, std::uint32_t worker) {
  const auto& task = tasks[id];
  if (task.state != TaskState::processing || task.processing_on != worker) return;
  recommend(id, TaskState::released);
}

// The task left its thread (secede): it cannot be stolen and no longer stands for work to come.
void State::long_running(std::uint32_t number, const protocol::LongRunning& message) {
  const auto id = find(message.key);
  if (id == kNone) return;
  auto& task = tasks[id];
  if (task.processing_on != number || task.run_id != message.run_id || task.long_running) return;
  remove_from_stealable(task);
  auto& of = prefix(task);
  if (message.compute_duration) {
    const auto old = of.duration_average;
    set_duration(of, old < 0 ? *message.compute_duration : (old + *message.compute_duration) / 2);
  }
  auto& worker = *workers[number];
  count_processing(worker, task, -1);
  task.long_running = true;
  ++worker.long_running;
  check_idle_saturated(number);
}

// The worker has copies that the scheduler did not know of: fetched ones, or such that it refused
// to drop.
void State::add_keys(std::uint32_t worker, std::span<const Key> arrived) {
  std::vector<Key> redundant;
  for (const auto& key : arrived) {
    const auto id = find(key);
    if (id != kNone && tasks[id].state == TaskState::memory && tasks[id].has_data()) {
      add_replica(id, worker);
      replica_arrived(worker, id);
    } else {
      redundant.push_back(key);
    }
  }
  if (!redundant.empty()) send(worker, protocol::RemoveReplicas{std::move(redundant), stimulus()});
  if (!goals.empty()) advance_goals();
  if (!retirements.empty()) advance_retirements(false);
}

// A free-keys can cross a message that claims the copy, and leave a holder that holds nothing. Who
// asks for the same result second after second has found that out.
bool State::asked_too_often(std::uint32_t worker, std::uint32_t id) {
  constexpr int kAsksMax = 5;
  constexpr Seconds kPause = 10;  // After that the worker had what it wanted.
  constexpr Seconds kApart = 0.5;
  std::erase_if(vain_asks, [&](const auto& entry) { return entry.second.last + kPause < now; });
  const auto& task = tasks[id];
  if (!task.has_data() || task.run_spec.empty()) return false;
  auto& before =
      vain_asks.try_emplace({id, worker}, Asked{now - kApart, 0, task.run_id}).first->second;
  if (before.run_id != task.run_id) before = {now - kApart, 0, task.run_id};
  if (before.last + kApart > now) return false;
  before.last = now;
  if (++before.count < kAsksMax) return false;
  vain_asks.erase({id, worker});
  return true;
}

void State::refresh_who_has(std::uint32_t worker, std::span<const Key> keys_asked) {
  protocol::RefreshWhoHas known{{}, stimulus()};
  for (const auto& key : keys_asked) {
    const auto id = find(key);
    if (id == kNone) {
      send_free_keys(worker, key, -1);
    } else if (asked_too_often(worker, id)) {
      known.who_has.emplace_back(key, std::vector<Address>{});
      recommend(id, TaskState::released);
    } else {
      known.who_has.emplace_back(key, addresses(tasks[id]));
    }
  }
  if (!known.who_has.empty()) send(worker, std::move(known));
}

void State::missing_data(std::span<const Key> missing, std::uint32_t worker) {
  for (const auto& key : missing) {
    const auto id = find(key);
    if (id == kNone || !holds(tasks[id], worker)) continue;
    remove_replica(id, worker);
    if (tasks[id].has_data()) continue;
    recommend(id, tasks[id].run_spec.empty() ? TaskState::forgotten : TaskState::released);
  }
}

}  // namespace rask::scheduler
