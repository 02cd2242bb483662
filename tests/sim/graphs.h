#pragma once
// What the simulated tasks do, and random graphs of them.
//
// A task's value is a hash of its key and the values of its dependencies, so that a wrong input
// anywhere shows in every result behind it.
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "random.h"
#include "rask/protocol/messages.h"

namespace rask::sim {

struct TaskSpec {
  Key key;
  std::vector<Key> dependencies;
  Seconds duration = 0.001;
  std::int64_t nbytes = 28;
  int fail_first = 0;        // So many runs fail; -1: all.
  int reschedule_first = 0;  // So many runs ask to run elsewhere.
  bool secedes = false;
  bool scattered = false;  // No task: a value from outside.
  protocol::AnnotationsPtr annotations;
  std::int64_t order = 0;

  std::uint64_t value = 0;    // What it must compute.
  bool may_err = false;       // It, or what it depends on, fails more often than it is retried.
  bool must_err = false;      // … always.
  bool from_scatter = false;  // It, or what it depends on, cannot be computed again.
  int runs = 0;               // So far, on any worker, wanted or not.
};

// All tasks that any client has ever made up.
class World {
 public:
  // Works out what must become of it. REQUIRES that its dependencies are known.
  const TaskSpec& add(TaskSpec spec);
  TaskSpec& at(const Key& key) { return specs_.at(key); }
  const TaskSpec& at(const Key& key) const { return specs_.at(key); }
  static std::uint64_t combine(const Key& key, const std::vector<std::uint64_t>& inputs);

 private:
  std::unordered_map<Key, TaskSpec> specs_;  // Looked up only, never walked.
};

struct GraphPlan {
  std::vector<Key> keys;     // Dependencies first.
  std::vector<Key> targets;  // What the client wants to hold.
};

struct GraphOptions {
  std::size_t size_max = 50;
  double fail = 0;      // Of the tasks: fail always, or at first.
  double restrict = 0;  // … may run only on a named worker.
  double resources = 0;
  double secede = 0;
  double reschedule = 0;
  std::vector<std::string> worker_names;
};

// One of: wide, chain, tree, layers (all to all), random, lazy calls. `external`: keys that it may
// build upon.
GraphPlan random_graph(World& world, Random& random, const GraphOptions& options, int number,
                       const std::vector<Key>& external);

// Lazy calls, planned and ordered as the client submits them (client/client.cc, submit_nodes).
GraphPlan lazy_graph(World& world, Random& random, const GraphOptions& options, int number);

// The tasks as a client sends them.
protocol::UpdateGraph to_message(const World& world, const GraphPlan& plan, std::string stimulus);

protocol::Payload run_spec_of(const Key& key);

}  // namespace rask::sim
