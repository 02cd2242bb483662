#include "rask/client/delayed.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "rask/base/config.h"
#include "rask/client/core.h"
#include "rask/client/current.h"
#include "rask/client/keys.h"
#include "rask/client/progress_internal.h"
#include "rask/executor/child_process.h"
#include "rask/executor/local_run.h"
#include "rask/executor/process_pool.h"
#include "rask/graph/task_context.h"

namespace rask {
namespace internal {
namespace {

TaskError task_error(const executor::TargetFailure& failure) {
  std::string traceback = failure.failure.traceback;
  for (std::size_t i = 1; i < failure.chain.size(); ++i)
    traceback += "  needed by " + failure.chain[i].str() + "\n";
  TaskError error{failure.chain.front().str(), failure.failure.type, failure.failure.message,
                  failure.failure.worker, traceback};
  for (const Key& key : failure.chain) error.chain.push_back(key.str());
  return error;
}

class LocalComputation final : public Computation {
 public:
  LocalComputation(Plan plan, const executor::LocalRunOptions& options)
      : last_(plan.targets.size(), true), run_(note_last(std::move(plan)), options) {
    const internal::ShownRun shown{run_};
    run_.run();
  }

  void* object(std::size_t target) override { return run_.result(target); }
  bool is_last(std::size_t target) override { return last_[target]; }
  wire::Payload payload(std::size_t) override { return {}; }
  Key key(std::size_t) override { return {}; }
  std::optional<TaskError> error(std::size_t target) override {
    if (run_.result(target) != nullptr) return std::nullopt;
    return task_error(run_.failure(target));
  }
  void throw_failure() const {
    if (const auto failure = run_.first_failure()) throw task_error(*failure);
  }

 private:
  Plan note_last(Plan plan) {
    std::unordered_map<std::uint32_t, std::size_t> last;
    for (std::size_t i = 0; plan.targets.size() > 1 && i < plan.targets.size(); ++i) {
      const auto [at, fresh] = last.try_emplace(plan.targets[i], i);
      if (fresh) continue;
      last_[at->second] = false;
      at->second = i;
    }
    return plan;
  }

  std::vector<bool> last_;
  executor::LocalRun run_;
};

class ClusterComputation final : public Computation {
 public:
  ClusterComputation(std::vector<FutureRef> futures,
                     std::vector<std::optional<wire::Payload>> payloads,
                     std::vector<std::optional<TaskError>> errors)
      : futures_(std::move(futures)), payloads_(std::move(payloads)), errors_(std::move(errors)) {}

  void* object(std::size_t) override { return nullptr; }
  bool is_last(std::size_t) override { return true; }
  wire::Payload payload(std::size_t target) override { return *payloads_[target]; }
  Key key(std::size_t target) override { return futures_[target]->key; }
  std::optional<TaskError> error(std::size_t target) override { return errors_[target]; }

 private:
  std::vector<FutureRef> futures_;
  std::vector<std::optional<wire::Payload>> payloads_;
  std::vector<std::optional<TaskError>> errors_;
};

/// What the scheduler says of each node's task: "memory", "erred"; "" if it knows none.
std::vector<std::string> scheduler_states(Core& core, const Plan& plan) {
  std::vector<Key> keys;
  for (const DelayedNode* node : plan.nodes) keys.push_back(node->key());
  const wire::Value answer =
      core.call(wire::Value::object({{"op", "get_task_status"}, {"keys", list_of(keys)}}), 30);
  std::unordered_map<Key, std::string> known;
  for (const auto& [name, state] : answer.as_map())
    if (!state.is_nil()) known.emplace(key_of(name), state.as_text());
  std::vector<std::string> states;
  for (const Key& key : keys) states.push_back(known[key]);
  return states;
}

/// The keys from the task that failed to the target, by what the scheduler says of them.
std::vector<std::string> chain_to(Core& core, const DelayedNode* target) {
  const DelayedNode* const targets[] = {target};
  const Plan plan = plan_of(targets);
  const auto states = scheduler_states(core, plan);
  std::vector<std::string> chain;
  for (std::uint32_t place = plan.targets.front();;) {
    chain.push_back(plan.nodes[place]->key().str());
    const auto dependencies = plan.dependencies_of(place);
    const auto next =
        std::ranges::find_if(dependencies, [&](auto d) { return states[d] == "erred"; });
    if (next == dependencies.end()) break;
    place = *next;
  }
  std::ranges::reverse(chain);
  return chain;
}

/// A future's status; of a task that this client does not hold, what the scheduler says of it in
/// the same words.
std::string_view status_of(std::optional<Status> held, std::string_view scheduler_state) {
  if (held && *held != Status::pending) return to_string(*held);
  if (scheduler_state.empty()) return held ? "pending" : "not submitted";
  if (scheduler_state == "memory") return "finished";
  if (scheduler_state == "erred") return "error";
  return scheduler_state == "released" && !held ? "released" : "pending";
}

/// In the colours of Dask's dashboard (TaskGraph), where it has the state.
Paint painted(std::string_view status) {
  Paint paint{.note = std::string{status}, .fill = {}, .font = {}};
  if (status == "pending") paint.fill = "gray";
  if (status == "finished") paint.fill = "red";
  if (status == "released") paint.fill = "dodgerblue";
  if (status == "error") paint.fill = "black", paint.font = "white";
  if (status == "cancelled") paint.fill = "orange";
  if (status == "lost") paint.fill = "purple", paint.font = "white";
  return paint;
}

/// A task that waits for others leaves its place to them, as in Dask's Client.get.
class AwayFromWorker {
 public:
  AwayFromWorker() {
    if (in_task_) secede();
  }
  ~AwayFromWorker() {
    if (in_task_) rejoin();
  }
  AwayFromWorker(const AwayFromWorker&) = delete;
  AwayFromWorker& operator=(const AwayFromWorker&) = delete;

