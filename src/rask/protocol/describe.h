#pragma once
// The fields of every message, once: op, number of the dense form, and the fields in their order.
//
// describe(io, message) hands each field to `io`, one of the four codecs (plain or dense, writer or
// reader). The codec knows how a field of that C++ type looks; where one type has several looks in
// Dask's messages, the name of the io's function says which:
//
//   field             by its type
//   required          a Key or a list of Keys without which the message means nothing
//   stimulus          stimulus_id; dense: nil when it is the same as in the message before
//   always            as field; dense: written also when it is 0, which is not the struct's default
//   none_if_empty     plain: None when it is empty or 0
//   absent_if_empty   plain: left out when it is empty
//   map_if_empty      plain: {} when it is empty
//   constant          plain only, ignored by readers: what stock peers expect to find there
//   dense_only        left out in the plain form
//
// The fields of a Frequent message stand in the order in which stock workers write them, so that
// they are read in one walk.
#include <concepts>
#include <string_view>
#include <type_traits>

#include "rask/protocol/messages.h"

namespace rask::protocol {

template <class T>
struct Traits;

#define RASK_MESSAGE(Type, op_name, dense_number)   \
  template <>                                       \
  struct Traits<Type> {                             \
    static constexpr std::string_view op = op_name; \
    static constexpr int number = dense_number;     \
  }

RASK_MESSAGE(UpdateGraph, "update-graph", 1);
RASK_MESSAGE(ClientReleasesKeys, "client-releases-keys", 2);
RASK_MESSAGE(ClientDesiresKeys, "client-desires-keys", 3);
RASK_MESSAGE(CancelKeys, "cancel-keys", 4);
RASK_MESSAGE(UpdateData, "update-data", 5);
RASK_MESSAGE(ReportKey, "report-key", 6);
RASK_MESSAGE(HeartbeatClient, "heartbeat-client", 7);
RASK_MESSAGE(CloseClient, "close-client", 8);
RASK_MESSAGE(SubscribeTopic, "subscribe-topic", 9);
RASK_MESSAGE(UnsubscribeTopic, "unsubscribe-topic", 10);
RASK_MESSAGE(LogEvent, "log-event", 11);

RASK_MESSAGE(KeyInMemory, "key-in-memory", 32);
RASK_MESSAGE(TaskErredForClient, "task-erred", 33);
RASK_MESSAGE(CancelledKeys, "cancelled-keys", 34);
RASK_MESSAGE(LostData, "lost-data", 35);
RASK_MESSAGE(TaskRetried, "task-retried", 36);
RASK_MESSAGE(RestartClient, "restart", 37);
RASK_MESSAGE(EventForClient, "event", 38);
RASK_MESSAGE(ErrorForClient, "error", 39);
RASK_MESSAGE(AdjustHeartbeatInterval, "adjust-heartbeat-interval", 40);
RASK_MESSAGE(StreamStart, "stream-start", 41);

RASK_MESSAGE(ComputeTask, "compute-task", 64);
RASK_MESSAGE(FreeKeys, "free-keys", 65);
RASK_MESSAGE(CancelCompute, "cancel-compute", 66);
RASK_MESSAGE(AcquireReplicas, "acquire-replicas", 67);
RASK_MESSAGE(RemoveReplicas, "remove-replicas", 68);
RASK_MESSAGE(RefreshWhoHas, "refresh-who-has", 69);
RASK_MESSAGE(StealRequest, "steal-request", 70);
RASK_MESSAGE(ChangeWorkerStatus, "worker-status-change", 71);
RASK_MESSAGE(RemoveWorker, "remove-worker", 72);
RASK_MESSAGE(CloseWorker, "close", 73);

RASK_MESSAGE(TaskFinished, "task-finished", 96);
RASK_MESSAGE(TaskErred, "task-erred", 97);
RASK_MESSAGE(ReleaseWorkerData, "release-worker-data", 98);
RASK_MESSAGE(Reschedule, "reschedule", 99);
RASK_MESSAGE(LongRunning, "long-running", 100);
RASK_MESSAGE(AddKeys, "add-keys", 101);
RASK_MESSAGE(RequestRefreshWhoHas, "request-refresh-who-has", 102);
RASK_MESSAGE(StealResponse, "steal-response", 103);
RASK_MESSAGE(WorkerStatusChanged, "worker-status-change", 104);
RASK_MESSAGE(KeepAlive, "keep-alive", 105);

#undef RASK_MESSAGE

// Comes once or more for each task, from stock peers too.
template <class M>
concept Frequent = std::same_as<M, TaskFinished> || std::same_as<M, ReleaseWorkerData>;

// `M` is T or const T: readers fill a message, writers look at one.
template <class M, class T>
concept Like = std::same_as<std::remove_const_t<M>, T>;

// ---- client -> scheduler ------------------------------------------------------------------------

template <class Io, Like<UpdateGraph> M>
void describe(Io& io, M& m) {
  io.graph(m);  // rask-tasks and keys: the keys that the client wants refer to the tasks
  io.field("submitting_task", m.submitting_task);
  io.always("fifo_timeout", m.fifo_timeout);
  io.field("actors", m.actors);
  io.stimulus(m.stimulus_id);
}
template <class Io, Like<ClientReleasesKeys> M>
void describe(Io& io, M& m) {
  io.required("keys", m.keys);
  io.stimulus(m.stimulus_id);
}
template <class Io, Like<ClientDesiresKeys> M>
void describe(Io& io, M& m) {
  io.required("keys", m.keys);
}
template <class Io, Like<CancelKeys> M>
void describe(Io& io, M& m) {
  io.required("keys", m.keys);
  io.field("force", m.force);
  io.none_if_empty("reason", m.reason);
  io.none_if_empty("msg", m.msg);
}
template <class Io, Like<UpdateData> M>
void describe(Io& io, M& m) {
  io.field("who_has", m.who_has);
  io.field("nbytes", m.nbytes);
}
template <class Io, Like<ReportKey> M>
void describe(Io& io, M& m) {
  io.required("key", m.key);
}
template <class Io, Like<SubscribeTopic> M>
void describe(Io& io, M& m) {
  io.field("topic", m.topic);
}
template <class Io, Like<UnsubscribeTopic> M>
void describe(Io& io, M& m) {
  io.field("topic", m.topic);
}
template <class Io, Like<LogEvent> M>
void describe(Io& io, M& m) {
  io.topics("topic", m.topics);
  io.field("msg", m.msg);
}

// ---- scheduler -> client ------------------------------------------------------------------------

template <class Io, Like<KeyInMemory> M>
void describe(Io& io, M& m) {
  io.required("key", m.key);
  io.absent_if_empty("type", m.type);
  io.absent_if_empty("workers", m.workers);
  io.dense_only("value", m.value);
}
template <class Io, Like<TaskErredForClient> M>
void describe(Io& io, M& m) {
  io.required("key", m.key);
  io.field("exception", m.exception);
  io.field("traceback", m.traceback);
}
template <class Io, Like<CancelledKeys> M>
void describe(Io& io, M& m) {
  io.required("keys", m.keys);
  io.none_if_empty("reason", m.reason);
  io.none_if_empty("msg", m.msg);
}
template <class Io, class M>
  requires(Like<M, LostData> || Like<M, TaskRetried>)
void describe(Io& io, M& m) {
  io.required("key", m.key);
}
template <class Io, Like<EventForClient> M>
void describe(Io& io, M& m) {
  io.field("topic", m.topic);
  io.field("event", m.event);
}
template <class Io, Like<ErrorForClient> M>
void describe(Io& io, M& m) {
  io.field("exception", m.exception);
}
template <class Io, Like<AdjustHeartbeatInterval> M>
void describe(Io& io, M& m) {
  io.field("interval", m.interval);
}
template <class Io, Like<StreamStart> M>
void describe(Io& io, M& m) {
  io.all_other_fields(m.warnings);
}

// ---- scheduler -> worker ------------------------------------------------------------------------

template <class Io, Like<ComputeTask> M>
void describe(Io& io, M& m) {
  io.required("key", m.key);
  io.field("run_id", m.run_id);
  io.field("priority", m.priority);
  io.stimulus(m.stimulus_id);
  io.dependencies(m.dependencies);
  io.field("run_spec", m.run_spec);
  io.none_if_empty("resource_restrictions", m.resource_restrictions);
  io.field("actor", m.actor);
  io.annotations("annotations", m.annotations);
  io.none_if_empty("span_id", m.span_id);
  io.dense_only("duration", m.duration);
}
template <class Io, class M>
  requires(Like<M, FreeKeys> || Like<M, RemoveReplicas> || Like<M, AddKeys> ||
           Like<M, RequestRefreshWhoHas>)
void describe(Io& io, M& m) {
  io.required("keys", m.keys);
  io.stimulus(m.stimulus_id);
}
template <class Io, class M>
  requires(Like<M, CancelCompute> || Like<M, StealRequest> || Like<M, ReleaseWorkerData> ||
           Like<M, Reschedule>)
void describe(Io& io, M& m) {
  io.required("key", m.key);
  io.stimulus(m.stimulus_id);
}
template <class Io, Like<AcquireReplicas> M>
void describe(Io& io, M& m) {
  io.dependencies(m.keys);
  io.stimulus(m.stimulus_id);
}
template <class Io, Like<RefreshWhoHas> M>
void describe(Io& io, M& m) {
  io.field("who_has", m.who_has);
  io.stimulus(m.stimulus_id);
}
template <class Io, class M>
  requires(Like<M, ChangeWorkerStatus> || Like<M, WorkerStatusChanged>)
void describe(Io& io, M& m) {
  io.field("status", m.status);
  io.stimulus(m.stimulus_id);
}
template <class Io, Like<RemoveWorker> M>
void describe(Io& io, M& m) {
  io.field("worker", m.worker);
  io.stimulus(m.stimulus_id);
}
template <class Io, Like<CloseWorker> M>
void describe(Io& io, M& m) {
  io.field("reason", m.reason);
}

// ---- worker -> scheduler ------------------------------------------------------------------------

template <class Io, Like<TaskFinished> M>
void describe(Io& io, M& m) {
  io.required("key", m.key);
  io.field("run_id", m.run_id);
  io.field("nbytes", m.nbytes);
  io.field("type", m.type);
  io.field("typename", m.typename_);
  io.map_if_empty("metadata", m.metadata);
  io.none_if_empty("thread", m.thread);
  io.field("startstops", m.startstops);
  io.stimulus(m.stimulus_id);
  io.dense_only("value", m.value);
  io.constant("status", "OK");
}
template <class Io, Like<TaskErred> M>
void describe(Io& io, M& m) {
  io.required("key", m.key);
  io.field("run_id", m.run_id);
  io.stimulus(m.stimulus_id);
  io.field("exception", m.exception);
  io.field("traceback", m.traceback);
  io.field("exception_text", m.exception_text);
  io.field("traceback_text", m.traceback_text);
  io.none_if_empty("thread", m.thread);
  io.field("startstops", m.startstops);
  io.constant("status", "error");
}
template <class Io, Like<LongRunning> M>
void describe(Io& io, M& m) {
  io.required("key", m.key);
  io.field("run_id", m.run_id);
  io.field("compute_duration", m.compute_duration);
  io.stimulus(m.stimulus_id);
}
template <class Io, Like<StealResponse> M>
void describe(Io& io, M& m) {
  io.required("key", m.key);
  io.none_if_empty("state", m.state);
  io.stimulus(m.stimulus_id);
}

// Messages that are their op alone.
template <class Io, class M>
  requires(Like<M, HeartbeatClient> || Like<M, CloseClient> || Like<M, RestartClient> ||
           Like<M, KeepAlive>)
void describe(Io&, M&) {}

}  // namespace rask::protocol
