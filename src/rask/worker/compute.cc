// Which ready task runs next, and the abstract resources that tasks hold while they run.
#include <algorithm>

#include "rask/worker/state.h"

namespace rask::worker {

bool State::is_ready_entry(const TaskHeap::Entry& entry) const {
  return at(entry.task).epoch == entry.epoch;
}

void State::push_ready(TaskId id) {
  Task& task = at(id);
  const bool unconstrained = task.state == TaskState::ready;
  TaskHeap& heap = unconstrained ? ready_ : constrained_;
  heap.compact(count(task.state), [this](const auto& entry) { return is_ready_entry(entry); });
  task.epoch = next_epoch();
  heap.push({task.priority, id, task.epoch});
}

void State::ensure_computing() {
  if (!running_enabled) return;
  const auto nthreads = static_cast<std::size_t>(std::max(options.nthreads, 0));
  while (executing_count < nthreads || may_execute_ahead()) {
    const auto id = next_ready_task();
    if (!id) return;
    at(*id).epoch = 0;
    transition(*id, TaskState::executing);
  }
}

// Only while nothing waits for resources: the order between the two kinds is not to change.
bool State::may_execute_ahead() {
  if (options.execute_ahead <= 0 || count(TaskState::constrained) > 0) return false;
  const auto* next = ready_.top([this](const auto& entry) { return is_ready_entry(entry); });
  if (next == nullptr) return false;
  const Seconds duration = at(next->task).duration;
  return duration > 0 && executing_expected + duration <= options.execute_ahead * options.nthreads;
}

void State::take_slot(const Task& task) {
  ++executing_count;
  executing_expected += task.duration;
}

void State::leave_slot(const Task& task) {
  executing_expected -= task.duration;
  // Sums of reals drift; when nothing executes the answer is known.
  if (--executing_count == 0) executing_expected = 0;
}

// The best of those that need no resources and the best of those that do, when it can have them.
// As in Dask, a constrained task that cannot have them holds up the constrained ones behind it, so
// that a large one is not passed for ever by small ones.
std::optional<TaskId> State::next_ready_task() {
  if (count(TaskState::ready) == 0 && count(TaskState::constrained) == 0) return std::nullopt;
  const auto alive = [this](const auto& entry) { return is_ready_entry(entry); };
  const auto* free = ready_.top(alive);
  const auto* bound = constrained_.top(alive);
  const bool bound_can = bound != nullptr && resources_satisfied(at(bound->task));
  if (bound_can && (free == nullptr || bound->priority < free->priority)) {
    const TaskId id = bound->task;
    constrained_.pop();
    return id;
  }
  if (free == nullptr) return std::nullopt;
  const TaskId id = free->task;
  ready_.pop();
  return id;
}

bool State::resources_satisfied(const Task& task) const {
  return std::ranges::all_of(
      task.resources, [](const ResourceNeed& need) { return *need.available >= need.amount; });
}

void State::acquire_resources(const Task& task) {
  if (task.resources.empty()) return;
  ++resource_users_;
  for (const ResourceNeed& need : task.resources) *need.available -= need.amount;
}

void State::release_resources(const Task& task) {
  if (task.resources.empty()) return;
  for (const ResourceNeed& need : task.resources) *need.available += need.amount;
  if (--resource_users_ > 0) return;
  // Sums of reals drift; when nobody holds anything the answer is known.
  for (auto& [name, amount] : available_resources) amount = total_resources[name];
}

void State::set_restrictions(Task& task, const protocol::Resources& restrictions) {
  task.resources.clear();
  for (const auto& [name, amount] : restrictions) {
    total_resources.try_emplace(name, 0);
    auto& available = available_resources.try_emplace(name, 0).first->second;
    task.resources.push_back({&available, amount});
  }
}

void State::set_resources(const protocol::Resources& resources, Seconds time,
                          Instructions& instructions) {
  begin({{}, "set-resources", 0}, time, instructions);
  for (const auto& [name, amount] : resources) {
    double& total = total_resources[name];
    available_resources[name] += amount - total;
    total = amount;
  }
  finish_event();
}

// What the ends of all executions have in common. The task is executing, long-running, cancelled or
// resumed.
TaskId State::execute_done(const Key& key) {
  const TaskId* found = find(key);
  RASK_ASSERT(found != nullptr);
  const TaskId id = *found;
  Task& task = at(id);
  const TaskState what = is_running(task.state) ? task.state : task.previous;
  RASK_ASSERT(is_running(what));
  if (what == TaskState::executing) leave_slot(task);
  list_remove(running_tasks, id);
  release_resources(task);
  task.done = true;
  return id;
}

}  // namespace rask::worker
