// What must always hold between two calls.    source: distributed/scheduler.py, validate_*
#include <algorithm>
#include <cmath>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

void State::check_invariants() const {
  RASK_ASSERT(recommendations.empty());
  for (std::uint32_t id = 0; id < tasks.end(); ++id) {
    if (!tasks[id].key.empty()) check_task(id);
  }
  for (std::uint32_t worker = 0; worker < workers.size(); ++worker) check_worker(worker);
  for (std::uint32_t client = 0; client < clients.size(); ++client) {
    for (const auto id : clients[client]->wants_what.ids()) {
      RASK_ASSERT(clients[client]->alive && wants(client, tasks[id]));
    }
  }
  check_counts();
  shuffles.check_invariants();
}

void State::check_task(std::uint32_t id) const {
  const auto& task = tasks[id];
  const auto state = task.state;
  RASK_ASSERT(find(task.key) == id);
  RASK_ASSERT(task.recommended == kNoState && !task.touched);
  RASK_ASSERT(state != TaskState::forgotten);
  RASK_ASSERT((task.processing_on != kNone) == (state == TaskState::processing));
  RASK_ASSERT(task.has_data() == (state == TaskState::memory));
  RASK_ASSERT((task.failure != kNone) == (state == TaskState::erred));
  const bool playing = state == TaskState::waiting || state == TaskState::queued ||
                       state == TaskState::no_worker || state == TaskState::processing;
  RASK_ASSERT(task.in_play == playing);
  RASK_ASSERT(!playing || task.waiters != 0 || task.wanted());
  std::uint32_t without_data = 0;
  for (std::uint32_t i = 0; i < task.dependencies.size(); ++i) {
    const auto edge = task.dependencies[i];
    const auto& dependency = tasks[edge.task];
    RASK_ASSERT(!dependency.key.empty());
    RASK_ASSERT(dependency.dependents[edge.mirror].task == id);
    RASK_ASSERT(dependency.dependents[edge.mirror].mirror == i);
    if (!dependency.has_data()) ++without_data;
    if (state == TaskState::waiting && !dependency.has_data())
      RASK_ASSERT(dependency.in_play);  // Somebody works on it.
  }
  if (playing) RASK_ASSERT(task.waiting_on == without_data);
  if (playing && state != TaskState::waiting) RASK_ASSERT(without_data == 0);
  if (state == TaskState::waiting) RASK_ASSERT(without_data != 0);
  std::uint32_t waiters = 0;
  for (const auto& edge : task.dependents) {
    RASK_ASSERT(tasks[edge.task].dependencies[edge.mirror].task == id);
    if (tasks[edge.task].in_play) ++waiters;
  }
  RASK_ASSERT(task.waiters == waiters);
  if (state == TaskState::memory && !task.run_spec.empty() && !task.actor)
    RASK_ASSERT(task.waiters != 0 || task.wanted());
  for (const auto& replica : task.who_has)
    RASK_ASSERT(workers[replica.worker]->has_what.at(replica.place) == id);
  for (const auto& want : task.who_wants)
    RASK_ASSERT(clients[want.client]->wants_what.at(want.place) == id);
  if (state == TaskState::processing)
    RASK_ASSERT(workers[task.processing_on]->processing.at(task.place) == id);
  if (state == TaskState::no_worker) RASK_ASSERT(unrunnable.at(task.place) == id);
  if (task.steal_level != kNotStealable) {
    RASK_ASSERT(state == TaskState::processing && !task.stealing);
    RASK_ASSERT(workers[task.processing_on]->stealable[task.steal_level][task.steal_place] == id);
  }
  RASK_ASSERT(task.stealing == in_flight.contains(id));
}

void State::check_worker(std::uint32_t number) const {
  const auto& worker = *workers[number];
  RASK_ASSERT(worker.alive == live_workers.contains(number));
  RASK_ASSERT(worker.running() == running.contains(number));
  RASK_ASSERT(worker.idle == idle.contains(number));
  RASK_ASSERT(worker.open == open.contains(number));
  RASK_ASSERT(worker.saturated == saturated.contains(number));
  RASK_ASSERT(worker.running() || !(worker.idle || worker.open || worker.saturated));
  std::int64_t nbytes = 0;
  for (const auto id : worker.has_what.ids()) {
    RASK_ASSERT(holds(tasks[id], number));
    nbytes += tasks[id].get_nbytes();
  }
  RASK_ASSERT(nbytes == worker.nbytes);
  std::uint32_t long_running_tasks = 0;
  for (const auto id : worker.processing.ids()) {
    RASK_ASSERT(tasks[id].processing_on == number);
    if (tasks[id].long_running) ++long_running_tasks;
  }
  RASK_ASSERT(long_running_tasks == worker.long_running);
  std::uint32_t counted = 0;
  for (const auto& [prefix, count] : worker.prefixes) counted += count;
  RASK_ASSERT(counted == worker.processing.size() - worker.long_running);
  std::int64_t fetching = 0;
  for (const auto& [id, fetch] : worker.needs_what) fetching += fetch.nbytes;
  RASK_ASSERT(fetching == worker.network_bytes);
  if (!worker.alive) RASK_ASSERT(worker.processing.empty() && worker.has_what.empty());
}

void State::check_counts() const {
  std::vector<std::array<std::uint32_t, kStateCount>> states(groups.size());
  std::vector<std::uint32_t> processing(prefixes.size());
  std::size_t queued = 0;
  std::size_t without_worker = 0;
  std::size_t running_tasks = 0;
  for (std::uint32_t id = 0; id < tasks.end(); ++id) {
    const auto& task = tasks[id];
    if (task.key.empty()) continue;
    ++states[task.group][static_cast<std::size_t>(task.state)];
    if (task.state == TaskState::queued) ++queued;
    if (task.state == TaskState::no_worker) ++without_worker;
    if (task.state != TaskState::processing) continue;
    ++running_tasks;
    if (!task.long_running) ++processing[groups[task.group].prefix];
  }
  for (std::size_t i = 0; i < groups.size(); ++i) RASK_ASSERT(groups[i].states == states[i]);
  for (const auto& [number, span] : spans.all()) {
    for (const auto group : span.live)
      RASK_ASSERT(groups[group].named && groups[group].span == number);
  }
  double expected = 0;
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    RASK_ASSERT(prefixes[i].processing == processing[i]);
    expected += duration(prefixes[i]) * processing[i];
  }
  RASK_ASSERT(std::abs(expected - compute_occupancy) <= 1e-6 * (1 + expected));
  RASK_ASSERT(queued == queued_count() && without_worker == unrunnable.size());
  RASK_ASSERT(running_tasks == processing_count && keys.size() == tasks.size());
  std::int64_t nthreads = 0;
  for (const auto worker : live_workers) nthreads += workers[worker]->info.nthreads;
  RASK_ASSERT(nthreads == total_nthreads);
  // No slot is free while a task waits for one.
  for (std::uint32_t language = 0; language < kLanguages; ++language) {
    if (queues[language].empty()) continue;
    for (const auto worker : running)
      RASK_ASSERT(!speaks(*workers[worker], static_cast<Language>(language)) ||
                  slots_available(*workers[worker]) <= 0);
  }
}

}  // namespace rask::scheduler
