#pragma once
// For tests: a scheduler and a worker in one thread, behind one address. It runs a graph as it
// comes, in its order, and keeps every message for the test to look at.
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "rask/client/keys.h"
#include "rask/comm/comm.h"
#include "rask/comm/rpc_server.h"
#include "rask/graph/task.h"
#include "rask/graph/task_context.h"
#include "rask/protocol/codec.h"

namespace rask::testing {

class FakeCluster {
 public:
  explicit FakeCluster(bool dense = true) : dense_(dense) {
    thread_ = std::thread{[this] { loop_.run(); }};
    on_loop([this] { start(); });
  }
  ~FakeCluster() {
    on_loop([this] {
      listener_.reset();
      drop_stream();
    });
    loop_.stop();
    thread_.join();
  }

  const std::string& address() const { return address_; }

  // Runs something on the cluster's thread and waits for it.
  void on_loop(std::function<void()> what) {
    std::promise<void> done;
    loop_.post([&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }

  // Tasks of functions with this text in their names wait until release_held().
  void hold(const std::string& part) {
    on_loop([this, part] { held_part_ = part; });
  }
  void release_held() {
    on_loop([this] {
      held_part_.clear();
      for (auto& graph : std::exchange(held_, {})) run(std::move(graph));
    });
  }
  void lose_value(const Key& key) {
    on_loop([this, key] { values_.erase(key); });
  }
  void lose_stream() {
    on_loop([this] { drop_stream(); });
  }
  void stop_listening() {
    on_loop([this] { listener_.reset(); });
  }
  void send(protocol::ToClient message) {
    on_loop([this, &message] { tell(message); });
  }
  void refuse_get_data(bool refuse) {
    on_loop([this, refuse] { refuse_get_data_ = refuse; });
  }

  struct Seen {
    std::size_t graphs = 0;
    std::size_t tasks = 0;
    std::size_t get_data_calls = 0;
    std::size_t gather_calls = 0;
    std::vector<Key> released;
    std::vector<Key> cancelled;
    std::vector<Key> reported;
    std::vector<protocol::GraphTask> graph_tasks;
    std::vector<Key> wanted;
  };
  Seen seen() {
    Seen copy;
    on_loop([&] { copy = seen_; });
    return copy;
  }
  // Waits until the stream has brought what `ready` looks for.
  template <class Ready>
  Seen wait_seen(Ready ready) {
    for (;;) {
      Seen now = seen();
      if (ready(now)) return now;
      std::this_thread::yield();
    }
  }
  bool has_value(const Key& key) {
    bool there = false;
    on_loop([&] { there = values_.contains(key); });
    return there;
  }

 private:
  void start() {
    comm::Options options;
    options.handshake.dense = dense_;
    server_.on("register-client", [this](const comm::Request& r) { open_stream(r); });
    server_.on("get_data", [this](const comm::Request& r) { give(r, false); });
    server_.on("gather", [this](const comm::Request& r) { give(r, true); });
    server_.on("scatter", [this](const comm::Request& r) { take(r); });
    server_.on("identity", [this](const comm::Request& r) { r.reply(identity()); });
    server_.on("get_task_status", [this](const comm::Request& r) { r.reply(states_of(r)); });
    server_.on("retry", [this](const comm::Request& r) { retry(r); });
    server_.on("broadcast", [this](const comm::Request& r) { broadcast(r); });
    server_.on("progress", [this](const comm::Request& r) { r.reply(progress(r["keys"])); });
    server_.on("fails", [](const comm::Request& r) {
      r.reply(comm::error_reply("ValueError", "as you wish"));
    });
    auto listener = comm::listen(loop_, "tcp://127.0.0.1:0", options,
                                 [this](comm::ConnectionPtr c) { server_.serve(std::move(c)); });
    RASK_ASSERT(listener.ok());
    listener_ = std::move(listener).value();
    address_ = listener_->contact_address();
  }

  void open_stream(const comm::Request& request) {
    stream_ = request.connection();
    server_.hand_over(stream_);
    stream_->start([this](wire::Message&& m) { on_batch(m); }, [](const Error&) {});
    tell(protocol::StreamStart{});
  }

  void drop_stream() {
    if (stream_ != nullptr) stream_->abort();
    stream_.reset();
  }

  void tell(const protocol::ToClient& message) {
    if (stream_ == nullptr) return;
    protocol::Batch batch{dense_ ? protocol::Style::dense : protocol::Style::plain};
    batch.add(message);
    stream_->send(batch.take());
  }

  void on_batch(const wire::Message& message) {
    auto batch = protocol::read_from_client(message);
    RASK_ASSERT(batch.ok());
    for (auto& item : batch.value()) {
      if (auto* graph = std::get_if<protocol::UpdateGraph>(&item)) {
        ++seen_.graphs;
        seen_.tasks += graph->tasks.size();
        for (const auto& task : graph->tasks) seen_.graph_tasks.push_back(task);
        for (const Key& key : graph->keys) seen_.wanted.push_back(key);
        run(std::move(*graph));
      } else if (auto* released = std::get_if<protocol::ClientReleasesKeys>(&item)) {
        for (const Key& key : released->keys) {
          seen_.released.push_back(key);
          values_.erase(key);
          specs_.erase(key);
        }
      } else if (auto* cancelled = std::get_if<protocol::CancelKeys>(&item)) {
        for (const Key& key : cancelled->keys) seen_.cancelled.push_back(key);
      } else if (auto* report = std::get_if<protocol::ReportKey>(&item)) {
        seen_.reported.push_back(report->key);
        compute(report->key);
      }
    }
  }

  void run(protocol::UpdateGraph graph) {
    for (const auto& task : graph.tasks) specs_[task.key] = task.run_spec;
    for (const Key& key : graph.keys) {
      const auto spec = specs_.find(key);
      if (!held_part_.empty() && spec != specs_.end() &&
          task_function_name(spec->second).find(held_part_) != std::string_view::npos) {
        protocol::UpdateGraph later;
        later.keys.push_back(key);
        held_.push_back(std::move(later));
        continue;
      }
      compute(key);
    }
  }

  TaskValue value_of_key(const Key& key) {
    const auto found = values_.find(key);
    if (found != values_.end()) return found->second;
    const auto spec = specs_.find(key);
    if (spec == specs_.end()) return {};
    TaskContext context;
    context.scheduler_address = address_;
    context.worker_address = address_;
    context.key = key;
    const TaskScope scope{context};
    auto outcome = run_task(spec->second, [this](const Key& k) { return value_of_key(k); });
    if (auto* value = std::get_if<TaskValue>(&outcome)) return values_[key] = std::move(*value);
    if (auto* failure = std::get_if<TaskFailure>(&outcome)) failures_[key] = std::move(*failure);
    return {};
  }

  void compute(const Key& key) {
    failures_.erase(key);
    if (!value_of_key(key).empty()) {
      tell(protocol::KeyInMemory{key, {}, {address_}});
    } else if (const auto failed = failures_.find(key); failed != failures_.end()) {
      tell(protocol::TaskErredForClient{key, exception_payload(failed->second),
                                        traceback_payload(failed->second)});
    }
  }

  wire::Value progress(const wire::Value& keys) {
    wire::Value counts = wire::Value::Map{};
    for (const auto& name : keys.as_array()) {
      const Key key = internal::key_of(name);
      const auto prefix = key_split(key);
      const auto& before = counts[prefix].as_array();
      const auto number = [&](std::size_t i) { return before.empty() ? 0 : before[i].as_int(); };
      counts.set(prefix,
                 wire::Value::Array{number(0) + 1, number(1) + (values_.contains(key) ? 1 : 0),
                                    number(2) + (failures_.contains(key) ? 1 : 0)});
    }
    return counts;
  }

  void give(const comm::Request& request, bool as_scheduler) {
    ++(as_scheduler ? seen_.gather_calls : seen_.get_data_calls);
    wire::Value::Map data;
    wire::Value::Array missing;
    for (const wire::Value& name : request["keys"].as_array()) {
      const auto found = values_.find(internal::key_of(name));
      if (found == values_.end() || (refuse_get_data_ && !as_scheduler))
        missing.push_back(name);
      else
        data.emplace_back(name, found->second.to_payload(!dense_));
    }
    if (as_scheduler && !missing.empty())
      return request.reply(
          wire::Value::object({{"status", "error"}, {"keys", std::move(missing)}}));
    request.reply(wire::Value::object({{"status", "OK"}, {"data", std::move(data)}}));
  }

  void take(const comm::Request& request) {
    wire::Value::Array keys;
    for (const auto& [name, value] : request["data"].as_map()) {
      keys.push_back(name);
      wire::Payload payload;
      if (const auto* whole = value.get_if<wire::Payload>()) {
        payload = *whole;
      } else {
        payload.kind = wire::Payload::Kind::inlined;
        payload.frames = wire::encode(value);
      }
      values_[internal::key_of(name)] = TaskValue::from_payload(std::move(payload));
    }
    request.reply(std::move(keys));
  }

  void retry(const comm::Request& request) {
    request.reply(request["keys"]);
    for (const wire::Value& name : request["keys"].as_array()) {
      tell(protocol::TaskRetried{internal::key_of(name)});
      compute(internal::key_of(name));
    }
  }

  // Runs "run" on the two workers that it pretends to have.
  void broadcast(const comm::Request& request) {
    wire::Value::Map replies;
    const auto* spec = request["msg"]["function"].get_if<wire::Payload>();
    wire::Payload payload;
    if (spec != nullptr) {
      payload = *spec;
    } else {
      payload.kind = wire::Payload::Kind::inlined;
      payload.frames = wire::encode(request["msg"]["function"]);
    }
    for (const char* worker : {"tcp://10.0.0.1:1", "tcp://10.0.0.2:1"}) {
      auto outcome = run_task(payload, [](const Key&) { return TaskValue{}; });
      if (auto* value = std::get_if<TaskValue>(&outcome)) {
        replies.emplace_back(
            worker, wire::Value::object({{"status", "OK"}, {"result", value->to_payload()}}));
      } else {
        const auto& failure = std::get<TaskFailure>(outcome);
        replies.emplace_back(worker, wire::Value::object({{"status", "error"},
                                                          {"exception", exception_payload(failure)},
                                                          {"exception_text", failure.message},
                                                          {"traceback_text", failure.traceback}}));
      }
    }
    request.reply(std::move(replies));
  }

  wire::Value states_of(const comm::Request& request) const {
    wire::Value::Map states;
    for (const wire::Value& name : request["keys"].as_array()) {
      const Key key = internal::key_of(name);
      const char* state = values_.contains(key)     ? "memory"
                          : failures_.contains(key) ? "erred"
                          : specs_.contains(key)    ? "waiting"
                                                    : nullptr;
      states.emplace_back(name, state == nullptr ? wire::Value{nullptr} : wire::Value{state});
    }
    return states;
  }

  wire::Value identity() const {
    const wire::Value worker = wire::Value::object({{"name", 0},
                                                    {"status", "running"},
                                                    {"nthreads", 2},
                                                    {"memory_limit", 1000},
                                                    {"nanny", nullptr}});
    return wire::Value::object({{"type", "Scheduler"},
                                {"id", "Scheduler-1"},
                                {"address", address_},
                                {"workers", wire::Value::Map{{"tcp://10.0.0.1:1", worker}}}});
  }

  const bool dense_;
  comm::EventLoop loop_;
  std::thread thread_;
  comm::RpcServer server_{"test"};
  std::unique_ptr<comm::Listener> listener_;
  std::string address_;
  comm::ConnectionPtr stream_;
  Seen seen_;
  std::string held_part_;
  std::vector<protocol::UpdateGraph> held_;
  bool refuse_get_data_ = false;
  std::unordered_map<Key, wire::Payload> specs_;
  std::unordered_map<Key, TaskValue> values_;
  std::unordered_map<Key, TaskFailure> failures_;
};

}  // namespace rask::testing
