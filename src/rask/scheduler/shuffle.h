#pragma once
// Dask's P2P shuffles: which run of a shuffle is valid, which worker keeps which output partition,
// who takes part.
//
//   transfer tasks --> barrier --> output tasks
//
// The first transfer task makes a run (get_or_create); every worker that asks takes part in it. It
// ends when the barrier is released, errs or is forgotten, or when a participant leaves: data is
// lost with it, so that transfers, barrier and outputs start over with a new run.
//
// Source of the rules: distributed/shuffle/_scheduler_plugin.py.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rask/scheduler/scheduler.h"

namespace rask::scheduler {

class State;
struct Task;

// The partitions' workers, in the order of P2PSpec::partitions.
using WorkerFor = std::vector<std::pair<Key, Address>>;

// A run as workers read it: distributed.shuffle._core.ShuffleRunSpec, pickled.
//   errors   as wire::pickle_fragment, of the spec
Result<protocol::Payload> shuffle_run_spec(const protocol::P2PSpec& spec, std::int64_t run_id,
                                           const WorkerFor& worker_for);

class Shuffles {
 public:
  explicit Shuffles(State& state) : state_(state) {}

  // ---- What workers ask
  ShuffleAnswer<protocol::Payload> get(const ShuffleRequest& request);
  ShuffleAnswer<protocol::Payload> get_or_create(const ShuffleRequest& request);
  ShuffleAnswer<std::vector<Address>> barrier(const ShuffleRequest& request, bool consistent);
  std::optional<ShuffleRefusal> restrict_task(const ShuffleRequest& request);
  std::optional<Scheduler::ShuffleView> find(std::string_view id) const;

  // ---- What happens to tasks
  void add_barrier(std::uint32_t task, protocol::P2PSpecPtr spec) {
    specs_.insert_or_assign(task, std::move(spec));
  }
  // The task has become released or erred, or is about to be forgotten.
  void on_ended(std::uint32_t id, TaskState finish) {
    if (!specs_.empty()) end(id, finish);
  }
  void forget(std::uint32_t task) {  // Its record is freed.
    if (specs_.empty() && restricted_.empty()) return;
    specs_.erase(task);
    restricted_.erase(task);
  }
  // Outputs are not held back in the queue: they may first run only to be told where to run.
  bool is_output(const Task& task) const;
  // The worker that keeps the partition by which an output's key ends, as keys of Dask's outputs
  // do: ("p2pshuffle-1f", 3), ("rechunk-p2p-2e", 1, 0). Anywhere else it would have to be told. A
  // guess: what runs there asks for its partition by itself. kNone for all other tasks.
  std::uint32_t keeper_of(const Task& task);

  // ---- What happens to workers
  // Ends the runs that it takes part in. From then on, until worker_left, every run that ends, for
  // whatever reason, is one that starts over.
  void worker_leaves(const Address& worker);
  void recommend_restarts();
  bool has_restarts() const { return !archived_.empty(); }
  void worker_left() { collecting_ = false; }
  bool participates(const Address& worker) const;

  void check_invariants() const;

 private:
  struct Run {
    std::string id;
    std::int64_t run_id = 0;
    std::uint32_t barrier = 0;  // task
    WorkerFor worker_for = {};
    std::unordered_map<Key, Address> keepers = {};  // The same. Looked up only, never walked.
    std::set<Address> participating_workers = {};
    protocol::Payload run_spec = {};
    bool failed = false;
    // Output tasks with the same annotations that go to the same worker share theirs.
    std::map<std::pair<protocol::AnnotationsPtr, Address>, protocol::AnnotationsPtr> restricted =
        {};

    std::string name() const;  // For people and in errors, as in Dask.
  };
  using Runs = std::map<std::string, Run, std::less<>>;

  ShuffleAnswer<protocol::Payload> create(const ShuffleRequest& request);
  ShuffleAnswer<WorkerFor> assign_workers(std::uint32_t barrier, const protocol::P2PSpec& spec);
  std::optional<ShuffleRefusal> find_aligned(std::uint32_t barrier,
                                             std::unordered_map<Key, Address>& assigned) const;
  std::vector<Address> candidates(const Task& barrier) const;
  Runs::iterator run_of(std::uint32_t barrier);
  void end(std::uint32_t id, TaskState finish);
  void note_failure(std::uint32_t id);
  void deactivate(Runs::iterator run, const std::string& message);
  void recommend_restart(std::uint32_t barrier);
  void set_restriction(Run& run, std::uint32_t id, const Address& worker);
  void unset_restriction(std::uint32_t id);

  State& state_;
  std::map<std::uint32_t, protocol::P2PSpecPtr> specs_;  // By barrier task.
  Runs active_;
  // Output tasks that are pinned to a worker: what they were annotated with before.
  std::unordered_map<std::uint32_t, protocol::AnnotationsPtr> restricted_;
  std::int64_t last_run_id_ = 0;
  std::uint64_t shift_count_ = 0;
  bool collecting_ = false;              // A worker is leaving.
  std::vector<std::uint32_t> archived_;  // Barriers of runs that ended while it did.
};

}  // namespace rask::scheduler
