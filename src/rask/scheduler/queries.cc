// Questions about the state.    source: distributed/scheduler.py, adaptive_target, workers_to_close
#include <algorithm>
#include <cmath>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

std::optional<WorkerId> Scheduler::find_worker(std::string_view address_or_name) const {
  const auto worker = state_->find_worker(address_or_name);
  return worker == kNone ? std::nullopt : std::optional{WorkerId{worker}};
}

std::vector<WorkerId> Scheduler::workers() const {
  std::vector<WorkerId> out;
  for (const auto worker : state_->live_workers) out.push_back(WorkerId{worker});
  return out;
}

Scheduler::WorkerView Scheduler::worker(WorkerId id) const {
  const auto& worker = *state_->workers.at(static_cast<std::uint32_t>(id));
  RASK_ASSERT(worker.alive);
  return {id,
          worker.info,
          worker.status,
          worker.last_seen,
          state_->occupancy(worker),
          worker.nbytes,
          worker.has_what.size(),
          worker.processing.size(),
          worker.metrics,
          worker.used_resources};
}

namespace {
std::vector<Key> keys_of(const State& state, const std::vector<std::uint32_t>& ids) {
  std::vector<Key> out;
  out.reserve(ids.size());
  for (const auto id : ids) out.push_back(state.tasks[id].key);
  return out;
}
}  // namespace

Seconds Scheduler::can_wait(WorkerId worker) const {
  return state_->can_wait(*state_->workers.at(static_cast<std::uint32_t>(worker)));
}

std::vector<Key> Scheduler::has_what(WorkerId worker) const {
  return keys_of(*state_, state_->workers.at(static_cast<std::uint32_t>(worker))->has_what.ids());
}

std::vector<Key> Scheduler::processing(WorkerId worker) const {
  return keys_of(*state_, state_->workers.at(static_cast<std::uint32_t>(worker))->processing.ids());
}

std::optional<Scheduler::TaskView> Scheduler::task(const Key& key) const {
  const auto id = state_->find(key);
  if (id == kNone) return std::nullopt;
  const auto& task = state_->tasks[id];
  TaskView view{};
  view.state = task.state;
  view.nbytes = task.nbytes;
  view.prefix = state_->prefix(task).name;
  view.typename_ = state_->typenames[task.typename_];
  view.who_has = state_->addresses(task);
  if (task.processing_on != kNone)
    view.processing_on = state_->workers[task.processing_on]->info.address;
  view.run_spec_owner = std::make_shared<const Payload>(state_->run_spec(task));
  view.run_spec = view.run_spec_owner.get();
  if (task.failure != kNone) {
    const auto& failure = state_->failures[task.failure];
    view.exception = &failure.exception;
    view.traceback = &failure.traceback;
    view.exception_text = failure.exception_text;
    view.traceback_text = failure.traceback_text;
    view.exception_blame = failure.blame;
  }
  for (const auto& edge : task.dependencies)
    view.dependencies.push_back(state_->tasks[edge.task].key);
  for (const auto& edge : task.dependents) view.dependents.push_back(state_->tasks[edge.task].key);
  view.retries = task.retries;
  view.suspicious = task.suspicious;
  return view;
}

std::optional<TaskState> Scheduler::task_state(const Key& key) const {
  const auto id = state_->find(key);
  return id == kNone ? std::nullopt : std::optional{state_->tasks[id].state};
}

std::vector<WorkerId> Scheduler::holders(const Key& key) const {
  std::vector<WorkerId> out;
  if (const auto id = state_->find(key); id != kNone) {
    for (const auto& replica : state_->tasks[id].who_has) out.push_back(WorkerId{replica.worker});
  }
  return out;
}

std::vector<Key> Scheduler::keys() const {
  std::vector<Key> out;
  out.reserve(state_->tasks.size());
  for (std::uint32_t id = 0; id < state_->tasks.end(); ++id) {
    if (!state_->tasks[id].key.empty()) out.push_back(state_->tasks[id].key);
  }
  return out;
}

std::size_t Scheduler::open_moves() const { return state_->goals.size() + state_->moves.size(); }
std::size_t Scheduler::task_count() const { return state_->tasks.size(); }

std::map<std::string, std::map<TaskState, std::size_t>> Scheduler::prefix_states() const {
  std::map<std::string, std::map<TaskState, std::size_t>> out;
  for (const auto& group : state_->groups) {
    for (std::size_t i = 0; i < kStateCount; ++i) {
      if (group.states[i] != 0)
        out[state_->prefixes[group.prefix].name][static_cast<TaskState>(i)] += group.states[i];
    }
  }
  return out;
}

