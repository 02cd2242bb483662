#pragma once
// The user's door to a cluster.
//
//   rask::Client client{"tcp://scheduler:8786"};
//   auto x = client.submit<inc>(10);                // rask::Future<int>
//   auto y = client.submit<add>(x, 1);              // a future as an argument is a dependency
//   auto all = client.map<inc>(std::views::iota(0, 1000));
//   int total = client.submit<sum>(all).result();   // a list of futures is one argument
//
// All calls may come from many threads. They throw ClientError and what is derived from it.
// Source: distributed/client.py.
#include <algorithm>
#include <concepts>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rask/base/log.h"
#include "rask/client/future.h"
#include "rask/client/info.h"
#include "rask/client/new_task.h"
#include "rask/client/options.h"
#include "rask/diagnostics/profile.h"
#include "rask/graph/call.h"
#include "rask/graph/graph.h"

namespace rask {

template <class C>
class Actor;
template <class T>
class Delayed;
class MultiLock;
class Semaphore;
class get_task_stream;
class performance_report;

class Client;

namespace internal {

class ActorBase;
class Computation;
class Core;
class DelayedNode;
class NamedThing;
struct Paint;
struct Plan;

template <class A>
concept NotOptions = !std::same_as<std::remove_cvref_t<A>, SubmitOptions>;

std::unique_ptr<Computation> compute_on(Client& client,
                                        const std::vector<const DelayedNode*>& targets,
                                        bool collect);
std::vector<Paint> painted_by_status(Client& client, const Plan& plan);

struct ScatterItem {
  std::string type;
  wire::Payload value;
};

}  // namespace internal

class Client {
 public:
  // Connects to a scheduler.   throws  ClientError: not there within options.timeout
  // A template because g++ 12 would also take {.n_workers = 2} for the characters of a string.
  template <std::convertible_to<std::string_view> S>
  explicit Client(const S& address, ClientOptions options = {})
      : Client((options.address = std::string_view{address}, options)) {}
  explicit Client(const ClientOptions& options);
  // Starts a cluster on this machine, for as long as this client lives. Part of room `cluster`.
  explicit Client(const LocalClusterOptions& options);
  explicit Client(std::unique_ptr<ClusterHandle> cluster, const ClientOptions& options = {});
  ~Client();  // close()
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // ---- Work -------------------------------------------------------------------------------------

  // Runs a function on the cluster. Each argument is a value, or a future of one, or a list or map
  // of futures. Returns at once.
  template <auto F, class... A>
  auto submit(const SubmitOptions& options, const A&... arguments) {
    using Parameters = typename Function<F>::Parameters;
    return submit_call<typename Function<F>::Result, Parameters>(Function<F>::name(), options,
                                                                 arguments...);
  }
  template <auto F, internal::NotOptions... A>
  auto submit(const A&... arguments) {
    return submit<F>(SubmitOptions{}, arguments...);
  }
  // As above, for what rask::register_function gave a name.
  template <class Signature, internal::NotOptions... A>
  auto submit(const FunctionHandle<Signature>& function, const A&... arguments) {
    return submit(SubmitOptions{}, function, arguments...);
  }
  template <class Signature, class... A>
  auto submit(const SubmitOptions& options, const FunctionHandle<Signature>& function,
              const A&... arguments) {
    using Handle = FunctionHandle<Signature>;
    return submit_call<typename Handle::Result, typename Handle::Parameters>(function.name(),
                                                                             options, arguments...);
  }

  // Makes an object of class C on a worker, where it stays: see rask/client/actor.h. Dask's
  // submit(C, ..., actor=True).
  template <class C, class... A>
  Future<Actor<C>> submit_actor(const SubmitOptions& options, const A&... arguments);
  template <class C, internal::NotOptions... A>
  Future<Actor<C>> submit_actor(const A&... arguments) {
    return submit_actor<C>(SubmitOptions{}, arguments...);
  }
  // Of a class of Python: rask::python<rask::PythonActor(int)>("module:Class").
  template <class R, class... P, class... A>
  Future<R> submit_actor(const SubmitOptions& options, const FunctionHandle<R(P...)>& make,
                         const A&... arguments);
  template <class R, class... P, class... A>
  Future<R> submit_actor(const FunctionHandle<R(P...)>& make, const A&... arguments) {
    return submit_actor(SubmitOptions{}, make, arguments...);
  }

