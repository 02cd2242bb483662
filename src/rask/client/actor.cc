#include "rask/client/actor.h"

#include <fmt/format.h>

#include "rask/client/core.h"
#include "rask/client/current.h"
#include "rask/client/keys.h"
#include "rask/graph/task_context.h"

namespace rask::internal {

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

std::exception_ptr failed(const Key& actor, const std::string& worker, const Error& error) {
  return std::make_exception_ptr(
      ClientError{error.code == ErrorCode::cancelled
                      ? error.message
                      : fmt::format("Unable to contact Actor's worker {} ({}): {}", worker,
                                    actor.str(), error.message)});
}

void take_reply(ActorAnswer& answer, const Key& actor, const std::string& worker,
                const Result<wire::Message>& message) {
  if (!message.ok()) return answer.set(failed(actor, worker, message.error()));
  const auto reply = message.value().parse();
  if (!reply.ok()) return answer.set(failed(actor, worker, reply.error()));
  try {
    throw_if_failed(worker, reply.value(), actor.str());
  } catch (const TaskError&) {
    return answer.set(std::current_exception());
  }
  answer.set(payload_of(reply.value()["result"]));
}

// An actor that calls another of its worker is on the thread that would have to run the call.
void run_here(ActorAnswer& answer, const Key& actor, const wire::Payload& run_spec,
              const TaskContext& context) {
  const TaskOutcome outcome = run_task(run_spec, *context.actors);
  if (const auto* value = std::get_if<TaskValue>(&outcome)) return answer.set(value->to_payload());
  const auto* failure = std::get_if<TaskFailure>(&outcome);
  const TaskFailure what = failure != nullptr ? *failure : TaskFailure{"Reschedule", {}, {}, {}};
  answer.set(std::make_exception_ptr(TaskError{
      actor.str(), what.type, what.message, std::string{context.worker_address}, what.traceback}));
}

}  // namespace

const Key& ActorBase::key() const {
  if (!valid()) throw ClientError{"this Actor is empty: client.submit_actor makes one"};
  return key_;
}

// Waits until the scheduler knows: whoever gave the actor to this task may let go of it as soon as
// the task has ended.
void ActorBase::hold() {
  Client* const client = current_client();
  if (client == nullptr) return;
  held_ = client->desire(key_);
  held_->core->wait_all({&held_, 1}, Deadline{kPatience}, true);
}

void ActorBase::encode_place(Encoder& out) const {
  out.array(2);
  out.binary(key_.msgpack());
  out.text(worker_);
}

bool ActorBase::decode_place(Decoder& in) {
  std::string_view key;
  std::string_view worker;
  if (!in.array_of(2) || !in.text(key) || !in.text(worker)) return false;
  key_ = Key::from_msgpack(key);
  worker_ = worker;
  hold();
  return true;
}

void ActorBase::place_here() {
  const TaskContext* context = current_task();
  if (context == nullptr) throw ClientError{"an actor is made by a task: client.submit_actor"};
  key_ = context->key;
  worker_ = context->worker_address;
}

std::shared_ptr<ActorAnswer> ActorBase::send(TaskWriter& call) const {
  auto answer = std::make_shared<ActorAnswer>();
  const wire::Payload run_spec = call.take();
  const TaskContext* context = current_task();
  if (context != nullptr && context->actors != nullptr && !(*context->actors)(key_).empty()) {
    run_here(*answer, key_, run_spec, *context);
    return answer;
  }
  const FutureRef future = held_ ? held_ : get_client().desire(key_);
  if (const Status status = future->status; status == Status::error || status == Status::cancelled)
    throw ClientError{fmt::format("Worker holding Actor was lost. Status: {}", to_string(status))};
  const auto request = wire::Value::object({{"op", "actor_execute"},
                                            {"actor", value_of(key_)},
                                            {"function", task_function_name(run_spec)},
                                            {"args", wire::Value::Array{run_spec}},
                                            {"kwargs", wire::Value::Map{}},
                                            {"reply", true}});
  future->core->call_actor(worker_, wire::encode(request),
                           [answer, key = key_, worker = worker_](Result<wire::Message> reply) {
                             take_reply(*answer, key, worker, reply);
                           });
  return answer;
}

}  // namespace rask::internal