std::map<std::string, Scheduler::ProgressCount> Scheduler::progress(
    std::span<const Key> keys) const {
  std::map<std::string, ProgressCount> unknown;
  std::vector<ProgressCount> by_prefix(state_->prefixes.size());
  std::vector<bool> seen(state_->tasks.end());
  std::vector<std::uint32_t> stack;
  const auto visit = [&](std::uint32_t id) {
    if (seen[id]) return;
    seen[id] = true;
    stack.push_back(id);
  };
  for (const Key& key : keys) {
    const auto id = state_->find(key);
    if (id == kNone)
      ++unknown[key_split(key)].all;
    else
      visit(id);
  }
  while (!stack.empty()) {
    const auto& task = state_->tasks[stack.back()];
    stack.pop_back();
    auto& count = by_prefix[state_->groups[task.group].prefix];
    ++count.all;
    count.erred += task.state == TaskState::erred ? 1 : 0;
    // What has been released was computed, or nobody needs it: else it would be waiting.
    count.done += task.state == TaskState::memory || task.state == TaskState::released ||
                          task.state == TaskState::forgotten
                      ? 1
                      : 0;
    for (const auto& edge : task.dependencies) visit(edge.task);
  }
  auto out = std::move(unknown);
  for (std::size_t i = 0; i < by_prefix.size(); ++i) {
    if (by_prefix[i].all == 0) continue;
    auto& count = out[state_->prefixes[i].name];
    count.all += by_prefix[i].all;
    count.done += by_prefix[i].done;
    count.erred += by_prefix[i].erred;
  }
  return out;
}

std::size_t Scheduler::client_count() const { return state_->client_count; }
Seconds Scheduler::total_occupancy() const { return state_->total_occupancy(); }
std::size_t Scheduler::idle_count() const { return state_->idle.size(); }
std::optional<Seconds> Scheduler::idle_since() const { return state_->idle_since; }

int Scheduler::adaptive_target(Seconds target_duration) const {
  const auto& state = *state_;
  constexpr std::size_t kSample = 100;
  std::size_t sampled = 0;
  double occupancy = 0;
  const auto sample = [&](std::uint32_t id) {
    occupancy += state.duration(state.prefix(state.tasks[id]));
    return ++sampled < kSample;
  };
  const auto live = [&](const auto& entry) { return state.queued_is_live(entry); };
  for (const auto& queue : state.queues) {
    if (sampled < kSample) queue.sample(live, sample);
  }
  for (const auto id : state.unrunnable.with_holes()) {
    if (id != kNone && sampled < kSample) sample(id);
  }
  auto ready = state.queued_count() + state.unrunnable.size();
  if (ready > kSample) occupancy *= static_cast<double>(ready) / kSample;
  auto cpu = std::ceil((state.total_occupancy() + occupancy) / std::max(target_duration, 1e-9));
  // A few long tasks ask for no more threads than there are tasks.
  const bool work_waits = ready != 0;
  ready += state.processing_count;
  cpu = std::min(cpu, static_cast<double>(ready));
  const auto count = state.live_workers.size();
  if (count != 0)
    cpu = std::ceil(cpu / static_cast<double>(state.total_nthreads) * static_cast<double>(count));
  if (work_waits && count == 0) cpu = std::max(1.0, cpu);
  double limit = 0;
  double used = 0;
  for (const auto worker : state.live_workers) {
    limit += static_cast<double>(state.workers[worker]->info.memory_limit_bytes);
    used += static_cast<double>(state.workers[worker]->nbytes);
  }
  const double memory = limit > 0 && used > 0.6 * limit ? 2.0 * static_cast<double>(count) : 0;
  const auto target = std::max(memory, cpu);
  if (target >= static_cast<double>(count)) return static_cast<int>(std::min(target, 1e9));
  return static_cast<int>(count - workers_to_close(-1).size());
}

std::vector<WorkerId> Scheduler::workers_to_close(int wanted) const {
  const auto& state = *state_;
  std::vector<std::uint32_t> order;
  double limit = 0;
  double total = 0;
  for (const auto number : state.live_workers) {
    const auto& worker = *state.workers[number];
    if (worker.long_running != 0) continue;  // Its tasks wait for others: closing it starts over.
    if (state.shuffles.participates(worker.info.address)) continue;  // So would the shuffle.
    order.push_back(number);
    limit += static_cast<double>(worker.info.memory_limit_bytes);
    total += static_cast<double>(worker.nbytes);
  }
  // Those without work first, then those with least data.
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const auto cost = [&](std::uint32_t number) {
      const auto& worker = *state.workers[number];
      return std::pair{!worker.processing.empty(), worker.nbytes};
    };
    return cost(a) < cost(b);
  });
  constexpr double kMemoryRatio = 2;  // Room to keep for the data there is, when no count is given.
  std::vector<WorkerId> out;
  for (const auto number : order) {
    const auto& worker = *state.workers[number];
    limit -= static_cast<double>(worker.info.memory_limit_bytes);
    const bool enough = wanted >= 0 ? out.size() >= static_cast<std::size_t>(wanted)
                                    : !worker.processing.empty() || limit < kMemoryRatio * total;
    if (enough) break;
    out.push_back(WorkerId{number});
  }
  return out;
}

std::vector<Scheduler::StoryLine> Scheduler::story(std::span<const Key> keys,
                                                   std::span<const std::string> stimuli) const {
  return state_->story.find(keys, stimuli);
}

void Scheduler::check_invariants() const { state_->check_invariants(); }

}  // namespace rask::scheduler
