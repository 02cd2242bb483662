// The long-lived streams: who comes in, what they say, what they are told, how they leave.
#include <string>

#include "rask/base/log.h"
#include "rask/protocol/payloads.h"
#include "rask/scheduler_server/coordination_internal.h"
#include "rask/scheduler_server/impl_internal.h"
#include "rask/scheduler_server/versions.h"
#include "rask/scheduler_server/watching_internal.h"

namespace rask::scheduler_server {

using protocol::FromWorker;
using scheduler::Effects;

constexpr std::string_view kLogger = "distributed.scheduler";
// A peer that reads this much slower than it is told things is not listened to until it has caught
// up.
constexpr std::size_t kUnsentBytesMax = std::size_t{64} << 20;
// A stock worker sends what it has every two milliseconds, if only of one task. To be woken by each
// message costs more than to handle it; less than two of them are not worth a rest.
constexpr Seconds kRestMin = 0.004;

void SchedulerServer::Impl::add_stream_handlers() {
  server.on("register-client", [this](const Request& r) { register_client(r); });
  server.on("register-worker", [this](const Request& r) { register_worker(r); });
  server.on("heartbeat_worker", [this](const Request& r) { heartbeat_worker(r); });
  server.on("unregister", [this](const Request& r) { unregister(r); });
  server.on("register_nanny", [this](const Request& r) { register_nanny(r); });
}

Session* SchedulerServer::Impl::session_of(ClientId client) {
  const auto found = clients.find(static_cast<std::uint32_t>(client));
  return found == clients.end() ? nullptr : &found->second;
}

Session* SchedulerServer::Impl::session_of(WorkerId worker) {
  const auto found = workers.find(static_cast<std::uint32_t>(worker));
  return found == workers.end() ? nullptr : &found->second;
}

// ---- Coming in ----------------------------------------------------------------------------------

void SchedulerServer::Impl::register_client(const Request& request) {
  const std::string name{request["client"].as_text()};
  if (name.empty()) {
    request.reply_error({ErrorCode::invalid_argument, "register-client needs a client name"});
    return;
  }
  const auto client =
      with_machine([&](Seconds now, Effects& out) { return machine.add_client(name, now, out); });
  log::info(kLogger, "Receive client connection: {}", name);
  const auto connection = request.connection();
  const bool dense = connection->peer().dense;
  auto& session = clients[static_cast<std::uint32_t>(client)];
  session = {.connection = connection,
             .batch = protocol::Batch{dense ? protocol::Style::dense : protocol::Style::plain},
             .name = name,
             .info = request["versions"]};
  server.hand_over(connection);
  connection->start([this, client](wire::Message&& m) { on_client_message(client, m); },
                    [this, client](const Error&) { client_gone(client); });
  session.batch.add(protocol::ToClient{protocol::StreamStart{warnings_for_client(session)}});
  mark_dirty(session);
  dirty_clients.push_back(static_cast<std::uint32_t>(client));
  if (!dense) lowering.prepare();  // Python clients soon submit something.
  const auto event = Value::object({{"action", "add-client"}, {"client", name}});
  log_event("all", event);
  log_event(name, event);
}

// Most workers have the same ones: each set is compared once, however many have it.
void SchedulerServer::Impl::count_packages(const Session& worker, int change) {
  const Value& packages = worker.info["versions"]["packages"];
  const std::string written{wire::encode(packages)[0].view()};
  auto& [kept, count] = worker_packages.try_emplace(written, packages, 0).first->second;
  count += change;
  if (count == 0) worker_packages.erase(written);
}

std::vector<Value> SchedulerServer::Impl::packages_of_workers() const {
  std::vector<Value> all;
  for (const auto& [written, packages] : worker_packages) all.push_back(packages.first);
  return all;
}

protocol::Payload SchedulerServer::Impl::warnings_for_client(const Session& session) const {
  const auto warning = version_warning("Client", session.info["packages"], lowering.packages(),
                                       packages_of_workers());
  return protocol::inlined(Value::object({{"warning", warning}, {"error", ""}}));
}

// The first client comes before the scheduler's Python runs.
void SchedulerServer::Impl::compare_packages() {
  for (const auto& [number, session] : clients) {
    const auto warning =
        version_warning("Client", session.info["packages"], lowering.packages(), {});
    if (!warning.empty()) log::warning(kLogger, "{}: {}", session.name, warning);
  }
}

namespace {

scheduler::WorkerInfo worker_info(const Request& request) {
  scheduler::WorkerInfo info;
  info.address = comm::normalize_address(std::string{request["address"].as_text()});
  const Value& name = request["name"];
  info.name = name.is_nil()                 ? info.address
              : name.get_if<std::int64_t>() ? std::to_string(name.as_int())
                                            : std::string{name.as_text()};
  info.server_id = request["server_id"].as_text();
  info.nthreads = static_cast<int>(request["nthreads"].as_int(1));
  info.memory_limit_bytes = static_cast<std::uint64_t>(request["memory_limit"].as_int(0));
  for (const auto& [key, amount] : request["resources"].as_map()) {
    info.resources.emplace(key.as_text(), amount.as_real());
  }
  info.local_directory = request["local_directory"].as_text();
  info.nanny = request["nanny"].as_text();
  info.pid = request["pid"].as_int();
  info.status = protocol::parse_worker_status(request["status"].as_text())
                    .value_or(protocol::WorkerStatus::running);
  // A native worker says so in "extra"; a stock one does not know the word.
  info.runs_native = request["extra"]["rask-native"].as_bool(false);
  info.runs_python = !info.runs_native;
  return info;
}

}  // namespace

void SchedulerServer::Impl::register_worker(const Request& request) {
  auto info = worker_info(request);
  // A worker registers in status "init" and runs tasks from the moment it has the answer.
  if (info.status != protocol::WorkerStatus::paused) info.status = protocol::WorkerStatus::running;
  scheduler::Effects effects;
  const auto added = machine.add_worker(info, loop.now(), effects);
  const auto connection = request.connection();
  if (!added.ok()) {
    log::warning(kLogger, "Worker {} was turned away: {}", info.address, added.error().message);
    connection->send(wire::encode(Value::object(
        {{"status", "error"}, {"message", added.error().message}, {"time", loop.now()}})));
    apply(effects);
    return;
  }
  const auto worker = added.value();
  const bool dense = connection->peer().dense;
  workers[static_cast<std::uint32_t>(worker)] = {
      .connection = connection,
      .batch = protocol::Batch{dense ? protocol::Style::dense : protocol::Style::plain},
      .name = info.address,
      .info = request.fields(),
      .metrics = request["metrics"]};
  count_packages(*session_of(worker), 1);
  server.hand_over(connection);
  connection->start([this, worker](wire::Message&& m) { on_worker_message(worker, m); },
                    [this, worker](const Error& error) { worker_gone(worker, error.message); },
                    [this, worker] { hear(worker); });
  connection->send(wire::encode(
      Value::object({{"status", "OK"},
                     {"time", loop.now()},
                     {"heartbeat-interval", heartbeat_interval(machine.workers().size())},
                     {"warning", version_warning("Worker", request["versions"]["packages"],
                                                 lowering.packages(), packages_of_workers())},
                     {"error", ""},
                     {"worker-plugins", plugins_of(info.runs_python)}})));
  apply(effects);
  arm_timer();
  if (const auto* session = session_of(worker)) {
    watching->heartbeat(worker, *session);
    watching->worker_added(worker);
  }
  if (info.runs_python) lowering.prepare();  // It came for Python tasks.
  log_event(info.address, Value::object({{"action", "add-worker"}}));
  log_event("all", Value::object({{"action", "add-worker"}, {"worker", info.address}}));
}

void SchedulerServer::Impl::heartbeat_worker(const Request& request) {
  const auto address = comm::normalize_address(std::string{request["address"].as_text()});
  const auto worker = machine.find_worker(address);
  auto* session = worker ? session_of(*worker) : nullptr;
  if (session == nullptr) {
    request.reply(Value::object({{"status", "missing"}}));
    return;
  }
  session->metrics = request["metrics"];
  bandwidths.heartbeat(address, session->metrics["bandwidth"], machine.workers().size());
  scheduler::WorkerMetrics metrics;
  metrics.memory_bytes = static_cast<std::uint64_t>(session->metrics["memory"].as_int());
  metrics.managed_bytes = static_cast<std::uint64_t>(session->metrics["managed_bytes"].as_int());
  for (const auto& [key, duration] : request["executing"].as_map()) {
    metrics.executing.emplace_back(key_of(key), duration.as_real());
  }
  with_machine(
      [&](Seconds now, Effects& out) { machine.heartbeat_worker(*worker, metrics, now, out); });
  measure_spans(request["extensions"]["spans"]);
  if (session_of(*worker) != nullptr) watching->heartbeat(*worker, *session);
  request.reply(
      Value::object({{"status", "OK"},
                     {"time", loop.now()},
                     {"heartbeat-interval", heartbeat_interval(machine.workers().size())}}));
}

void SchedulerServer::Impl::unregister(const Request& request) {
  const auto address = comm::normalize_address(std::string{request["address"].as_text()});
  if (const auto worker = machine.find_worker(address)) {
    with_machine([&](Seconds now, Effects& out) {
      machine.remove_worker(*worker, request["expected"].as_bool(true), "unregister", now, out);
    });
    drop_worker(*worker);
  }
  request.reply("OK");
}

// Dask counts the nannies that are still starting a worker by these connections; they stay open.
void SchedulerServer::Impl::register_nanny(const Request& request) {
  const auto connection = request.connection();
  request.reply(Value::object({{"status", "OK"}, {"nanny-plugins", nanny_plugins}}));
  starting_nannies.insert(connection.get());
  server.hand_over(connection);
  const auto* key = connection.get();
  connection->start([this, key](wire::Message&&) { nanny_started(key); },
                    [this, key](const Error&) { nanny_started(key); });
}

// ---- What they say ------------------------------------------------------------------------------

void SchedulerServer::Impl::on_client_message(ClientId client, const wire::Message& message) {
  auto* session = session_of(client);
  if (session == nullptr) return;
  bool ends = false;
  auto batch = protocol::read_from_client(message, &ends);
  if (!batch.ok()) {
    log::error(kLogger, "closing client {}: {}", session->name, batch.error().message);
    session->connection->abort();
    return;
  }
  const auto now = loop.now();
  for (auto& item : batch.value()) {
    if (session->held.empty())
      handle_client(client, std::move(item), now);
    else
      hold_back(client, std::move(item));
  }
  if (session_of(client) == nullptr) return;
  relieve(*session_of(client));
  if (ends) session_of(client)->connection->close();
}

void SchedulerServer::Impl::handle_client(ClientId client, FromClient&& message, Seconds now) {
  if (std::holds_alternative<protocol::CloseClient>(message)) {
    if (auto* session = session_of(client)) {
      session->batch.add(Value::object({{"op", "stream-closed"}}));
      session->close_after = true;
      mark_dirty(*session);
      dirty_clients.push_back(static_cast<std::uint32_t>(client));
    }
    return;
  }
  if (const auto* topic = std::get_if<protocol::SubscribeTopic>(&message)) {
    return subscribe(topic->topic, client);
  }
  if (const auto* topic = std::get_if<protocol::UnsubscribeTopic>(&message)) {
    return unsubscribe(topic->topic, client);
  }
  if (const auto* event = std::get_if<protocol::LogEvent>(&message)) {
    for (const auto& topic : event->topics)
      log_event(topic,
                protocol::tree(event->msg).ok() ? protocol::tree(event->msg).value() : Value{});
    return;
  }
  if (const auto* other = std::get_if<protocol::OtherMessage>(&message)) {
    if (other->op == "update-graph") return lower_graph(client, *other);
    const auto tree = protocol::tree(*other);
    if (other->op == "publish_flush_batched_send") {
      if (tree.ok()) on_flush(tree.value()["uid"].as_text());
      return;
    }
    if (tree.ok() && coordination->handle(client, other->op, tree.value())) return;
    log::error(kLogger, "client {} sent an operation that this scheduler does not know: {}",
               session_of(client) ? session_of(client)->name : "?", other->op);
    return;
  }
  if (const auto* graph = std::get_if<protocol::UpdateGraph>(&message)) {
    watching->keys_wanted(graph->keys);
  }
  Effects effects;
  machine.handle(client, std::move(message), now, effects);
  apply(effects);
}

void SchedulerServer::Impl::on_worker_message(WorkerId worker, const wire::Message& message) {
  const auto* session = session_of(worker);
  if (session == nullptr || heard_end) return;
  const auto read = protocol::append_from_worker(message, heard, &heard_end);
  if (read.ok()) return;
  log::error(kLogger, "closing worker {}: {}", session->name, read.error().message);
  session->connection->abort();
}

// What was read together is handled together: one call of the machine, which looks ahead in it.
void SchedulerServer::Impl::hear(WorkerId worker) {
  auto batch = std::exchange(heard, {});
  const bool ends = std::exchange(heard_end, false);
  if (session_of(worker) == nullptr || (batch.empty() && !ends)) return;
  const auto is_ours = [](const protocol::FromWorker& item) {
    return std::holds_alternative<protocol::LogEvent>(item) ||
           std::holds_alternative<protocol::OtherMessage>(item);
  };
  if (task_stream.recording()) task_stream.record(machine, worker, batch);
  if (watching->collects_tasks()) {
    for (const auto& item : batch) {
      if (const auto* done = std::get_if<protocol::TaskFinished>(&item)) {
        watching->task_finished(*done);
      }
    }
  }
  with_machine([&](Seconds now, Effects& effects) {
    if (std::ranges::none_of(batch, is_ours))
      return machine.handle(worker, std::span{batch}, now, effects);
    for (auto& item : batch) {
      if (is_ours(item))
        handle_worker(worker, std::move(item), now);
      else
        machine.handle(worker, std::move(item), now, effects);
    }
  });
  batch.clear();
  heard = std::move(batch);  // Keeps its memory.
  auto* still = session_of(worker);
  if (still == nullptr) return;
  if (ends) return still->connection->close();
  if (still->connection->peer().dense) return;
  const auto rest = machine.can_wait(worker);
  still->connection->rest(rest >= kRestMin ? rest : 0);
}

void SchedulerServer::Impl::handle_worker(WorkerId worker, FromWorker&& message, Seconds) {
  const auto* session = session_of(worker);
  const std::string name = session ? session->name : "?";
  if (const auto* event = std::get_if<protocol::LogEvent>(&message)) {
    const auto read = protocol::tree(event->msg);
    for (const auto& topic : event->topics) {
      Value content = read.ok() ? read.value() : Value{};
      // source: Scheduler.log_worker_event
      if (content.get_if<Value::Map>() != nullptr && topic != name) content.set("worker", name);
      log_event(topic, std::move(content));
    }
  } else if (const auto* other = std::get_if<protocol::OtherMessage>(&message)) {
    log::error(kLogger, "worker {} sent an operation that this scheduler does not know: {}", name,
               other->op);
  }
}

// ---- Leaving ------------------------------------------------------------------------------------

void SchedulerServer::Impl::client_gone(ClientId client) {
  auto* session = session_of(client);
  if (session == nullptr) return;
  session->gone = true;
  if (session->held.empty() || closing) remove_client(client);
}

void SchedulerServer::Impl::remove_client(ClientId client) {
  const auto name = session_of(client)->name;
  clients.erase(static_cast<std::uint32_t>(client));
  if (closing) return;
  log::info(kLogger, "Remove client {}", name);
  with_machine([&](Seconds now, Effects& out) { machine.remove_client(client, now, out); });
  // What it subscribed to stays, as in Dask: it may come back under its name, or have done so.
  if (!client_named(name)) coordination->client_gone(name);
  log_event("all", Value::object({{"action", "remove-client"}, {"client", name}}));
  arm_timer();
}

void SchedulerServer::Impl::worker_gone(WorkerId worker, const std::string& why) {
  auto* session = session_of(worker);
  if (session == nullptr) return;
  if (!closing) log::info(kLogger, "Lost worker {}: {}", session->name, why);
  const auto address = forget_worker(worker);
  if (closing) return;
  with_machine([&](Seconds now, Effects& out) {
    machine.remove_worker(worker, false, "handle-worker-cleanup", now, out);
  });
  tell_of_removal(address);
  arm_timer();
}

// Its address.
std::string SchedulerServer::Impl::forget_worker(WorkerId worker) {
  auto& session = *session_of(worker);
  auto address = session.name;
  rpc.forget(address);
  bandwidths.forget(address);
  count_packages(session, -1);
  workers.erase(static_cast<std::uint32_t>(worker));
  return address;
}

void SchedulerServer::Impl::tell_of_removal(const std::string& address) {
  watching->worker_removed(address);
  log_event("all", Value::object({{"action", "remove-worker"}, {"worker", address}}));
}

// Its nanny starts another one.
void SchedulerServer::Impl::kill_worker(const std::string& nanny) {
  constexpr Seconds kPatience = 30;
  call(nanny, Value::object({{"op", "kill"}, {"reason", "scheduler-worker-ttl"}, {"reply", true}}),
       kPatience, [nanny](const Result<Value>& reply) {
         if (!reply.ok()) log::error(kLogger, "kill by {}: {}", nanny, reply.error().message);
       });
}

// The machine has removed it already: say what is to be said, then hang up.
void SchedulerServer::Impl::drop_worker(WorkerId worker) {
  auto* session = session_of(worker);
  if (session == nullptr) return;
  if (!session->batch.empty()) session->connection->send(session->batch.take());
  session->connection->close();
  tell_of_removal(forget_worker(worker));
}

// ---- What they are told -------------------------------------------------------------------------

namespace {

// Stock workers show the stimulus in their stories, under the name that Dask gives it.
void spell_out(protocol::ToWorker& message) {
  if (auto* task = std::get_if<protocol::ComputeTask>(&message)) {
    task->stimulus_id = "compute-task-" + std::to_string(task->run_id);
  }
}

}  // namespace

void SchedulerServer::Impl::apply(Effects& effects) {
  for (auto& effect : effects) {
    if (auto* to_worker = std::get_if<scheduler::SendToWorker>(&effect)) {
      if (auto* session = session_of(to_worker->worker)) {
        if (!session->connection->peer().dense) spell_out(to_worker->message);
        session->batch.add(to_worker->message);
        if (!session->dirty) {
          mark_dirty(*session);
          dirty_workers.push_back(static_cast<std::uint32_t>(to_worker->worker));
        }
      }
    } else if (auto* to_client = std::get_if<scheduler::SendToClient>(&effect)) {
      if (watching->collects_tasks()) watching->told_client(to_client->message);
      if (auto* session = session_of(to_client->client)) {
        session->batch.add(to_client->message);
        if (!session->dirty) {
          mark_dirty(*session);
          dirty_clients.push_back(static_cast<std::uint32_t>(to_client->client));
        }
      }
    } else if (auto* dropped = std::get_if<scheduler::DropWorker>(&effect)) {
      drop_worker(dropped->worker);
      if (!dropped->nanny.empty()) kill_worker(dropped->nanny);
    } else if (auto* retired = std::get_if<scheduler::RetirementDone>(&effect)) {
      if (auto found = retirements.extract(retired->retirement)) found.mapped()(retired->retired);
    } else if (auto* line = std::get_if<scheduler::LogLine>(&effect)) {
      if (line->level >= 40)
        log::error(kLogger, "{}", line->text);
      else if (line->level >= 30)
        log::warning(kLogger, "{}", line->text);
      else if (line->level >= 20)
        log::info(kLogger, "{}", line->text);
      else
        log::debug(kLogger, "{}", line->text);
    } else if (auto* event = std::get_if<scheduler::TopicEvent>(&effect)) {
      log_event(event->topic, std::move(event->event));
    } else if (auto* end = std::get_if<scheduler::ShutDown>(&effect)) {
      close(end->reason);
    }
  }
  effects.clear();
  if (!timer) arm_timer();
  if (machine.has_work_left()) tick_soon();
}

void SchedulerServer::Impl::mark_dirty(Session& session) {
  session.dirty = true;
  if (flush_planned) return;
  flush_planned = true;
  loop.at_end_of_turn([this] { flush(); });
}

void SchedulerServer::Impl::flush() {
  flush_planned = false;
  const auto flush_all = [](auto& numbers, auto& sessions) {
    for (const auto number : std::exchange(numbers, {})) {
      const auto found = sessions.find(number);
      if (found == sessions.end() || !found->second.dirty) continue;
      Session& session = found->second;
      session.dirty = false;
      if (!session.batch.empty()) session.connection->send(session.batch.take());
      if (session.close_after) session.connection->close();
    }
  };
  flush_all(dirty_workers, workers);
  flush_all(dirty_clients, clients);
}

// Backpressure: what a slow reader asks for is what fills its buffer, so it is not heard for a
// while.
void SchedulerServer::Impl::relieve(Session& session) {
  if (session.connection->unsent_bytes() > kUnsentBytesMax)
    session.connection->pause();
  else
    session.connection->resume();
}

}  // namespace rask::scheduler_server
