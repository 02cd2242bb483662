// Which worker gets a task.
//
// source: distributed/scheduler.py, is_rootish, decide_worker*, valid_workers, worker_objective,
// get_comm_cost. Where Python takes the first of equals in the order of a set, here the worker that
// joined first is taken.
#include <algorithm>
#include <tuple>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

namespace {

constexpr std::size_t kRootishGroups = 5;        // distributed.scheduler.rootish-taskgroup
constexpr std::size_t kRootishDependencies = 5;  // …rootish-taskgroup-dependencies
constexpr std::size_t kSmallCluster = 20;

// "tcp://host:port", "host:port": the address; empty for what can only be a host or a name.
std::string as_address(const std::string& text) {
  if (text.find("://") != std::string::npos) return text;
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 == text.size()) return {};
  const auto digits = text.find_first_not_of("0123456789", colon + 1) == std::string::npos;
  return digits ? "tcp://" + text : std::string{};
}

}  // namespace

// Of a group much larger than the cluster, with few or no dependencies.
bool State::is_rootish(const Task& task) const {
  const auto& annotation = annotations[task.annotation];
  if (annotation.restricted() || annotation.needs_resources()) return false;
  if (nobody_speaks(annotation.language)) return false;  // It would wait in the queue for nothing.
  const auto& group = groups[task.group];
  if (group.size <= total_nthreads * 2) return false;
  if (group.dependencies.size() >= kRootishGroups) return false;
  std::size_t dependencies = 0;
  for (const auto dependency : group.dependencies) dependencies += groups[dependency].size;
  return dependencies < kRootishDependencies;
}

// Without queuing: siblings go to one worker, a share of the group to each.
std::uint32_t State::decide_worker_rootish_queuing_disabled(std::uint32_t id) {
  const auto& task = tasks[id];
  const auto& pool = idle.empty() ? running : idle;
  if (pool.empty()) return kNone;
  auto& group = groups[task.group];
  auto worker = group.last_worker;
  if (worker == kNone || group.last_worker_tasks_left <= 0 || !workers[worker]->running()) {
    worker = best_of(task, pool.ids());
    group.last_worker_tasks_left =
        static_cast<std::int64_t>(group.size) * workers[worker]->info.nthreads / total_nthreads;
  }
  const auto left = group.states[static_cast<std::size_t>(TaskState::released)] +
                    group.states[static_cast<std::size_t>(TaskState::waiting)];
  group.last_worker = left > 1 ? worker : kNone;
  --group.last_worker_tasks_left;
  return worker;
}

std::uint32_t State::decide_worker_non_rootish(std::uint32_t id) {
  const auto& task = tasks[id];
  if (running.empty()) return kNone;
  const auto* valid = valid_workers(task);
  if (valid == nullptr && task.dependencies.empty() && !task.actor) return least_occupied();
  candidates.clear();
  if (task.actor) {
    candidates = running.ids();
  } else {
    sum_missing_bytes(task);  // Leaves the workers that hold a dependency in `candidates`.
    std::erase_if(candidates, [&](std::uint32_t worker) { return !workers[worker]->running(); });
  }
  if (valid != nullptr) {
    std::erase_if(candidates, [&](std::uint32_t worker) {
      return !std::binary_search(valid->begin(), valid->end(), worker);
    });
    if (candidates.empty()) candidates = *valid;
    if (candidates.empty()) return kNone;
  }
  if (candidates.empty()) candidates = running.ids();
  if (candidates.size() == 1) return candidates.front();
  return best_of(task, candidates);
}

