#pragma once
// The tables of the scheduler and everything that its files do with them. Only the files of this
// room and its tests include it.
//
// One public call of Scheduler is one Event here: transitions recommend further ones, `drain` runs
// them until none is left, then free slots are filled from the queue.
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rask/scheduler/queue.h"
#include "rask/scheduler/scheduler.h"
#include "rask/scheduler/shuffle.h"
#include "rask/scheduler/story.h"
#include "rask/scheduler/tables.h"

namespace rask::scheduler {

using protocol::Payload;
using protocol::Priority;

class State {
 public:
  State(Options options, Seconds now);

  // ---- One call (state.cc) -------------------------------------------------------------------
  class Event {
   public:
    Event(State& state, std::string stimulus, Seconds now, Effects& out);
    ~Event();
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

   private:
    State& state_;
  };
  // Within an event: what follows is because of this (one message of a batch).
  void set_stimulus(std::string stimulus);
  const std::string& stimulus() const { return stimulus_; }

  // ---- Tasks (state.cc) ----------------------------------------------------------------------
  std::uint32_t find(const Key& key) const;
  // Brings what is needed to find and change a task into the cache; cheap, and never wrong.
  void prefetch(const Key& key, std::size_t stage) const;
  void prefetch(std::uint32_t id) const;
  // Handles so many things, each about the task of a key (nullptr: none). Among millions of tasks
  // it is in no cache: what a step looks at is asked for some things before.
  template <class KeyOf, class Handle>
  void for_each_task(std::size_t count, const KeyOf& key_of, const Handle& handle) {
    constexpr std::size_t kApart = 3;
    for (std::size_t i = 0; i < count + 3 * kApart; ++i) {
      for (std::size_t stage = 0; stage < 3; ++stage) {
        const auto ahead = i - stage * kApart;  // Wraps around before the first.
        if (const Key* key = ahead < count ? key_of(ahead) : nullptr) prefetch(*key, stage);
      }
      if (i >= 3 * kApart) handle(i - 3 * kApart);
    }
  }
  std::uint32_t create(Key key, TaskState initial);
  void set_run_spec(Task& task, Payload&& run_spec);
  Payload run_spec(const Task& task) const;
  void free_task(std::uint32_t id);
  void set_state(Task& task, TaskState state);
  void add_dependency(std::uint32_t id, std::uint32_t dependency);
  void remove_dependency(std::uint32_t id, std::uint32_t index);
  void add_replica(std::uint32_t id, std::uint32_t worker);
  void remove_replica(std::uint32_t id, std::uint32_t worker);
  void remove_all_replicas(std::uint32_t id);
  bool holds(const Task& task, std::uint32_t worker) const;
  std::vector<Address> addresses(const Task& task) const;
  void lost_data(std::uint32_t id);
  void gained_data(std::uint32_t id);
  void enter_play(Task& task);
  void leave_play(Task& task);

  // ---- Failures (state.cc): counted references -----------------------------------------------
  std::uint32_t add_failure(Failure&& failure);
  void set_failure(Task& task, std::uint32_t failure);

  // ---- Prefixes, groups, durations (groups.cc) -----------------------------------------------
  std::uint32_t group_of(const Key& key);
  std::uint32_t prefix_of(const std::string& name);
  void drop_group_if_done(std::uint32_t group);
  void release_group(std::uint32_t group);
  void add_group_dependency(std::uint32_t group, std::uint32_t dependency);
  Prefix& prefix(const Task& task) { return prefixes[groups[task.group].prefix]; }
  const Prefix& prefix(const Task& task) const { return prefixes[groups[task.group].prefix]; }
  Seconds duration(const Prefix& prefix) const;
  void set_duration(Prefix& prefix, Seconds average);
  void set_max_exec_time(Prefix& prefix, Seconds seconds);
  void add_duration(Prefix& prefix, Seconds seconds);
  void count_processing(Worker& worker, const Task& task, int change);
  Seconds occupancy(const Worker& worker) const;
  Seconds total_occupancy() const;
  void recount_occupancy();
  std::uint32_t intern_typename(Task& task, std::string&& name);

