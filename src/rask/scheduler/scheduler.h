#pragma once
// The scheduler as a state machine: which task runs where, who holds what, who wants what.
//
// Pure: no sockets, clock, threads. The shell (scheduler_server) and the simulation feed events in
// and carry out the effects that come back, in order. Time is an argument, never going back.
//
//            .-------------------------------------------------------------.
//            v                                                             |
//   released --> waiting --> no-worker | queued --> processing --> memory --+--> forgotten
//            ^-----------------------------------------------'--> erred ----'
//
// The transition table is in transitions.cc. Source of the rules: distributed 2026.8.0,
// scheduler.py (SchedulerState, Scheduler), stealing.py, active_memory_manager.py.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rask/base/ids.h"
#include "rask/base/result.h"
#include "rask/protocol/messages.h"
#include "rask/scheduler/spans.h"
#include "rask/wire/value.h"

namespace rask::scheduler {

using protocol::Address;

enum class TaskState : std::uint8_t {
  released,
  waiting,
  no_worker,
  queued,
  processing,
  memory,
  erred,
  forgotten
};
std::string_view to_string(TaskState state);  // "no-worker": Dask's names

struct Options {
  // distributed.scheduler.worker-saturation. Unset: rask's own rule, which keeps a few milliseconds
  // of expected work at a worker and is Dask's 1.1 for tasks of milliseconds and more, of unknown
  // duration, or with large results. Set (also to infinity): obeyed to the letter.
  std::optional<double> worker_saturation;
  int allowed_failures = 3;
  bool work_stealing = true;
  Seconds work_stealing_interval = 0.1;  // distributed.scheduler.work-stealing-interval
  Seconds worker_ttl = 300;              // 0: never
  // distributed.worker.memory.rebalance
  struct Rebalance {
    bool managed = false;  // measure: what tasks hold, not what the process takes
    double sender_min = 0.30;
    double recipient_max = 0.60;
    double gap = 0.10;  // sender-recipient-gap
  } rebalance = {};
  bool active_memory_manager = true;    // Drops copies that nobody needs, every two seconds.
  Seconds idle_timeout = 0;             // 0: never
  Seconds no_workers_timeout = 0;       // 0: never
  Seconds unknown_task_duration = 0.5;  // distributed.scheduler.unknown-task-duration
  std::map<std::string, Seconds> default_task_durations;
  double bandwidth_bytes_per_s = 100e6;  // distributed.scheduler.bandwidth
  std::size_t transition_log_length = 100'000;
  std::size_t events_log_length = 100'000;
  std::size_t computations_max = 100;  // distributed.diagnostics.computations.max-history
  // Fail a task whose inputs are larger than its worker's memory_limit; as in Dask, not when
  // distributed.worker.memory.terminate is off.
  bool refuse_huge_tasks = true;
  // So many tasks, 1 or more, are forgotten between two ticks; of a larger graph that nobody needs
  // any more the rest follows bit by bit.
  std::size_t forgets_max = 4'000;
  bool validate = false;  // Check every invariant after every event (slow).
};

// What a worker says of itself when it registers.
struct WorkerInfo {
  Address address;
  std::string name;
  std::string server_id;
  int nthreads = 1;
  std::uint64_t memory_limit_bytes = 0;  // 0: none
  protocol::Resources resources;
  std::string local_directory;
  Address nanny;  // Empty: none
  std::int64_t pid = 0;
  protocol::WorkerStatus status = protocol::WorkerStatus::running;
  bool runs_native = true;  // Tasks of C++ functions can run here (docs/protocol.md).
  bool runs_python = false;
};

// What comes with a heartbeat (Dask's metrics; the shell keeps the rest for identity).
struct WorkerMetrics {
  std::uint64_t memory_bytes = 0;
  std::uint64_t managed_bytes = 0;
  std::vector<std::pair<Key, Seconds>> executing;  // key, for how long
};

// ---- Effects: what the shell must do ------------------------------------------------------------
struct SendToWorker {
  WorkerId worker;
  protocol::ToWorker message;
};
struct SendToClient {
  ClientId client;
  protocol::ToClient message;
};
// The worker is dead to the scheduler: close its stream (after sending what was sent before).
struct DropWorker {
  WorkerId worker;
  Address address;
  Address nanny;  // To be asked to kill a worker that does not answer; empty: nobody.
};
// A retire_workers call has ended: moved away everything (or could not), see Retirement.
struct RetirementDone {
  std::uint64_t retirement;
  std::vector<Address> retired;
};
// Something for people: logger line and event topic.
struct LogLine {
  int level = 20;
  std::string text;
};  // Python's levels: 20 info, 30 warning
// For the event topics, which the shell keeps.
struct TopicEvent {
  std::string topic;
  wire::Value event;
};
// idle_timeout is over: the shell closes the cluster.
struct ShutDown {
  std::string reason;
};

using Effect = std::variant<SendToWorker, SendToClient, DropWorker, RetirementDone, LogLine,
                            TopicEvent, ShutDown>;
using Effects = std::vector<Effect>;

// ---- Shuffles -----------------------------------------------------------------------------------

// What a worker asks about a shuffle; each request uses some of it.
struct ShuffleRequest {
  std::string id;
  std::int64_t run_id = 0;
  Key key;         // The task that asks, or that is to be restricted.
  Address worker;  // The one that asks, or that the task shall run on.
};
// Why not, as the exception that Dask raises: a built-in one or "module.name".
struct ShuffleRefusal {
  std::string type;
  std::string message;
};
constexpr std::string_view kP2PConsistencyError =
    "distributed.shuffle._exceptions.P2PConsistencyError";
template <class T>
using ShuffleAnswer = std::variant<T, ShuffleRefusal>;

class State;  // state.h: the tables, for the machine's own files, queries and tests

class Scheduler {
 public:
  Scheduler(Options options, Seconds now);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Every call that changes something takes the time and appends to `out` (never cleared here).