// A task without relations: the least occupied of few workers, the next of many.
std::uint32_t State::least_occupied() const {
  const auto& pool = idle.empty() ? running : idle;
  const auto count = pool.size();
  const auto start = static_cast<std::size_t>(placed_count % count);
  if (count >= kSmallCluster) return pool[start];
  auto best = pool[0];
  auto best_occupancy = occupancy(*workers[best]);
  for (const auto worker : pool) {
    const auto occupied = occupancy(*workers[worker]);
    if (occupied < best_occupancy) std::tie(best, best_occupancy) = std::pair{worker, occupied};
  }
  if (best_occupancy > 0) return best;
  for (std::size_t i = 0; i < count; ++i) {
    const auto worker = pool[(start + i) % count];
    if (occupancy(*workers[worker]) == 0) return worker;
  }
  return best;
}

// The worker on which the task is expected to start first; of equals the one with least data.
std::uint32_t State::best_of(const Task& task, std::span<const std::uint32_t> among) {
  if (among.data() != candidates.data()) sum_missing_bytes(task);
  std::int64_t all = 0;
  for (const auto& edge : task.dependencies) all += tasks[edge.task].get_nbytes();
  auto best = kNone;
  std::tuple<std::size_t, double, std::int64_t> best_cost{};
  for (const auto number : among) {
    ++work_count;
    const auto& worker = *workers[number];
    const auto held = number < held_bytes.size() ? held_bytes[number] : 0;
    const auto start = occupancy(worker) / worker.info.nthreads +
                       static_cast<double>(all - held) / options.bandwidth_bytes_per_s;
    const std::tuple cost{task.actor ? worker.actors.size() : 0, start, worker.nbytes};
    if (best != kNone && !(cost < best_cost)) continue;
    best = number;
    best_cost = cost;
  }
  return best;
}

// One pass over the dependencies for all workers: what each holds of them, in `held_bytes`.
void State::sum_missing_bytes(const Task& task) {
  held_bytes.assign(task.dependencies.empty() ? 0 : workers.size(), 0);
  candidates.clear();
  for (const auto& edge : task.dependencies) {
    const auto& dependency = tasks[edge.task];
    for (const auto& replica : dependency.who_has) {
      ++work_count;
      auto& held = held_bytes[replica.worker];
      if (held == 0) candidates.push_back(replica.worker);
      held += dependency.get_nbytes();
    }
  }
  if (candidates.size() < 2) return;
  // Twice among them is who holds results of no bytes only.
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
}

double State::comm_cost(const Task& task, std::uint32_t worker) const {
  std::int64_t missing = 0;
  for (const auto& edge : task.dependencies) {
    const auto& dependency = tasks[edge.task];
    if (!holds(dependency, worker)) missing += dependency.get_nbytes();
  }
  return static_cast<double>(missing) / options.bandwidth_bytes_per_s;
}

// The running workers that a task's restrictions allow, sorted; nullptr: any. Worked out once for
// all tasks with the same annotations, until the cluster changes.
const std::vector<std::uint32_t>* State::valid_workers(const Task& task) {
  auto& annotation = annotations[task.annotation];
  const bool is_limited = is_limited_by(annotation.language);
  if (!annotation.restricted() && !annotation.needs_resources() && !is_limited) return nullptr;
  if (annotation.topology == topology) return &annotation.valid;
  annotation.topology = topology;
  annotation.valid.clear();
  const auto hosts = hosts_of(annotation);
  for (const auto number : running) {
    const auto& worker = *workers[number];
    if (speaks(worker, annotation.language) && permits(annotation, hosts, worker) &&
        supplies(worker, annotation))
      annotation.valid.push_back(number);
  }
  // Where it would rather run is not there: then anywhere else, but not without its resources.
  if (annotation.valid.empty() && annotation.source && annotation.source->allow_other_workers) {
    if (!annotation.needs_resources() && !is_limited) {
      annotation.topology = 0;  // `valid` does not say "any": work it out again.
      return nullptr;
    }
    for (const auto number : running) {
      if (speaks(*workers[number], annotation.language) && supplies(*workers[number], annotation))
        annotation.valid.push_back(number);
    }
  }
  return &annotation.valid;
}

