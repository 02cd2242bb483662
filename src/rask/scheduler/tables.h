#pragma once
// The records of the scheduler's tables. Tasks are many (millions), so theirs is counted in bytes;
// workers, clients, prefixes and groups are few.
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rask/protocol/messages.h"
#include "rask/scheduler/containers.h"
#include "rask/scheduler/scheduler.h"

namespace rask::scheduler {

constexpr auto kNoState = static_cast<TaskState>(0xff);
constexpr std::size_t kStateCount = 8;
constexpr int kStealLevels = 15;  // stealing.py, cost_multipliers
constexpr std::uint8_t kNotStealable = 0xff;
constexpr std::int64_t kDefaultNbytes = 1024;  // distributed.scheduler.default-data-size
// What workers and clients say is bounded, so that sums of it stay numbers.
constexpr std::int64_t kNbytesMax = std::int64_t{1} << 40;  // 1 TiB
constexpr Seconds kDurationMax = 1e9;

// A Payload in 40 bytes: the usual one has one frame and a header that thousands share.
class CompactPayload {
 public:
  CompactPayload() = default;
  // `header` is the number under which the caller keeps payload.header, for shape one_frame.
  CompactPayload(protocol::Payload&& payload, std::uint32_t header);

  enum class Shape : std::uint8_t { none, header_only, one_frame, whole };
  static Shape shape_of(const protocol::Payload& payload);
  Shape shape() const { return shape_; }
  bool empty() const { return shape_ == Shape::none; }
  std::uint32_t header() const { return header_; }
  protocol::Payload expand(const wire::Buffer& header) const;

 private:
  wire::Buffer bytes_;  // The frame, or the header, or nothing but the owner of a whole Payload.
  std::uint32_t header_ = 0;
  protocol::Payload::Kind kind_ = protocol::Payload::Kind::serialized;
  Shape shape_ = Shape::none;
};

// An edge knows where its other half stands, so that both go in O(1).
struct Edge {
  std::uint32_t task;
  std::uint32_t mirror;
};
struct Replica {
  std::uint32_t worker;
  std::uint32_t place;  // in the worker's has_what
};
struct Want {
  std::uint32_t client;
  std::uint32_t place;  // in the client's wants_what
};

struct Task {
  Key key;  // Empty: this record is free.
  CompactPayload run_spec;
  SmallVector<Edge> dependencies;
  SmallVector<Edge> dependents;
  SmallVector<Replica> who_has;
  SmallVector<Want> who_wants;
  protocol::Priority priority;
  std::int64_t run_id = -1;
  std::int64_t nbytes = -1;
  std::uint32_t group = kNone;
  std::uint32_t annotation = 0;   // 0: none
  std::uint32_t failure = kNone;  // Why it is erred, shared with the tasks it took along.
  std::uint32_t typename_ = 0;    // 0: not known
  std::uint32_t processing_on = kNone;
  std::uint32_t place = kNone;        // in worker.processing or in unrunnable
  std::uint32_t steal_place = kNone;  // in worker.stealable[steal_level]
  std::uint32_t waiting_on = 0;       // While waiting: dependencies without data.
  std::uint32_t waiters = 0;          // Dependents that are `in_play`.
  std::int32_t retries = 0;
  std::uint16_t suspicious = 0;
  TaskState state = TaskState::forgotten;
  TaskState recommended = kNoState;
  std::uint8_t steal_level = kNotStealable;
  bool in_play : 1 = false;  // On the way to memory: counts in `waiters` of its dependencies.
  bool actor : 1 = false;
  bool long_running : 1 = false;
  bool has_lost_dependencies : 1 = false;
  bool has_priority : 1 = false;
  bool stealing : 1 = false;    // A steal-request is under way.
  bool replicated : 1 = false;  // replicate() asked for its copies.
  bool touched : 1 = false;     // Only while update_graph runs.