 private:
  const bool in_task_ = current_task() != nullptr;
};

}  // namespace

std::unique_ptr<Computation> compute_on(Client& client,
                                        const std::vector<const DelayedNode*>& targets,
                                        bool collect) {
  const AwayFromWorker away;
  auto futures = client.submit_nodes(targets);
  std::vector<std::optional<TaskError>> errors(targets.size());
  std::vector<FutureRef> finished;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    errors[i] = FutureBase{futures[i]}.exception();
    if (errors[i]) {
      errors[i]->chain = chain_to(*client.core_, targets[i]);
      errors[i]->key = errors[i]->chain.front();
      if (!collect) throw *errors[i];
    } else {
      finished.push_back(futures[i]);
      places.push_back(i);
    }
  }
  auto fetched = client.fetch(finished, Errors::raise, kForever);
  std::vector<std::optional<wire::Payload>> payloads(targets.size());
  for (std::size_t i = 0; i < places.size(); ++i) payloads[places[i]] = std::move(fetched[i]);
  return std::make_unique<ClusterComputation>(std::move(futures), std::move(payloads),
                                              std::move(errors));
}

std::unique_ptr<Computation> compute_nodes(const Where& where,
                                           std::vector<const DelayedNode*> targets, bool collect) {
  if (where.client() != nullptr) return compute_on(*where.client(), targets, collect);
  auto done = std::make_unique<LocalComputation>(
      plan_of(targets),
      executor::LocalRunOptions{.num_workers = where.num_workers(),
                                .stop_on_error = !collect,
                                .call = where.in_processes() ? executor::call_in_process
                                                             : executor::LocalRunOptions::Call{},
                                .counted = ShownRun::wanted()});
  if (!collect) done->throw_failure();
  return done;
}

std::vector<Paint> painted_by_status(Client& client, const Plan& plan) {
  const auto held = client.core_->statuses();
  const auto states = scheduler_states(*client.core_, plan);
  std::vector<Paint> paints;
  for (std::size_t place = 0; place < plan.nodes.size(); ++place) {
    const auto found = held.find(plan.nodes[place]->key());
    paints.push_back(painted(status_of(
        found == held.end() ? std::nullopt : std::optional{found->second}, states[place])));
  }
  return paints;
}

void visualize_nodes(std::vector<const DelayedNode*> targets, const std::string& path,
                     Colour colour, Client* client) {
  const Plan plan = plan_of(targets);
  std::vector<Paint> paints;
  if (colour == Colour::order) paints = painted_by_order(plan);
  if (colour == Colour::status)
    paints = painted_by_status(client == nullptr ? get_client() : *client, plan);
  const std::string dot = to_dot(plan, paints);
  const auto dot_at = path.rfind('.');
  const std::string format = dot_at == std::string::npos ? "" : path.substr(dot_at + 1);
  if (format.empty() || format.find('/') != std::string::npos)
    throw ClientError{"cannot draw " + path + ": its name has no ending such as .svg or .png"};
  const std::string source = format == "dot" ? path : path + ".dot";
  write_or_throw(source, dot);
  if (format == "dot") return;
  const auto why = executor::run_program({"dot", "-T" + format, "-o", path, source});
  std::remove(source.c_str());
  if (!why.empty())
    throw ClientError{"cannot draw " + path + " with graphviz (its program `dot` must be in the " +
                      "PATH): " + why};
}

}  // namespace internal

namespace {

[[maybe_unused]] const bool g_keys_are_random =
    (internal::set_random_source(internal::random_bits), true);

}  // namespace

// ---- The default --------------------------------------------------------------------------------

namespace {

std::mutex g_scheduler_mutex;
std::optional<Where>& chosen_scheduler() {
  static std::optional<Where> chosen;
  return chosen;
}

}  // namespace

void set_scheduler(std::optional<Where> where) {
  const std::lock_guard lock{g_scheduler_mutex};
  chosen_scheduler() = where;
}

void internal::forget_scheduler(const Client* client) {
  const std::lock_guard lock{g_scheduler_mutex};
  if (chosen_scheduler() && chosen_scheduler()->client() == client) chosen_scheduler().reset();
}

Where default_scheduler() {
  {
    const std::lock_guard lock{g_scheduler_mutex};
    if (chosen_scheduler()) return *chosen_scheduler();
  }
  static const Config& config = *new Config([] {
    auto loaded = Config::load(environment());
    if (!loaded.ok()) throw ClientError{loaded.error()};
    return std::move(loaded).value();
  }());
  const auto name = config.text("scheduler");
  const auto workers = config.number("num_workers", 0);
  if (!workers.ok()) throw ClientError{workers.error()};
  const int num_workers = static_cast<int>(workers.value());
  if (!name) {
    Client* client = internal::current_client();
    return client != nullptr ? Where{*client} : Where{Threads{num_workers}};
  }
  if (*name == "threads" || *name == "threading") return Threads{num_workers};
  if (*name == "processes" || *name == "multiprocessing") return Processes{num_workers};
  if (*name == "synchronous" || *name == "sync" || *name == "single-threaded") return synchronous;
  if (*name == "distributed" || *name == "dask.distributed") return get_client();
  throw ClientError{"the setting `scheduler` is " + *name +
                    "; it may be threads, processes, synchronous or distributed"};
}

}  // namespace rask
