#pragma once
// Every message of the long-lived streams between client, scheduler and workers, as a struct.
//
// Field names are Dask's. Source: distributed 2026.8.0, the stream handlers of scheduler.py,
// worker.py and client.py and the message classes of worker_state_machine.py. How each looks on the
// wire: protocol/codec.h and docs/protocol.md.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "rask/base/ids.h"
#include "rask/graph/key.h"
#include "rask/wire/payload.h"

namespace rask::protocol {

using Address = std::string;   // "tcp://127.0.0.1:8786"
using Stimulus = std::string;  // Why something happened: "task-finished-1731…"; for story()
using Resources = std::map<std::string, double>;
using Payload = wire::Payload;

// How a stock scheduler tells native workers from others: they announce that much of this resource,
// and each C++ task that goes through a stock scheduler asks for that little of it. Whole numbers:
// a scheduler adds and subtracts them for ever.
inline constexpr std::string_view kNativeResource = "rask-native";
inline constexpr double kNativeResourceOfWorker = 1e9;
inline constexpr double kNativeResourceOfTask = 1;

// A task's place in line; lower runs first. (-user, generation, order) as in Dask, and in a worker
// a fourth number. Compared lexicographically.
struct Priority {
  std::int64_t user = 0;        // minus the priority the user gave
  std::int64_t generation = 0;  // earlier submissions first
  std::int64_t order = 0;       // place in the graph's order
  auto operator<=>(const Priority&) const = default;
};

enum class WorkerStatus : std::uint8_t {
  undefined,
  created,
  init,
  starting,
  running,
  paused,
  stopping,
  stopped,
  closing,
  closing_gracefully,
  closed,
  failed,
  dont_reply
};
std::string_view to_string(WorkerStatus status);
std::optional<WorkerStatus> parse_worker_status(std::string_view name);

// What the user asked for beside the call: dask.annotate, submit(..., retries=2).
struct Annotations {
  std::int64_t priority = 0;
  std::int64_t retries = 0;
  std::vector<std::string> workers;  // addresses, names or hosts
  bool allow_other_workers = false;
  Resources resources;
  wire::Buffer
      others;  // All annotations as a MessagePack map, passed on to the worker; may be empty.
  bool operator==(const Annotations&) const = default;
};
using AnnotationsPtr = std::shared_ptr<const Annotations>;  // Many tasks share one. May be null.

struct StartStop {  // {"action": "compute", "start": t, "stop": t}
  std::string action;
  Seconds start = 0;
  Seconds stop = 0;
  std::string source;  // of a transfer: the peer's address
  bool operator==(const StartStop&) const = default;
};

// ---- client -> scheduler ------------------------------------------------------------------------

// What a P2PBarrierTask says of its shuffle (Dask's ShuffleSpec): the whole for the workers, and
// for the scheduler the output partitions and which worker each would like.
struct P2PSpec {
  std::string spec;  // A pickle.
  std::int64_t npartitions = 1;
  // The partition (an integer, or a tuple of them) and its place, in [0, npartitions).
  std::vector<std::pair<Key, std::int64_t>> partitions;
  bool operator==(const P2PSpec&) const = default;
};
using P2PSpecPtr = std::shared_ptr<const P2PSpec>;  // Null for tasks that are no such barrier.

// One task of a lowered graph.
struct GraphTask {
  Key key;
  std::vector<Key> dependencies;
  Payload run_spec;
  AnnotationsPtr annotations;
  std::int64_t order = 0;  // Its place in the graph's order; lower first.
  P2PSpecPtr p2p = {};
};

// A graph that is lowered already. A stock client sends a pickled expression instead (`expr_ser`),
// which a side process turns into this.
struct UpdateGraph {
  std::vector<GraphTask> tasks;
  std::vector<Key> keys;  // What the client wants to hold.
  Key submitting_task;    // Empty, or the task that submitted this from inside.
  Seconds fifo_timeout = 0.1;
  bool actors = false;          // All of `keys`.
  std::vector<Key> actor_keys;  // Or these; not on the wire, where only a stock client says so.
  // A slice of a larger graph: what its later slices need, which is held for `holder` meanwhile.
  std::vector<Key> held;
  std::optional<ClientId> holder;
  Stimulus stimulus_id;
};
struct ClientReleasesKeys {
  std::vector<Key> keys;
  Stimulus stimulus_id;
};
struct ClientDesiresKeys {
  std::vector<Key> keys;
};
struct CancelKeys {
  std::vector<Key> keys;
  bool force = false;
  std::string reason;
  std::string msg;
};
struct UpdateData {  // After a direct scatter: who holds it.
  std::vector<std::pair<Key, std::vector<Address>>> who_has;
  std::vector<std::pair<Key, std::int64_t>> nbytes;
};
struct ReportKey {
  Key key;
};
struct HeartbeatClient {};
struct CloseClient {};
struct SubscribeTopic {
  std::string topic;
};
struct UnsubscribeTopic {
  std::string topic;
};
struct LogEvent {
  std::vector<std::string> topics;
  Payload msg;
};  // from clients and workers

// A message with an op of an extension or one that is not known: op and the whole as it came.
struct OtherMessage {
  std::string op;
  Payload whole;
};

using FromClient = std::variant<UpdateGraph, ClientReleasesKeys, ClientDesiresKeys, CancelKeys,
                                UpdateData, ReportKey, HeartbeatClient, CloseClient, SubscribeTopic,
                                UnsubscribeTopic, LogEvent, OtherMessage>;

// ---- scheduler -> client ------------------------------------------------------------------------

struct KeyInMemory {
  Key key;
  Payload type;
  std::vector<Address> workers;
  std::string value = {};  // As in TaskFinished.
};
struct TaskErredForClient {
  Key key;
  Payload exception;
  Payload traceback;
};  // "task-erred"
struct CancelledKeys {
  std::vector<Key> keys;
  std::string reason;
  std::string msg;
};
struct LostData {
  Key key;
};
struct TaskRetried {
  Key key;
};
struct RestartClient {};  // "restart"
struct EventForClient {
  std::string topic;
  Payload event;
};
struct ErrorForClient {
  Payload exception;
};
struct AdjustHeartbeatInterval {
  Seconds interval = 0;
};
struct StreamStart {
  Payload warnings;
};

using ToClient = std::variant<KeyInMemory, TaskErredForClient, CancelledKeys, LostData, TaskRetried,
                              RestartClient, EventForClient, ErrorForClient,
                              AdjustHeartbeatInterval, StreamStart>;

// ---- scheduler -> worker ------------------------------------------------------------------------

struct Dependency {  // One entry of who_has and nbytes of a compute-task.
  Key key;
  std::vector<Address> workers;
  std::int64_t nbytes = 0;
  bool operator==(const Dependency&) const = default;
};

struct ComputeTask {
  Key key;
  std::int64_t run_id = 0;
  Priority priority;
  Stimulus stimulus_id;
  std::vector<Dependency> dependencies;
  Payload run_spec;
  Resources resource_restrictions;
  bool actor = false;
  AnnotationsPtr annotations;
  std::string span_id;
  Seconds duration = 0;  // Expected; 0 = not told (not on the stock wire).
};
struct FreeKeys {
  std::vector<Key> keys;
  Stimulus stimulus_id;
};
struct CancelCompute {
  Key key;
  Stimulus stimulus_id;
};
struct AcquireReplicas {
  std::vector<Dependency> keys;
  Stimulus stimulus_id;
};
struct RemoveReplicas {
  std::vector<Key> keys;
  Stimulus stimulus_id;
};
struct RefreshWhoHas {
  std::vector<std::pair<Key, std::vector<Address>>> who_has;
  Stimulus stimulus_id;
};
struct StealRequest {
  Key key;
  Stimulus stimulus_id;
};
struct ChangeWorkerStatus {
  WorkerStatus status{};
  Stimulus stimulus_id;
};  // "worker-status-change"
struct RemoveWorker {
  Address worker;
  Stimulus stimulus_id;
};  // A peer is gone.
struct CloseWorker {
  std::string reason;
};  // "close"

using ToWorker = std::variant<ComputeTask, FreeKeys, CancelCompute, AcquireReplicas, RemoveReplicas,
                              RefreshWhoHas, StealRequest, ChangeWorkerStatus, RemoveWorker,
                              CloseWorker, OtherMessage>;

// ---- worker -> scheduler ------------------------------------------------------------------------

struct TaskFinished {
  Key key;
  std::int64_t run_id = 0;
  Stimulus stimulus_id;
  std::int64_t nbytes = 0;
  Payload type;           // A pickled class, opaque. Native workers send an empty inlined payload.
  std::string typename_;  // "typename" on the wire
  Payload metadata;
  std::int64_t thread = 0;
  std::vector<StartStop> startstops;
  // Between rask peers: the result itself as MessagePack when it is small, so that the clients that
  // want it need not fetch it. Else empty.
  std::string value = {};
};
inline constexpr std::size_t kInlineValueBytesMax = 512;
struct TaskErred {
  Key key;
  std::int64_t run_id = 0;
  Stimulus stimulus_id;
  Payload exception;
  Payload traceback;
  std::string exception_text;
  std::string traceback_text;
  std::int64_t thread = 0;
  std::vector<StartStop> startstops;
};
struct ReleaseWorkerData {
  Key key;
  Stimulus stimulus_id;
};
struct Reschedule {
  Key key;
  Stimulus stimulus_id;
};
struct LongRunning {
  Key key;
  std::int64_t run_id = 0;
  std::optional<Seconds> compute_duration;
  Stimulus stimulus_id;
};
struct AddKeys {
  std::vector<Key> keys;
  Stimulus stimulus_id;
};
struct RequestRefreshWhoHas {
  std::vector<Key> keys;
  Stimulus stimulus_id;
};
// What the worker's task was doing when it was asked; "" = not there. Names of worker states.
struct StealResponse {
  Key key;
  std::string state;
  Stimulus stimulus_id;
};
struct WorkerStatusChanged {
  WorkerStatus status{};
  Stimulus stimulus_id;
};  // "worker-status-change"
struct KeepAlive {};

using FromWorker = std::variant<TaskFinished, TaskErred, ReleaseWorkerData, Reschedule, LongRunning,
                                AddKeys, RequestRefreshWhoHas, StealResponse, WorkerStatusChanged,
                                KeepAlive, LogEvent, OtherMessage>;

}  // namespace rask::protocol
