// What is called beside the tasks: functions (client.run) and methods of actors.
#include "rask/graph/task_context.h"
#include "rask/protocol/payloads.h"
#include "rask/worker_server/impl_internal.h"

namespace rask::worker_server {
namespace {

wire::Payload call_in(const Value& field) {
  const auto* payload = field.get_if<wire::Payload>();
  return payload != nullptr ? *payload : protocol::inlined(field);
}

Value reply_of(const TaskOutcome& outcome) {
  if (const auto* value = std::get_if<TaskValue>(&outcome))
    return Value::object({{"status", "OK"}, {"result", Value{value->to_payload()}}});
  const auto* failure = std::get_if<TaskFailure>(&outcome);
  const TaskFailure failed = failure != nullptr ? *failure : TaskFailure{"Reschedule", "", "", ""};
  return Value::object({{"status", "error"},
                        {"exception", exception_payload(failed)},
                        {"traceback", traceback_payload(failed)},
                        {"exception_text", failed.message},
                        {"traceback_text", failed.traceback}});
}

}  // namespace

// Answers when `call` has run, on the one thread of that executor.
void WorkerServer::Impl::answer_from(const std::string& executor, const Request& request,
                                     std::function<TaskOutcome()> call) {
  std::vector<executor::ThreadPool::Job> job;
  job.push_back([target = &loop, request, call = std::move(call)] {
    target->post([request, outcome = call()] { request.reply(reply_of(outcome)); });
  });
  pool(executor).submit(job);
}

void WorkerServer::Impl::run(const Request& request) {
  const auto run_spec = call_in(request["function"]);
  if (!is_native_task(run_spec)) {
    return request.reply(comm::error_reply(
        "TypeError", "this worker is native: it runs C++ functions that it knows, not Python"));
  }
  answer_from("offload", request,
              [run_spec] { return run_task(run_spec, [](const Key&) { return TaskValue{}; }); });
}

void WorkerServer::Impl::keep_actor(const Key& key, const TaskValue& value) {
  const std::lock_guard lock{actors->mutex};
  actors->values.insert_or_assign(key, value);
}

void WorkerServer::Impl::forget_actor(const Key& key) {
  if (actors->values.empty()) return;
  const std::lock_guard lock{actors->mutex};
  actors->values.erase(key);
}

// The call has the actor's key as its first argument, in the place of a dependency.
void WorkerServer::Impl::actor_execute(const Request& request) {
  const auto& arguments = request["args"].as_array();
  const auto run_spec = arguments.size() == 1 ? call_in(arguments[0]) : wire::Payload{};
  if (!is_native_task(run_spec)) {
    return request.reply(comm::error_reply(
        "TypeError", "this worker is native: its actors are called by C++ programs, not Python"));
  }
  const Key key = key_of(request["actor"]);
  if (!actors->values.contains(key)) {
    return request.reply(comm::error_reply(
        "RuntimeError", "this worker holds no actor " + key.str() + ": it was released or lost"));
  }
  answer_from("actor", request, [this, run_spec, key, held = actors] {
    const Lookup lookup = [&held](const Key& wanted) { return held->find(wanted); };
    TaskContext context{.scheduler_address = options.scheduler,
                        .worker_address = address,
                        .security = &options.security,
                        .key = key,
                        .actors = &lookup,
                        .secede = {},
                        .rejoin = {}};
    const TaskScope scope{context};
    return run_task(run_spec, lookup);
  });
}

}  // namespace rask::worker_server