  // ---- Transitions (transitions.cc, transitions_memory.cc) -----------------------------------
  using Transition = void (State::*)(std::uint32_t id);
  void recommend(std::uint32_t id, TaskState state);
  void transition(std::uint32_t id, TaskState finish);
  void drain();
  void settle_released(std::uint32_t id);
  void released_waiting(std::uint32_t id);
  void released_erred(std::uint32_t id);
  void released_forgotten(std::uint32_t id);
  static bool is_unneeded(const Task& task);
  void forget_more();
  void waiting_released(std::uint32_t id);
  void waiting_processing(std::uint32_t id);
  void waiting_no_worker(std::uint32_t id);
  void waiting_queued(std::uint32_t id);
  void waiting_memory(std::uint32_t id);
  void queued_released(std::uint32_t id);
  void queued_processing(std::uint32_t id);
  void queued_erred(std::uint32_t id);
  void no_worker_released(std::uint32_t id);
  void no_worker_processing(std::uint32_t id);
  void no_worker_erred(std::uint32_t id);
  void processing_released(std::uint32_t id);
  void processing_memory(std::uint32_t id);
  void processing_erred(std::uint32_t id);
  void memory_released(std::uint32_t id);
  void memory_erred(std::uint32_t id);
  void memory_forgotten(std::uint32_t id);
  void erred_released(std::uint32_t id);

  void propagate_released(std::uint32_t id);
  void propagate_erred(std::uint32_t id);
  void propagate_forgotten(std::uint32_t id);
  void add_to_memory(std::uint32_t id, std::uint32_t worker);
  void add_to_processing(std::uint32_t id, std::uint32_t worker);
  void exit_processing(std::uint32_t id);
  void enter_worker(Task& task, std::uint32_t id, Worker& worker);
  void leave_worker(Task& task);
  bool too_large_for(std::uint32_t id, const Worker& worker);
  void remove_from_unrunnable(Task& task);
  void dec_needs_what(Worker& worker, std::uint32_t dependency, bool all);
  void log_transition(const Key& key, TaskState start, TaskState finish);

  // ---- Placement (placement.cc) --------------------------------------------------------------
  bool is_rootish(const Task& task) const;
  std::uint32_t decide_worker_rootish_queuing_disabled(std::uint32_t id);
  std::uint32_t decide_worker_rootish_queuing_enabled(const Task& task);
  std::uint32_t decide_worker_non_rootish(std::uint32_t id);
  std::uint32_t best_of(const Task& task, std::span<const std::uint32_t> candidates);
  std::uint32_t least_occupied() const;
  const std::vector<std::uint32_t>* valid_workers(const Task& task);
  bool supplies(const Worker& worker, const Annotation& annotation) const;
  double comm_cost(const Task& task, std::uint32_t worker) const;
  void sum_missing_bytes(const Task& task);
  std::uint32_t annotation_of(const protocol::AnnotationsPtr& source, Language language);
  bool speaks(const Worker& worker, Language language) const;
  bool is_limited_by(Language language) const;
  bool nobody_speaks(Language language) const;
  void requeue_speechless();
  void release_annotation(std::uint32_t annotation);
  void annotate(Task& task, const protocol::AnnotationsPtr& source);
  std::vector<std::string> hosts_of(const Annotation& annotation) const;
  bool permits(const Annotation& annotation, const std::vector<std::string>& hosts,
               const Worker& worker) const;
  void change_resources(const Task& task, Worker& worker, double sign);
  std::string host_of(const std::string& host) const;

  // ---- Saturation (saturation.cc) ------------------------------------------------------------
  bool queuing() const;
  bool fits(const Task& task) const;
  std::int64_t slots_available(const Worker& worker) const;
  bool is_tiny(const Prefix& prefix) const;
  bool has_room_for_tiny(const Worker& worker) const;
  Seconds time_held(const Worker& worker) const;
  bool leaves_enough_for_others(const Worker& worker) const;
  Seconds can_wait(const Worker& worker) const;
  bool has_news_for_others(const Worker& worker) const;
  bool has_awaited(const Worker& worker) const;
  void measure_pace(Worker& worker);
  bool is_unoccupied(const Worker& worker, Seconds occupancy, std::int64_t processing) const;
  void check_idle_saturated(std::uint32_t worker);
  void check_idle_saturated(std::uint32_t worker, Seconds occupancy);
  void fill_queue_slots();
  bool queued_is_live(const TaskQueue::Entry& entry) const;
  TaskQueue& queue_of(const Task& task) {
    return queues[static_cast<std::size_t>(annotations[task.annotation].language)];
  }
  std::size_t queued_count() const;
  std::vector<std::uint32_t> queued_tasks() const;  // Best first of each language.

