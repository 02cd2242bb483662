// What the scheduler's messages do.
#include <algorithm>

#include "rask/worker/state.h"

namespace rask::worker {

using enum TaskState;

void State::on(protocol::ComputeTask& message) {
  const TaskId id = find_or_create(message.key);
  Task& task = at(id);
  task.run_id = message.run_id;
  if (task.state == waiting || is_ready(task.state) || is_running(task.state)) return;
  if (task.state == memory) {
    send_task_finished(id, message.run_id);
    return;
  }
  store_computation(id, message);
  recommend(id, waiting);
}

void State::store_computation(TaskId id, protocol::ComputeTask& message) {
  Task& task = at(id);
  task.run_spec = std::move(message.run_spec);
  task.actor = message.actor;
  task.annotations = std::move(message.annotations);
  // What runs keeps the duration that it was counted with.
  if (!is_running(task.previous)) task.duration = message.duration;
  task.priority = {message.priority, generation_--};
  task.has_priority = true;
  // A task that still runs gives back what it took, not what the new message says.
  if (!is_running(task.previous)) set_restrictions(task, message.resource_restrictions);
  relink(id, message.dependencies);
}

// Makes the dependencies those of the message. Nothing waits for a dependency of an earlier run.
void State::relink(TaskId id, const std::vector<protocol::Dependency>& dependencies) {
  Task& task = at(id);
  if (dependencies.empty() && task.dependencies.empty()) return;
  const std::uint32_t known = ++mark_;
  const std::uint32_t named = ++mark_;
  for (const TaskId dependency : task.dependencies) at(dependency).mark = known;
  for (const protocol::Dependency& dependency : dependencies) {
    const TaskId dependency_id = ensure_task_exists(dependency.key, task.priority);
    Task& other = at(dependency_id);
    if (other.state != memory) other.nbytes = dependency.nbytes;
    update_who_has(dependency_id, dependency.workers);
    const auto mark = std::exchange(other.mark, named);
    if (mark == named || mark == known) continue;
    task.dependencies.push_back(dependency_id);
    other.dependents.push_back(id);
  }
  unlink_stale(id, named);
}

void State::unlink_stale(TaskId id, std::uint32_t mark) {
  std::erase_if(at(id).dependencies, [&](TaskId dependency) {
    Task& other = at(dependency);
    if (other.mark == mark) return false;
    std::erase(other.dependents, id);
    release_if_unwanted(dependency);
    return true;
  });
}

void State::on(protocol::FreeKeys& message) {
  for (const Key& key : message.keys) {
    if (const TaskId* id = find(key)) recommend(*id, released);
  }
}

void State::on(protocol::CancelCompute& message) {
  const TaskId* id = find(message.key);
  if (id == nullptr) return;
  if (is_one_of(at(*id).state, {waiting, ready, constrained})) recommend(*id, released);
}

void State::on(protocol::AcquireReplicas& message) {
  for (const protocol::Dependency& wanted : message.keys) {
    const TaskId id = ensure_task_exists(wanted.key, kReplicaPriority);
    Task& task = at(id);
    if (task.state != memory) {
      task.nbytes = wanted.nbytes;
      task.acquired = true;
      recommend(id, fetch);
    }
    update_who_has(id, wanted.workers);
  }
}

// distributed before 2024 refused so, 2026.8.0 takes it for a bug of the scheduler: the scheduler's
// message may have crossed with one of ours.
bool State::is_in_use(const Task& task) const {
  return std::ranges::any_of(task.dependents, [this](TaskId dependent) {
    const TaskState state = at(dependent).state;
    return state == waiting || is_ready(state) || is_running(state);
  });
}

void State::on(protocol::RemoveReplicas& message) {
  std::vector<Key> refused;
  for (const Key& key : message.keys) {
    const TaskId* id = find(key);
    if (id == nullptr || at(*id).state != memory) continue;
    if (is_in_use(at(*id)))
      refused.push_back(key);
    else
      recommend(*id, released);
  }
  if (!refused.empty()) send(protocol::AddKeys{std::move(refused), stimulus_id()});
}

void State::on(protocol::RefreshWhoHas& message) {
  for (const auto& [key, workers] : message.who_has) {
    const TaskId* id = find(key);
    if (id == nullptr) continue;
    update_who_has(*id, workers);
    const Task& task = at(*id);
    // A copy of what nobody has any more, asked for by acquire-replicas: no task waits for it.
    if (task.state == missing && task.who_has.empty() && task.waiter_count == 0)
      recommend(*id, released);
  }
}

void State::on(protocol::StealRequest& message) {
  const TaskId* id = find(message.key);
  const std::string_view name = id == nullptr ? std::string_view{} : to_string(at(*id).state);
  send(protocol::StealResponse{message.key, std::string{name}, std::move(message.stimulus_id)});
  if (id != nullptr && is_one_of(at(*id).state, {waiting, ready, constrained}))
    recommend(*id, released);
}

void State::on(protocol::ChangeWorkerStatus& message) {
  running_enabled = message.status == protocol::WorkerStatus::running;
}

void State::on(protocol::RemoveWorker& message) {
  const auto id = find_peer(message.worker);
  if (!id) return;
  peer(*id).gone = true;
  forget_peer(*id);
}

}  // namespace rask::worker
