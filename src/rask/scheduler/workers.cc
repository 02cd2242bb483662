// Workers come, go and change.
#include <fmt/format.h>

#include <algorithm>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

namespace {

std::string host_part(const std::string& address) {
  const auto scheme = address.find("://");
  auto rest = scheme == std::string::npos ? address : address.substr(scheme + 3);
  if (!rest.empty() && rest.front() == '[') return rest.substr(1, rest.find(']') - 1);
  return rest.substr(0, rest.rfind(':'));
}

std::string joined(const std::vector<Key>& keys) {
  constexpr std::size_t kKeysMax = 10;
  std::string out;
  for (std::size_t i = 0; i < std::min(keys.size(), kKeysMax); ++i)
    out += (i == 0 ? "" : ", ") + keys[i].str();
  if (keys.size() > kKeysMax) out += fmt::format(" and {} more", keys.size() - kKeysMax);
  return out;
}

}  // namespace

Result<WorkerId> State::add_worker(const WorkerInfo& info) {
  const auto& name = info.name.empty() ? info.address : info.name;
  if (worker_by_address.contains(info.address))
    return Error{ErrorCode::invalid_argument,
                 fmt::format("worker already exists {}", info.address)};
  if (worker_by_name.contains(name))
    return Error{ErrorCode::invalid_argument, fmt::format("name taken, {}", name)};
  const auto number = static_cast<std::uint32_t>(workers.size());
  workers.push_back(std::make_unique<Worker>());
  auto& worker = *workers.back();
  worker.info = info;
  worker.info.name = name;
  worker.info.nthreads = std::max(1, info.nthreads);
  worker.host = host_part(info.address);
  worker.status = info.status;
  worker.last_seen = now;
  for (const auto& [resource, amount] : info.resources) worker.used_resources[resource] = 0;
  worker_by_address[info.address] = number;
  worker_by_name[name] = number;
  live_workers.insert(number);
  total_nthreads += worker.info.nthreads;
  spans.nthreads_changed();
  for (const auto language : {Language::native, Language::python})
    foreign_to[static_cast<std::size_t>(language)] += !speaks(worker, language);
  ++topology;
  requeue_speechless();
  if (worker.running()) running.insert(number);
  check_idle_saturated(number);
  log(20, fmt::format("Register worker addr: {} name: {}", info.address, name));
  if (worker.running()) schedule_unrunnable(number);
  return WorkerId{number};
}

// Tasks without a worker that this one may run. Best priority last, as drain wants it.
void State::schedule_unrunnable(std::uint32_t worker) {
  std::vector<std::uint32_t> runnable;
  for (const auto id : unrunnable.with_holes()) {
    if (id == kNone) continue;
    const auto* valid = valid_workers(tasks[id]);
    if (valid == nullptr || std::binary_search(valid->begin(), valid->end(), worker))
      runnable.push_back(id);
  }
  std::sort(runnable.begin(), runnable.end(), [&](std::uint32_t a, std::uint32_t b) {
    const auto order = tasks[a].priority <=> tasks[b].priority;
    return order != 0 ? order > 0 : a > b;
  });
  for (const auto id : runnable) recommend(id, TaskState::processing);
}

void State::set_worker_status(std::uint32_t number, protocol::WorkerStatus status) {
  auto& worker = *workers[number];
  if (!worker.alive || worker.status == status) return;
  worker.status = status;
  ++topology;
  if (worker.running()) {
    running.insert(number);
    check_idle_saturated(number);
    schedule_unrunnable(number);
  } else {
    running.erase(number);
    check_idle_saturated(number);
  }
}

std::uint32_t State::find_worker(std::string_view address_or_name) const {
  if (const auto at = worker_by_address.find(address_or_name); at != worker_by_address.end())
    return at->second;
  const auto at = worker_by_name.find(address_or_name);
  return at == worker_by_name.end() ? kNone : at->second;
}

void State::heartbeat_worker(std::uint32_t number, const WorkerMetrics& metrics) {
  auto& worker = *workers[number];
  if (!worker.alive) return;
  worker.last_seen = now;
  worker.metrics = metrics;
  for (const auto& [key, seconds] : metrics.executing) {
    if (const auto id = find(key); id != kNone) set_max_exec_time(prefix(tasks[id]), seconds);
  }
}

