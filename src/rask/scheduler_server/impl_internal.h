#pragma once
// What the files of this room share: the state of a running scheduler server.
#include <algorithm>
#include <deque>
#include <list>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rask/comm/rpc_server.h"
#include "rask/diagnostics/performance_page.h"
#include "rask/protocol/codec.h"
#include "rask/scheduler_server/measurements.h"
#include "rask/scheduler_server/server.h"
#include "rask/scheduler_server/task_stream.h"

namespace rask::scheduler_server {

using comm::Request;
using protocol::FromClient;
using wire::Value;

struct LoweredGraph;  // python_graphs.cc

// What a client said, when its turn has not come yet.
struct Held {
  std::shared_ptr<LoweredGraph> graph;  // Or nullptr, and this is it:
  std::shared_ptr<FromClient> message;
};

// One client's or worker's long-lived stream.
struct Session {
  comm::ConnectionPtr connection;
  protocol::Batch batch;
  bool dirty = false;          // Has something to flush at the end of the turn.
  bool close_after = false;    // Flush, then close.
  std::string name = {};       // Of a client; a worker's address.
  Value info = {};             // What it registered with.
  std::deque<Held> held = {};  // Of a client: a graph that is being lowered, and what came behind.
  bool gone = false;           // Its connection has ended; what is held is carried out first.
  Value metrics = {};          // Of a worker: from the last heartbeat.
};

// A client that wants a function of its own called again and again.
struct Feed {
  comm::ConnectionPtr connection;
  Seconds interval = 1;
  std::optional<comm::TimerId> timer = {};
};

struct Topic {
  std::deque<std::pair<Seconds, Value>> events;
  std::set<std::string> subscribers;  // Client names.
};

// Somebody to ask, and the worker that the answer is for (nannies speak for theirs).
struct Target {
  std::string worker;
  std::string address;
};

struct Dataset {
  Value name;
  Value data;
  std::vector<Key> keys;
  ClientId holder{};
};

Key key_of(const Value& value);
std::vector<Key> keys_of(const Value& list);
Value value_of(const Key& key);
Value list_of(const std::vector<Key>& keys);
Value list_of(const std::vector<std::string>& texts);
Seconds heartbeat_interval(std::size_t workers);
std::string json_of(const Value& value);  // Of plain data.

class Coordination;  // coordination_internal.h
class Watching;      // watching_internal.h

struct SchedulerServer::Impl {
  Impl(comm::EventLoop& event_loop, Options given);
  ~Impl();

  // ---- life cycle (server.cc)
  Result<Ok> start();
  Result<Ok> write_scheduler_file() const;
  void close(const std::string& reason);
  void finish(const std::string& reason);
  void arm_timer();
  void tick();
  void tick_soon();
  void add_handlers();
  std::string contact_address() const;

  // ---- HTTP (http_routes.cc)
  Result<Ok> start_http();
  http::Response answer_http(const http::Request& request) const;
  Value counts() const;

  // ---- streams (streams.cc)
  void add_stream_handlers();
  void register_client(const Request& request);
  void register_worker(const Request& request);
  void count_packages(const Session& worker, int change);
  std::vector<Value> packages_of_workers() const;
  protocol::Payload warnings_for_client(const Session& session) const;
  void compare_packages();
  void heartbeat_worker(const Request& request);
  void unregister(const Request& request);
  void register_nanny(const Request& request);
  void on_client_message(ClientId client, const wire::Message& message);
  void on_worker_message(WorkerId worker, const wire::Message& message);
  void hear(WorkerId worker);
  void handle_client(ClientId client, protocol::FromClient&& message, Seconds now);
  void handle_worker(WorkerId worker, protocol::FromWorker&& message, Seconds now);
  void client_gone(ClientId client);
  void remove_client(ClientId client);
  void worker_gone(WorkerId worker, const std::string& why);
  void drop_worker(WorkerId worker);
  std::string forget_worker(WorkerId worker);
  void tell_of_removal(const std::string& address);
  void kill_worker(const std::string& nanny);
  void apply(scheduler::Effects& effects);
  void mark_dirty(Session& session);
  void flush();
  void relieve(Session& session);
  Session* session_of(ClientId client);
  Session* session_of(WorkerId worker);

