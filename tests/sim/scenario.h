#pragma once
// One seed: draws a cluster, what the clients do and what goes wrong, runs it, and checks that all
// came out as it must.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cluster.h"
#include "sim_client.h"
#include "sim_worker.h"

namespace rask::sim {

struct Faults {
  bool kills = false;
  bool cuts = false;
  bool hangs = false;
  bool pauses = false;
  bool retirements = false;
  bool restrictions = false;
  bool resources = false;
};

class Scenario {
 public:
  Scenario(std::uint64_t seed, std::function<void(const std::string&)> trace);

  // Throws Failure with a text that says what is wrong.
  void run();

 private:
  static Settings draw_settings(std::uint64_t seed);
  void draw_plan();
  WorkerPlan plan_worker(const std::string& name);
  std::string new_worker_name();

  // ---- What happens -----------------------------------------------------------------------------
  void act();
  void client_acts();
  void something_goes_wrong();
  void submit(SimClient& client);
  void resubmit(SimClient& client);
  void scatter(SimClient& client);
  void move_data();
  void retire();
  void heal();

  // ---- What must be so --------------------------------------------------------------------------
  bool all_resolved() const;
  void check_results() const;
  void check_result(const SimClient& client, const Key& key, SimClient::Status status) const;
  void check_erred(const Key& key, const scheduler::Scheduler::TaskView& task) const;
  bool all_drained() const;
  std::string what_is_left() const;
  std::string what_is_stuck() const;
  std::string story_of(const Key& key) const;
  [[noreturn]] void fail(const std::string& text) const;

  std::unique_ptr<Cluster> cluster_;
  Random random_;
  Faults faults_;
  GraphOptions graph_options_;
  int worker_count_ = 0;
  int action_count_ = 0;
  Seconds duration_ = 0;
  int graphs_ = 0;
  int scatters_ = 0;
  int names_ = 0;
};

}  // namespace rask::sim
