// What the shell's events do.
#include <algorithm>

#include "rask/worker/state.h"

namespace rask::worker {

using enum TaskState;

// The execution or transfer of a task has ended and left no value. A value that scatter brought in
// the meantime stands in for it, unless the scheduler waits to hear of the execution.
void State::end_without_value(TaskId id, TaskState otherwise) {
  Task& task = at(id);
  if (!task.scattered || is_running(task.state)) {
    recommend(id, otherwise);
    return;
  }
  task.scattered = false;
  if (task.state == cancelled) reset_to_released(task);
  recommend(id, memory);
}

void State::on(ExecuteSuccess& event) {
  const TaskId id = execute_done(event.key);
  Task& task = at(id);
  if (task.state == cancelled && task.scattered) {  // Wanted for another reason than before.
    end_without_value(id, released);
    return;
  }
  task.startstops.push_back({"compute", event.start, event.stop, {}});
  task.value_nbytes = std::max<std::int64_t>(event.nbytes, 0);
  task.type = std::move(event.type);
  task.typename_ = std::move(event.typename_);
  task.metadata = std::move(event.metadata);
  outcome_.run_id = event.run_id;
  outcome_.thread = event.thread;
  recommend(id, memory);
}

void State::on(ExecuteFailure& event) {
  const TaskId id = execute_done(event.key);
  at(id).startstops.push_back({"compute", event.start, event.stop, {}});
  outcome_ = {event.run_id,         &event.exception, &event.traceback, event.exception_text,
              event.traceback_text, event.thread,     std::nullopt};
  end_without_value(id, error);
}

void State::on(RescheduleTask& event) { end_without_value(execute_done(event.key), rescheduled); }

void State::on(SecedeTask& event) {
  const TaskId* id = find(event.key);
  if (id == nullptr) return;
  const Task& task = at(*id);
  // secede() called in the last moments of a task, or twice, finds nothing to change.
  if (task.state != executing && !is_running(task.previous)) return;
  outcome_.compute_duration = event.compute_duration;
  recommend(*id, long_running);
}

// Dask notes a transfer at a task that it was made for.
void State::note_transfer(const GatherDepSuccess& event) {
  const auto peer_id = find_peer(event.worker);
  if (!peer_id) return;
  for (const TaskId id : peer(*peer_id).gathering) {
    const auto& dependents = at(id).dependents;
    if (dependents.empty()) continue;
    at(dependents.front())
        .startstops.push_back({"transfer", event.start, event.stop, event.worker});
    return;
  }
}

void State::on(GatherDepSuccess& event) {
  if (!event.received.empty()) note_transfer(event);
  const auto tasks = gather_done(event.worker);
  for (const auto& [key, bytes] : event.received) {
    const TaskId* id = find(key);
    if (id != nullptr && at(*id).done)
      at(*id).value_nbytes = std::max<std::int64_t>(bytes, 0);
    else if (id == nullptr || at(*id).state != memory)
      out_->emplace_back(Forget{key});
  }
  const WorkerId peer_id = *find_peer(event.worker);
  for (const TaskId id : tasks) {
    const auto& who_has = at(id).who_has;
    if (at(id).value_nbytes >= 0 && !at(id).scattered) {
      recommend(id, memory);
      continue;
    }
    // It said that it has it, and it has not.
    if (std::ranges::find(who_has, peer_id, &Replica::peer) != who_has.end())
      remove_replica(id, peer_id);
    end_without_value(id, fetch);
  }
  release_peer_if_gone(event.worker);
}

void State::on(GatherDepBusy& event) {
  std::vector<Key> refresh;
  const auto tasks = gather_done(event.worker);
  peer(*find_peer(event.worker)).busy = true;
  for (const TaskId id : tasks) {
    end_without_value(id, fetch);
    if (at(id).state == cancelled) continue;
    const bool all_busy = std::ranges::all_of(
        at(id).who_has, [this](const Replica& replica) { return peer(replica.peer).busy; });
    if (all_busy) refresh.push_back(at(id).key);
  }
  out_->emplace_back(RetryBusyWorkerLater{event.worker});
  if (!refresh.empty()) send(protocol::RequestRefreshWhoHas{std::move(refresh), stimulus_id()});
  release_peer_if_gone(event.worker);
}

void State::on(GatherDepNetworkFailure& event) {
  for (const TaskId id : gather_done(event.worker)) end_without_value(id, fetch);
  forget_peer(*find_peer(event.worker));
}

void State::on(GatherDepFailure& event) {
  outcome_ = {std::nullopt,         &event.exception,     &event.traceback,
              event.exception_text, event.traceback_text, 0,
              std::nullopt};
  for (const TaskId id : gather_done(event.worker)) end_without_value(id, error);
  release_peer_if_gone(event.worker);
}

void State::on(RetryBusyWorker& event) {
  if (const auto id = find_peer(event.worker)) peer(*id).busy = false;
}

void State::on(FindMissing&) {
  if (missing_tasks.empty()) return;
  std::vector<Key> keys;
  keys.reserve(missing_tasks.size());
  for (const TaskId id : missing_tasks) keys.push_back(at(id).key);
  send(protocol::RequestRefreshWhoHas{std::move(keys), stimulus_id()});
}

void State::on(Pause&) { running_enabled = false; }

void State::on(Unpause&) { running_enabled = true; }

void State::on(UpdateData& event) {
  for (const auto& [key, bytes] : event.nbytes) {
    const TaskId id = find_or_create(key);
    Task& task = at(id);
    if (task.state == memory) continue;
    task.value_nbytes = std::max<std::int64_t>(bytes, 0);
    // What serves it at the moment has to end first; see end_without_value().
    if (is_one_of(task.state, {executing, long_running, flight, cancelled, resumed}))
      task.scattered = true;
    else
      recommend(id, memory);
  }
}

}  // namespace rask::worker