  //   errors   invalid_argument: the address or the name is taken by a live worker
  Result<WorkerId> add_worker(const WorkerInfo& info, Seconds now, Effects& out);
  // `expected`: it went on purpose (retired, closed): its tasks do not count a death against it.
  void remove_worker(WorkerId worker, bool expected, std::string_view stimulus_id, Seconds now,
                     Effects& out);
  void heartbeat_worker(WorkerId worker, const WorkerMetrics& metrics, Seconds now, Effects& out);
  // The shell sends stream-start: its warnings are about versions, which it alone knows.
  ClientId add_client(std::string_view name, Seconds now, Effects& out);
  void remove_client(ClientId client, Seconds now, Effects& out);
  // The client that wants what nobody waits for (client name "fire-and-forget" on the wire): its
  // wants end with the task. Effects never go to it. add_client of that name gives it too.
  ClientId fire_and_forget() const;

  void handle(WorkerId worker, protocol::FromWorker&& message, Seconds now, Effects& out);
  // A batch as it came from the stream: cheaper than one by one, and denser effects. The messages
  // are used up.
  void handle(WorkerId worker, std::span<protocol::FromWorker> messages, Seconds now, Effects& out);
  void handle(ClientId client, protocol::FromClient&& message, Seconds now, Effects& out);

  // Work stealing, worker ttl, idle timeout, retirements. Call at next_deadline() or later.
  void tick(Seconds now, Effects& out);
  std::optional<Seconds> next_deadline() const;
  // Something is left that others should not wait for: tick() as soon as they have been served.
  bool has_work_left() const;

  // The RPC handlers that change something. Names and meaning are Dask's.
  void update_data(std::span<const std::pair<Key, std::vector<Address>>> who_has,
                   std::span<const std::pair<Key, std::int64_t>> nbytes,
                   std::optional<ClientId> client, Seconds now, Effects& out);
  // The tasks that were sent to run again: erred ones among `keys` and their erred ancestors.
  std::vector<Key> retry(std::span<const Key> keys, Seconds now, Effects& out);
  // Forgets all tasks of all clients; tells the clients. The shell restarts the workers.
  void restart(Seconds now, Effects& out);
  // Moves the workers' data away, then RetirementDone. Returns the number it will carry.
  std::uint64_t retire_workers(std::span<const WorkerId> workers, Seconds now, Effects& out);
  void replicate(std::span<const Key> keys, int copies, std::span<const WorkerId> workers,
                 Seconds now, Effects& out);
  void rebalance(std::span<const Key> keys, std::span<const WorkerId> workers, Seconds now,
                 Effects& out);
  // Dask's amm_handler: start, stop, and one round now.
  void run_active_memory_manager(bool on);
  bool active_memory_manager() const;
  void reduce_replicas(Seconds now, Effects& out);
  void add_resources(WorkerId worker, const protocol::Resources& resources, Seconds now,
                     Effects& out);
  // A worker could not give keys that the scheduler believed it has (gather): forget that, compute
  // again.
  void missing_data(std::span<const Key> keys, WorkerId worker, Seconds now, Effects& out);

