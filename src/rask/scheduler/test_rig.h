#pragma once
// For this room's tests: a scheduler with a clock, short ways to feed events, and effects as text,
// so that a test compares all that came out at once.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rask/scheduler/scheduler.h"
#include "rask/scheduler/state.h"

namespace rask::scheduler {

using Lines = std::vector<std::string>;

inline std::string names(const std::vector<Key>& keys) {
  std::string out;
  for (const auto& key : keys) out += (out.empty() ? "" : ",") + key.str();
  return out;
}

inline protocol::Payload payload(std::string text) {
  protocol::Payload out;
  out.header = wire::Buffer::copy_of("header");
  out.frames.push_back(wire::Buffer::own(std::move(text)));
  return out;
}

// One line an effect: who, what, which keys. LogLines are left out.
class EffectPrinter {
 public:
  explicit EffectPrinter(std::vector<std::string> worker_names)
      : workers_(std::move(worker_names)) {}

  Lines print(const Effects& effects) const {
    Lines out;
    for (const auto& effect : effects) {
      if (auto line = std::visit([&](const auto& e) { return text(e); }, effect); !line.empty())
        out.push_back(std::move(line));
    }
    return out;
  }

 private:
  std::string text(const SendToWorker& effect) const {
    return workers_.at(static_cast<std::size_t>(effect.worker)) + " " +
           std::visit([&](const auto& m) { return of(m); }, effect.message);
  }
  std::string text(const SendToClient& effect) const {
    return "client-" + std::to_string(static_cast<int>(effect.client)) + " " +
           std::visit([&](const auto& m) { return of(m); }, effect.message);
  }
  std::string text(const DropWorker& effect) const {
    return "drop " + effect.address +
           (effect.nanny.empty() ? std::string{} : ", killed by " + effect.nanny);
  }
  std::string text(const RetirementDone& effect) const {
    std::string out = "retirement-done " + std::to_string(effect.retirement);
    for (const auto& address : effect.retired) out += " " + address;
    return out;
  }
  std::string text(const LogLine&) const { return {}; }
  std::string text(const TopicEvent& effect) const {
    return "event " + effect.topic + " " + wire::to_string(effect.event);
  }
  std::string text(const ShutDown& effect) const { return "shut-down " + effect.reason; }

  static std::string dependency(const protocol::Dependency& d) {
    std::string out = d.key.str() + "@";
    for (std::size_t i = 0; i < d.workers.size(); ++i) out += (i == 0 ? "" : "+") + d.workers[i];
    return out;
  }
  static std::string of(const protocol::ComputeTask& m) {
    std::string out = "compute-task " + m.key.str();
    for (const auto& d : m.dependencies) out += " " + dependency(d);
    return out;
  }
  static std::string of(const protocol::FreeKeys& m) { return "free-keys " + names(m.keys); }
  static std::string of(const protocol::CancelCompute& m) {
    return "cancel-compute " + m.key.str();
  }
  static std::string of(const protocol::AcquireReplicas& m) {
    std::string out = "acquire-replicas";
    for (const auto& d : m.keys) out += " " + dependency(d);
    return out;
  }
  static std::string of(const protocol::RemoveReplicas& m) {
    return "remove-replicas " + names(m.keys);
  }
  static std::string of(const protocol::RefreshWhoHas& m) {
    std::string out = "refresh-who-has";
    for (const auto& [key, workers] : m.who_has) {
      out += " " + key.str() + "@";
      for (std::size_t i = 0; i < workers.size(); ++i) out += (i == 0 ? "" : "+") + workers[i];
    }
    return out;
  }
  static std::string of(const protocol::StealRequest& m) { return "steal-request " + m.key.str(); }
  static std::string of(const protocol::ChangeWorkerStatus& m) {
    return "worker-status-change " + std::string{protocol::to_string(m.status)};
  }
  static std::string of(const protocol::RemoveWorker& m) { return "remove-worker " + m.worker; }
  static std::string of(const protocol::CloseWorker& m) { return "close " + m.reason; }
  static std::string of(const protocol::OtherMessage& m) { return "other " + m.op; }

  static std::string of(const protocol::KeyInMemory& m) {
    std::string out = "key-in-memory " + m.key.str() + "@";
    for (std::size_t i = 0; i < m.workers.size(); ++i) out += (i == 0 ? "" : "+") + m.workers[i];
    return out;
  }
  static std::string of(const protocol::TaskErredForClient& m) {
    return "task-erred " + m.key.str();
  }
  static std::string of(const protocol::CancelledKeys& m) {
    return "cancelled-keys " + names(m.keys) + (m.reason.empty() ? "" : " " + m.reason);
  }
  static std::string of(const protocol::LostData& m) { return "lost-data " + m.key.str(); }
  static std::string of(const protocol::TaskRetried& m) { return "task-retried " + m.key.str(); }
  static std::string of(const protocol::RestartClient&) { return "restart"; }
  static std::string of(const protocol::EventForClient& m) { return "event " + m.topic; }
  static std::string of(const protocol::ErrorForClient&) { return "error"; }
  static std::string of(const protocol::AdjustHeartbeatInterval& m) {
    return "adjust-heartbeat-interval " + std::to_string(m.interval);
  }
  static std::string of(const protocol::StreamStart&) { return "stream-start"; }

