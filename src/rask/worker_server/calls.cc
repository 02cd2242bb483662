// What is called beside the tasks: functions (client.run) and methods of actors.
#include <algorithm>

#include "rask/graph/actor_class.h"
#include "rask/graph/task_context.h"
#include "rask/protocol/payloads.h"
#include "rask/worker_server/impl_internal.h"

namespace rask::worker_server {
namespace {

Value reply_of(const TaskOutcome& outcome, bool plain_only) {
  if (const auto* value = std::get_if<TaskValue>(&outcome))
    return Value::object({{"status", "OK"}, {"result", Value{value->to_payload(plain_only)}}});
  const TaskFailure failed = failure_of(outcome);
  return Value::object({{"status", "error"},
                        {"exception", exception_payload(failed)},
                        {"traceback", traceback_payload(failed)},
                        {"exception_text", failed.message},
                        {"traceback_text", failed.traceback}});
}

}  // namespace

// Answers when `call` has run, on the one thread of that executor.
void WorkerServer::Impl::answer_from(const std::string& executor, const Request& request,
                                     bool plain_only, std::function<TaskOutcome()> call) {
  std::vector<executor::ThreadPool::Job> job;
  job.push_back([target = &loop, request, plain_only, call = std::move(call)] {
    target->post(
        [request, plain_only, outcome = call()] { request.reply(reply_of(outcome, plain_only)); });
  });
  pool(executor).submit(job);
}

void WorkerServer::Impl::run(const Request& request) {
  const auto run_spec = protocol::payload_in(request["function"]);
  if (!is_native_task(run_spec)) {
    return request.reply(comm::error_reply(
        "TypeError", "this worker is native: it runs C++ functions that it knows, not Python"));
  }
  answer_from("offload", request, false,
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

// "app::Counter" for a handle of an actor of that class.
std::string WorkerServer::Impl::actor_class_of(const TaskValue& actor) {
  const std::string type = actor.type_name();
  constexpr std::string_view kOpen = "rask::Actor<";
  if (!type.starts_with(kOpen) || !type.ends_with('>')) return {};
  return type.substr(kOpen.size(), type.size() - kOpen.size() - 1);
}

// A result as a peer is sent it: as in Dask, an actor is a handle of it that all understand.
wire::Payload WorkerServer::Impl::payload_for_peer(const Key& key, const TaskValue& value,
                                                   bool plain_only) const {
  if (!actors->values.contains(key)) return value.to_payload(plain_only);
  const auto name = actor_class_of(value);
  const auto* known = find_actor_class(name);
  return actor_payload(known != nullptr ? *known : ActorClass{name}, {key, address});
}

// What a stock client sends: a member's name, and each argument by itself.
Result<wire::Payload> WorkerServer::Impl::call_by_name(const Request& request, const Key& key,
                                                       std::string_view member) const {
  const auto name = actor_class_of(actors->values.at(key));
  const auto* known = find_actor_class(name);
  const auto has = [&](const auto& names) {
    return std::ranges::find(names, member) != names.end();
  };
  if (known == nullptr || (!has(known->methods) && !has(known->attributes))) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("'{}' object has no attribute '{}' that can be called by name: the "
                             "program of its worker names it to rask::register_actor",
                             name, member)};
  }
  if (!request["kwargs"].as_map().empty()) {
    return Error{
        ErrorCode::invalid_argument,
        fmt::format("{}.{} is a C++ function, which takes no named arguments", name, member)};
  }
  std::vector<wire::Payload> arguments;
  for (const Value& argument : request["args"].as_array())
    arguments.push_back(protocol::payload_in(argument));
  return member_call(name, member, key, arguments);
}

// `member` is a method or an attribute. A call of a C++ client comes as a run_spec, with the
// actor's key as its first argument in the place of a dependency.
void WorkerServer::Impl::call_actor(const Request& request, std::string_view member) {
  // As the failure of a call: Python's Actor does not hear of any other.
  const auto refuse = [&request](const char* type, std::string why) {
    request.reply(reply_of(TaskFailure{type, std::move(why), {}, {}}, true));
  };
  const Key key = key_of(request["actor"]);
  if (!actors->values.contains(key)) {
    return refuse("std::runtime_error",
                  "this worker holds no actor " + key.str() + ": it was released or lost");
  }
  const auto& arguments = request["args"].as_array();
  const auto given = arguments.size() == 1 ? protocol::payload_in(arguments[0]) : wire::Payload{};
  const bool is_native = is_native_task(given);
  const auto made = is_native ? Result<wire::Payload>{given} : call_by_name(request, key, member);
  if (!made.ok()) return refuse("rask::ArgumentError", made.error().message);
  answer_from("actor", request, !is_native, [this, run_spec = made.value(), key, held = actors] {
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
