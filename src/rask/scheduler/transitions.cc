// What may become of a task, as a table, and how recommendations are worked off.
//
// A pair of states that is not in the table goes by way of released.
// source: distributed/scheduler.py, SchedulerState._transition, _transitions and the functions
// named as those here.
#include <algorithm>
#include <array>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

namespace {

struct Row {
  TaskState start;
  TaskState finish;
  State::Transition function;
};

constexpr std::array kTransitions = {
    Row{TaskState::released, TaskState::waiting, &State::released_waiting},
    Row{TaskState::released, TaskState::erred, &State::released_erred},
    Row{TaskState::released, TaskState::forgotten, &State::released_forgotten},
    Row{TaskState::waiting, TaskState::released, &State::waiting_released},
    Row{TaskState::waiting, TaskState::processing, &State::waiting_processing},
    Row{TaskState::waiting, TaskState::no_worker, &State::waiting_no_worker},
    Row{TaskState::waiting, TaskState::queued, &State::waiting_queued},
    Row{TaskState::waiting, TaskState::memory, &State::waiting_memory},
    Row{TaskState::queued, TaskState::released, &State::queued_released},
    Row{TaskState::queued, TaskState::processing, &State::queued_processing},
    Row{TaskState::queued, TaskState::erred, &State::queued_erred},
    Row{TaskState::no_worker, TaskState::released, &State::no_worker_released},
    Row{TaskState::no_worker, TaskState::processing, &State::no_worker_processing},
    Row{TaskState::no_worker, TaskState::erred, &State::no_worker_erred},
    Row{TaskState::processing, TaskState::released, &State::processing_released},
    Row{TaskState::processing, TaskState::memory, &State::processing_memory},
    Row{TaskState::processing, TaskState::erred, &State::processing_erred},
    Row{TaskState::memory, TaskState::released, &State::memory_released},
    Row{TaskState::memory, TaskState::erred, &State::memory_erred},
    Row{TaskState::memory, TaskState::forgotten, &State::memory_forgotten},
    Row{TaskState::erred, TaskState::released, &State::erred_released},
};

using Table = std::array<std::array<State::Transition, kStateCount>, kStateCount>;

constexpr Table make_table() {
  Table table{};
  for (const auto& row : kTransitions)
    table[static_cast<std::size_t>(row.start)][static_cast<std::size_t>(row.finish)] = row.function;
  return table;
}

constexpr Table kTable = make_table();

constexpr State::Transition function_of(TaskState start, TaskState finish) {
  return kTable[static_cast<std::size_t>(start)][static_cast<std::size_t>(finish)];
}

// A drain that needs more than this many transitions for each task that is known goes in circles.
constexpr std::uint64_t kTransitionsPerTaskMax = 64;

}  // namespace

// The last recommendation for a task counts, at the place of the first: as in Python's dict. Only
// forgotten stays: its reasons do not go away.
void State::recommend(std::uint32_t id, TaskState state) {
  auto& task = tasks[id];
  if (task.recommended == TaskState::forgotten) return;
  if (task.recommended == kNoState) recommendations.push_back(id);
  task.recommended = state;
}

void State::drain() {
  const auto count_max = transition_count + kTransitionsPerTaskMax * (tasks.size() + 16);
  while (!recommendations.empty()) {
    const auto id = recommendations.back();
    recommendations.pop_back();
    auto& task = tasks[id];
    const auto finish = std::exchange(task.recommended, kNoState);
    if (finish == kNoState || task.key.empty()) continue;
    transition(id, finish);
    if (task.failure != kNone && task.state == TaskState::released) settle_released(id);
    RASK_ASSERT(transition_count < count_max);
  }
}

// It should have erred, but something later released it instead. Whoever still needs it finds out
// from its dependencies what is wrong.
void State::settle_released(std::uint32_t id) {
  auto& task = tasks[id];
  if (task.recommended != kNoState) return;
  set_failure(task, kNone);
  if (task.waiters != 0 || task.wanted()) recommend(id, TaskState::waiting);
}

void State::transition(std::uint32_t id, TaskState finish) {
  auto& task = tasks[id];
  const auto start = task.state;
  if (start == finish) return;
  ++transition_count;
  ++work_count;
  // Only a task that ends takes its key along.
  const auto key = finish == TaskState::forgotten ? task.key : Key{};
  if (const auto function = function_of(start, finish)) {
    (this->*function)(id);
  } else {
    RASK_ASSERT(start != TaskState::released && finish != TaskState::released);
    // What getting released recommends for the task itself goes before what was wanted.
    const auto before = std::exchange(task.recommended, kNoState);
    transition(id, TaskState::released);
    const auto next = task.recommended != kNoState ? task.recommended : finish;
    if (task.recommended == kNoState) task.recommended = before;
    if (task.state != TaskState::released) return;
    transition(id, next);
    return;
  }
  // A record that was freed says so by its state.
  if (task.state == start) return;
  log_transition(task.key.empty() ? key : task.key, start, task.state);
  if (task.state == TaskState::released || task.state == TaskState::erred)
    shuffles.on_ended(id, task.state);
}