  // ---- Graphs (graph.cc) ---------------------------------------------------------------------
  void update_graph(std::uint32_t client, protocol::UpdateGraph&& graph);

  // ---- Clients (clients.cc) ------------------------------------------------------------------
  std::uint32_t add_client(std::string_view name);
  void remove_client(std::uint32_t client);
  bool wants(std::uint32_t client, const Task& task) const;
  void desire(std::uint32_t client, std::uint32_t id);
  void undesire(std::uint32_t client, std::uint32_t id);
  void client_desires_keys(std::uint32_t client, std::span<const Key> keys);
  void client_releases_keys(std::uint32_t client, std::span<const Key> keys);
  void release_key(std::uint32_t client, std::uint32_t id);
  void cancel_keys(std::uint32_t client, const protocol::CancelKeys& message);
  void report_on_key(std::uint32_t client, std::uint32_t id);
  void report_erred(std::uint32_t id);
  void report_memory(std::uint32_t id);
  void update_data(std::span<const std::pair<Key, std::vector<Address>>> who_has,
                   std::span<const std::pair<Key, std::int64_t>> nbytes,
                   std::optional<std::uint32_t> client);
  void add_data(const Key& key, std::span<const std::uint32_t> places, std::int64_t nbytes,
                std::optional<std::uint32_t> client);
  std::vector<Key> retry(std::span<const Key> keys);
  void restart();

  // ---- Workers (workers.cc, worker_messages.cc) ----------------------------------------------
  Result<WorkerId> add_worker(const WorkerInfo& info);
  void remove_worker(std::uint32_t worker, bool expected, bool is_silent = false);
  void lose_processing(std::uint32_t worker, bool expected);
  void lose_replicas(std::uint32_t worker);
  void heartbeat_worker(std::uint32_t worker, const WorkerMetrics& metrics);
  void set_worker_status(std::uint32_t worker, protocol::WorkerStatus status);
  void schedule_unrunnable(std::uint32_t worker);
  void worker_is_unable(Worker& worker, std::uint32_t id);
  std::uint32_t find_worker(std::string_view address_or_name) const;
  void handle(std::uint32_t worker, protocol::FromWorker&& message);
  void task_finished(std::uint32_t worker, protocol::TaskFinished&& message);
  void task_erred(std::uint32_t worker, protocol::TaskErred&& message);
  void release_worker_data(std::uint32_t worker, const Key& key);
  void reschedule(std::uint32_t id, std::uint32_t worker);
  void long_running(std::uint32_t worker, const protocol::LongRunning& message);
  void add_keys(std::uint32_t worker, std::span<const Key> keys);
  void refresh_who_has(std::uint32_t worker, std::span<const Key> keys);
  void add_resources(std::uint32_t worker, const protocol::Resources& resources);
  void missing_data(std::span<const Key> keys, std::uint32_t worker);
  // How often a worker asked in vain who has a result.
  struct Asked {
    Seconds last;
    int count;
    std::int64_t run_id;
  };
  bool asked_too_often(std::uint32_t worker, std::uint32_t id);

  // ---- Stealing (stealing.cc) ----------------------------------------------------------------
  struct Steal {
    std::uint32_t victim;
    std::uint32_t thief;
    Seconds victim_duration;
    Seconds thief_duration;
    std::string stimulus;
  };
  void put_in_stealable(Task& task, std::uint32_t id);
  void remove_from_stealable(Task& task);
  void learn_unknown_durations(Prefix& prefix);
  std::uint8_t steal_level(const Task& task) const;
  void balance();
  std::vector<std::uint32_t> find_victims() const;
  void steal_from(std::uint32_t victim, std::size_t level, std::vector<std::uint32_t>& thieves,
                  std::int64_t& budget);
  std::uint32_t find_thief(const Task& task, std::span<const std::uint32_t> thieves);
  bool worth_stealing(const Task& task, std::uint32_t victim, std::uint32_t thief) const;
  void request_steal(std::uint32_t id, std::uint32_t victim, std::uint32_t thief);
  std::optional<Steal> remove_from_in_flight(std::uint32_t id);
  void steal_response(const protocol::StealResponse& message);
  Seconds combined_occupancy(std::uint32_t worker) const;
  bool needs_balancing() const;

