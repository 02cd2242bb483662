#include "rask/scheduler/shuffle.h"

#include <fmt/format.h>

#include <algorithm>

#include "rask/protocol/annotations.h"
#include "rask/protocol/payloads.h"
#include "rask/scheduler/state.h"
#include "rask/wire/msgpack.h"

namespace rask::scheduler {

using wire::Value;

namespace {

constexpr std::string_view kBarrierPrefix = "shuffle-barrier-";
constexpr std::string_view kOriginalRestrictions = "shuffle_original_restrictions";

Key barrier_key(std::string_view id) { return Key{std::string{kBarrierPrefix} + std::string{id}}; }

ShuffleRefusal inconsistent(std::string message) {
  return {std::string{kP2PConsistencyError}, std::move(message)};
}

ShuffleRefusal illegal_state(std::string message) {
  return {"distributed.shuffle._exceptions.P2PIllegalStateError", std::move(message)};
}

// What follows the name in a task's key: 3 of ("x", 3), (1, 0) of ("x", 1, 0).
Key partition_in(const Key& key) {
  wire::Reader reader{key.msgpack()};
  if (reader.peek() != wire::Type::array) return {};
  const auto count = reader.array();
  if (count < 2) return {};
  const auto name = reader.skip();
  const std::string_view places{name.end(), key.msgpack().end()};
  if (count == 2) return Key::from_msgpack(places);
  wire::Writer tuple;
  tuple.array(count - 1);
  tuple.raw(places);
  return Key::from_msgpack(tuple.view());
}

std::string python_repr(const Key& key) {
  return key.is_text() ? "'" + key.str() + "'" : key.str();
}

}  // namespace

std::string Shuffles::Run::name() const {
  return fmt::format("SchedulerShuffleState<{}[{}]>", id, run_id);
}

// ---- What workers ask ---------------------------------------------------------------------------

ShuffleAnswer<Payload> Shuffles::get(const ShuffleRequest& request) {
  if (!state_.worker_by_address.contains(request.worker))
    return inconsistent(fmt::format("Scheduler is unaware of this worker '{}'", request.worker));
  const auto run = active_.find(request.id);
  if (run == active_.end())
    return inconsistent(fmt::format("No active shuffle with id='{}' found", request.id));
  run->second.participating_workers.insert(request.worker);
  return run->second.run_spec;
}

ShuffleAnswer<Payload> Shuffles::get_or_create(const ShuffleRequest& request) {
  const bool is_known = state_.worker_by_address.contains(request.worker);
  return !is_known || active_.contains(request.id) ? get(request) : create(request);
}

ShuffleAnswer<Payload> Shuffles::create(const ShuffleRequest& request) {
  const auto key = barrier_key(request.id);
  const auto barrier = state_.find(key);
  if (barrier == kNone)
    return inconsistent(
        fmt::format("Barrier task with key {} does not exist. This may be caused by task fusion "
                    "during graph generation.",
                    python_repr(key)));
  const auto task = state_.find(request.key);
  if (task == kNone) return ShuffleRefusal{"KeyError", request.key.str()};
  if (const auto state = state_.tasks[task].state; state != TaskState::processing)
    return inconsistent(fmt::format("Expected <TaskState {} {}> to be processing, is {}.",
                                    python_repr(request.key), to_string(state), to_string(state)));
  const auto spec = specs_.find(barrier);
  if (spec == specs_.end())
    return illegal_state(fmt::format("Barrier task {} has no shuffle spec", python_repr(key)));
  auto assigned = assign_workers(barrier, *spec->second);
  if (auto* refusal = std::get_if<ShuffleRefusal>(&assigned)) return std::move(*refusal);
  Run run{.id = request.id, .run_id = last_run_id_ + 1, .barrier = barrier};
  run.worker_for = std::get<WorkerFor>(std::move(assigned));
  auto run_spec = shuffle_run_spec(*spec->second, run.run_id, run.worker_for);
  if (!run_spec.ok())
    return ShuffleRefusal{"ValueError", fmt::format("The spec of shuffle {}: {}", request.id,
                                                    run_spec.error().message)};
  ++last_run_id_;
  run.run_spec = std::move(run_spec).value();
  for (const auto& [partition, worker] : run.worker_for) {
    run.participating_workers.insert(worker);
    run.keepers.emplace(partition, worker);
  }
  run.participating_workers.insert(request.worker);
  state_.log(30, fmt::format("Shuffle {} initialized by task {} executed on worker {}", request.id,
                             python_repr(request.key), request.worker));
  return active_.emplace(request.id, std::move(run)).first->second.run_spec;
}

ShuffleAnswer<std::vector<Address>> Shuffles::barrier(const ShuffleRequest& request,
                                                      bool consistent) {
  const auto run = active_.find(request.id);
  if (run == active_.end()) return ShuffleRefusal{"KeyError", request.id};
  if (run->second.run_id != request.run_id)
    return ShuffleRefusal{"ValueError", fmt::format("run_id={} does not match {}", request.run_id,
                                                    run->second.name())};
  if (consistent)
    return std::vector<Address>(run->second.participating_workers.begin(),
                                run->second.participating_workers.end());
  state_.log(
      30, fmt::format("Shuffle {} restarted due to data inconsistency during barrier", request.id));
  const auto barrier = run->second.barrier;
  // Workers must know that the run is over before they get its transfer tasks again.
  deactivate(run, fmt::format("{} restarted", run->second.name()));
  recommend_restart(barrier);
  return std::vector<Address>{};
}

std::optional<ShuffleRefusal> Shuffles::restrict_task(const ShuffleRequest& request) {
  const auto run = active_.find(request.id);
  if (run == active_.end()) return ShuffleRefusal{"KeyError", request.id};
  if (run->second.run_id != request.run_id)
    return inconsistent(fmt::format("Request {}, expected run_id={} for {}",
                                    run->second.run_id > request.run_id ? "stale" : "invalid",
                                    request.run_id, run->second.name()));
  const auto task = state_.find(request.key);
  if (task == kNone) return ShuffleRefusal{"KeyError", request.key.str()};
  set_restriction(run->second, task, request.worker);
  return std::nullopt;
}

std::optional<Scheduler::ShuffleView> Shuffles::find(std::string_view id) const {
  const auto run = active_.find(id);
  if (run == active_.end()) return std::nullopt;
  return Scheduler::ShuffleView{run->second.run_id, run->second.worker_for,
                                run->second.participating_workers};
}

// ---- Which worker keeps which partition ---------------------------------------------------------

// Live workers that the barrier may run on, by address; all if there is none.
std::vector<Address> Shuffles::candidates(const Task& barrier) const {
  std::vector<Address> all;
  std::vector<Address> permitted;
  const auto& annotation = state_.annotations[barrier.annotation];
  const auto hosts = state_.hosts_of(annotation);
  for (const auto& [address, number] : state_.worker_by_address) {
    all.push_back(address);
    if (state_.permits(annotation, hosts, *state_.workers[number])) permitted.push_back(address);
  }
  return permitted.empty() ? all : permitted;
}

ShuffleAnswer<WorkerFor> Shuffles::assign_workers(std::uint32_t barrier,
                                                  const protocol::P2PSpec& spec) {
  auto workers = candidates(state_.tasks[barrier]);
  RASK_ASSERT(!workers.empty());  // One has just asked.
  // Many small shuffles begin with different workers.
  const auto shift = static_cast<std::ptrdiff_t>(shift_count_++ % workers.size());
  std::rotate(workers.begin(), workers.begin() + shift, workers.end());
  std::unordered_map<Key, Address> aligned;  // Looked up only, never walked.
  if (auto refusal = find_aligned(barrier, aligned)) return std::move(*refusal);
  const auto count = static_cast<std::int64_t>(workers.size());
  WorkerFor out;
  out.reserve(spec.partitions.size());
  for (const auto& [partition, place] : spec.partitions) {
    const auto known = aligned.find(partition);
    const auto pick = static_cast<std::size_t>(count * place / spec.npartitions);
    out.emplace_back(partition, known == aligned.end() ? workers[pick] : known->second);
  }
  return out;
}

// Where other shuffles that feed the same output tasks (a join's other side) have put partitions.
std::optional<ShuffleRefusal> Shuffles::find_aligned(
    std::uint32_t barrier, std::unordered_map<Key, Address>& assigned) const {
  std::set<std::uint32_t> seen{barrier};
  for (const auto& dependent : state_.tasks[barrier].dependents) {
    for (const auto& edge : state_.tasks[dependent.task].dependencies) {
      if (!specs_.contains(edge.task) || !seen.insert(edge.task).second) continue;
      const auto other = std::find_if(active_.begin(), active_.end(), [&](const auto& entry) {
        return entry.second.barrier == edge.task;
      });
      if (other == active_.end()) continue;
      for (const auto& [partition, worker] : other->second.worker_for) {
        const auto known = assigned.try_emplace(partition, worker).first;
        if (known->second == worker) continue;
        return illegal_state(
            fmt::format("Failed to initialize shuffle because it cannot align output partition "
                        "mappings between existing shuffles. Mismatch encountered for output "
                        "partition {}: {} != {}.",
                        partition.str(), known->second, worker));
      }
    }
  }
  return std::nullopt;
}

// ---- What happens to tasks ----------------------------------------------------------------------

bool Shuffles::is_output(const Task& task) const {
  if (specs_.empty()) return false;
  return std::any_of(task.dependencies.begin(), task.dependencies.end(),
                     [&](const Edge& edge) { return specs_.contains(edge.task); });
}

std::uint32_t Shuffles::keeper_of(const Task& task) {
  if (active_.empty()) return kNone;
  const auto& annotation = state_.annotations[task.annotation];
  if (annotation.restricted() || annotation.needs_resources()) return kNone;
  for (const auto& edge : task.dependencies) {
    if (!specs_.contains(edge.task)) continue;
    const auto run = run_of(edge.task);
    if (run == active_.end()) continue;
    const auto keeper = run->second.keepers.find(partition_in(task.key));
    if (keeper == run->second.keepers.end()) continue;
    const auto worker = state_.worker_by_address.find(keeper->second);
    if (worker == state_.worker_by_address.end() || !state_.workers[worker->second]->running() ||
        !state_.speaks(*state_.workers[worker->second], annotation.language))
      continue;
    return worker->second;
  }
  return kNone;
}

Shuffles::Runs::iterator Shuffles::run_of(std::uint32_t barrier) {
  const auto& key = state_.tasks[barrier].key;
  if (!key.is_text() || !key.text().starts_with(kBarrierPrefix)) return active_.end();
  const auto run = active_.find(key.text().substr(kBarrierPrefix.size()));
  return run != active_.end() && run->second.barrier == barrier ? run : active_.end();
}

void Shuffles::end(std::uint32_t id, TaskState finish) {
  if (finish == TaskState::erred) note_failure(id);
  if (!specs_.contains(id)) return;
  if (const auto run = run_of(id); run != active_.end())
    deactivate(run, fmt::format("{} forgotten", run->second.name()));
  if (finish == TaskState::forgotten) std::erase(archived_, id);
}

// Once a run, when one of its tasks is the cause.
void Shuffles::note_failure(std::uint32_t id) {
  const auto& task = state_.tasks[id];
  if (!(state_.failures[task.failure].blame == task.key)) return;
  const auto is_next_to = [&](std::uint32_t barrier) {
    const auto is_it = [&](const Edge& edge) { return edge.task == barrier; };
    return id == barrier ||
           std::any_of(task.dependencies.begin(), task.dependencies.end(), is_it) ||
           std::any_of(task.dependents.begin(), task.dependents.end(), is_it);
  };
  for (auto& [name, run] : active_) {
    if (run.failed || !is_next_to(run.barrier)) continue;
    run.failed = true;
    state_.out->push_back(TopicEvent{"p2p", Value::object({{"action", "p2p-failed"},
                                                           {"shuffle", name},
                                                           {"stimulus", state_.stimulus()}})});
    return;
  }
}

// The run is over: its participants drop what they have of it, its outputs may run anywhere.
void Shuffles::deactivate(Runs::iterator found, const std::string& message) {
  const auto run = std::move(active_.extract(found).mapped());
  const auto text = protocol::inlined(Value::object({{"op", "shuffle-fail"},
                                                     {"shuffle_id", run.id},
                                                     {"run_id", run.run_id},
                                                     {"message", message}}));
  for (const auto& address : run.participating_workers) {
    const auto worker = state_.worker_by_address.find(address);
    if (worker != state_.worker_by_address.end())
      state_.send(worker->second, protocol::OtherMessage{"shuffle-fail", text});
  }
  state_.log(30,
             fmt::format("Shuffle {} deactivated due to stimulus '{}'", run.id, state_.stimulus()));
  for (const auto& edge : state_.tasks[run.barrier].dependents) unset_restriction(edge.task);
  if (collecting_) archived_.push_back(run.barrier);
}

void Shuffles::set_restriction(Run& run, std::uint32_t id, const Address& worker) {
  auto& task = state_.tasks[id];
  if (restricted_.contains(id)) return;  // By the other shuffle of a join.
  const auto& annotation = state_.annotations[task.annotation];
  const auto original = annotation.source;
  auto& restricted = run.restricted[{original, worker}];
  if (!restricted) {
    auto made = original ? *original : protocol::Annotations{};
    auto map = wire::Message{{protocol::annotations_map(made)}}.parse();
    Value others = map.ok() ? std::move(map).value() : Value{Value::Map{}};
    Value::Array addresses(annotation.addresses.begin(), annotation.addresses.end());
    others.set(
        kOriginalRestrictions,
        addresses.empty() ? Value{} : Value::object({{"__Set__", true}, {"as-list", addresses}}));
    made.workers = {worker};
    made.others = wire::encode(others)[0];
    restricted = std::make_shared<const protocol::Annotations>(std::move(made));
  }
  restricted_.emplace(id, original);
  state_.annotate(task, restricted);
}

void Shuffles::unset_restriction(std::uint32_t id) {
  const auto original = restricted_.extract(id);
  if (!original.empty()) state_.annotate(state_.tasks[id], original.mapped());
}

// ---- What happens to workers --------------------------------------------------------------------

void Shuffles::worker_leaves(const Address& worker) {
  collecting_ = true;
  archived_.clear();
  for (auto run = active_.begin(); run != active_.end();) {
    const auto at = run++;
    if (!at->second.participating_workers.contains(worker)) continue;
    deactivate(at, fmt::format("Worker {} left during active {}", worker, at->second.name()));
  }
}

void Shuffles::recommend_restarts() {
  for (const auto barrier : std::exchange(archived_, {})) recommend_restart(barrier);
}

// Everything that had to do with the shuffle runs again, unless it has failed for good.
void Shuffles::recommend_restart(std::uint32_t barrier) {
  const auto& task = state_.tasks[barrier];
  const auto has_erred = [&](const Edge& edge) {
    return state_.tasks[edge.task].state == TaskState::erred;
  };
  if (task.state == TaskState::erred ||
      std::any_of(task.dependents.begin(), task.dependents.end(), has_erred) ||
      std::any_of(task.dependencies.begin(), task.dependencies.end(), has_erred))
    return;
  for (const auto& edge : task.dependents) state_.recommend(edge.task, TaskState::released);
  state_.recommend(barrier, TaskState::released);
  for (const auto& edge : task.dependencies) state_.recommend(edge.task, TaskState::released);
  state_.log(30, fmt::format("Shuffle {} restarted due to stimulus '{}'",
                             task.key.str().substr(kBarrierPrefix.size()), state_.stimulus()));
}

bool Shuffles::participates(const Address& worker) const {
  return std::any_of(active_.begin(), active_.end(), [&](const auto& entry) {
    return entry.second.participating_workers.contains(worker);
  });
}

void Shuffles::check_invariants() const {
  RASK_ASSERT(!collecting_);
  for (const auto& [barrier, spec] : specs_)
    RASK_ASSERT(spec != nullptr && !state_.tasks[barrier].key.empty());
  for (const auto& [id, run] : active_) {
    RASK_ASSERT(specs_.contains(run.barrier) && state_.tasks[run.barrier].key == barrier_key(id));
    RASK_ASSERT(run.run_id <= last_run_id_);
    for (const auto& worker : run.participating_workers)
      RASK_ASSERT(state_.worker_by_address.contains(worker));
  }
  for (const auto& [id, original] : restricted_) {
    const auto& annotation = state_.annotations[state_.tasks[id].annotation];
    RASK_ASSERT(annotation.source != nullptr && annotation.source != original);
    RASK_ASSERT(is_output(state_.tasks[id]));
  }
}

}  // namespace rask::scheduler
