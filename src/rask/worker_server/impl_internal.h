#pragma once
// What the files of this room share: the state of a running worker server.
#include <algorithm>
#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "rask/base/log.h"
#include "rask/comm/rpc_server.h"
#include "rask/executor/stack_sampler.h"
#include "rask/executor/system_metrics.h"
#include "rask/executor/thread_pool.h"
#include "rask/graph/task.h"
#include "rask/graph/value.h"
#include "rask/protocol/codec.h"
#include "rask/worker_server/profile_history.h"
#include "rask/worker_server/server.h"
#include "rask/worker_server/task_stacks.h"

namespace rask::worker_server {

using comm::Request;
using wire::Value;
using worker::Instructions;

// Where task threads leave what came of their jobs, for the loop to take. Outlives the server: a
// thread that is still in a task when the server has gone writes into nothing that matters.
struct Mailbox {
  struct Finished {
    worker::Event event;  // ExecuteSuccess, ExecuteFailure, RescheduleTask or SecedeTask
    Key key;
    TaskValue value;  // Of an ExecuteSuccess.
    bool actor = false;
  };

  std::mutex mutex;
  std::vector<Finished> finished;
  bool posted = false;               // The loop has been told and has not come yet.
  std::atomic<bool> polling{false};  // The loop comes by itself in a moment: no need to wake it.
  std::function<void()> wake;        // Posts to the loop. Empty once the server has gone.
};

// The objects behind actors. Changed by the loop only, with the lock; its thread reads them too.
struct Actors {
  std::mutex mutex;
  std::unordered_map<Key, TaskValue> values;

  TaskValue find(const Key& key) {
    const std::lock_guard lock{mutex};
    const auto found = values.find(key);
    return found == values.end() ? TaskValue{} : found->second;
  }
};
// Keys in the trees of requests and replies.
Key key_of(const Value& value);
Value value_of(const Key& key);

// What a get_data reply holds: {"status": …, "data": {key: value}}.
struct DataReply {
  std::string status;
  std::vector<std::pair<Key, wire::Payload>> data;
};
wire::Frames get_data_request(const std::vector<Key>& keys, std::string_view who);
Result<DataReply> read_data_reply(const wire::Message& message);

// How fast results came from others since the last heartbeat.
// source: Worker._update_metrics_received_data
struct Bandwidths {
  using Sums = std::map<std::string, std::pair<double, std::int64_t>>;  // And of how many.

  void note(const std::string& peer, const std::string& type, double rate);  // No type: mixed.
  Value take();                                                              // For the heartbeat.

  double total = 100e6;  // The mean, in bytes a second.
  Sums workers = {};
  Sums types = {};
};

struct WorkerServer::Impl {
  Impl(comm::EventLoop& event_loop, Options given);
  ~Impl();

  // ---- life cycle (server.cc)
  Result<Ok> start();
  void connect();
  void register_with(const comm::ConnectionPtr& connection);
  void on_registration_reply(const comm::ConnectionPtr& connection, const wire::Message& message);
  void on_scheduler_message(const wire::Message& message);
  void heartbeat();
  void close(const std::string& reason, bool tell_nanny, bool failure);
  void finish(const std::string& reason, bool failure);
  void close_gracefully(const std::string& reason, bool restart);
  Value metrics();
  void every(Seconds interval, std::function<void()> callback);

  // ---- tasks (execute.cc)
  void feed(worker::Event&& event);
  void carry_out(Instructions& instructions);
  void start_jobs();
  void prepare(worker::Execute&& execute);
  void collect();
  executor::ThreadPool& pool(const std::string& name);
  void set_status(protocol::WorkerStatus to, const protocol::Stimulus& stimulus);
  void watch_memory();
  void add_value(protocol::TaskFinished& message) const;
  void send(protocol::FromWorker&& message);
  void plan_flush();

  // ---- data between workers (transfer.cc)
  void gather_dep(worker::GatherDep&& order);
  void take_gathered(const worker::GatherDep& order, Seconds start, Result<wire::Message> reply);
  void get_data(const Request& request);
  void update_data(const Request& request);
  void find_missing();

  // ---- copies that a scheduler asks for (rpc_gather.cc)
  struct GatherJob;
  void gather(const Request& request);
  void gather_round(const std::shared_ptr<GatherJob>& job);
  void gather_from(const std::shared_ptr<GatherJob>& job, const std::string& holder,
                   std::vector<Key> keys);
  void keep_gathered(GatherJob& job, DataReply&& reply);
  void answer_gather(const GatherJob& job);

  // ---- records for clients (forward_logging.cc)
  struct Forwarding;
  void set_forwarding(std::string_view plugin, bool on);
  void end_forwarding();
  static void forward_line(const log::Line& line);

  // ---- where tasks are (profile.cc)
  struct StackQuestion;
  void watch_tasks();
  void watch_tasks_again();
  void take_samples();
  void call_stack(const Request& request);
  void answer_call_stack(const std::shared_ptr<StackQuestion>& question);
  void add_profile_handlers();

  // ---- RPC (rpc.cc)
  void add_handlers();
  void add_python_handlers();
  Value identity() const;

  // ---- beside the tasks (calls.cc)
  void run(const Request& request);
  void call_actor(const Request& request, std::string_view member);
  Result<wire::Payload> call_by_name(const Request& request, const Key& key,
                                     std::string_view member) const;
  static std::string actor_class_of(const TaskValue& actor);
  wire::Payload payload_for_peer(const Key& key, const TaskValue& value, bool plain_only) const;
  void keep_actor(const Key& key, const TaskValue& value);
  void forget_actor(const Key& key);
  void answer_from(const std::string& executor, const Request& request, bool plain_only,
                   std::function<TaskOutcome()> call);

  comm::EventLoop& loop;
  Options options;
  std::optional<worker::Worker> machine;  // From start() on: it needs the address.
  comm::RpcServer server;
  comm::RpcPool rpc;
  std::unique_ptr<comm::Listener> listener;
  comm::ConnectionPtr scheduler;  // The stream; null until registered.
  protocol::Batch batch;
  bool flush_planned = false;
  std::string id;
  std::string address;
  Seconds started = 0;
  bool closing = false;
  bool closed = false;
  bool missing_planned = false;
  bool poll_planned = false;
  bool watching_tasks = false;
  protocol::WorkerStatus status = protocol::WorkerStatus::running;
  int outgoing_count = 0;
  std::int64_t outgoing_count_total = 0;
  Seconds heartbeat_interval = 0.5;
  executor::SystemSample last_sample;
  Bandwidths bandwidths;
  std::function<void()> registered_callback;
  std::function<void(const std::string&, bool)> closed_callback;

  boost::unordered_flat_map<Key, TaskValue, std::hash<Key>> data;
  std::shared_ptr<Actors> actors = std::make_shared<Actors>();
  std::map<std::string, std::vector<executor::ThreadPool::Job>, std::less<>> jobs;  // By executor.
  std::shared_ptr<Forwarding> forwarding;  // Null: nobody has asked.
  executor::StackSampler sampler;
  TaskStacks task_stacks;
  ProfileHistory profile_history;
  std::vector<std::shared_ptr<StackQuestion>> stack_questions;  // Not answered yet.
  std::shared_ptr<Mailbox> mailbox = std::make_shared<Mailbox>();
  std::map<std::string, std::unique_ptr<executor::ThreadPool>, std::less<>> pools;
};

}  // namespace rask::worker_server