  // ---- Graphs of Python clients (python_graphs.cc)
  void lower_graph(ClientId client, const protocol::OtherMessage& message);
  void take_slice(ClientId client, LoweredGraph& graph);
  void finish_graph(ClientId client, LoweredGraph& graph);
  void fail_graph(ClientId client, const LoweredGraph& graph);
  void hold_back(ClientId client, FromClient&& message);
  void carry_out_held(ClientId client);
  void carry_out_later(ClientId client);

  // ---- Python that runs in place of a scheduler's (rpc_feed.cc)
  void add_feed_handlers();
  void answer_question(const Value& request, const Lowering::Reply& reply);
  Value task_states(const std::vector<Key>& keys, bool recursive) const;
  void start_feed(const Request& request);
  void ask_feed(std::uint64_t id, const char* op, const Value& fields);
  void end_feed(std::uint64_t id);

  // ---- spans and computations (rpc_spans.cc)
  void measure_spans(const Value& metrics);
  Value spans() const;

  // ---- RPC (rpc_*.cc)
  // An operation that only looks.
  template <class Function>
  void on_question(const char* op, Function function) {
    server.on(op, [function](const Request& request) { request.reply(function(request)); });
  }
  void add_info_handlers();
  void add_task_info_handlers();
  void add_data_handlers();
  void add_cluster_handlers();
  void add_shuffle_handlers();
  Value identity(std::int64_t workers_max = -1) const;  // Of so many workers; -1: of all.
  Value worker_identity(WorkerId worker) const;
  void gather(const Request& request);
  void scatter(const Request& request);
  void when_moved(Seconds deadline, std::function<void()> done);
  void try_scatter(const Request& request, Seconds deadline);
  std::vector<Target> targets(const std::vector<WorkerId>& which, bool nannies) const;
  // Asks them all; `on_error`: Dask's raise, return, return_pickle or ignore.
  void broadcast(const std::vector<Target>& to, Value message, const std::string& on_error,
                 std::function<void(Result<Value::Map>)> done);
  void reply_broadcast(const Request& request, const std::vector<Target>& to, Value message,
                       const std::string& on_error);
  void broadcast(const Request& request);
  void proxy(const Request& request);
  void rebalance(const Request& r);
  void shuffle_barrier(const Request& request);
  void retire_workers(const Request& request);
  struct Restart;
  void restart_workers(const Request& request, std::vector<WorkerId> which, bool answers_by_worker);
  void close_and_remove(WorkerId worker, const std::string& reason);
  void after_kills(const std::shared_ptr<Restart>& restart);
  void wait_for_restart(const std::shared_ptr<Restart>& restart);
  std::vector<WorkerId> workers_named(const Value& list) const;  // nil: all
  std::vector<WorkerId> workers_at(const Value& addresses) const;
  std::optional<ClientId> client_named(std::string_view name) const;
  void call(const std::string& address, const Value& message, Seconds timeout,
            std::function<void(Result<Value>)> done);

  // ---- plugins (rpc_plugins.cc)
  void add_plugin_handlers();
  void register_plugin(const Request& request);
  void register_nanny_plugin(const Request& request);
  void register_scheduler_plugin(const Request& request);
  void carry_out(const Request& request, Value::Array operations);
  void run_function(const Request& request);
  void start_preloads();
  std::vector<WorkerId> python_workers() const;
  std::vector<WorkerId> workers_of_plugin(std::string_view name) const;
  Value plugins_of(bool runs_python) const;
  void nanny_started(const comm::Connection* connection);

  // ---- what tells of a run (rpc_diagnostics.cc)
  void add_diagnostic_handlers();
  Value progress(const std::vector<Key>& keys) const;
  void benchmark_hardware(const Request& request);
  void cluster_state(const Request& request, std::function<void(Result<Value>)> done);
  Value state_for_dump(const std::set<std::string, std::less<>>& without) const;
  Value task_for_dump(const Key& key) const;

