#include "rask/client/client.h"

#include "rask/client/core.h"
#include "rask/client/current.h"
#include "rask/client/keys.h"
#include "rask/graph/delayed_node.h"
#include "rask/graph/task.h"

namespace rask {

using internal::Core;
using internal::Deadline;
using internal::DelayedNode;
using internal::FutureRef;
using internal::NewTask;

namespace {

protocol::AnnotationsPtr annotations_of(const SubmitOptions& options) {
  protocol::Annotations annotations;
  annotations.priority = options.priority;
  annotations.retries = options.retries;
  annotations.workers = options.workers;
  annotations.allow_other_workers = options.allow_other_workers;
  annotations.resources = options.resources;
  if (annotations == protocol::Annotations{}) return nullptr;
  return std::make_shared<const protocol::Annotations>(std::move(annotations));
}

NewTask new_task(Key key, TaskWriter& call) {
  auto dependencies = call.take_dependencies();
  auto run_spec = call.take(key);
  return {std::move(key), std::move(dependencies), std::move(run_spec), nullptr};
}

}  // namespace

// ---- Life ---------------------------------------------------------------------------------------

Client::Client(const ClientOptions& options) { start(options); }

Client::Client(std::unique_ptr<ClusterHandle> cluster, const ClientOptions& options)
    : cluster_(std::move(cluster)), own_cluster_open_(true) {
  ClientOptions with_address = options;
  with_address.address = cluster_->address();
  if (options.security == Security{}) with_address.security = cluster_->security();
  start(with_address);
}

void Client::start(const ClientOptions& options) {
  core_ = Core::connect(options);
  if (options.set_as_default) internal::add_current(this);
}

Client::~Client() { close(); }

void Client::close() {
  internal::remove_current(this);
  internal::forget_scheduler(this);
  core_->close();
  if (std::exchange(own_cluster_open_, false)) cluster_->close();
}

void Client::shutdown() {
  if (own_cluster_open_) return close();
  try {
    constexpr Seconds kPatience = 5;
    core_->call(wire::Value::object({{"op", "terminate"}}), kPatience);
  } catch (const ClientError&) {
    // It may be gone before it has answered: that is what was asked for.
  }
  close();
}

bool Client::closed() const { return core_->closed(); }
const std::string& Client::id() const { return core_->id(); }
const std::string& Client::scheduler_address() const { return core_->scheduler_address(); }

// ---- Work ---------------------------------------------------------------------------------------

Key Client::automatic_key(const std::string& function, const TaskWriter& call, bool pure) {
  return pure ? pure_key(function, call) : core_->unique_key(function);
}

NewTask Client::finish_task(const std::string& function, TaskWriter& call,
                            const SubmitOptions& options, std::size_t index) {
  return new_task(options.key.empty() ? automatic_key(function, call, options.pure)
                                      : Key{options.key + "-" + std::to_string(index)},
                  call);
}

FutureRef Client::submit_task(const std::string& function, TaskWriter& call,
                              const SubmitOptions& options) {
  Key key = options.key.empty() ? automatic_key(function, call, options.pure) : Key{options.key};
  return core_->submit(new_task(std::move(key), call), annotations_of(options));
}

FutureRef Client::submit_actor_task(const std::string& type, TaskWriter& call,
                                    const SubmitOptions& options) {
  // Never pure: two actors are two.
  Key key = options.key.empty() ? core_->unique_key(type) : Key{options.key};
  return core_->submit_actor(new_task(std::move(key), call), annotations_of(options));
}

std::vector<FutureRef> Client::submit_tasks(std::vector<NewTask> tasks,
                                            const SubmitOptions& options) {
  if (tasks.empty()) return {};
  return core_->submit_all(std::move(tasks), annotations_of(options));
}

std::vector<FutureRef> Client::compute_keys(const Graph& graph, const std::vector<Key>& keys,
                                            const SubmitOptions& options) {
  std::vector<NewTask> tasks;
  for (const std::size_t place : graph.ordered(keys)) {
    const GraphNode& node = graph.nodes()[place];
    tasks.push_back({node.key, node.dependencies, node.run_spec});
  }
  return core_->submit_graph(std::move(tasks), keys, annotations_of(options));
}

std::vector<FutureRef> Client::submit_nodes(const std::vector<const DelayedNode*>& nodes) {
  const internal::Plan plan = internal::plan_of(nodes);
  std::vector<NewTask> tasks;
  tasks.reserve(plan.nodes.size());
  for (const std::uint32_t place : plan.ordered()) {
    const DelayedNode& node = *plan.nodes[place];
    auto [dependencies, run_spec] = internal::written_call(node);
    NewTask task{node.key(), std::move(dependencies), std::move(run_spec), nullptr};
    const DelayedOptions options = node.options();
    if (options.retries != 0 || options.priority != 0 || !options.workers.empty() ||
        !options.resources.empty()) {
      SubmitOptions own;
      own.workers = options.workers;
      own.allow_other_workers = options.allow_other_workers;
      own.resources = options.resources;
      own.retries = options.retries;
      own.priority = options.priority;
      task.annotations = annotations_of(own);
    }
    tasks.push_back(std::move(task));
  }
  std::vector<Key> wanted;
  for (const DelayedNode* node : nodes) wanted.push_back(node->key());
  return core_->submit_graph(std::move(tasks), wanted, nullptr);
}

std::vector<std::optional<wire::Payload>> Client::fetch(const std::vector<FutureRef>& futures,
                                                        Errors errors, Seconds timeout) {
  for (const FutureRef& future : futures)
    if (future->core != core_.get())
      throw ClientError{"cannot gather futures of another client: " + future->key.str()};
  return core_->fetch(futures, Deadline{timeout}, errors);
}

FutureRef Client::desire(const Key& key) { return core_->desire(key); }

void Client::cancel_refs(const std::vector<FutureRef>& futures, const CancelOptions& options) {
  core_->cancel(futures, options);
}

void Client::retry_refs(const std::vector<FutureRef>& futures) { core_->retry(futures); }

// ---- scatter ------------------------------------------------------------------------------------

std::vector<FutureRef> Client::scatter_items(std::vector<internal::ScatterItem> items,
                                             const ScatterOptions& options) {
  std::vector<Key> keys;
  wire::Value::Map data;
  for (internal::ScatterItem& item : items) {
    std::uint64_t hash[2];
    hash_payload(item.value, hash);
    keys.push_back(options.hash ? numbered_key(item.type, hash[0], hash[1])
                                : core_->unique_key(item.type));
    data.emplace_back(internal::value_of(keys.back()), std::move(item.value));
  }
  if (options.direct) {
    scatter_direct(std::move(data), options);
  } else {
    core_->call(wire::Value::object({{"op", "scatter"},
                                     {"data", std::move(data)},
                                     {"workers", internal::list_or_nil(options.workers)},
                                     {"client", core_->id()},
                                     {"broadcast", options.broadcast},
                                     {"timeout", options.timeout}}),
                options.timeout + 5);
  }
  std::vector<FutureRef> futures;
  for (const Key& key : keys) futures.push_back(core_->hold_scattered(key));
  if (options.direct && options.broadcast) replicate_keys(keys, 0, options.workers);
  return futures;
}

void Client::scatter_direct(const wire::Value& data, const ScatterOptions& options) {
  const Deadline deadline{options.timeout};
  std::vector<std::string> workers;
  while (workers.empty()) {
    const wire::Value running =
        core_->call(wire::Value::object({{"op", "ncores_running"},
                                         {"workers", internal::list_or_nil(options.workers)}}),
                    deadline.left());
    for (const auto& [address, threads] : running.as_map()) workers.emplace_back(address.as_text());
    if (!workers.empty()) break;
    if (deadline.passed()) throw TimeoutError{"no valid workers found"};
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
  std::map<std::string, wire::Value::Map> parts;
  wire::Value::Map who_has;
  wire::Value::Map nbytes;
  std::size_t turn = 0;
  for (const auto& [key, value] : data.as_map()) {
    const std::string& address = workers[turn++ % workers.size()];
    parts[address].emplace_back(key, value);
    who_has.emplace_back(key, wire::Value::Array{address});
  }
  for (auto& [address, part] : parts) {
    const wire::Value reply = core_->call_worker(
        address, wire::Value::object({{"op", "update_data"}, {"data", std::move(part)}}),
        deadline.left());
    for (const auto& entry : reply["nbytes"].as_map()) nbytes.push_back(entry);
  }
  core_->call(wire::Value::object({{"op", "update_data"},
                                   {"who_has", std::move(who_has)},
                                   {"nbytes", std::move(nbytes)},
                                   {"client", core_->id()}}),
              deadline.left() + 5);
}

}  // namespace rask