// ---- released
// ------------------------------------------------------------------------------------

void State::released_waiting(std::uint32_t id) {
  auto& task = tasks[id];
  RASK_ASSERT(!task.run_spec.empty() && !task.has_data() && task.processing_on == kNone);
  if (task.has_lost_dependencies) return recommend(id, TaskState::forgotten);
  // Whoever needed it may be gone since this was recommended.
  if (task.waiters == 0 && !task.wanted()) return leave_play(task);
  for (const auto& edge : task.dependencies) {
    if (tasks[edge.task].state != TaskState::erred) continue;
    set_failure(task, tasks[edge.task].failure);
    return recommend(id, TaskState::erred);
  }
  set_state(task, TaskState::waiting);
  enter_play(task);
  task.waiting_on = 0;
  for (const auto& edge : task.dependencies) {
    ++work_count;
    const auto& dependency = tasks[edge.task];
    if (!dependency.has_data()) ++task.waiting_on;
    if (dependency.state == TaskState::released) recommend(edge.task, TaskState::waiting);
  }
  if (task.waiting_on == 0) recommend(id, TaskState::processing);
}

void State::released_erred(std::uint32_t id) {
  auto& task = tasks[id];
  RASK_ASSERT(task.failure != kNone);
  for (const auto& edge : task.dependents) {
    auto& dependent = tasks[edge.task];
    if (dependent.has_data()) continue;
    set_failure(dependent, task.failure);
    recommend(edge.task, TaskState::erred);
  }
  set_state(task, TaskState::erred);
  leave_play(task);
  report_erred(id);
  if (wants(0, task)) release_key(0, id);
}

void State::released_forgotten(std::uint32_t id) {
  RASK_ASSERT(!tasks[id].has_data() && tasks[id].processing_on == kNone);
  if (forgets_left == 0 && !tasks[id].has_lost_dependencies && is_unneeded(tasks[id]))
    return to_forget.push_back(id);
  propagate_forgotten(id);
}

bool State::is_unneeded(const Task& task) { return task.dependents.empty() && !task.wanted(); }

// Some of what earlier calls left. Its dependencies may join what is left.
void State::forget_more() {
  forgets_left = options.forgets_max;
  for (std::size_t count = std::min(options.forgets_max, to_forget.size()); count > 0; --count) {
    const auto id = to_forget.back();
    to_forget.pop_back();
    // It may have been forgotten since, or be needed again. It may also have erred with others.
    if (!tasks[id].key.empty() && is_unneeded(tasks[id])) recommend(id, TaskState::forgotten);
  }
  drain();
}

// ---- waiting
// -------------------------------------------------------------------------------------

void State::waiting_released(std::uint32_t id) {
  auto& task = tasks[id];
  task.waiting_on = 0;
  propagate_released(id);
}

// The dispatch of tasks that can run.
void State::waiting_processing(std::uint32_t id) {
  auto& task = tasks[id];
  RASK_ASSERT(task.waiting_on == 0);
  if (const auto keeper = shuffles.keeper_of(task); keeper != kNone)
    return add_to_processing(id, keeper);
  auto worker = kNone;
  if (!is_rootish(task)) {
    worker = decide_worker_non_rootish(id);
  } else if (!queuing() || task.actor || shuffles.is_output(task)) {
    worker = decide_worker_rootish_queuing_disabled(id);
  } else {
    worker = decide_worker_rootish_queuing_enabled(task);
    if (worker == kNone) return recommend(id, TaskState::queued);
  }
  if (worker == kNone) return recommend(id, TaskState::no_worker);
  add_to_processing(id, worker);
}

void State::waiting_no_worker(std::uint32_t id) {
  auto& task = tasks[id];
  set_state(task, TaskState::no_worker);
  task.place = unrunnable.add(id);
  unrunnable_since[id] = now;
}

void State::waiting_queued(std::uint32_t id) {
  auto& task = tasks[id];
  set_state(task, TaskState::queued);
  queue_of(task).add(task.priority, id);
}

// A worker has finished a task that the scheduler waits to compute again, because it believed the
// data of a dependency lost. The message that frees it there is under way.
void State::waiting_memory(std::uint32_t) {}

// ---- queued and no-worker
// ------------------------------------------------------------------------

void State::queued_released(std::uint32_t id) {
  queue_of(tasks[id]).left();
  propagate_released(id);
}

void State::queued_processing(std::uint32_t id) {
  const auto worker = decide_worker_rootish_queuing_enabled(tasks[id]);
  if (worker == kNone) return;
  queue_of(tasks[id]).left();
  add_to_processing(id, worker);
}

void State::queued_erred(std::uint32_t id) {
  queue_of(tasks[id]).left();
  propagate_erred(id);
}

void State::remove_from_unrunnable(Task& task) {
  const auto place = std::exchange(task.place, kNone);
  unrunnable_since.erase(unrunnable.at(place));
  unrunnable.remove(place, [&](std::uint32_t moved, std::uint32_t to) { tasks[moved].place = to; });
}

void State::no_worker_released(std::uint32_t id) {
  remove_from_unrunnable(tasks[id]);
  propagate_released(id);
}