  // Runs a function on each item of a range (or of several, in step, to the end of the shortest).
  // Items may be futures. With options.key, keys are that and a number.
  template <auto F, std::ranges::input_range... R>
    requires(sizeof...(R) > 0)
  auto map(const SubmitOptions& options, R&&... ranges) {
    using Parameters = typename Function<F>::Parameters;
    return map_call<typename Function<F>::Result, Parameters>(Function<F>::name(), options,
                                                              ranges...);
  }
  template <auto F, std::ranges::input_range... R>
    requires(sizeof...(R) > 0)
  auto map(R&&... ranges) {
    return map<F>(SubmitOptions{}, std::forward<R>(ranges)...);
  }
  template <class Signature, std::ranges::input_range... R>
    requires(sizeof...(R) > 0)
  auto map(const FunctionHandle<Signature>& function, R&&... ranges) {
    using Handle = FunctionHandle<Signature>;
    return map_call<typename Handle::Result, typename Handle::Parameters>(
        function.name(), SubmitOptions{}, ranges...);
  }

  // The results of many futures, in their order; large groups travel together.
  //   errors   raise: the first failure is thrown; skip: failed ones are left out
  template <class T>
  std::vector<T> gather(const std::vector<Future<T>>& futures, Errors errors = Errors::raise,
                        Seconds timeout = kForever) {
    const auto values = fetch(internal::refs_of(futures), errors, timeout);
    std::vector<T> results;
    results.reserve(values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      if (values[i].has_value())
        results.push_back(internal::decode_result<T>(futures[i].ref(), *values[i]));
    return results;
  }
  template <class Name, class T>
  std::map<Name, T> gather(const std::map<Name, Future<T>>& futures, Errors errors = Errors::raise,
                           Seconds timeout = kForever) {
    std::vector<internal::FutureRef> refs;
    for (const auto& [name, future] : futures) refs.push_back(future.ref());
    const auto values = fetch(refs, errors, timeout);
    std::map<Name, T> results;
    std::size_t i = 0;
    for (const auto& [name, future] : futures) {
      const auto& value = values[i++];
      if (value.has_value())
        results.emplace(name, internal::decode_result<T>(future.ref(), *value));
    }
    return results;
  }

  // Puts a value into the cluster before anybody needs it.
  template <Encodable T>
  Future<T> scatter(const T& value, const ScatterOptions& options = {}) {
    std::vector<internal::ScatterItem> items;
    items.push_back(scatter_item(value));
    return Future<T>{std::move(scatter_items(std::move(items), options).front())};
  }
  Future<std::string> scatter(const char* text, const ScatterOptions& options = {}) {
    return scatter(std::string{text}, options);
  }
  // One future for each item, as Dask does with a list.
  template <std::ranges::input_range R>
  auto scatter_each(const R& values, const ScatterOptions& options = {}) {
    using T = std::ranges::range_value_t<R>;
    std::vector<internal::ScatterItem> items;
    for (const T& value : values) items.push_back(scatter_item(value));
    return typed<T>(scatter_items(std::move(items), options));
  }

  // Runs what one or more nodes of a graph need; unneeded tasks are left out.
  template <class T>
  Future<T> compute(const Graph& graph, const Node<T>& node, const SubmitOptions& options = {}) {
    return Future<T>{std::move(compute_keys(graph, {node.key()}, options).front())};
  }
  template <class T>
  std::vector<Future<T>> compute(const Graph& graph, const std::vector<Node<T>>& nodes,
                                 const SubmitOptions& options = {}) {
    std::vector<Key> keys;
    for (const Node<T>& node : nodes) keys.push_back(node.key());
    return typed<T>(compute_keys(graph, keys, options));
  }
  template <class... T>
    requires(sizeof...(T) > 1)
  std::tuple<Future<T>...> compute(const Graph& graph, const Node<T>&... nodes) {
    auto refs = compute_keys(graph, {nodes.key()...}, {});
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::tuple<Future<T>...>{Future<T>{std::move(refs[I])}...};
    }(std::index_sequence_for<T...>{});
  }
  // Starts the tasks of lazy calls and keeps their results on the cluster; what they share runs
  // once. See rask/client/delayed.h. `compute` is Dask's other name for it.
  template <class T>
  Future<T> persist(const Delayed<T>& call) {
    return Future<T>{std::move(submit_nodes({call.node().get()}).front())};
  }
  template <class T>
  std::vector<Future<T>> persist(const std::vector<Delayed<T>>& calls) {
    std::vector<const internal::DelayedNode*> nodes;
    for (const Delayed<T>& call : calls) nodes.push_back(call.node().get());
    return typed<T>(submit_nodes(nodes));
  }
  template <class T>
  Future<T> compute(const Delayed<T>& call) {
    return persist(call);
  }
  template <class T>
  std::vector<Future<T>> compute(const std::vector<Delayed<T>>& calls) {
    return persist(calls);
  }