  std::int64_t get_nbytes() const { return nbytes >= 0 ? nbytes : kDefaultNbytes; }
  bool wanted() const { return !who_wants.empty(); }
  bool has_data() const { return !who_has.empty(); }
};
static_assert(sizeof(Task) <= 208);

// Whose run_spec it is: a worker may know one language only.
enum class Language : std::uint8_t { any, native, python };
inline constexpr std::uint32_t kLanguages = 3;

// What many tasks' annotations say, read once. The first ones, numbered as Language, stand for no
// annotations.
struct Annotation {
  protocol::AnnotationsPtr source;
  Language language = Language::any;
  std::vector<std::string> addresses;
  std::vector<std::string> hosts;  // or names of workers that were not there yet
  std::uint32_t uses = 0;
  std::uint64_t topology = 0;  // The cluster's version that `valid` belongs to.
  std::vector<std::uint32_t> valid;
  bool restricted() const { return !addresses.empty() || !hosts.empty(); }
  bool needs_resources() const { return source && !source->resources.empty(); }
};

// An exception and what it took down.
struct Failure {
  Key blame;
  protocol::Payload exception;
  protocol::Payload traceback;
  std::string exception_text;
  std::string traceback_text;
  std::uint32_t worker = kNone;
  std::uint32_t uses = 0;
};

struct Prefix {
  std::string name;
  Seconds duration_average = -1;
  Seconds max_exec_time = -1;
  double nbytes_average = -1;
  std::uint64_t suspicious = 0;
  std::uint32_t processing = 0;  // on all workers, without the long-running ones
  bool fast = false;             // default-task-durations says at most a millisecond: never stolen
  std::vector<std::uint32_t> unknown;  // Stealable tasks that were placed by a guessed duration.
};

struct Group {
  std::string name;
  std::uint32_t prefix = kNone;
  std::uint32_t size = 0;  // of all tasks it ever had
  std::array<std::uint32_t, kStateCount> states{};
  std::vector<std::uint32_t> dependencies;  // groups; cut at kGroupDependenciesMax
  std::uint32_t uses = 0;                   // groups that depend on this one
  std::uint32_t last_worker = kNone;
  std::int64_t last_worker_tasks_left = 0;
  std::uint32_t last_typename = 0;
  bool named = false;       // New tasks of this name join it.
  GroupTotals totals;       // Without what is above.
  std::uint64_t graph = 0;  // The last submission that had tasks of it.
  std::uint64_t span = 0;   // 0: none yet
  std::uint64_t computation = 0;
  std::shared_ptr<const std::string> span_id;
};

constexpr Seconds kAroundTask = 0.0002;  // That a stock worker needs at least beside a task.

struct Worker {
  WorkerInfo info;
  WorkerMetrics metrics;
  std::string host;
  protocol::WorkerStatus status = protocol::WorkerStatus::undefined;
  bool alive = true;
  bool idle = false;
  bool saturated = false;
  bool open = false;  // Has room for a queued task.
  Seconds last_seen = 0;
  std::int64_t nbytes = 0;
  std::int64_t arriving_nbytes = 0;  // of copies that it was asked to fetch
  Roster has_what;
  Roster processing;
  std::uint32_t long_running = 0;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> prefixes;  // prefix, tasks in processing
  struct Fetch {
    std::uint32_t count;
    std::int64_t nbytes;
  };
  std::unordered_map<std::uint32_t, Fetch> needs_what;  // Looked up only, never walked.
  std::int64_t network_bytes = 0;
  std::vector<std::uint32_t> actors;
  protocol::Resources used_resources;
  std::array<std::vector<std::uint32_t>, kStealLevels> stealable;
  Seconds in_flight_occupancy = 0;
  int in_flight_tasks = 0;
  std::uint64_t retirement = 0;  // 0: none
  // The FreeKeys in the effects of the running call that further keys may join.
  std::size_t open_free_keys = 0;
  std::uint64_t open_free_keys_call = 0;
  struct Pace {  // Since the last look.
    Seconds since = 0;
    Seconds ran = 0;
    int finished = 0;
    Seconds around_task = kAroundTask;  // What it needs for each beside running it.
  };
  Pace pace;
  std::int64_t open_free_keys_run_id = 0;

  bool running() const { return alive && status == protocol::WorkerStatus::running; }
  // The tasks that have a thread or wait for one: not the long-running ones, which have seceded.
  std::int64_t wanting_threads() const { return std::int64_t{processing.size()} - long_running; }
};

struct Client {
  std::string name;
  bool alive = true;
  Seconds last_seen = 0;
  Roster wants_what;
};

}  // namespace rask::scheduler