  // ---- Replicas (replication.cc, retirement.cc) ----------------------------------------------
  using MoveId = std::pair<std::uint32_t, std::uint32_t>;  // task, the worker that shall hold it
  struct Move {
    std::uint32_t from;  // Drops its copy when the other has one; kNone: nobody does.
    Seconds since;
    std::int64_t nbytes;
  };
  struct Goal {  // A replicate() that is not reached yet.
    Key key;
    std::size_t copies;
    std::vector<std::uint32_t> workers;
  };
  struct Retirement {
    std::uint64_t id;
    struct Member {
      std::uint32_t worker;
      Address address;
      protocol::WorkerStatus before;
      bool done = false;
      bool failed = false;
    };
    std::vector<Member> members;
  };
  using ByWorker = std::map<std::uint32_t, std::vector<std::uint32_t>>;  // worker, tasks
  void replicate(std::span<const Key> keys, int copies, std::span<const WorkerId> workers);
  bool advance_goal(const Goal& goal, ByWorker& acquire);
  void advance_goals();
  void rebalance(std::span<const Key> keys, std::span<const WorkerId> workers);
  void acquire_replicas(const ByWorker& acquire);
  void remove_replicas(const ByWorker& drop);
  void replica_arrived(std::uint32_t worker, std::uint32_t id);
  bool moving(std::uint32_t id, std::uint32_t to) const;
  void add_move(std::uint32_t id, std::uint32_t to, std::uint32_t from);
  std::map<MoveId, Move>::iterator end_move(std::map<MoveId, Move>::iterator move);
  void forget_moves_of(std::uint32_t id);
  void forget_moves_of_worker(std::uint32_t worker);
  void expire_moves();
  std::int64_t memory_of(const Worker& worker) const;
  std::uint64_t retire_workers(std::span<const WorkerId> workers);
  void advance_retirements(bool ask);
  void advance_member(Retirement::Member& member, bool ask);
  void finish_retirements();
  void run_active_memory_manager(bool on);
  void reduce_replicas();
  void reduce_replicas_of(std::uint32_t id, ByWorker& drop);
  std::size_t copies_needed(const Task& task) const;
  bool can_leave(const Task& task, std::uint32_t worker) const;
  std::uint32_t find_recipient(const Task& task, std::uint32_t id) const;
  bool drop_from_retiring(const Task& task, std::uint32_t worker) const;

  // ---- Time (liveness.cc) --------------------------------------------------------------------
  void tick();
  std::optional<Seconds> next_deadline() const;
  void check_worker_ttl();
  void check_idle();
  void check_no_workers();
  void fail_unrunnable(std::uint32_t id, bool no_worker);
  void refresh_no_workers_since(Seconds since);
  bool has_work() const;
  void refresh_idle_since();

  // ---- Effects (state.cc) --------------------------------------------------------------------
  template <class Message>
  void send(std::uint32_t worker, Message&& message) {
    workers[worker]->open_free_keys_call = 0;
    out->push_back(SendToWorker{WorkerId{worker}, std::forward<Message>(message)});
  }
  template <class Message>
  void report(std::uint32_t client, Message&& message) {
    out->push_back(SendToClient{ClientId{client}, std::forward<Message>(message)});
  }
  void send_compute_task(std::uint32_t id, std::uint32_t worker);
  // `run_id`: of the last time the task was sent out; -1 for a task that is not known.
  void send_free_keys(std::uint32_t worker, const Key& key, std::int64_t run_id);
  void log(int level, std::string text) { out->push_back(LogLine{level, std::move(text)}); }

  void check_invariants() const;  // invariants.cc
  void check_task(std::uint32_t id) const;
  void check_worker(std::uint32_t worker) const;
  void check_counts() const;