  // compute and result at once.
  template <class T>
  T get(const Graph& graph, const Node<T>& node) {
    return compute(graph, node).result();
  }

  // A future of a task that the scheduler knows from another client.
  template <class T>
  Future<T> future(const Key& key) {
    return Future<T>{desire(key)};
  }

  template <class T>
  void cancel(const std::vector<Future<T>>& futures, const CancelOptions& options = {}) {
    cancel_refs(internal::refs_of(futures), options);
  }
  void cancel(const FutureBase& future, const CancelOptions& options = {}) {
    cancel_refs({future.ref()}, options);
  }
  template <class T>
  void retry(const std::vector<Future<T>>& futures) {
    retry_refs(internal::refs_of(futures));
  }

  // Runs a function on every worker now, beside the tasks; its results by worker.
  //   throws  TaskError: it threw somewhere
  template <auto F, class... A>
  auto run(const A&... arguments) {
    return run_on<F>(std::vector<std::string>{}, arguments...);
  }
  template <auto F, class... A>
  auto run_on(const std::vector<std::string>& workers, const A&... arguments) {
    using R = std::remove_cvref_t<typename Function<F>::Result>;
    TaskWriter call;
    write_call<typename Function<F>::Parameters>(call, Function<F>::name(), arguments...);
    const auto replies = run_payload(call.take(), workers);
    if constexpr (!std::is_void_v<R>) {
      std::map<std::string, R> results;
      for (const auto& [worker, payload] : replies)
        results.emplace(worker, internal::decode_result<R>(Key{worker}, payload));
      return results;
    }
  }

  // ---- The cluster ------------------------------------------------------------------------------

  // Sends a file to every worker's folder; a library (.so) is loaded there, with its functions.
  void upload_file(const std::string& path, bool load = true);
  void wait_for_workers(int n_workers, Seconds timeout = kForever);
  SchedulerInfo scheduler_info();

  using Counts = std::map<std::string, int>;
  using Lists = std::map<std::string, std::vector<std::string>>;
  Counts nthreads(const std::vector<std::string>& workers = {});
  Counts ncores(const std::vector<std::string>& workers = {}) { return nthreads(workers); }
  template <class T>
  Lists who_has(const std::vector<Future<T>>& futures) {
    return who_has_keys(keys_of(futures));
  }
  Lists who_has() { return who_has_keys({}); }  // Everything.
  Lists has_what(const std::vector<std::string>& workers = {});
  Lists processing(const std::vector<std::string>& workers = {});
  std::map<std::string, std::int64_t> nbytes(bool summary = true);  // By key, or by prefix.
  // Where the tasks are that run now, or those that these futures wait for: by worker and key, the
  // functions from the task's own inwards, a text each.
  using CallStacks = std::map<std::string, std::map<std::string, std::vector<std::string>>>;
  template <class T>
  CallStacks call_stack(const std::vector<Future<T>>& futures) {
    return call_stack_of(keys_of(futures));
  }
  CallStacks call_stack(const FutureBase& future) { return call_stack_of({future.key()}); }
  CallStacks call_stack() { return call_stack_of({}); }
  // Where the time of the tasks went, as workers sampled it. With a file name it is drawn, too.
  //   returns  functions that tasks began with and what they called; unless workers are merged,
  //            below a node for each worker
  //   throws   ClientError: the file cannot be written
  ProfileNode profile(const ProfileOptions& options = {});
  // What tasks did and when. The scheduler records from the first time on that somebody asks.
  //   throws  ClientError, also when the file cannot be written
  std::vector<TaskStreamRecord> get_task_stream(const TaskStreamOptions& options = {});
  std::vector<StoryLine> story(const std::vector<std::string>& keys_or_stimuli);

  // Workers leave, and their data goes to others.   returns  those that left
  std::vector<std::string> retire_workers(const std::vector<std::string>& workers,
                                          bool close_workers = true);
  template <class T>
  void rebalance(const std::vector<Future<T>>& futures,
                 const std::vector<std::string>& workers = {}) {
    wait(futures);
    rebalance_keys(keys_of(futures), workers);
  }
  void rebalance() { rebalance_keys({}, {}); }
  // n: copies; 0: on every worker.
  template <class T>
  void replicate(const std::vector<Future<T>>& futures, int n = 0,
                 const std::vector<std::string>& workers = {}) {
    wait(futures);
    replicate_keys(keys_of(futures), n, workers);
  }
  // Restarts all workers; all futures are cancelled.
  void restart(Seconds timeout = 120, bool wait_for_workers = true);

