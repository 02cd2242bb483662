#pragma once
// For this room's tests: a worker whose messages and events are short to write, and whose
// instructions are lines of text.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "rask/worker/worker.h"

namespace rask::worker::testing {

using Lines = std::vector<std::string>;

inline const std::string kAlice = "tcp://10.0.0.1:1";  // The worker under test.
inline const std::string kBob = "tcp://10.0.0.1:2";    // On the same host.
inline const std::string kCarol = "tcp://10.0.0.2:1";
inline const std::string kDave = "tcp://10.0.0.3:1";

inline std::string join(const std::vector<Key>& keys) {
  std::string text;
  for (const Key& key : keys) text += (text.empty() ? "" : ",") + key.str();
  return text;
}

struct Describe {
  std::string operator()(const Execute& i) const { return "execute " + i.key.str(); }
  std::string operator()(const GatherDep& i) const {
    return "gather " + join(i.keys) + " from " + i.worker;
  }
  std::string operator()(const RetryBusyWorkerLater& i) const { return "retry later " + i.worker; }
  std::string operator()(const Forget& i) const { return "forget " + i.key.str(); }
  std::string operator()(const SendToScheduler& i) const { return std::visit(*this, i.message); }

  std::string operator()(const protocol::TaskFinished& m) const {
    return "task-finished " + m.key.str() + " run " + std::to_string(m.run_id);
  }
  std::string operator()(const protocol::TaskErred& m) const {
    return "task-erred " + m.key.str() + " run " + std::to_string(m.run_id) + ": " +
           m.exception_text;
  }
  std::string operator()(const protocol::ReleaseWorkerData& m) const {
    return "release-worker-data " + m.key.str();
  }
  std::string operator()(const protocol::Reschedule& m) const {
    return "reschedule " + m.key.str();
  }
  std::string operator()(const protocol::LongRunning& m) const {
    return "long-running " + m.key.str() + " run " + std::to_string(m.run_id);
  }
  std::string operator()(const protocol::AddKeys& m) const { return "add-keys " + join(m.keys); }
  std::string operator()(const protocol::RequestRefreshWhoHas& m) const {
    return "request-refresh-who-has " + join(m.keys);
  }
  std::string operator()(const protocol::StealResponse& m) const {
    return "steal-response " + m.key.str() + " '" + m.state + "'";
  }
  template <typename Other>
  std::string operator()(const Other&) const {
    return "?";
  }
};

inline Lines describe(const Instructions& instructions) {
  Lines lines;
  for (const auto& instruction : instructions) lines.push_back(std::visit(Describe{}, instruction));
  return lines;
}

using WhoHas = std::vector<std::pair<std::string, std::vector<Address>>>;

struct ComputeOptions {
  WhoHas who_has = {};
  std::int64_t nbytes = 1;
  std::int64_t priority = 0;
  protocol::Resources resources = {};
  std::int64_t run_id = 1;
};

class Machine {
 public:
  explicit Machine(Options options = {}) : worker(prepared(std::move(options))) {}

  template <typename What>
  Lines send(What what) {
    instructions.clear();
    now += 0.001;
    if constexpr (std::is_constructible_v<Event, What>)
      worker.handle(Event{std::move(what)}, now, instructions);
    else
      worker.handle(protocol::ToWorker{std::move(what)}, now, instructions);
    worker.check_invariants();
    return describe(instructions);
  }

  static std::vector<protocol::Dependency> dependencies(const WhoHas& who_has,
                                                        std::int64_t nbytes) {
    std::vector<protocol::Dependency> list;
    for (const auto& [key, workers] : who_has) list.push_back({Key{key}, workers, nbytes});
    return list;
  }

  Lines compute(const std::string& key, ComputeOptions with = {}) {
    protocol::ComputeTask message;
    message.key = Key{key};
    message.run_id = with.run_id;
    message.priority = {0, 0, with.priority};
    message.stimulus_id = "compute-" + key;
    message.dependencies = dependencies(with.who_has, with.nbytes);
    message.resource_restrictions = with.resources;
    return send(std::move(message));
  }
  Lines acquire(const WhoHas& who_has, std::int64_t nbytes = 1) {
    return send(protocol::AcquireReplicas{dependencies(who_has, nbytes), "acquire"});
  }
  Lines free(std::vector<std::string> keys) {
    return send(protocol::FreeKeys{to_keys(keys), "free"});
  }
  Lines remove_replicas(std::vector<std::string> keys) {
    return send(protocol::RemoveReplicas{to_keys(keys), "remove"});
  }
  Lines cancel(const std::string& key) { return send(protocol::CancelCompute{Key{key}, "cancel"}); }
  Lines steal(const std::string& key) { return send(protocol::StealRequest{Key{key}, "steal-1"}); }
  Lines refresh(const std::string& key, std::vector<Address> workers) {
    return send(protocol::RefreshWhoHas{{{Key{key}, std::move(workers)}}, "refresh"});
  }
  Lines remove_worker(const Address& worker_address) {
    return send(protocol::RemoveWorker{worker_address, "remove-worker"});
  }
  Lines success(const std::string& key, std::int64_t nbytes = 8, std::int64_t run_id = 1) {
    ExecuteSuccess event;
    event.key = Key{key};
    event.run_id = run_id;
    event.nbytes = nbytes;
    event.typename_ = "int";
    return send(std::move(event));
  }
  Lines failure(const std::string& key, std::int64_t run_id = 1) {
    ExecuteFailure event;
    event.key = Key{key};
    event.run_id = run_id;
    event.exception_text = "boom";
    return send(std::move(event));
  }
  Lines secede(const std::string& key) { return send(SecedeTask{Key{key}, 0.5}); }
  Lines reschedule(const std::string& key) { return send(RescheduleTask{Key{key}}); }
  Lines gathered(const Address& from, std::vector<std::string> keys) {
    GatherDepSuccess event;
    event.worker = from;
    for (const auto& key : keys) event.received.emplace_back(Key{key}, 1);
    return send(std::move(event));
  }
  Lines gather_busy(const Address& from) { return send(GatherDepBusy{from, {}}); }
  Lines gather_lost(const Address& from) { return send(GatherDepNetworkFailure{from, {}}); }
  Lines gather_failed(const Address& from) {
    GatherDepFailure event;
    event.worker = from;
    event.exception_text = "cannot decode";
    return send(std::move(event));
  }
  Lines scatter(const std::string& key) { return send(UpdateData{{{Key{key}, 5}}}); }

  // The state's name; "" when the task is not known.
  std::string state(const std::string& key) const {
    const auto found = worker.state_of(Key{key});
    return found ? std::string{to_string(*found)} : std::string{};
  }

  Worker worker;
  Instructions instructions;  // Of the last event.
  Seconds now = 1'000'000;

 private:
  static Options prepared(Options options) {
    options.address = kAlice;
    options.validate = true;
    return options;
  }
  static std::vector<Key> to_keys(const std::vector<std::string>& names) {
    std::vector<Key> keys;
    for (const auto& name : names) keys.emplace_back(name);
    return keys;
  }
};

}  // namespace rask::worker::testing
