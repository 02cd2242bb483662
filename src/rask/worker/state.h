#pragma once
// The tables of the worker machine and its parts, by file. Internal to the room and its tests.
//
// Tasks and peers have dense ids (TaskId, WorkerId) that are used again after the record is gone.
// One event is: a handler changes what the event says and recommends states for tasks; the
// recommendations are drained through the transition table, which may recommend more; then free
// threads take the best ready tasks, and what is to be fetched is asked for.
#include <array>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rask/base/assert.h"
#include "rask/base/ids.h"
#include "rask/worker/key_table.h"
#include "rask/worker/log_ring.h"
#include "rask/worker/task_heap.h"
#include "rask/worker/worker.h"

namespace rask::worker {

inline constexpr std::size_t kStateCount = 15;
inline constexpr TaskState kNone{255};
inline constexpr std::uint32_t kNowhere = ~std::uint32_t{0};
inline constexpr WorkerId kNoPeer{~std::uint32_t{0}};

inline bool is_one_of(TaskState state, std::initializer_list<TaskState> states) {
  for (const TaskState other : states) {
    if (state == other) return true;
  }
  return false;
}
inline bool is_running(TaskState state) {
  return state == TaskState::executing || state == TaskState::long_running;
}
inline bool is_ready(TaskState state) {
  return state == TaskState::ready || state == TaskState::constrained;
}

struct Replica {
  WorkerId peer{};
  std::uint32_t place = 0;  // In the peer's has_what.
};

struct ResourceNeed {
  double* available = nullptr;  // The entry in State::available_resources, which never moves.
  double amount = 0;
};

struct TaskFields {
  TaskState state = TaskState::released;
  TaskState previous = kNone;  // Of cancelled and resumed: executing, long_running or flight.
  TaskState next = kNone;      // Of resumed: fetch or waiting.
  TaskState wanted = kNone;    // The recommendation that is not carried out yet.
  bool done = false;           // The Execute or GatherDep that served it has just ended.
  bool has_priority = false;
  bool acquired = false;   // acquire-replicas asked for it: wanted without a dependent.
  bool scattered = false;  // update_data brought its value while something else served it.
  bool actor = false;
  std::uint32_t place = kNowhere;       // In running_tasks or missing_tasks.
  std::uint32_t mark = 0;               // Scratch of relink().
  std::uint32_t waiting_for_count = 0;  // Waiting: dependencies that are not in memory.
  std::uint32_t waiter_count = 0;       // Not in memory: dependents that wait for it.
  WorkerId coming_from = kNoPeer;
  std::uint64_t epoch = 0;  // Of its entries in a heap; 0: in none.
  TaskPriority priority;
  std::int64_t run_id = 0;
  std::int64_t nbytes = -1;        // -1: not known
  std::int64_t value_nbytes = -1;  // Of a value that has just arrived in the store.
  Seconds start_time = 0;
  Seconds duration = 0;  // Expected, from the compute-task; 0: not told.
};

struct Task : TaskFields {
  Key key;  // Empty: the slot is free.
  std::vector<TaskId> dependencies;
  std::vector<TaskId> dependents;
  std::vector<Replica> who_has;
  std::vector<ResourceNeed> resources;
  std::vector<protocol::StartStop> startstops;
  protocol::Payload run_spec;  // Until it is handed to Execute.
  protocol::AnnotationsPtr annotations;
  // What the last task-finished said, for a scheduler that asks again.
  protocol::Payload type;
  std::string typename_;
  protocol::Payload metadata;

  void reset();  // All but the key.
};

struct Peer {
  Address address;
  bool is_remote = true;  // On another host.
  bool busy = false;
  bool in_flight = false;
  bool gone = false;  // remove-worker came while something was in flight from it.
  bool in_needed_list = false;
  std::uint32_t needed_count = 0;  // Tasks in state fetch that it has.
  std::vector<TaskId> has_what;    // Known tasks that it has.
  TaskHeap needed;
  std::vector<TaskId> gathering;  // What the GatherDep that is under way asked for.
  std::int64_t gathering_bytes = 0;
};

class State {
 public:
  explicit State(Options given);

  void handle(protocol::ToWorker&& message, Seconds time, Instructions& instructions);
  void handle(Event&& event, Seconds time, Instructions& instructions);
  void set_resources(const protocol::Resources& resources, Seconds time,
                     Instructions& instructions);