  template <class T>
  void publish_dataset(const std::string& name, const std::vector<Future<T>>& futures,
                       bool override_existing = false) {
    publish_keys(name, keys_of(futures), false, override_existing);
  }
  void publish_dataset(const std::string& name, const FutureBase& future,
                       bool override_existing = false) {
    publish_keys(name, {future.key()}, true, override_existing);
  }
  //   throws  ClientError: no dataset of that name
  template <class T>
  std::vector<Future<T>> get_dataset(const std::string& name) {
    return typed<T>(dataset_futures(name));
  }
  std::vector<std::string> list_datasets();
  void unpublish_dataset(const std::string& name);

  void log_event(const std::string& topic, const wire::Value& content);
  std::vector<TopicEvent> get_events(const std::string& topic);
  void subscribe_topic(const std::string& topic, std::function<void(const TopicEvent&)> handler);
  void unsubscribe_topic(const std::string& topic);
  // Records of the workers' loggers (one and all below it; empty: all) are written here too, as
  // those of this program are (log.h, log_to_file), with the worker's address. Python's workers
  // included.
  void forward_logging(const std::string& logger = {}, log::Level level = log::Level::debug);
  void unforward_logging(const std::string& logger = {});
  // The last records of loggers, newest first; n: at most so many (0: all that are kept, which
  // distributed.admin.log-length says). By worker; none named: of all. nanny: of its nanny instead.
  //   source  distributed/client.py, get_scheduler_logs, get_worker_logs
  std::vector<LogRecord> get_scheduler_logs(int n = 0);
  std::map<std::string, std::vector<LogRecord>> get_worker_logs(
      int n = 0, const std::vector<std::string>& workers = {}, bool nanny = false);
  void set_metadata(const std::vector<std::string>& keys, const wire::Value& value);
  //   throws  ClientError: there is none, and no default was given
  wire::Value get_metadata(const std::vector<std::string>& keys);
  wire::Value get_metadata(const std::vector<std::string>& keys, const wire::Value& fallback);

  void shutdown();  // Ends the scheduler and the workers too.
  void close();     // May be called more than once.
  bool closed() const;

  const std::string& id() const;
  const std::string& scheduler_address() const;

 private:
  template <class R, class Parameters, class... A>
  auto submit_call(const std::string& function, const SubmitOptions& options,
                   const A&... arguments) {
    TaskWriter call;
    write_call<Parameters>(call, function, arguments...);
    return Future<std::remove_cvref_t<R>>{submit_task(function, call, options)};
  }

  template <class R, class Parameters, class... Ranges>
  auto map_call(const std::string& function, const SubmitOptions& options, Ranges&... ranges) {
    using T = std::remove_cvref_t<R>;
    constexpr std::size_t kTasksPerMessage = 2048;
    std::vector<Future<T>> futures;
    if constexpr ((std::ranges::sized_range<Ranges> && ...))
      futures.reserve(std::min({static_cast<std::size_t>(std::ranges::size(ranges))...}));
    std::vector<internal::NewTask> batch;
    const auto send = [&] {
      for (internal::FutureRef& ref : submit_tasks(std::exchange(batch, {}), options))
        futures.emplace_back(std::move(ref));
    };
    auto at = std::tuple{std::ranges::begin(ranges)...};
    const auto end = std::tuple{std::ranges::end(ranges)...};
    const auto more = [&]<std::size_t... I>(std::index_sequence<I...>) {
      return ((std::get<I>(at) != std::get<I>(end)) && ...);
    };
    constexpr auto kIndices = std::index_sequence_for<Ranges...>{};
    TaskWriter call;
    for (std::size_t index = 0; more(kIndices); ++index) {
      std::apply([&](auto&... it) { write_call<Parameters>(call, function, *it...); }, at);
      batch.push_back(finish_task(function, call, options, index));
      if (batch.size() == kTasksPerMessage) send();
      std::apply([](auto&... it) { (static_cast<void>(++it), ...); }, at);
    }
    send();
    return futures;
  }

  template <class T>
  static std::vector<Future<T>> typed(std::vector<internal::FutureRef> refs) {
    std::vector<Future<T>> futures;
    futures.reserve(refs.size());
    for (internal::FutureRef& ref : refs) futures.emplace_back(std::move(ref));
    return futures;
  }
  template <class T>
  static std::vector<Key> keys_of(const std::vector<Future<T>>& futures) {
    std::vector<Key> keys;
    keys.reserve(futures.size());
    for (const Future<T>& future : futures) keys.push_back(future.key());
    return keys;
  }
  template <class T>
  static internal::ScatterItem scatter_item(const T& value) {
    // Alive until the value has been sent: scatter waits.
    const std::shared_ptr<const void> owner{&value, [](const void*) {}};
    return {type_name<T>(), encode_payload(value_type<T>(), owner, false)};
  }

