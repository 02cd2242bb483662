// The transition table, and what each transition does.
//
// Where the table has no entry a task goes through released. Four things differ from distributed
// 2026.8.0, each to avoid a task that is stuck for ever:
//   - a value that cannot be decoded fails the tasks that wait for it (Dask leaves them waiting);
//   - what acquire-replicas asked for is not given up when an unrelated dependent goes;
//   - a task that is to be computed when its transfer ends (resumed) is not given up either then;
//   - a dependency that is freed before its dependent sends the dependent back to waiting.
#include "rask/worker/state.h"

namespace rask::worker {

using enum TaskState;

struct TransitionTable {
  struct Entry {
    TaskState start;
    TaskState finish;
    State::TransitionFunction function;
  };

  static constexpr Entry kEntries[] = {
      {cancelled, error, &State::cancelled_released},
      {cancelled, fetch, &State::cancelled_fetch},
      {cancelled, long_running, &State::cancelled_or_resumed_long_running},
      {cancelled, memory, &State::cancelled_memory},
      {cancelled, missing, &State::cancelled_released},
      {cancelled, released, &State::cancelled_released},
      {cancelled, rescheduled, &State::cancelled_released},
      {cancelled, waiting, &State::cancelled_waiting},
      {resumed, error, &State::resumed_error},
      {resumed, fetch, &State::resumed_fetch},
      {resumed, long_running, &State::cancelled_or_resumed_long_running},
      {resumed, memory, &State::resumed_memory},
      {resumed, released, &State::resumed_released},
      {resumed, rescheduled, &State::resumed_rescheduled},
      {constrained, executing, &State::ready_executing},
      {constrained, released, &State::generic_released},
      {error, released, &State::generic_released},
      {executing, error, &State::generic_error},
      {executing, long_running, &State::executing_long_running},
      {executing, memory, &State::executing_memory},
      {executing, released, &State::executing_released},
      {executing, rescheduled, &State::executing_rescheduled},
      {fetch, flight, &State::fetch_flight},
      {fetch, missing, &State::fetch_missing},
      {fetch, released, &State::generic_released},
      {flight, error, &State::flight_error},
      {flight, fetch, &State::flight_fetch},
      {flight, memory, &State::flight_memory},
      {flight, missing, &State::generic_missing},
      {flight, released, &State::flight_released},
      {long_running, error, &State::generic_error},
      {long_running, memory, &State::executing_memory},
      {long_running, released, &State::executing_released},
      {long_running, rescheduled, &State::executing_rescheduled},
      {memory, released, &State::memory_released},
      {missing, error, &State::generic_error},
      {missing, fetch, &State::missing_fetch},
      {missing, released, &State::generic_released},
      {missing, waiting, &State::missing_waiting},
      {ready, executing, &State::ready_executing},
      {ready, released, &State::generic_released},
      {released, error, &State::generic_error},
      {released, fetch, &State::generic_fetch},
      {released, forgotten, &State::released_forgotten},
      {released, memory, &State::released_memory},
      {released, missing, &State::generic_missing},
      {released, waiting, &State::released_waiting},
      {waiting, error, &State::waiting_error},
      {waiting, ready, &State::waiting_ready},
      {waiting, constrained, &State::waiting_ready},
      {waiting, released, &State::generic_released},
  };

  using Rows = std::array<std::array<State::TransitionFunction, kStateCount>, kStateCount>;

