#include "rask/client/actor.h"

#include <fmt/format.h>

#include "rask/client/core.h"
#include "rask/client/current.h"
#include "rask/client/keys.h"
#include "rask/graph/task_context.h"
#include "rask/protocol/payloads.h"

namespace rask {

namespace internal {

// ---- Answers ------------------------------------------------------------------------------------

void ActorAnswer::set(wire::Payload result) { finish(std::move(result)); }
void ActorAnswer::set(std::exception_ptr failure) { finish(std::move(failure)); }

void ActorAnswer::finish(Outcome outcome) {
  std::function<void()> callback;
  {
    const std::lock_guard lock{mutex_};
    outcome_ = std::move(outcome);
    callback = std::exchange(callback_, {});
    set_.notify_all();
  }
  if (callback) callback();
}

bool ActorAnswer::done() const {
  const std::lock_guard lock{mutex_};
  return outcome_.index() != 0;
}

wire::Payload ActorAnswer::result(Seconds timeout) {
  const Deadline deadline{timeout};
  std::unique_lock lock{mutex_};
  if (!deadline.wait(set_, lock, [this] { return outcome_.index() != 0; }))
    throw TimeoutError{"no answer of the actor within the time"};
  if (const auto* failure = std::get_if<std::exception_ptr>(&outcome_))
    std::rethrow_exception(*failure);
  return std::get<wire::Payload>(outcome_);
}

void ActorAnswer::when_done(std::function<void()> callback) {
  {
    const std::lock_guard lock{mutex_};
    if (outcome_.index() == 0) {
      callback_ = std::move(callback);
      return;
    }
  }
  callback();
}

// ---- Calls --------------------------------------------------------------------------------------

namespace {

constexpr Seconds kPatience = 30;

std::exception_ptr failed(const ActorPlace& place, const Error& error) {
  return std::make_exception_ptr(
      ClientError{error.code == ErrorCode::cancelled
                      ? error.message
                      : fmt::format("Unable to contact Actor's worker {} ({}): {}", place.worker,
                                    place.key.str(), error.message)});
}

void take_reply(ActorAnswer& answer, const ActorPlace& place,
                const Result<wire::Message>& message) {
  if (!message.ok()) return answer.set(failed(place, message.error()));
  const auto reply = message.value().parse();
  if (!reply.ok()) return answer.set(failed(place, reply.error()));
  if (auto failure = failure_in(reply.value(), place.worker, place.key.str())) {
    const bool of_scheduler = reply.value()["status"].as_text() == "uncaught-error" &&
                              failure->type.ends_with("OSError");  // It has not reached it either.
    if (of_scheduler) return answer.set(failed(place, {ErrorCode::peer_lost, failure->message}));
    return answer.set(std::make_exception_ptr(*std::move(failure)));
  }
  answer.set(protocol::payload_in(reply.value()["result"]));
}

// An actor that calls another of its worker is on the thread that would have to run the call.
std::shared_ptr<ActorAnswer> run_here(const Key& actor, const wire::Payload& run_spec,
                                      const TaskContext& context) {
  auto answer = std::make_shared<ActorAnswer>();
  const TaskOutcome outcome = run_task(run_spec, *context.actors);
  if (const auto* value = std::get_if<TaskValue>(&outcome)) {
    answer->set(value->to_payload());
    return answer;
  }
  const TaskFailure what = failure_of(outcome);
  answer->set(std::make_exception_ptr(TaskError{
      actor.str(), what.type, what.message, std::string{context.worker_address}, what.traceback}));
  return answer;
}

}  // namespace

const Key& ActorBase::key() const {
  if (!valid()) throw ClientError{"this Actor is empty: client.submit_actor makes one"};
  return place_.key;
}

// Waits until the scheduler knows: whoever gave the actor to this task may let go of it as soon as
// the task has ended.
void ActorBase::hold() {
  Client* const client = current_client();
  if (client == nullptr) return;
  held_ = client->desire(place_.key);
  held_->core->wait_all({&held_, 1}, Deadline{kPatience}, true);
}

bool ActorBase::decode_place(Decoder& in) {
  if (!decode(in, place_)) return false;
  hold();
  return true;
}

void ActorBase::place_here() {
  const TaskContext* context = current_task();
  if (context == nullptr) throw ClientError{"an actor is made by a task: client.submit_actor"};
  place_ = {context->key, std::string{context->worker_address}};
}

// On the thread that would have to run the call, of this very worker.
bool ActorBase::is_here() const {
  const TaskContext* context = current_task();
  return context != nullptr && context->actors != nullptr && !(*context->actors)(key()).empty();
}

std::shared_ptr<ActorAnswer> ActorBase::send(TaskWriter& call) const {
  const wire::Payload run_spec = call.take();
  if (is_here()) return run_here(place_.key, run_spec, *current_task());
  return send("actor_execute", {{"function", task_function_name(run_spec)},
                                {"args", wire::Value::Array{run_spec}},
                                {"kwargs", wire::Value::Map{}}});
}

std::shared_ptr<ActorAnswer> ActorBase::send(std::string_view op, wire::Value::Map fields) const {
  const FutureRef future = held_ ? held_ : get_client().desire(key());
  if (const Status status = future->status; status == Status::error || status == Status::cancelled)
    throw ClientError{fmt::format("Worker holding Actor was lost. Status: {}", to_string(status))};
  fields.emplace_back("op", op);
  fields.emplace_back("actor", value_of(place_.key));
  fields.emplace_back("reply", true);
  auto answer = std::make_shared<ActorAnswer>();
  future->core->call_actor(
      place_.worker, std::move(fields),
      [answer, place = place_](Result<wire::Message> reply) { take_reply(*answer, place, reply); });
  return answer;
}

}  // namespace internal

std::shared_ptr<internal::ActorAnswer> PythonActor::send_call(std::string_view method,
                                                              wire::Value::Array arguments) const {
  require_elsewhere();
  return send(
      "actor_execute",
      {{"function", method}, {"args", std::move(arguments)}, {"kwargs", wire::Value::Map{}}});
}

std::shared_ptr<internal::ActorAnswer> PythonActor::send_get(std::string_view attribute) const {
  require_elsewhere();
  return send("actor_attribute", {{"attribute", attribute}});
}

void PythonActor::require_elsewhere() const {
  if (is_here())
    throw ClientError{"an actor calls C++ actors of its worker by rask::Actor, not by name"};
}

}  // namespace rask