  void start(const ClientOptions& options);
  internal::FutureRef submit_task(const std::string& function, TaskWriter& call,
                                  const SubmitOptions& options);
  internal::FutureRef submit_actor_task(const std::string& type, TaskWriter& call,
                                        const SubmitOptions& options);
  Key automatic_key(const std::string& function, const TaskWriter& call, bool pure);
  internal::NewTask finish_task(const std::string& function, TaskWriter& call,
                                const SubmitOptions& options, std::size_t index);
  std::vector<internal::FutureRef> submit_tasks(std::vector<internal::NewTask> tasks,
                                                const SubmitOptions& options);
  std::vector<std::optional<wire::Payload>> fetch(const std::vector<internal::FutureRef>& futures,
                                                  Errors errors, Seconds timeout);
  std::vector<internal::FutureRef> scatter_items(std::vector<internal::ScatterItem> items,
                                                 const ScatterOptions& options);
  void scatter_direct(const wire::Value& data, const ScatterOptions& options);
  std::vector<internal::FutureRef> compute_keys(const Graph& graph, const std::vector<Key>& keys,
                                                const SubmitOptions& options);
  friend class internal::ActorBase;
  CallStacks call_stack_of(const std::vector<Key>& keys);
  friend class internal::NamedThing;
  friend class get_task_stream;
  friend class performance_report;
  friend class MultiLock;
  friend class Semaphore;
  friend std::unique_ptr<internal::Computation> internal::compute_on(
      Client& client, const std::vector<const internal::DelayedNode*>& targets, bool collect);
  friend std::vector<internal::Paint> internal::painted_by_status(Client& client,
                                                                  const internal::Plan& plan);
  std::vector<internal::FutureRef> submit_nodes(
      const std::vector<const internal::DelayedNode*>& nodes);
  internal::FutureRef desire(const Key& key);
  void cancel_refs(const std::vector<internal::FutureRef>& futures, const CancelOptions& options);
  void retry_refs(const std::vector<internal::FutureRef>& futures);
  wire::Value native_workers();
  std::map<std::string, wire::Payload> run_payload(const wire::Payload& call,
                                                   const std::vector<std::string>& workers);
  Lists who_has_keys(const std::vector<Key>& keys);
  void rebalance_keys(const std::vector<Key>& keys, const std::vector<std::string>& workers);
  void replicate_keys(const std::vector<Key>& keys, int n, const std::vector<std::string>& workers);
  void publish_keys(const std::string& name, const std::vector<Key>& keys, bool is_single,
                    bool override_existing);
  std::vector<internal::FutureRef> dataset_futures(const std::string& name);
  std::string flush_stream();

  std::unique_ptr<ClusterHandle> cluster_;
  std::shared_ptr<internal::Core> core_;
  bool own_cluster_open_ = false;
};

// ---- Inside of tasks
// ------------------------------------------------------------------------------

// In a task: a client of the task's scheduler, shared by the tasks of the worker. Elsewhere: the
// client that was made last and is still there.
//   throws  ClientError: there is none
Client& get_client();

struct WorkerHandle {
  std::string address;
  std::string scheduler_address;
  Key key;  // Of the task that runs.
};
// The worker that runs this task.   throws  ClientError: this is no task
WorkerHandle get_worker();

// Leaves the worker's thread slot to other tasks, while this one waits for tasks that it submitted;
// rejoin() waits for a slot again.   throws  ClientError: this is no task
void secede();
void rejoin();

// A task's client, for as long as it waits for what it submits: its slot is left to other tasks
// meanwhile, so that tasks may wait for tasks however few threads there are.
class WorkerClient {
 public:
  explicit WorkerClient(bool separate_thread = true);  // False: keeps the slot.
  ~WorkerClient();                                     // Waits for a slot again.
  WorkerClient(const WorkerClient&) = delete;
  WorkerClient& operator=(const WorkerClient&) = delete;

  Client& operator*() const { return client_; }
  Client* operator->() const { return &client_; }

 private:
  Client& client_;
  bool seceded_;
};
// auto client = rask::worker_client(); client->submit<f>(1).result();
//   throws  ClientError: this is no task
inline WorkerClient worker_client(bool separate_thread = true) {
  return WorkerClient{separate_thread};
}

}  // namespace rask