  // ---- where tasks are (rpc_profile.cc)
  void add_profile_handlers();
  void profile(const Request& request);
  void call_stack(const Request& request);
  std::map<std::string, Value::Array> running_for(std::vector<Key> keys) const;
  // ---- reports (rpc_report.cc)
  void measure_system();
  void performance_report(const Request& request);
  void draw_aside(std::function<std::string()> draw, std::function<void(std::string)> done);
  diagnostics::PerformanceReport report_since(Seconds start, std::int64_t last_count) const;

  // ---- topics, datasets, metadata (topics.cc)
  void add_topic_handlers();
  void log_event(const std::string& topic, Value event);
  void subscribe(const std::string& topic, ClientId client);
  void unsubscribe(const std::string& topic, ClientId client);
  void add_dataset_handlers();
  void after_flush(const Value& uid, std::function<void()> then);
  void on_flush(std::string_view uid);
  void publish(const Request& request);
  void put_dataset(const Value& name, std::vector<Key> keys, Value data);
  void drop_dataset(const Value& name);

  // Runs `change(now, effects)` on the machine and carries out what comes of it.
  template <class Change>
  auto with_machine(Change&& change) {
    // Kept for the next call: what a large batch needs is needed again soon.
    scheduler::Effects effects = std::exchange(spare_effects, {});
    effects.clear();
    if constexpr (std::is_void_v<decltype(change(Seconds{}, effects))>) {
      change(loop.now(), effects);
      apply(effects);
      spare_effects = std::move(effects);
    } else {
      auto result = change(loop.now(), effects);
      apply(effects);
      spare_effects = std::move(effects);
      return result;
    }
  }

  comm::EventLoop& loop;
  Options options;
  scheduler::Scheduler machine;
  scheduler::Effects spare_effects;
  std::vector<protocol::FromWorker> heard;  // Of what is being read of one worker.
  bool heard_end = false;
  comm::RpcServer server;
  comm::RpcPool rpc;
  Lowering lowering;
  Lowering feeding;  // A process of its own: what it runs may wait for graphs.
  std::map<std::uint64_t, Feed> feeds;
  std::uint64_t last_feed = 0;
  std::vector<std::unique_ptr<comm::Listener>> listeners;
  std::string server_id;
  Seconds started = 0;
  bool closing = false;
  bool closed = false;
  std::function<void(const std::string&)> closed_callback;

  std::unordered_map<std::uint32_t, Session> clients;  // By ClientId.
  std::unordered_map<std::uint32_t, Session> workers;  // By WorkerId.
  // What there is of them among workers: by its MessagePack, itself and how many have it.
  std::map<std::string, std::pair<Value, int>> worker_packages;
  std::vector<std::uint32_t> dirty_clients;
  std::vector<std::uint32_t> dirty_workers;
  bool flush_planned = false;
  std::optional<comm::TimerId> timer;
  bool ticks_soon = false;

  std::map<std::uint64_t, std::function<void(const std::vector<std::string>&)>> retirements;
  std::map<std::string, Topic, std::less<>> topics;
  std::map<Key, Dataset> datasets;
  std::set<std::string> flushed;
  std::map<std::string, std::function<void()>> waiting_for_flush;
  Value metadata;
  TaskStream task_stream;
  SystemMonitor monitor;
  std::optional<comm::TimerId> monitor_timer;
  Bandwidths bandwidths;
  Value worker_plugins;  // {name: pickle}, for workers that run Python.
  Value nanny_plugins = Value::Map{};
  std::set<std::string> scheduler_plugins;
  std::set<const comm::Connection*> starting_nannies;
  std::vector<std::function<void()>> waiting_for_nannies;
  std::unique_ptr<Coordination> coordination;
  std::unique_ptr<Watching> watching;
  std::shared_ptr<Impl*> alive = std::make_shared<Impl*>(this);  // For callbacks from threads.
  std::list<std::jthread> drawing;                               // Pages; end with this.
  std::unique_ptr<http::Server> http_server;  // Ends first: its thread asks for the rest.
};

}  // namespace rask::scheduler_server
