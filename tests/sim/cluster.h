#pragma once
// The whole cluster on one thread: the real scheduler machine, workers, clients, and the network
// between them, on a virtual clock.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "event_queue.h"
#include "graphs.h"
#include "random.h"
#include "rask/scheduler/scheduler.h"

namespace rask::sim {

class SimWorker;
class SimClient;

// The simulation found something: the seed's driver prints it.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Settings {
  scheduler::Options scheduler;
  Seconds latency_low = 1e-4;
  Seconds latency_high = 1e-3;
  double spike = 0;  // So many messages take up to spike_max.
  Seconds spike_max = 0.5;
  double gather_loss = 0;         // Of the transfers between workers: the connection breaks,
  double gather_busy = 0;         // the peer is busy,
  double gather_undecodable = 0;  // the value cannot be decoded.
  bool batches = true;            // Messages of one moment travel together.
};

struct WorkerPlan {
  std::string name;  // A letter and a number: "w7".
  int nthreads = 1;
  protocol::Resources resources;
  double slowness = 1;
};

class Cluster {
 public:
  Cluster(Settings given, std::uint64_t seed);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  const Settings settings;
  Random random;
  EventQueue queue;
  World world;
  scheduler::Scheduler scheduler;
  std::vector<std::unique_ptr<SimWorker>> workers;  // All that ever were, in order.
  std::vector<std::unique_ptr<SimClient>> clients;
  int unexpected_deaths = 0;
  std::function<void(const std::string&)> trace;  // One line a message; may be empty.
  // A worker has a result, which is in its store; may be empty.
  std::function<void(const SimWorker&, const Key&)> computed;

  // ---- Workers ----------------------------------------------------------------------------------
  SimWorker& start_worker(const WorkerPlan& plan);
  void kill(SimWorker& worker);    // The process ends; the scheduler sees the connection close.
  void cut(SimWorker& worker);     // The connection breaks; both sides see it, when they do.
  void hang(SimWorker& worker);    // It says nothing any more, on an open connection.
  void close(SimWorker& worker);   // It leaves as it was asked to.
  void retire(SimWorker& worker);  // The scheduler moves its data and asks it to close.
  bool all_retired() const;        // No retirement is under way.
  std::vector<SimWorker*> live_workers() const;
  SimWorker* find_worker(
      const protocol::Address& address) const;  // Living or not; nullptr: never was.

  // ---- Scheduler --------------------------------------------------------------------------------
  // Calls the scheduler, carries out what it says, and sees to its timer.
  template <typename Call>
  void call(const Call& do_it) {
    scheduler::Effects effects;
    do_it(effects);
    after_call(effects);
  }
  SimClient& start_client(const std::string& name);

  // ---- Network ----------------------------------------------------------------------------------
  Seconds latency();
  void say(const std::string& line) const {
    if (trace) trace(line);
  }

  // ---- Time -------------------------------------------------------------------------------------
  // Runs until `done` holds (looked at whenever nothing but timers is left, and every `limit`/100),
  // or `limit` is over. True: it holds.
  bool run_until(const std::function<bool()>& done, Seconds limit);
  void run_for(Seconds duration);
  bool at_rest() const { return queue.work_count() == 0; }

 private:
  void after_call(scheduler::Effects& effects);
  void arm_tick();
  void flush();
  void register_worker(SimWorker& worker);
  void lose_worker(SimWorker& worker, bool expected);
  void on(scheduler::SendToWorker& effect);
  void on(scheduler::SendToClient& effect);
  void on(scheduler::DropWorker& effect);
  void on(scheduler::RetirementDone& effect);
  void on(scheduler::LogLine& effect);
  void on(scheduler::TopicEvent&) {}
  void on(scheduler::ShutDown&) {}

  std::map<WorkerId, SimWorker*> connected_;
  std::map<WorkerId, std::vector<protocol::ToWorker>> outbox_;
  std::map<protocol::Address, SimWorker*> by_address_;
  std::map<ClientId, SimClient*> clients_by_id_;
  std::optional<Seconds> tick_at_;
  int open_retirements_ = 0;
};

}  // namespace rask::sim