bool State::speaks(const Worker& worker, Language language) const {
  switch (language) {
    case Language::native:
      return worker.info.runs_native;
    case Language::python:
      return worker.info.runs_python;
    case Language::any:
      break;
  }
  return true;
}

// Some worker could not run it.
bool State::is_limited_by(Language language) const {
  return foreign_to[static_cast<std::size_t>(language)] > 0;
}

bool State::nobody_speaks(Language language) const {
  return is_limited_by(language) &&
         foreign_to[static_cast<std::size_t>(language)] == live_workers.size();
}

// A change of the cluster may leave queued tasks without any worker that could run them.
void State::requeue_speechless() {
  if (!nobody_speaks(Language::native) && !nobody_speaks(Language::python)) return;
  for (const auto id : queued_tasks()) {
    if (nobody_speaks(annotations[tasks[id].annotation].language))
      recommend(id, TaskState::released);
  }
}

// Whether the restrictions name the worker or its host, or there are none.
bool State::permits(const Annotation& annotation, const std::vector<std::string>& hosts,
                    const Worker& worker) const {
  const auto in = [](const std::vector<std::string>& texts, const std::string& text) {
    return std::find(texts.begin(), texts.end(), text) != texts.end();
  };
  return !annotation.restricted() || in(annotation.addresses, worker.info.address) ||
         in(hosts, worker.host);
}

bool State::supplies(const Worker& worker, const Annotation& annotation) const {
  if (!annotation.source) return true;
  const auto& needed = annotation.source->resources;
  return std::all_of(needed.begin(), needed.end(), [&](const auto& need) {
    const auto at = worker.info.resources.find(need.first);
    return at != worker.info.resources.end() && at->second >= need.second;
  });
}

// A restriction may be the name of a worker that was not there when the task came.
std::string State::host_of(const std::string& host) const {
  const auto at = worker_by_name.find(host);
  return at == worker_by_name.end() ? host : workers[at->second]->host;
}

std::vector<std::string> State::hosts_of(const Annotation& annotation) const {
  std::vector<std::string> hosts;
  for (const auto& host : annotation.hosts) hosts.push_back(host_of(host));
  return hosts;
}

std::uint32_t State::annotation_of(const protocol::AnnotationsPtr& source, Language language) {
  if (!source) return static_cast<std::uint32_t>(language);
  const auto [at, fresh] = annotation_by_source.try_emplace({source.get(), language}, 0);
  if (fresh) {
    if (free_annotations.empty()) {
      at->second = static_cast<std::uint32_t>(annotations.size());
      annotations.emplace_back();
    } else {
      at->second = free_annotations.back();
      free_annotations.pop_back();
    }
    auto& annotation = annotations[at->second];
    annotation.source = source;
    annotation.language = language;
    for (const auto& text : source->workers) {
      const auto named = worker_by_name.find(text);
      const auto address =
          named == worker_by_name.end() ? as_address(text) : workers[named->second]->info.address;
      if (address.empty())
        annotation.hosts.push_back(text);
      else
        annotation.addresses.push_back(address);
    }
  }
  ++annotations[at->second].uses;
  return at->second;
}

void State::release_annotation(std::uint32_t number) {
  if (number < kLanguages) return;
  auto& annotation = annotations[number];
  if (--annotation.uses != 0) return;
  annotation_by_source.erase({annotation.source.get(), annotation.language});
  annotation = Annotation{};
  free_annotations.push_back(number);
}

// REQUIRES that what it asks for of resources stays the same.
void State::annotate(Task& task, const protocol::AnnotationsPtr& source) {
  const auto before = task.annotation;
  task.annotation = annotation_of(source, annotations[before].language);
  release_annotation(before);
}

void State::change_resources(const Task& task, Worker& worker, double sign) {
  const auto& source = annotations[task.annotation].source;
  if (!source) return;
  for (const auto& [resource, amount] : source->resources)
    worker.used_resources[resource] += sign * amount;
}

}  // namespace rask::scheduler
