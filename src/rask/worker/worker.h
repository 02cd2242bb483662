#pragma once
// The worker as a state machine: which task to run next, which results to fetch from whom.
//
// Pure: values, sockets and threads are the shell's (worker_server). Events go in, instructions
// come out. The machine knows keys, sizes and states; results themselves lie in the shell's store,
// under their keys, from the moment the shell reports them until the machine says Forget.
//
//   released -> waiting -> ready | constrained -> executing -> memory | error
//   released -> fetch -> flight -> memory | missing | error      executing <-> long-running
//   cancelled / resumed: work that goes on though it is not wanted any more / wanted again
//
// The transition table is in transitions.cc. Source of the rules: distributed 2026.8.0,
// worker_state_machine.py (WorkerState); docs/source/worker-state.rst.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rask/base/ids.h"
#include "rask/protocol/messages.h"

namespace rask::worker {

using protocol::Address;

enum class TaskState : std::uint8_t {
  released,
  waiting,
  ready,
  constrained,
  executing,
  long_running,
  memory,
  error,
  fetch,
  flight,
  missing,
  cancelled,
  resumed,
  rescheduled,
  forgotten
};
std::string_view to_string(TaskState state);  // "long-running": Dask's names

struct Options {
  Address address;
  int nthreads = 1;
  protocol::Resources resources;
  int transfer_incoming_count_limit = 10;           // distributed.worker.connections.incoming
  std::int64_t transfer_incoming_bytes_limit = -1;  // -1: none; Dask: a tenth of memory_limit
  // distributed.worker.transfer.message-bytes-limit; -1: none
  std::int64_t transfer_message_bytes_limit = 50'000'000;
  std::int64_t transfer_incoming_bytes_throttle_threshold = 10'000'000;
  // Tasks that are known to be short may be handed to a thread before it is free, as long as all
  // that is handed over is expected to take no longer than this, for each thread: waking a thread
  // costs more than a task of microseconds. 0: never, as in Dask.
  Seconds execute_ahead = 0;
  std::size_t transition_log_length = 100'000;
  bool validate = false;
};

// ---- Events: what the shell reports (beside the scheduler's messages) ---------------------------
struct ExecuteSuccess {
  Key key;
  std::int64_t run_id = 0;
  std::int64_t nbytes = 0;
  protocol::Payload type;
  std::string typename_;
  protocol::Payload metadata;
  std::int64_t thread = 0;
  Seconds start = 0;
  Seconds stop = 0;
};
struct ExecuteFailure {
  Key key;
  std::int64_t run_id = 0;
  protocol::Payload exception;
  protocol::Payload traceback;
  std::string exception_text;
  std::string traceback_text;
  std::int64_t thread = 0;
  Seconds start = 0;
  Seconds stop = 0;
};
struct RescheduleTask {
  Key key;
};  // The task asked to run elsewhere (Dask's Reschedule exception).
struct SecedeTask {
  Key key;
  Seconds compute_duration = 0;
};  // secede(): leaves its thread slot.
// The end of one GatherDep.
struct GatherDepSuccess {  // The shell has put `received` into its store.
  Address worker;
  std::vector<std::pair<Key, std::int64_t>> received;  // key, nbytes; keys not in it: it has not
  std::vector<Key> asked;
  Seconds start = 0;
  Seconds stop = 0;
};
struct GatherDepBusy {
  Address worker;
  std::vector<Key> asked;
};
struct GatherDepNetworkFailure {
  Address worker;
  std::vector<Key> asked;
};
struct GatherDepFailure {  // One of the values cannot be decoded.
  Address worker;
  std::vector<Key> asked;
  protocol::Payload exception;
  protocol::Payload traceback;
  std::string exception_text;
  std::string traceback_text;
};
struct RetryBusyWorker {
  Address worker;
};  // A RetryBusyWorkerLater is due.
struct FindMissing {};  // Every second while something is missing.
struct Pause {};
struct Unpause {};
// scatter put values into the store (RPC update_data).
struct UpdateData {
  std::vector<std::pair<Key, std::int64_t>> nbytes;
  bool report = true;
};

using Event =
    std::variant<ExecuteSuccess, ExecuteFailure, RescheduleTask, SecedeTask, GatherDepSuccess,
                 GatherDepBusy, GatherDepNetworkFailure, GatherDepFailure, RetryBusyWorker,
                 FindMissing, Pause, Unpause, UpdateData>;

// ---- Instructions: what the shell must do -------------------------------------------------------
struct Execute {  // Run it; all dependencies are in the store: take them out now, not later.
  Key key;
  std::int64_t run_id = 0;
  protocol::Payload run_spec;
  std::vector<Key> dependencies;
  protocol::AnnotationsPtr annotations;
  bool actor = false;
};
struct GatherDep {
  Address worker;
  std::vector<Key> keys;
  std::int64_t total_nbytes = 0;
};
struct RetryBusyWorkerLater {
  Address worker;
  Seconds delay = 0.15;
};
struct SendToScheduler {
  protocol::FromWorker message;
};
struct Forget {
  Key key;
};  // Drop the value from the store.

using Instruction = std::variant<Execute, GatherDep, RetryBusyWorkerLater, SendToScheduler, Forget>;
using Instructions = std::vector<Instruction>;

class State;  // state.h

class Worker {
 public:
  explicit Worker(Options options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // A message from the scheduler. ChangeWorkerStatus, RemoveWorker are handled here as far as tasks
  // go; CloseWorker and OtherMessage are the shell's and ignored here.
  void handle(protocol::ToWorker&& message, Seconds now, Instructions& out);
  void handle(Event&& event, Seconds now, Instructions& out);
  // The RPC set_resources: new totals of these resources; what runs keeps what it has.
  void set_resources(const protocol::Resources& resources, Seconds now, Instructions& out);

  // ---- Questions --------------------------------------------------------------------------------
  std::optional<TaskState> state_of(const Key& key) const;
  std::size_t count(TaskState state) const;
  std::size_t task_count() const;  // Every task that is known.
  std::size_t executing_count() const;
  std::size_t ready_count() const;
  std::size_t in_memory_count() const;
  std::size_t in_flight_count() const;
  std::int64_t nbytes() const;                                        // of all results held
  std::vector<std::pair<Key, Seconds>> executing(Seconds now) const;  // key, for how long
  std::vector<Key> keys_in_memory() const;
  const protocol::Resources& available_resources() const;
  bool paused() const;
  bool idle() const;  // nothing executing, ready, waiting, in flight
  // True while FindMissing should be sent every second.
  bool has_missing() const;

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

  void check_invariants() const;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace rask::worker
