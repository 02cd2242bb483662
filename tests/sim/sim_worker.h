#pragma once
// A worker: the real machine, a store of values, an executor that computes hashes, and peers that
// fetch from each other.
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster.h"
#include "rask/worker/worker.h"

namespace rask::sim {

class SimWorker {
 public:
  // hung: the process is there and does nothing. gone: it is not.
  enum class Life : std::uint8_t { joining, running, hung, gone };

  SimWorker(Cluster& cluster, WorkerPlan given, protocol::Address its_address);

  const WorkerPlan plan;
  const protocol::Address address;
  Life life = Life::joining;
  bool cut = false;               // Nothing passes between it and the scheduler any more.
  bool leaving = false;           // Retired: it is asked to close.
  bool loses_last_words = false;  // What it had sent when it died does not arrive.
  std::optional<WorkerId> id;     // While the scheduler knows it.
  std::unordered_map<Key, std::uint64_t> store;

  bool is_running() const { return life == Life::running; }
  const worker::Worker& machine() const { return *machine_; }

  void start();  // Registered: heartbeats from now on.
  void die(Life how);
  void deliver(std::vector<protocol::ToWorker>&& messages);  // By the network, in order.
  void send(std::vector<protocol::FromWorker>&& messages);
  template <typename What>
  void handle(What&& what) {
    worker::Instructions instructions;
    machine_->handle(std::forward<What>(what), cluster_.queue.now(), instructions);
    after_handle(instructions);
  }
  void set_paused(bool paused);
  void update_data(const std::vector<std::pair<Key, std::uint64_t>>& values);

 private:
  void after_handle(worker::Instructions& instructions);
  void receive(protocol::ToWorker&& message);
  void set_status(protocol::WorkerStatus status, const std::string& stimulus_id);
  void on(worker::Execute& instruction);
  void on(worker::GatherDep& instruction);
  void on(worker::RetryBusyWorkerLater& instruction);
  void on(worker::SendToScheduler& instruction);
  void on(worker::Forget& instruction);
  void end_execution(const Key& key, std::int64_t run_id, std::uint64_t value, Seconds start);
  void serve(SimWorker& asking, const worker::GatherDep& request);
  void end_gather(worker::Event&& event);
  void heartbeat();
  void arm_find_missing();

  Cluster& cluster_;
  std::unique_ptr<worker::Worker> machine_;
  Channel to_scheduler_;
  Channel from_scheduler_;
  std::vector<protocol::FromWorker> outbox_;
  protocol::WorkerStatus status_ = protocol::WorkerStatus::running;
  bool finding_missing_ = false;
};

}  // namespace rask::sim