  // ---- state.cc: records ------------------------------------------------------------------------
  static constexpr std::size_t kChunk = 256;
  Task& at(TaskId id) {
    const auto index = static_cast<std::uint32_t>(id);
    return (*chunks_[index / kChunk])[index % kChunk];
  }
  const Task& at(TaskId id) const { return const_cast<State*>(this)->at(id); }
  Peer& peer(WorkerId id) { return peers_[static_cast<std::uint32_t>(id)]; }
  const Peer& peer(WorkerId id) const { return peers_[static_cast<std::uint32_t>(id)]; }
  const TaskId* find(const Key& key) const {
    return table_.find(key, [this](TaskId id) -> const Key& { return at(id).key; });
  }
  std::size_t count(TaskState state) const { return counts_[static_cast<std::size_t>(state)]; }
  std::size_t task_count() const { return table_.count(); }
  template <typename Visit>
  void for_each_task(const Visit& visit) const;  // In the order of ids.

  void check_invariants() const;

  const Options options;
  const std::string host;  // Of our own address.
  protocol::Resources total_resources;
  protocol::Resources available_resources;
  bool running_enabled = true;  // Not paused.
  std::int64_t nbytes = 0;
  std::size_t executing_count = 0;  // Not those that seceded.
  Seconds executing_expected = 0;   // The sum of their expected durations.
  std::size_t in_flight_count = 0;  // Tasks.
  std::size_t incoming_count = 0;   // GatherDeps under way.
  std::int64_t incoming_bytes = 0;
  std::uint64_t transition_counter = 0;
  std::vector<TaskId> running_tasks;  // Executing and long-running, cancelled or not.
  std::vector<TaskId> missing_tasks;
  LogRing log;

 private:
  friend struct TransitionTable;
  using TransitionFunction = void (State::*)(TaskId);

  TaskId find_or_create(const Key& key);
  TaskId ensure_task_exists(const Key& key, const TaskPriority& priority);
  void destroy(TaskId id);
  WorkerId find_or_create_peer(const Address& address);
  std::optional<WorkerId> find_peer(const Address& address) const;
  void release_peer_if_unused(WorkerId id);
  void release_peer_if_gone(const Address& address);
  void set_state(Task& task, TaskState state);
  void list_add(std::vector<TaskId>& list, TaskId id);
  void list_remove(std::vector<TaskId>& list, TaskId id);
  std::uint64_t next_epoch() { return ++epoch_; }
  void begin(StimulusRecord stimulus, Seconds time, Instructions& instructions);
  void finish_event();

  // ---- transitions.cc ---------------------------------------------------------------------------
  void recommend(TaskId id, TaskState finish);
  void drain();
  void transition(TaskId id, TaskState finish);
  bool step(TaskId id, TaskState finish);
  void purge(TaskId id);
  void release_if_unwanted(TaskId dependency);
  void reset_to_released(Task& task);
  void drop_scattered(Task& task);
  void back_to_waiting(Task& dependent);

  void generic_fetch(TaskId id);
  void generic_missing(TaskId id);
  void generic_released(TaskId id);
  void generic_error(TaskId id);
  void to_memory(TaskId id);
  void missing_waiting(TaskId id);
  void missing_fetch(TaskId id);
  void released_waiting(TaskId id);
  void released_memory(TaskId id);
  void released_forgotten(TaskId id);
  void fetch_flight(TaskId id);
  void fetch_missing(TaskId id);
  void flight_fetch(TaskId id);
  void flight_memory(TaskId id);
  void flight_error(TaskId id);
  void flight_released(TaskId id);
  void memory_released(TaskId id);
  void waiting_ready(TaskId id);
  void waiting_error(TaskId id);
  void ready_executing(TaskId id);
  void executing_memory(TaskId id);
  void executing_released(TaskId id);
  void executing_rescheduled(TaskId id);
  void executing_long_running(TaskId id);
  void cancelled_fetch(TaskId id);
  void cancelled_waiting(TaskId id);
  void cancelled_released(TaskId id);
  void cancelled_memory(TaskId id);
  void cancelled_or_resumed_long_running(TaskId id);
  void resumed_fetch(TaskId id);
  void resumed_memory(TaskId id);
  void resumed_error(TaskId id);
  void resumed_released(TaskId id);
  void resumed_rescheduled(TaskId id);

  // ---- compute.cc -------------------------------------------------------------------------------
  bool is_ready_entry(const TaskHeap::Entry& entry) const;
  void push_ready(TaskId id);
  void ensure_computing();
  bool may_execute_ahead();
  void take_slot(const Task& task);
  void leave_slot(const Task& task);
  std::optional<TaskId> next_ready_task();
  bool resources_satisfied(const Task& task) const;
  void acquire_resources(const Task& task);
  void release_resources(const Task& task);
  void set_restrictions(Task& task, const protocol::Resources& restrictions);
  TaskId execute_done(const Key& key);