void State::no_worker_processing(std::uint32_t id) {
  const auto worker = decide_worker_non_rootish(id);
  if (worker == kNone) return;
  remove_from_unrunnable(tasks[id]);
  add_to_processing(id, worker);
}

void State::no_worker_erred(std::uint32_t id) {
  remove_from_unrunnable(tasks[id]);
  propagate_erred(id);
}

// ---- processing
// ----------------------------------------------------------------------------------

void State::processing_released(std::uint32_t id) {
  auto& task = tasks[id];
  const auto worker = task.processing_on;
  exit_processing(id);
  send_free_keys(worker, task.key, task.run_id);
  propagate_released(id);
}

void State::processing_memory(std::uint32_t id) {
  auto& task = tasks[id];
  RASK_ASSERT(finished != nullptr && !task.has_data());
  const auto worker = task.processing_on;
  exit_processing(id);
  add_to_memory(id, worker);
}

void State::processing_erred(std::uint32_t id) {
  RASK_ASSERT(tasks[id].failure != kNone);
  exit_processing(id);
  propagate_erred(id);
}

// ---- What several have in common
// -------------------------------------------------------------------

void State::propagate_released(std::uint32_t id) {
  auto& task = tasks[id];
  set_state(task, TaskState::released);
  if (task.has_lost_dependencies) {
    leave_play(task);
    recommend(id, TaskState::forgotten);
  } else if (task.failure == kNone && (task.waiters != 0 || task.wanted())) {
    recommend(id, TaskState::waiting);
  } else {
    leave_play(task);
  }
}

void State::propagate_erred(std::uint32_t id) {
  auto& task = tasks[id];
  RASK_ASSERT(task.failure != kNone);
  set_state(task, TaskState::erred);
  if (task.waiters != 0) {
    for (const auto& edge : task.dependents) {
      auto& dependent = tasks[edge.task];
      if (!dependent.in_play) continue;
      set_failure(dependent, task.failure);
      recommend(edge.task, TaskState::erred);
    }
  }
  leave_play(task);
  report_erred(id);
  if (wants(0, task)) release_key(0, id);
}

void State::add_to_processing(std::uint32_t id, std::uint32_t worker) {
  auto& task = tasks[id];
  auto& target = *workers[worker];
  RASK_ASSERT(target.running() && task.waiting_on == 0 && !task.has_data());
  set_state(task, TaskState::processing);
  task.processing_on = worker;
  enter_worker(task, id, target);
  change_resources(task, target, 1);
  ++placed_count;
  if (task.actor) target.actors.push_back(id);
  put_in_stealable(task, id);
  check_idle_saturated(worker);
  if (!too_large_for(id, target)) send_compute_task(id, worker);
}

void State::exit_processing(std::uint32_t id) {
  auto& task = tasks[id];
  RASK_ASSERT(task.processing_on != kNone);
  const auto number = task.processing_on;
  auto& worker = *workers[number];
  remove_from_stealable(task);
  if (task.stealing) remove_from_in_flight(id);
  leave_worker(task);
  task.processing_on = kNone;
  if (task.actor) std::erase(worker.actors, id);
  if (!worker.alive) return;
  change_resources(task, worker, -1);
  check_idle_saturated(number);
}

// Books a task on a worker: its expected time and what it has to fetch.
void State::enter_worker(Task& task, std::uint32_t id, Worker& worker) {
  const bool may_have_been_idle = std::int64_t{worker.processing.size()} <= worker.info.nthreads;
  if (may_have_been_idle) worker.pace = {.since = now};
  task.place = worker.processing.add(id);
  ++processing_count;
  count_processing(worker, task, 1);
  for (const auto& edge : task.dependencies) {
    ++work_count;
    const auto& dependency = tasks[edge.task];
    RASK_ASSERT(dependency.has_data());
    if (holds(dependency, task.processing_on)) continue;
    const auto nbytes = dependency.get_nbytes();
    auto& fetch = worker.needs_what.try_emplace(edge.task, Worker::Fetch{0, nbytes}).first->second;
    if (fetch.count++ != 0) continue;
    worker.network_bytes += nbytes;
    network_bytes += nbytes;
  }
}

void State::leave_worker(Task& task) {
  auto& worker = *workers[task.processing_on];
  worker.processing.remove(std::exchange(task.place, kNone),
                           [&](std::uint32_t id, std::uint32_t to) { tasks[id].place = to; });
  --processing_count;
  if (task.long_running) {
    task.long_running = false;
    --worker.long_running;
  } else {
    count_processing(worker, task, -1);
  }
  if (worker.needs_what.empty()) return;
  for (const auto& edge : task.dependencies) dec_needs_what(worker, edge.task, false);
}

void State::dec_needs_what(Worker& worker, std::uint32_t dependency, bool all) {
  const auto at = worker.needs_what.find(dependency);
  if (at == worker.needs_what.end()) return;
  if (--at->second.count != 0 && !all) return;
  worker.network_bytes -= at->second.nbytes;
  network_bytes -= at->second.nbytes;
  worker.needs_what.erase(at);
}

}  // namespace rask::scheduler