  static constexpr Rows make_rows() {
    Rows rows{};
    for (const Entry& entry : kEntries)
      rows[static_cast<std::size_t>(entry.start)][static_cast<std::size_t>(entry.finish)] =
          entry.function;
    return rows;
  }
};

static constexpr TransitionTable::Rows kRows = TransitionTable::make_rows();

// ---- The engine ---------------------------------------------------------------------------------

// One recommendation a task: a later one takes the place of an earlier one.
void State::recommend(TaskId id, TaskState finish) {
  Task& task = at(id);
  if (task.wanted == kNone) recommendations_.push_back(id);
  task.wanted = finish;
}

void State::drain() {
  while (!recommendations_.empty()) {
    const TaskId id = recommendations_.back();
    recommendations_.pop_back();
    const TaskState finish = std::exchange(at(id).wanted, kNone);
    if (finish != kNone) transition(id, finish);
  }
}

bool State::step(TaskId id, TaskState finish) {
  Task& task = at(id);
  const auto function =
      kRows[static_cast<std::size_t>(task.state)][static_cast<std::size_t>(finish)];
  if (function == nullptr) return false;
  ++transition_counter;
  const auto line = log.add(task.key, task.state);
  (this->*function)(id);
  log.finish(line, task.key.empty() ? forgotten : task.state);
  return true;
}

void State::transition(TaskId id, TaskState finish) {
  Task& task = at(id);
  if (task.key.empty() || task.state == finish || step(id, finish)) return;
  RASK_ASSERT(task.state != released && finish != released);
  // Who is known to have it stays known when it is given up only to be fetched.
  for_fetch_ = finish == fetch;
  RASK_ASSERT(step(id, released));
  for_fetch_ = false;
  task.wanted = kNone;  // To be forgotten is not what this is about.
  if (task.state != finish) RASK_ASSERT(step(id, finish));
}

// Puts a task back to where it stands for nothing, whatever state it leaves. Idempotent.
void State::purge(TaskId id) {
  Task& task = at(id);
  if (task.state == memory) {
    nbytes -= task.nbytes;
    out_->emplace_back(Forget{task.key});
  } else if (task.state == fetch) {
    remove_needed(task);
  } else if (task.state == missing) {
    list_remove(missing_tasks, id);
  } else if (task.state == waiting && task.waiting_for_count > 0) {
    for (const TaskId dependency : task.dependencies) {
      if (at(dependency).state != memory) --at(dependency).waiter_count;
    }
  }
  if (!for_fetch_) {
    clear_who_has(id);
    task.acquired = false;
  }
  task.waiting_for_count = 0;
  task.epoch = 0;
  task.nbytes = -1;
  task.previous = task.next = kNone;
  task.done = false;
}

// A dependency that nobody waits for any more is not fetched, or computed, for its own sake.
void State::release_if_unwanted(TaskId dependency) {
  const Task& task = at(dependency);
  if (task.waiter_count > 0 || task.acquired || task.scattered) return;
  if (task.done) return;  // How its transfer ended says what becomes of it.
  if (is_one_of(task.state,
                {waiting, ready, constrained, executing, long_running, memory, cancelled}))
    return;
  if (task.state == resumed && task.next == waiting) return;
  if (task.state == released) {
    if (task.dependents.empty()) recommend(dependency, forgotten);
    return;
  }
  recommend(dependency, released);
}

// What served the task has ended, and the task was meant for something else by then.
void State::reset_to_released(Task& task) {
  set_state(task, released);
  task.previous = task.next = kNone;
  task.done = false;
}

void State::drop_scattered(Task& task) {
  if (!task.scattered) return;
  task.scattered = false;
  task.value_nbytes = -1;
  out_->emplace_back(Forget{task.key});
}

// ---- to fetch and missing -----------------------------------------------------------------------

void State::generic_fetch(TaskId id) {
  Task& task = at(id);
  if (task.who_has.empty()) {
    recommend(id, missing);
    return;
  }
  task.done = false;
  set_state(task, fetch);
  add_needed(id);
}

void State::generic_missing(TaskId id) {
  Task& task = at(id);
  RASK_ASSERT(task.who_has.empty());
  task.done = false;
  set_state(task, missing);
  list_add(missing_tasks, id);
}

void State::fetch_missing(TaskId id) {
  remove_needed(at(id));
  generic_missing(id);
}

void State::missing_fetch(TaskId id) {
  if (at(id).who_has.empty()) return;
  list_remove(missing_tasks, id);
  generic_fetch(id);
}

void State::missing_waiting(TaskId id) {
  purge(id);
  released_waiting(id);
}

void State::flight_fetch(TaskId id) {
  if (at(id).done) generic_fetch(id);  // Otherwise it is on its way already.
}

void State::fetch_flight(TaskId id) {
  Task& task = at(id);
  RASK_ASSERT(task.coming_from != kNoPeer && task.epoch == 0);
  task.done = false;
  set_state(task, flight);
  ++in_flight_count;
}

// ---- to released and forgotten ------------------------------------------------------------------

void State::generic_released(TaskId id) {
  purge(id);
  Task& task = at(id);
  set_state(task, released);
  for (const TaskId dependency : task.dependencies) release_if_unwanted(dependency);
  if (task.dependents.empty()) recommend(id, forgotten);
}

// A running task cannot be stopped: it goes on, unwanted, until it ends.
void State::executing_released(TaskId id) {
  Task& task = at(id);
  RASK_ASSERT(!task.done);
  drop_scattered(task);
  task.previous = task.state;
  set_state(task, cancelled);
}

void State::flight_released(TaskId id) {
  Task& task = at(id);
  RASK_ASSERT(!task.done);
  drop_scattered(task);
  task.acquired = false;
  task.previous = flight;
  set_state(task, cancelled);
}

void State::resumed_released(TaskId id) {
  Task& task = at(id);
  RASK_ASSERT(!task.done);
  drop_scattered(task);
  task.acquired = false;
  task.next = kNone;
  set_state(task, cancelled);
}

// A dependent whose transfer has ended together with this one's waits for it, or is about to.
bool State::is_awaited(const Task& task) const {
  return task.waiter_count > 0 || std::ranges::any_of(task.dependents, [this](TaskId dependent) {
           return at(dependent).state == resumed && at(dependent).next == waiting;
         });
}

void State::cancelled_released(TaskId id) {
  Task& task = at(id);
  if (!task.done) {
    drop_scattered(task);
    task.acquired = false;
    return;
  }
  if (is_awaited(task)) {
    reset_to_released(task);
    recommend(id, fetch);
    return;
  }
  generic_released(id);
}

void State::cancelled_memory(TaskId id) {
  Task& task = at(id);
  RASK_ASSERT(task.done);
  if (is_awaited(task)) {
    task.previous = kNone;
    flight_memory(id);
    return;
  }
  task.scattered = false;
  task.value_nbytes = -1;
  out_->emplace_back(Forget{task.key});
  generic_released(id);
}

void State::memory_released(TaskId id) {
  generic_released(id);
  const Task& task = at(id);
  send(protocol::ReleaseWorkerData{task.key, stimulus_id()});
  bool needed = false;
  for (const TaskId dependent : task.dependents) {
    Task& other = at(dependent);
    if (other.state != waiting && !is_ready(other.state)) continue;
    back_to_waiting(other);
    ++at(id).waiter_count;
    needed = true;
  }
  if (needed) recommend(id, fetch);
}

// Its dependency has gone from memory. The scheduler frees the dependent next, or says who has it.
void State::back_to_waiting(Task& dependent) {
  ++dependent.waiting_for_count;
  if (dependent.state == waiting) return;
  dependent.epoch = 0;
  set_state(dependent, waiting);
}

void State::executing_rescheduled(TaskId id) {
  Task& task = at(id);
  RASK_ASSERT(task.done);
  drop_scattered(task);
  send(protocol::Reschedule{task.key, stimulus_id()});
  generic_released(id);
}

void State::released_forgotten(TaskId id) {
  Task& task = at(id);
  if (!task.dependents.empty()) return;  // A dependent came after the recommendation.
  for (const TaskId dependency : task.dependencies) {
    Task& other = at(dependency);
    std::erase(other.dependents, id);
    if (other.state == released && other.dependents.empty()) recommend(dependency, forgotten);
  }
  purge(id);
  destroy(id);
}

// ---- to waiting, ready, executing ---------------------------------------------------------------

void State::released_waiting(TaskId id) {
  Task& task = at(id);
  task.waiting_for_count = 0;
  for (const TaskId dependency : task.dependencies) {
    Task& other = at(dependency);
    if (other.state == memory) continue;
    ++task.waiting_for_count;
    ++other.waiter_count;
    if (other.wanted != memory) recommend(dependency, fetch);  // It has just arrived.
  }
  set_state(task, waiting);
  if (task.waiting_for_count == 0) recommend(id, ready);
}

void State::waiting_ready(TaskId id) {
  Task& task = at(id);
  if (task.waiting_for_count > 0) return;  // A dependency went after the recommendation.
  set_state(task, task.resources.empty() ? ready : constrained);
  push_ready(id);
}

void State::ready_executing(TaskId id) {
  Task& task = at(id);
  RASK_ASSERT(task.epoch == 0);
  set_state(task, executing);
  acquire_resources(task);
  list_add(running_tasks, id);
  take_slot(task);
  task.start_time = now_;
  Execute execute{task.key, task.run_id,      std::move(task.run_spec),
                  {},       task.annotations, task.actor};
  task.run_spec = {};
  execute.dependencies.reserve(task.dependencies.size());
  for (const TaskId dependency : task.dependencies)
    execute.dependencies.push_back(at(dependency).key);
  out_->emplace_back(std::move(execute));
}

void State::executing_long_running(TaskId id) {
  Task& task = at(id);
  set_state(task, long_running);
  leave_slot(task);
  send(protocol::LongRunning{task.key, task.run_id, outcome_.compute_duration, stimulus_id()});
}

// The scheduler hears of it when, and if, it wants the task again.
void State::cancelled_or_resumed_long_running(TaskId id) {
  Task& task = at(id);
  RASK_ASSERT(is_running(task.previous));
  if (task.previous == executing) leave_slot(task);
  task.previous = long_running;
}

// ---- to memory and error ------------------------------------------------------------------------

void State::to_memory(TaskId id) {
  Task& task = at(id);
  RASK_ASSERT(task.state != memory);
  if (task.value_nbytes >= 0) task.nbytes = task.value_nbytes;
  if (task.nbytes < 0) task.nbytes = 0;
  task.value_nbytes = -1;
  nbytes += task.nbytes;
  set_state(task, memory);
  task.done = task.acquired = task.scattered = false;
  task.waiter_count = 0;
  for (const TaskId dependent : task.dependents) {
    Task& other = at(dependent);
    if (other.state == waiting && --other.waiting_for_count == 0) recommend(dependent, ready);
  }
}

// After scatter: the scheduler hears of it from the client.
void State::released_memory(TaskId id) { to_memory(id); }

void State::executing_memory(TaskId id) {
  to_memory(id);
  send_task_finished(id, outcome_.run_id.value_or(at(id).run_id));
}

void State::flight_memory(TaskId id) {
  to_memory(id);
  send(protocol::AddKeys{{at(id).key}, stimulus_id()});
}

// What the scheduler expects to hear is the opposite of what has just ended.
void State::resumed_memory(TaskId id) {
  Task& task = at(id);
  const TaskState next = task.next;
  task.previous = task.next = kNone;
  to_memory(id);
  if (next == waiting)
    send_task_finished(id, task.run_id);
  else
    send(protocol::AddKeys{{task.key}, stimulus_id()});
}

void State::generic_error(TaskId id) {
  Task& task = at(id);
  if (task.state == missing) list_remove(missing_tasks, id);
  task.done = false;
  drop_scattered(task);
  set_state(task, error);
  send_task_erred(id, outcome_.run_id.value_or(task.run_id));
}

void State::flight_error(TaskId id) {
  generic_error(id);
  Task& task = at(id);
  task.acquired = false;
  if (task.dependents.empty()) recommend(id, released);
  for (const TaskId dependent : task.dependents) {
    if (at(dependent).state == waiting) recommend(dependent, error);
  }
}

void State::waiting_error(TaskId id) {
  purge(id);
  set_state(at(id), error);
  send_task_erred(id, at(id).run_id);
  for (const TaskId dependency : at(id).dependencies) release_if_unwanted(dependency);
}

// ---- cancelled and resumed ----------------------------------------------------------------------

void State::cancelled_fetch(TaskId id) {
  Task& task = at(id);
  if (task.previous == flight) {
    if (task.done) {
      recommend(id, released);
    } else {  // As if it had never been cancelled.
      task.previous = kNone;
      set_state(task, flight);
    }
    return;
  }
  RASK_ASSERT(is_running(task.previous) && !task.done);
  task.next = fetch;
  set_state(task, resumed);
}

void State::cancelled_waiting(TaskId id) {
  Task& task = at(id);
  RASK_ASSERT(!task.done);
  if (task.previous == flight) {
    task.next = waiting;
    set_state(task, resumed);
    return;
  }
  const TaskState previous = std::exchange(task.previous, kNone);
  set_state(task, previous);
  // It may have seceded while nobody wanted to know.
  if (previous == long_running)
    send(protocol::LongRunning{task.key, task.run_id, std::nullopt, stimulus_id()});
}

void State::resumed_fetch(TaskId id) {
  Task& task = at(id);
  if (task.previous != flight) {
    RASK_ASSERT(!task.done);
    return;
  }
  RASK_ASSERT(task.next == waiting);
  if (task.done) {  // It could not be fetched; now compute it, as the scheduler asked.
    reset_to_released(task);
    recommend(id, waiting);
  } else {  // Back to where it was before it was cancelled.
    task.previous = task.next = kNone;
    set_state(task, flight);
  }
}

// The failure does not matter: nobody asked for what has failed.
void State::resumed_error(TaskId id) {
  Task& task = at(id);
  RASK_ASSERT(task.done);
  const TaskState next = task.next;
  reset_to_released(task);
  recommend(id, next);
}

void State::resumed_rescheduled(TaskId id) { resumed_error(id); }

}  // namespace rask::worker
