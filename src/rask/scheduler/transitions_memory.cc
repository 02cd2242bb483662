// Transitions from and to memory, erred and forgotten.
#include <fmt/format.h>

#include <algorithm>

#include "rask/base/units.h"
#include "rask/scheduler/state.h"

namespace rask::scheduler {

void State::add_to_memory(std::uint32_t id, std::uint32_t worker) {
  auto& task = tasks[id];
  set_state(task, TaskState::memory);
  if (task.actor) workers[worker]->actors.push_back(id);
  add_replica(id, worker);
  leave_play(task);
  if (task.waiters == 0 && !task.wanted()) {
    recommend(id, TaskState::released);
  } else {
    report_memory(id);
  }
  if (wants(0, task)) release_key(0, id);
}

void State::memory_released(std::uint32_t id) {
  auto& task = tasks[id];
  if (task.actor) {
    for (const auto& replica : task.who_has) std::erase(workers[replica.worker]->actors, id);
    if (task.wanted()) return recommend(id, TaskState::erred);  // Its state cannot be made again.
  }
  for (const auto& replica : task.who_has) send_free_keys(replica.worker, task.key, task.run_id);
  remove_all_replicas(id);
  set_state(task, TaskState::released);
  for (const auto& want : task.who_wants) report(want.client, protocol::LostData{task.key});
  if (task.run_spec.empty() || task.has_lost_dependencies) {
    recommend(id, TaskState::forgotten);
  } else if (task.wanted() || task.waiters != 0) {
    recommend(id, TaskState::waiting);
  }
  if (task.waiters == 0) return;
  for (const auto& edge : task.dependents) {
    const auto& dependent = tasks[edge.task];
    if (dependent.state == TaskState::no_worker || dependent.state == TaskState::processing ||
        dependent.state == TaskState::queued)
      recommend(edge.task, TaskState::waiting);
  }
}

// Actors only: what happened in an actor cannot be computed again.
void State::memory_erred(std::uint32_t id) {
  auto& task = tasks[id];
  if (!task.actor) {  // Its data was lost, and then a dependency erred: it finds out by itself.
    transition(id, TaskState::released);
    return;
  }
  constexpr std::string_view kText = "Worker holding Actor was lost";
  Failure failure;
  failure.blame = task.key;
  failure.exception = builtin_error("RuntimeError", kText);
  failure.exception_text = fmt::format("RuntimeError('{}')", kText);
  set_failure(task, add_failure(std::move(failure)));
  for (const auto& replica : task.who_has) {
    std::erase(workers[replica.worker]->actors, id);
    send_free_keys(replica.worker, task.key, task.run_id);
  }
  remove_all_replicas(id);
  for (const auto& edge : task.dependents) {
    auto& dependent = tasks[edge.task];
    if (dependent.has_data()) continue;
    set_failure(dependent, task.failure);
    recommend(edge.task, TaskState::erred);
  }
  propagate_erred(id);
}

void State::memory_forgotten(std::uint32_t id) {
  auto& task = tasks[id];
  if (task.actor) {
    for (const auto& replica : task.who_has) std::erase(workers[replica.worker]->actors, id);
  }
  propagate_forgotten(id);
}

void State::erred_released(std::uint32_t id) {
  auto& task = tasks[id];
  RASK_ASSERT(task.failure != kNone && !task.has_data());
  set_failure(task, kNone);
  set_state(task, TaskState::released);
  // A dependent that something else fails too stays as it is: to wake it in vain for each of its
  // dependencies costs time exponential in the depth of the graph.
  for (const auto& edge : task.dependents) {
    auto& dependent = tasks[edge.task];
    if (dependent.state != TaskState::erred) continue;
    const auto* other =
        std::find_if(dependent.dependencies.begin(), dependent.dependencies.end(),
                     [&](const auto& its) { return tasks[its.task].state == TaskState::erred; });
    if (other == dependent.dependencies.end())
      recommend(edge.task, TaskState::waiting);
    else
      set_failure(dependent, tasks[other->task].failure);
  }
  for (const auto& want : task.who_wants) report(want.client, protocol::TaskRetried{task.key});
}

// The end of a task. Dependents cannot be computed any more; dependencies may have lost their last
// reason to be remembered.
void State::propagate_forgotten(std::uint32_t id) {
  auto& task = tasks[id];
  if (forgets_left > 0) --forgets_left;
  shuffles.on_ended(id, TaskState::forgotten);
  leave_play(task);
  set_state(task, TaskState::forgotten);
  while (!task.dependents.empty()) {
    ++work_count;
    const auto edge = task.dependents.back();
    auto& dependent = tasks[edge.task];
    dependent.has_lost_dependencies = true;
    if (dependent.state == TaskState::waiting && !task.has_data()) --dependent.waiting_on;
    if (dependent.processing_on != kNone)
      dec_needs_what(*workers[dependent.processing_on], id, true);
    if (dependent.state != TaskState::memory && dependent.state != TaskState::erred)
      recommend(edge.task, TaskState::forgotten);
    remove_dependency(edge.task, edge.mirror);
  }
  task.waiters = 0;
  while (!task.dependencies.empty()) {
    ++work_count;
    const auto dependency = task.dependencies.back().task;
    remove_dependency(id, task.dependencies.size() - 1);
    if (tasks[dependency].dependents.empty() && !tasks[dependency].wanted())
      recommend(dependency, TaskState::forgotten);
  }
  for (const auto& replica : task.who_has) send_free_keys(replica.worker, task.key, task.run_id);
  remove_all_replicas(id);
  for (const auto& want : task.who_wants)
    report(want.client, protocol::CancelledKeys{{task.key}, "already forgotten", ""});
  free_task(id);
}

// A crude net against errors of orders of magnitude.    source: Scheduler._add_to_processing
bool State::too_large_for(std::uint32_t id, const Worker& worker) {
  auto& task = tasks[id];
  if (worker.info.memory_limit_bytes == 0 || !options.refuse_huge_tasks) return false;
  std::int64_t nbytes = 0;
  for (const auto& edge : task.dependencies)
    nbytes += std::max<std::int64_t>(0, tasks[edge.task].nbytes);
  if (nbytes <= static_cast<std::int64_t>(worker.info.memory_limit_bytes)) return false;
  auto text = fmt::format(
      "Task '{}' has {} worth of input dependencies, but worker {} has memory_limit set to {}.",
      task.key.str(), format_bytes(static_cast<std::uint64_t>(nbytes)), worker.info.address,
      format_bytes(worker.info.memory_limit_bytes));
  if (task.dependents.empty())
    text +=
        " It seems like you called client.compute() on a huge collection. Keep the result in "
        "parts, "
        "write it to storage, or reduce it first.";
  log(40, text);
  Failure failure;
  failure.blame = task.key;
  failure.exception = builtin_error("MemoryError", text);
  failure.exception_text = fmt::format("MemoryError(\"{}\")", text);
  failure.worker = task.processing_on;
  set_failure(task, add_failure(std::move(failure)));
  transition(id, TaskState::erred);
  return true;
}

}  // namespace rask::scheduler