void State::add_resources(std::uint32_t number, const protocol::Resources& resources) {
  auto& worker = *workers[number];
  if (!worker.alive) return;
  for (const auto& [resource, amount] : resources) {
    worker.info.resources[resource] = amount;
    worker.used_resources.try_emplace(resource, 0);
  }
  ++topology;
  if (worker.running()) schedule_unrunnable(number);
}

// source: Scheduler.remove_worker
void State::remove_worker(std::uint32_t number, bool expected, bool is_silent) {
  auto& worker = *workers[number];
  if (!worker.alive) return;
  log(20, fmt::format("Remove worker addr: {} name: {} ({})", worker.info.address, worker.info.name,
                      stimulus()));
  // A worker that reads this, perhaps much later, takes its nanny with it.
  const auto& nanny = is_silent ? worker.info.nanny : Address{};
  if (!expected && nanny.empty()) send(number, protocol::CloseWorker{"scheduler-remove-worker"});
  out->push_back(DropWorker{WorkerId{number}, worker.info.address, nanny});
  worker.alive = false;
  worker.status = protocol::WorkerStatus::closed;
  worker_by_address.erase(worker.info.address);
  worker_by_name.erase(worker.info.name);
  live_workers.erase(number);
  running.erase(number);
  idle.erase(number);
  saturated.erase(number);
  open.erase(number);
  worker.idle = worker.saturated = worker.open = false;
  total_nthreads -= worker.info.nthreads;
  spans.nthreads_changed();
  for (const auto language : {Language::native, Language::python})
    foreign_to[static_cast<std::size_t>(language)] -= !speaks(worker, language);
  ++topology;
  // Before anything is sent out again: it would run into what is over.
  shuffles.worker_leaves(worker.info.address);
  requeue_speechless();
  lose_processing(number, expected);
  lose_replicas(number);
  do {
    shuffles.recommend_restarts();
    drain();
  } while (shuffles.has_restarts());
  shuffles.worker_left();
  RASK_ASSERT(worker.processing.empty() && worker.has_what.empty());
  for (auto& level : worker.stealable) level = {};
  worker.needs_what.clear();
  worker.metrics = {};
  forget_moves_of_worker(number);
  for (const auto other : live_workers)
    send(other, protocol::RemoveWorker{worker.info.address, stimulus()});
  if (live_workers.empty()) log(20, "Lost all workers");
  advance_retirements(false);
}

// Whatever ran there runs elsewhere, unless it has brought down too many workers already.
void State::lose_processing(std::uint32_t number, bool expected) {
  for (const auto id : workers[number]->processing.ids()) {
    if (expected) {
      recommend(id, TaskState::released);
    } else {
      worker_is_unable(*workers[number], id);
    }
  }
}

void State::worker_is_unable(Worker& worker, std::uint32_t id) {
  auto& task = tasks[id];
  ++task.suspicious;
  ++prefix(task).suspicious;
  if (task.suspicious <= options.allowed_failures) return recommend(id, TaskState::released);
  Failure failure;
  failure.blame = task.key;
  failure.exception =
      killed_worker(task.key, worker, options.allowed_failures, failure.exception_text);
  failure.traceback = explanation(failure.exception_text);
  log(40, fmt::format("Task {} marked as failed because {} workers died while trying to run it",
                      task.key.str(), task.suspicious));
  set_failure(task, add_failure(std::move(failure)));
  transition(id, TaskState::erred);
}

void State::lose_replicas(std::uint32_t number) {
  std::vector<Key> recompute;
  std::vector<Key> lost;
  const auto& worker = *workers[number];
  for (const auto id : worker.has_what.ids()) {
    auto& task = tasks[id];
    const bool actor =
        std::find(worker.actors.begin(), worker.actors.end(), id) != worker.actors.end();
    remove_replica(id, number);
    if (actor) {
      recommend(id, TaskState::erred);
    } else if (!task.has_data() && !task.run_spec.empty()) {
      recompute.push_back(task.key);
      recommend(id, TaskState::released);
    } else if (!task.has_data()) {
      lost.push_back(task.key);
      recommend(id, TaskState::forgotten);
    }
  }
  if (!recompute.empty())
    log(30, fmt::format("Removing worker '{}' caused the cluster to lose already computed task(s), "
                        "which will be recomputed elsewhere: {} ({})",
                        worker.info.address, joined(recompute), stimulus()));
  if (!lost.empty())
    log(40, fmt::format("Removing worker '{}' caused the cluster to lose scattered data, which "
                        "can't be recovered: {} ({})",
                        worker.info.address, joined(lost), stimulus()));
}

}  // namespace rask::scheduler