  // ---- communicate.cc ---------------------------------------------------------------------------
  void update_who_has(TaskId id, const std::vector<Address>& workers);
  void add_replica(TaskId id, WorkerId peer_id);
  void remove_replica(TaskId id, WorkerId peer_id);
  void clear_who_has(TaskId id);
  void add_needed(TaskId id);
  void add_needed_at(const Task& task, TaskId id, WorkerId peer_id);
  void remove_needed(Task& task);
  bool is_needed_entry(const TaskHeap::Entry& entry, WorkerId peer_id) const;
  bool should_throttle() const;
  bool exceeds_limits(std::int64_t task_bytes, std::int64_t message_bytes) const;
  void ensure_communicating();
  bool gather_from(WorkerId peer_id);
  std::vector<TaskId> gather_done(const Address& worker);
  void forget_peer(WorkerId id);

  // ---- handlers.cc ------------------------------------------------------------------------------
  void on(protocol::ComputeTask& message);
  void on(protocol::FreeKeys& message);
  void on(protocol::CancelCompute& message);
  void on(protocol::AcquireReplicas& message);
  void on(protocol::RemoveReplicas& message);
  void on(protocol::RefreshWhoHas& message);
  void on(protocol::StealRequest& message);
  void on(protocol::ChangeWorkerStatus& message);
  void on(protocol::RemoveWorker& message);
  void on(protocol::CloseWorker&) {}
  void on(protocol::OtherMessage&) {}
  void store_computation(TaskId id, protocol::ComputeTask& message);
  void relink(TaskId id, const std::vector<protocol::Dependency>& dependencies);
  void unlink_stale(TaskId id, std::uint32_t mark);
  bool is_in_use(const Task& task) const;
  bool is_awaited(const Task& task) const;

  // ---- events.cc --------------------------------------------------------------------------------
  void on(ExecuteSuccess& event);
  void on(ExecuteFailure& event);
  void on(RescheduleTask& event);
  void on(SecedeTask& event);
  void on(GatherDepSuccess& event);
  void on(GatherDepBusy& event);
  void on(GatherDepNetworkFailure& event);
  void on(GatherDepFailure& event);
  void on(RetryBusyWorker& event);
  void on(FindMissing& event);
  void on(Pause& event);
  void on(Unpause& event);
  void on(UpdateData& event);
  void note_transfer(const GatherDepSuccess& event);
  void end_without_value(TaskId id, TaskState otherwise);

  // ---- effects ----------------------------------------------------------------------------------
  std::string stimulus_id() const { return log.stimulus().id(); }
  void send(protocol::FromWorker&& message) {
    out_->emplace_back(SendToScheduler{std::move(message)});
  }
  void send_task_finished(TaskId id, std::int64_t run_id);
  void send_task_erred(TaskId id, std::int64_t run_id);

  // What the event at hand brought; transitions to memory and error read it.
  struct Outcome {
    std::optional<std::int64_t> run_id;  // Of the execution; none: the task's own.
    const protocol::Payload* exception = nullptr;
    const protocol::Payload* traceback = nullptr;
    std::string_view exception_text;
    std::string_view traceback_text;
    std::int64_t thread = 0;
    std::optional<Seconds> compute_duration;  // Of a task that seceded.
  };

  std::vector<std::unique_ptr<std::array<Task, kChunk>>> chunks_;
  std::uint32_t slot_count_ = 0;
  std::vector<TaskId> free_slots_;
  KeyTable table_;
  std::array<std::size_t, kStateCount> counts_{};
  std::deque<Peer> peers_;
  std::vector<WorkerId> free_peers_;
  std::unordered_map<Address, WorkerId> peer_ids_;  // Looked up only, never walked.
  std::vector<WorkerId> needed_peers_;              // Those with something in `needed`.
  TaskHeap ready_;
  TaskHeap constrained_;
  std::size_t resource_users_ = 0;
  std::int64_t generation_ = 0;
  std::uint64_t epoch_ = 0;
  std::uint32_t mark_ = 0;
  std::uint64_t random_state_;
  std::vector<TaskId> recommendations_;  // A stack; the state stands in Task::wanted.
  bool for_fetch_ = false;               // The task is given up only to be fetched from elsewhere.
  Outcome outcome_;
  Seconds now_ = 0;
  Instructions* out_ = nullptr;
};

std::string host_of(std::string_view address);

template <typename Visit>
void State::for_each_task(const Visit& visit) const {
  for (std::uint32_t index = 0; index < slot_count_; ++index) {
    const TaskId id{index};
    if (!at(id).key.empty()) visit(id, at(id));
  }
}

}  // namespace rask::worker
