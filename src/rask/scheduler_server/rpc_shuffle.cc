// What workers ask about Dask's P2P shuffles.
//
// source: distributed/shuffle/_scheduler_plugin.py; the decisions are in scheduler/shuffle.h. The
// heartbeats of shuffles are for Dask's dashboard only and are not kept.
#include <fmt/format.h>

#include <array>

#include "rask/base/log.h"
#include "rask/scheduler_server/impl_internal.h"
#include "rask/wire/pickle.h"

namespace rask::scheduler_server {

using scheduler::Effects;
using scheduler::ShuffleRefusal;
using scheduler::ShuffleRequest;

namespace {

constexpr std::string_view kLogger = "distributed.shuffle";
constexpr Seconds kRetryPause = 0.1;
constexpr int kRoundsWithoutProgressMax = 3;

ShuffleRequest request_of(const Request& request) {
  const auto& id = request["id"].is_nil() ? request["shuffle_id"] : request["id"];
  ShuffleRequest out;
  out.id = std::string{id.as_text()};
  out.run_id = request["run_id"].as_int();
  if (!request["key"].is_nil()) out.key = key_of(request["key"]);
  out.worker = std::string{request["worker"].as_text()};
  return out;
}

// Workers expect the one kind of refusal as an answer; the others are raised where they asked.
Value reply_of(const ShuffleRefusal& refusal) {
  auto reply = comm::error_reply(refusal.type, refusal.message);
  if (refusal.type == scheduler::kP2PConsistencyError) {
    reply.set("status", "error");
    reply.set("message", refusal.message);
  }
  return reply;
}

Value reply_of(const scheduler::ShuffleAnswer<wire::Payload>& answer) {
  if (const auto* refusal = std::get_if<ShuffleRefusal>(&answer)) return reply_of(*refusal);
  return Value::object({{"status", "OK"}, {"run_spec", std::get<wire::Payload>(answer)}});
}

// Whether a worker's exception is an OSError: of its connection to a peer, most likely.
bool is_os_error(const Value& reply) {
  constexpr std::array<std::string_view, 11> kTypes = {
      "builtins.OSError",
      "builtins.ConnectionError",
      "builtins.ConnectionAbortedError",
      "builtins.ConnectionRefusedError",
      "builtins.ConnectionResetError",
      "builtins.BrokenPipeError",
      "builtins.TimeoutError",
      "asyncio.exceptions.TimeoutError",
      "socket.gaierror",
      "distributed.comm.core.CommClosedError",
      "distributed.shuffle._exceptions.P2POutOfDiskError"};
  const auto* payload = reply["exception"].get_if<wire::Payload>();
  if (payload == nullptr || payload->frames.empty()) return false;
  const auto exception = wire::read_exception(payload->frames.front().view());
  return exception.ok() && std::ranges::find(kTypes, exception.value().type) != kTypes.end();
}

// One barrier: tells the participants that all input is there, those that could not be reached or
// could not reach a peer again, until a worker that went away has made the shuffle start over.
struct Barrier : std::enable_shared_from_this<Barrier> {
  SchedulerServer::Impl& impl;
  Request request;
  ShuffleRequest asked;
  std::vector<std::string> workers;
  std::vector<std::string> again;
  std::string unexpected;
  std::size_t open = 0;
  int rounds_without_progress = 0;

  Barrier(SchedulerServer::Impl& of, Request from, ShuffleRequest what,
          std::vector<std::string> whom)
      : impl(of), request(std::move(from)), asked(std::move(what)), workers(std::move(whom)) {}

  void round() {
    if (workers.empty()) return request.reply(Value{});
    open = workers.size();
    const auto message = wire::encode(Value::object({{"op", "shuffle_inputs_done"},
                                                     {"shuffle_id", asked.id},
                                                     {"run_id", asked.run_id},
                                                     {"reply", true}}));
    for (const auto& worker : workers) {
      impl.rpc.call(worker, message, 0,
                    [self = shared_from_this(), worker](const Result<wire::Message>& reply) {
                      self->take(worker, reply);
                    });
    }
  }

  void take(const std::string& worker, const Result<wire::Message>& reply) {
    const auto answer = reply.ok() ? reply.value().parse() : Result<Value>{reply.error()};
    if (!answer.ok() || is_os_error(answer.value())) {
      again.push_back(worker);
    } else if (!answer.value().is_nil() && unexpected.empty()) {
      const auto text = comm::reply_value(reply.value());
      unexpected = text.ok() ? wire::to_string(text.value()) : text.error().message;
    }
    if (--open == 0) finish_round();
  }

  void finish_round() {
    if (!unexpected.empty())
      return fail("RuntimeError", "Unexpected error encountered during P2P barrier: " + unexpected);
    const auto before = std::exchange(workers, std::exchange(again, {})).size();
    if (workers.empty()) return request.reply(Value{});
    log::warning(kLogger, "Failure during broadcast of {}, retrying.", asked.id);
    for (const auto& worker : workers) {
      if (!impl.machine.find_worker(worker)) return fail_without(worker);
    }
    rounds_without_progress = workers.size() == before ? rounds_without_progress + 1 : 0;
    if (rounds_without_progress >= kRoundsWithoutProgressMax)
      return fail("RuntimeError",
                  fmt::format("Broadcast not making progress for {}. Aborting. This is possibly "
                              "due to overloaded workers. Increasing config "
                              "`distributed.comm.timeouts.connect` timeout may help.",
                              asked.id));
    impl.loop.call_later(kRetryPause, [self = shared_from_this()] { self->round(); });
  }

  void fail_without(const std::string& worker) {
    const auto run = impl.machine.shuffle(asked.id);
    if (run && run->run_id == asked.run_id)
      return fail("distributed.shuffle._exceptions.P2PIllegalStateError",
                  "Expected shuffle to be archived if participating worker is not known by "
                  "scheduler");
    fail("RuntimeError", fmt::format("Worker {} left during shuffle {}", worker, asked.id));
  }

  void fail(std::string_view type, const std::string& message) {
    request.reply(comm::error_reply(type, message));
  }
};

}  // namespace

void SchedulerServer::Impl::shuffle_barrier(const Request& request) {
  auto asked = request_of(request);
  auto answer = with_machine([&](Seconds now, Effects& out) {
    return machine.shuffle_barrier(asked, request["consistent"].as_bool(true), now, out);
  });
  if (const auto* refusal = std::get_if<ShuffleRefusal>(&answer))
    return request.reply(reply_of(*refusal));
  std::make_shared<Barrier>(*this, request, std::move(asked),
                            std::get<std::vector<std::string>>(std::move(answer)))
      ->round();
}

void SchedulerServer::Impl::add_shuffle_handlers() {
  server.on("shuffle_get", [this](const Request& r) {
    r.reply(reply_of(with_machine(
        [&](Seconds now, Effects& out) { return machine.shuffle_get(request_of(r), now, out); })));
  });
  server.on("shuffle_get_or_create", [this](const Request& r) {
    r.reply(reply_of(with_machine([&](Seconds now, Effects& out) {
      return machine.shuffle_get_or_create(request_of(r), now, out);
    })));
  });
  server.on("shuffle_barrier", [this](const Request& r) { shuffle_barrier(r); });
  server.on("shuffle_restrict_task", [this](const Request& r) {
    const auto refusal = with_machine([&](Seconds now, Effects& out) {
      return machine.shuffle_restrict_task(request_of(r), now, out);
    });
    r.reply(refusal ? reply_of(*refusal) : Value::object({{"status", "OK"}}));
  });
}

}  // namespace rask::scheduler_server