  std::vector<std::string> workers_;
};

// A task of a graph in a test: "y", {"x"}.
struct T {
  std::string key;
  std::vector<std::string> dependencies;
  protocol::Annotations annotations;
};

inline std::vector<Key> keys_of(const std::vector<std::string>& texts) {
  std::vector<Key> out;
  for (const auto& text : texts) out.emplace_back(text);
  return out;
}

inline Options test_options() {
  Options options;
  options.validate = true;
  options.worker_saturation = 1.1;
  options.work_stealing = false;
  return options;
}

class Rig {
 public:
  explicit Rig(Options options = test_options()) : scheduler(std::move(options), 1000) {
    client = scheduler.add_client("client", now, effects);
    effects.clear();
  }

  WorkerId add_worker(const std::string& name, int nthreads = 1,
                      const std::function<void(WorkerInfo&)>& change = {}) {
    WorkerInfo info;
    info.address = name;
    info.name = name;
    info.nthreads = nthreads;
    if (change) change(info);
    auto id = scheduler.add_worker(info, now, effects);
    EXPECT_TRUE(id.ok());
    worker_names.push_back(name);
    return id.value();
  }

  Lines take() {
    auto lines = EffectPrinter{worker_names}.print(effects);
    for (const auto& effect : effects) note(effect);
    last.swap(effects);
    effects.clear();
    return lines;
  }

  Lines update_graph(const std::vector<T>& tasks, const std::vector<std::string>& wanted,
                     const std::function<void(protocol::UpdateGraph&)>& change = {}) {
    protocol::UpdateGraph graph;
    std::int64_t order = 0;
    for (const auto& task : tasks) {
      auto annotations = task.annotations == protocol::Annotations{}
                             ? nullptr
                             : std::make_shared<const protocol::Annotations>(task.annotations);
      graph.tasks.push_back({Key{task.key}, keys_of(task.dependencies), payload("run " + task.key),
                             std::move(annotations), order++});
    }
    graph.keys = keys_of(wanted);
    graph.stimulus_id = "update-graph";
    if (change) change(graph);
    return from_client(std::move(graph));
  }
  template <class Message>
  Lines from_client(Message message) {
    scheduler.handle(client, protocol::FromClient{std::move(message)}, now, effects);
    return take();
  }
  template <class Message>
  Lines from_worker(WorkerId worker, Message message) {
    scheduler.handle(worker, protocol::FromWorker{std::move(message)}, now, effects);
    return take();
  }
  protocol::TaskFinished finished(const std::string& key, std::int64_t run, Seconds took = 0.01,
                                  std::int64_t nbytes = 28) const {
    protocol::TaskFinished message;
    message.key = Key{key};
    message.run_id = run;
    message.stimulus_id = "task-finished-" + key;
    message.nbytes = nbytes;
    message.typename_ = "int";
    message.startstops.push_back({"compute", 10, 10 + took, ""});
    return message;
  }
  // The run that the scheduler is waiting for, whatever was sent when.
  Lines finish(WorkerId worker, const std::string& key, Seconds took = 0.01,
               std::int64_t nbytes = 28) {
    return from_worker(worker, finished(key, current_run(key), took, nbytes));
  }
  protocol::TaskErred erred(const std::string& key) {
    protocol::TaskErred message;
    message.key = Key{key};
    message.run_id = current_run(key);
    message.stimulus_id = "task-erred-" + key;
    message.exception = payload("exception");
    message.traceback = payload("traceback");
    message.exception_text = "ZeroDivisionError('division by zero')";
    message.traceback_text = "line 1";
    return message;
  }
  Lines err(WorkerId worker, const std::string& key) { return from_worker(worker, erred(key)); }

  // Of the last compute-task for the key.
  std::int64_t current_run(const std::string& key) {
    for (const auto& effect : effects) note(effect);
    const auto at = runs.find(key);
    return at == runs.end() ? -1 : at->second;
  }
  std::string state(const std::string& key) const {
    const auto found = scheduler.task_state(Key{key});
    return found ? std::string{to_string(*found)} : "unknown";
  }
  Lines remove_worker(WorkerId worker, bool expected = false) {
    scheduler.remove_worker(worker, expected, "remove", now, effects);
    return take();
  }
  Lines tick(Seconds after) {
    now += after;
    scheduler.tick(now, effects);
    return take();
  }

  Seconds now = 1000;
  Effects effects;
  Effects last;
  std::vector<std::string> worker_names;
  Scheduler scheduler;
  ClientId client{};
  std::map<std::string, std::int64_t> runs;

 private:
  void note(const Effect& effect) {
    const auto* sent = std::get_if<SendToWorker>(&effect);
    if (sent == nullptr) return;
    if (const auto* compute = std::get_if<protocol::ComputeTask>(&sent->message)) {
      auto& run = runs[compute->key.str()];
      run = std::max(run, compute->run_id);
    }
  }
};

}  // namespace rask::scheduler