  // ---- Shuffles: Dask's P2P extension (shuffle.h) -----------------------------------------------
  // The answers of the first two are the run's spec for workers.
  ShuffleAnswer<protocol::Payload> shuffle_get(const ShuffleRequest& request, Seconds now,
                                               Effects& out);
  ShuffleAnswer<protocol::Payload> shuffle_get_or_create(const ShuffleRequest& request, Seconds now,
                                                         Effects& out);
  // All input has been handed over. The workers that must be told so; none if the shuffle starts
  // over, which it does unless it is consistent.
  ShuffleAnswer<std::vector<Address>> shuffle_barrier(const ShuffleRequest& request,
                                                      bool consistent, Seconds now, Effects& out);
  std::optional<ShuffleRefusal> shuffle_restrict_task(const ShuffleRequest& request, Seconds now,
                                                      Effects& out);
  struct ShuffleView {
    std::int64_t run_id;
    std::vector<std::pair<Key, Address>> worker_for;  // By output partition.
    std::set<Address> participating_workers;
  };
  std::optional<ShuffleView> shuffle(std::string_view id) const;  // The active run.

  // ---- Spans and computations
  // --------------------------------------------------------------------
  const Spans& spans() const;
  // What a stock client says of where the graph comes from that is handed over next: its source
  // text, and what the span is to know of it.
  void describe_graph(const protocol::Payload& code, const protocol::Payload& span_metadata);
  // Of a heartbeat. `key` is Dask's tuple as MessagePack, without the span.
  void measure_span(const std::string& span, std::string key, Span::Metric metric);

  // ---- Questions (const, no effects) ------------------------------------------------------------
  struct WorkerView {
    WorkerId id;
    const WorkerInfo& info;
    protocol::WorkerStatus status;
    Seconds last_seen;
    Seconds occupancy;
    std::int64_t nbytes;  // of the results it holds
    std::size_t has_what_count;
    std::size_t processing_count;
    const WorkerMetrics& metrics;
    const protocol::Resources& used_resources;
  };
  std::optional<WorkerId> find_worker(std::string_view address_or_name) const;
  std::vector<WorkerId> workers() const;     // In the order they joined.
  WorkerView worker(WorkerId worker) const;  // REQUIRES a live id
  // For how long a worker that runs Python may be left alone: it does not run out of tasks, and
  // what it has to say can wait. 0: not at all.
  Seconds can_wait(WorkerId worker) const;
  std::vector<Key> has_what(WorkerId worker) const;
  std::vector<Key> processing(WorkerId worker) const;

  struct TaskView {
    TaskState state;
    std::int64_t nbytes;  // -1: not known
    std::string prefix;
    std::string typename_;
    std::vector<Address> who_has;
    Address processing_on;  // Empty: none
    const protocol::Payload* run_spec;
    std::shared_ptr<const protocol::Payload> run_spec_owner;  // Keeps run_spec alive.
    const protocol::Payload* exception;                       // nullptr: none
    const protocol::Payload* traceback;
    std::string exception_text;
    std::string traceback_text;
    Key exception_blame;  // The task that failed first.
    std::vector<Key> dependencies;
    std::vector<Key> dependents;
    std::int64_t retries;
    int suspicious;
  };
  std::optional<TaskView> task(const Key& key) const;
  std::optional<TaskState> task_state(const Key& key) const;  // Cheaper than task(key)->state.
  std::vector<WorkerId> holders(const Key& key) const;        // The same of its who_has.
  std::vector<Key> keys() const;                              // Every task that is known.
  std::size_t task_count() const;
  std::size_t open_moves()
      const;  // Copies that replicate, rebalance … asked for and are not there.
  std::map<std::string, std::map<TaskState, std::size_t>> prefix_states() const;
  struct ProgressCount {
    std::size_t all = 0;
    std::size_t done = 0;  // In memory, or not needed any more.
    std::size_t erred = 0;
    bool operator==(const ProgressCount&) const = default;
  };
  // How far these tasks are, and all that they need, by prefix. One that is not known is to come.
  //   cost     O(tasks and edges below the keys)
  std::map<std::string, ProgressCount> progress(std::span<const Key> keys) const;
  std::size_t client_count() const;
  Seconds total_occupancy() const;
  std::size_t idle_count() const;
  // How many workers the load asks for (Dask's adaptive_target).
  int adaptive_target(Seconds target_duration) const;
  // `count` < 0: as many as can go while twice the memory of the data stays.
  std::vector<WorkerId> workers_to_close(int count) const;
  std::optional<Seconds> idle_since() const;

  struct StoryLine {
    Key key;
    TaskState start;
    TaskState finish;
    std::string stimulus_id;
    Seconds time;
  };
  // The transitions of these keys or caused by these stimuli, oldest first.
  std::vector<StoryLine> story(std::span<const Key> keys,
                               std::span<const std::string> stimuli) const;

  // Stops the program when an invariant is broken. O(everything).
  void check_invariants() const;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace rask::scheduler
