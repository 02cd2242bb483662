#include "rask/worker/worker.h"

#include "rask/worker/state.h"

namespace rask::worker {

std::string_view to_string(TaskState state) {
  constexpr std::string_view kNames[] = {"released",  "waiting",      "ready",    "constrained",
                                         "executing", "long-running", "memory",   "error",
                                         "fetch",     "flight",       "missing",  "cancelled",
                                         "resumed",   "rescheduled",  "forgotten"};
  static_assert(std::size(kNames) == kStateCount);
  RASK_ASSERT(static_cast<std::size_t>(state) < kStateCount);
  return kNames[static_cast<std::size_t>(state)];
}

Worker::Worker(Options options) : state_(std::make_unique<State>(std::move(options))) {}

Worker::~Worker() = default;

void Worker::handle(protocol::ToWorker&& message, Seconds now, Instructions& out) {
  state_->handle(std::move(message), now, out);
}

void Worker::handle(Event&& event, Seconds now, Instructions& out) {
  state_->handle(std::move(event), now, out);
}

void Worker::set_resources(const protocol::Resources& resources, Seconds now, Instructions& out) {
  state_->set_resources(resources, now, out);
}

std::optional<TaskState> Worker::state_of(const Key& key) const {
  const TaskId* id = state_->find(key);
  if (id == nullptr) return std::nullopt;
  return state_->at(*id).state;
}

std::size_t Worker::count(TaskState state) const { return state_->count(state); }

std::size_t Worker::task_count() const { return state_->task_count(); }

std::size_t Worker::executing_count() const { return state_->executing_count; }

std::size_t Worker::ready_count() const { return state_->count(TaskState::ready); }

std::size_t Worker::in_memory_count() const { return state_->count(TaskState::memory); }

std::size_t Worker::in_flight_count() const { return state_->in_flight_count; }

std::int64_t Worker::nbytes() const { return state_->nbytes; }

std::vector<std::pair<Key, Seconds>> Worker::executing(Seconds now) const {
  std::vector<std::pair<Key, Seconds>> executing;
  executing.reserve(state_->running_tasks.size());
  for (const TaskId id : state_->running_tasks) {
    const Task& task = state_->at(id);
    executing.emplace_back(task.key, now - task.start_time);
  }
  return executing;
}

std::vector<Key> Worker::keys_in_memory() const {
  std::vector<Key> keys;
  keys.reserve(in_memory_count());
  state_->for_each_task([&](TaskId, const Task& task) {
    if (task.state == TaskState::memory) keys.push_back(task.key);
  });
  return keys;
}

const protocol::Resources& Worker::available_resources() const {
  return state_->available_resources;
}

bool Worker::paused() const { return !state_->running_enabled; }

bool Worker::idle() const {
  if (!state_->running_tasks.empty() || state_->in_flight_count > 0) return false;
  for (const TaskState state : {TaskState::waiting, TaskState::ready, TaskState::constrained,
                                TaskState::fetch, TaskState::missing}) {
    if (state_->count(state) > 0) return false;
  }
  return true;
}

bool Worker::has_missing() const { return !state_->missing_tasks.empty(); }

std::vector<Worker::StoryLine> Worker::story(std::span<const Key> keys,
                                             std::span<const std::string> stimuli) const {
  std::vector<Key> known;
  known.reserve(task_count());
  state_->for_each_task([&](TaskId, const Task& task) { known.push_back(task.key); });
  return state_->log.story(keys, stimuli, std::move(known));
}

void Worker::check_invariants() const { state_->check_invariants(); }

}  // namespace rask::worker