  // ---- The tables ----------------------------------------------------------------------------
  Options options;
  Slab<Task> tasks;
  HashTable keys;
  std::vector<std::unique_ptr<Worker>> workers;  // By id; ids are never used twice.
  SortedIds live_workers;
  SortedIds running;
  SortedIds idle;
  SortedIds saturated;
  SortedIds open;  // Workers with room for a queued task.
  std::map<std::string, std::uint32_t, std::less<>> worker_by_address;
  std::map<std::string, std::uint32_t, std::less<>> worker_by_name;
  std::vector<std::unique_ptr<Client>> clients;
  std::size_t client_count = 0;
  std::vector<Prefix> prefixes;
  std::unordered_map<std::string, std::uint32_t> prefix_by_name;
  std::vector<Group> groups;
  std::vector<std::uint32_t> free_groups;
  std::unordered_map<std::string, std::uint32_t> group_by_name;
  struct KnownGroup {  // The beginning of a key, and the group it led to.
    std::string text;
    std::uint32_t group = kNone;
  };
  std::array<KnownGroup, 16> known_groups;  // The last ones, by the hash of the text.
  std::vector<Annotation> annotations;
  std::vector<std::uint32_t> free_annotations;
  std::map<std::pair<const void*, Language>, std::uint32_t> annotation_by_source;
  Slab<Failure> failures;
  std::vector<std::string> typenames;
  std::unordered_map<std::string, std::uint32_t> typename_by_text;
  std::vector<wire::Buffer> run_spec_headers;
  std::array<TaskQueue, kLanguages> queues;  // By language: none blocks another.
  Roster unrunnable;                         // Tasks in no-worker, longest first.
  std::unordered_map<std::uint32_t, Seconds> unrunnable_since;
  std::map<std::uint32_t, Steal> in_flight;
  std::map<MoveId, Move> moves;
  std::vector<std::uint32_t> with_copies;  // Tasks that had more than one, some of them twice here.
  std::vector<Goal> goals;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Asked> vain_asks;  // task, worker
  std::vector<Retirement> retirements;
  StoryLog story;
  Shuffles shuffles{*this};
  Spans spans{*this};

  // ---- Counters ------------------------------------------------------------------------------
  std::int64_t total_nthreads = 0;
  std::array<std::size_t, kLanguages> foreign_to{};  // By language: live workers that lack it.
  std::uint64_t topology = 1;  // Changes with every worker, status and resource.
  std::int64_t last_run_id = -1;
  std::size_t processing_count = 0;
  std::uint64_t placed_count = 0;  // Dask's n_tasks, for round robin.
  std::uint64_t transition_count = 0;
  std::uint64_t work_count = 0;  // Inner loop steps; scale tests watch that it grows linearly.
  std::uint64_t steal_count = 0;
  std::uint64_t retirement_count = 0;
  std::int64_t network_bytes = 0;
  double compute_occupancy = 0;  // Sum over all processing tasks of their expected durations.
  int occupancy_changes = 0;     // Since the sum was last made from scratch.
  std::int64_t generation = 0;
  Seconds last_graph = 0;
  std::uint32_t sticky_worker = kNone;  // Gets the next tiny queued tasks.
  std::int64_t sticky_left = 0;

  // ---- Time ----------------------------------------------------------------------------------
  Seconds now = 0;
  Seconds last_balance = 0;
  Seconds last_replica_round = 0;
  std::optional<Seconds> idle_since;
  std::optional<Seconds> no_workers_since;
  std::uint64_t idle_transition_count = 0;
  // Released tasks that nobody needs, when there were more of them since the last tick than others
  // should wait for.
  std::vector<std::uint32_t> to_forget;
  std::size_t forgets_left = options.forgets_max;

  // ---- While a call runs ---------------------------------------------------------------------
  Effects* out = nullptr;
  std::uint64_t call_count = 0;
  std::vector<std::uint32_t> recommendations;
  std::vector<std::uint32_t> ready;        // Scratch.
  std::vector<std::int64_t> held_bytes;    // Scratch by worker: bytes of dependencies it holds.
  std::vector<std::uint32_t> candidates;   // Scratch.
  std::vector<std::uint32_t> graph_index;  // Scratch by task: its place in the graph, plus one.
  std::vector<std::uint32_t> marks;        // Scratch by task.
  std::uint32_t mark = 0;
  const protocol::TaskFinished* finished = nullptr;  // While it is handled.
  std::vector<Seconds> balance_occupancy;            // Scratch by worker.

 private:
  void close_stimulus();

  std::string stimulus_;
  std::optional<std::uint64_t> stimulus_number_;
};

// ---- Exceptions that the scheduler itself makes (error_pickles.cc) ------------------------------

// The text of such an exception, where its traceback would be: a client without Python cannot load
// the exception itself. A stock client passes over a traceback that is text.
Payload explanation(std::string_view text);
Payload killed_worker(const Key& task, const Worker& last_worker, int allowed_failures,
                      std::string& text);
Payload no_worker_error(const Key& task, Seconds timeout, std::string& text);
Payload no_valid_worker_error(const Key& task, const Annotation& annotation, Seconds timeout,
                              std::string& text);
Payload builtin_error(std::string_view type, std::string_view message);

}  // namespace rask::scheduler
