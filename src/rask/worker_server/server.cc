#include "rask/worker_server/server.h"

#include <unistd.h>

#include "rask/base/log.h"
#include "rask/base/units.h"
#include "rask/wire/block.h"
#include "rask/worker_server/impl_internal.h"

namespace rask::worker_server {

constexpr std::string_view kLogger = "distributed.worker";
constexpr Seconds kKeepAliveInterval = 60;
constexpr Seconds kExecuteAhead = 0.001;

namespace {

std::string make_id(Seconds now) {
  return fmt::format("Worker-{:x}-{}", static_cast<std::uint64_t>(now * 1e6), ::getpid());
}

}  // namespace

WorkerServer::Impl::Impl(comm::EventLoop& event_loop, Options given)
    : loop(event_loop),
      options(std::move(given)),
      server("distributed.worker"),
      rpc(event_loop, options.comm),
      id(make_id(event_loop.now())),
      started(event_loop.now()),
      last_sample(executor::sample_system(event_loop.now())),
      profile_history(options.profile.cycles_max) {
  add_handlers();
}

WorkerServer::Impl::~Impl() {
  end_forwarding();
  {
    const std::lock_guard lock{mailbox->mutex};
    mailbox->wake = nullptr;
  }
  pools.clear();  // Waits for tasks that run.
}

// ---- Starting -----------------------------------------------------------------------------------

Result<Ok> WorkerServer::Impl::start() {
  RASK_TRY(listener, comm::listen(loop, options.listen, options.comm, [this](auto connection) {
             if (!closing) server.serve(std::move(connection));
           }));
  address = listener->contact_address();
  if (const auto& contact = options.contact_address; !contact.empty()) {
    const auto scheme = contact.find("://") == std::string::npos ? address.find("://") + 3 : 0;
    address = address.substr(0, scheme) + contact;
  }
  if (options.name.empty()) options.name = address;
  options.machine.address = address;
  options.machine.execute_ahead = kExecuteAhead;
  machine.emplace(options.machine);
  mailbox->wake = [this] { loop.post([this] { collect(); }); };
  log::info(kLogger, "      Start worker at: {:>26}", address);
  log::info(kLogger, "         Listening to: {:>26}", listener->contact_address());
  log::info(kLogger, "          Worker name: {:>26}", options.name);
  log::info(kLogger, "Waiting to connect to: {:>26}", options.scheduler);
  if (options.death_timeout > 0) {
    loop.call_later(options.death_timeout, [this] {
      if (scheduler != nullptr || closing) return;
      log::error(kLogger, "No scheduler at {} within {} s (--death-timeout)", options.scheduler,
                 options.death_timeout);
      close("death-timeout", true, true);
    });
  }
  connect();
  return Ok{};
}

void WorkerServer::Impl::connect() {
  comm::connect(loop, options.scheduler, options.comm, true,
                [this](Result<comm::ConnectionPtr> connection) {
                  if (closing) return;
                  if (connection.ok()) return register_with(connection.value());
                  if (connection.error().code == ErrorCode::invalid_argument) {
                    log::error(kLogger, "{}", connection.error().message);
                    return close("bad-scheduler-address", true, true);
                  }
                  log::info(kLogger, "Waiting to connect to: {:>26} ({})", options.scheduler,
                            connection.error().message);
                  loop.call_later(0.1, [this] {
                    if (!closing) connect();
                  });
                });
}

void WorkerServer::Impl::register_with(const comm::ConnectionPtr& connection) {
  Value::Map resources;
  for (const auto& [name, amount] : options.machine.resources) resources.emplace_back(name, amount);
  // For a stock scheduler; rask's own learns it from `extra`, but the same programs run on both.
  resources.emplace_back(protocol::kNativeResource, protocol::kNativeResourceOfWorker);
  const auto memory_limit =
      options.memory_limit_bytes > 0 ? Value{options.memory_limit_bytes} : Value{};
  connection->send(wire::encode(Value::object(
      {{"op", "register-worker"},
       {"reply", false},
       {"address", address},
       {"status", "init"},
       {"nthreads", options.machine.nthreads},
       {"name", options.name},
       {"now", loop.now()},
       {"resources", std::move(resources)},
       {"memory_limit", memory_limit},
       {"local_directory", options.local_directory},
       {"services", Value::Map{}},
       {"nanny", options.nanny.empty() ? Value{} : Value{options.nanny}},
       {"pid", std::int64_t{::getpid()}},
       {"versions", Value::object({{"host", Value::Map{}}, {"packages", Value::Map{}}})},
       {"metrics", metrics()},
       {"extra", Value::object({{"rask-native", true}})},
       {"stimulus_id", fmt::format("worker-connect-{}", loop.now())},
       {"server_id", id}})));
  connection->start(
      [this, connection](wire::Message&& message) { on_registration_reply(connection, message); },
      [this](const Error& error) {
        if (closing) return;
        log::info(kLogger, "The scheduler hung up before it let this worker in: {}", error.message);
        loop.call_later(0.1, [this] {
          if (!closing) connect();
        });
      });
}

void WorkerServer::Impl::on_registration_reply(const comm::ConnectionPtr& connection,
                                               const wire::Message& message) {
  const auto reply = message.parse();
  if (!reply.ok() || reply.value()["status"].as_text() != "OK") {
    const std::string why{reply.ok() ? reply.value()["message"].as_text("no reason given")
                                     : std::string_view{reply.error().message}};
    log::error(kLogger, "Unable to connect to scheduler: {}", why);
    connection->close();
    return close("turned-away", true, true);
  }
  heartbeat_interval = reply.value()["heartbeat-interval"].as_real(0.5);
  scheduler = connection;
  batch =
      protocol::Batch{connection->peer().dense ? protocol::Style::dense : protocol::Style::plain};
  connection->start([this](wire::Message&& m) { on_scheduler_message(m); },
                    [this](const Error& error) {
                      scheduler.reset();
                      if (closing) return;
                      log::info(kLogger, "Connection to scheduler broken: {}. Closing.",
                                error.message);
                      // The nanny is not told: it starts a new worker that waits for a scheduler.
                      close("scheduler-connection-lost", false, true);
                    });
  log::info(kLogger, "        Registered to: {:>26}", options.scheduler);
  for (const auto& [name, plugin] : reply.value()["worker-plugins"].as_map())
    set_forwarding(name.as_text(), true);
  // A stock scheduler gives no task to a worker that has not said that it runs.
  if (!connection->peer().dense)
    send(protocol::WorkerStatusChanged{protocol::WorkerStatus::running, "worker-start"});
  every(heartbeat_interval, [this] { heartbeat(); });
  every(kKeepAliveInterval, [this] { send(protocol::KeepAlive{}); });
  if (options.profile.enabled)
    every(options.profile.cycle, [this] { profile_history.cycle(loop.now()); });
  if (options.memory_limit_bytes > 0 && options.memory_pause > 0)
    every(options.memory_monitor_interval, [this] { watch_memory(); });
  if (options.lifetime > 0) {
    loop.call_later(options.lifetime, [this] {
      log::info(kLogger, "Lifetime of {} s is over", options.lifetime);
      close_gracefully("worker-lifetime-reached", options.lifetime_restart);
    });
  }
  if (registered_callback) registered_callback();
}

void WorkerServer::Impl::every(Seconds interval, std::function<void()> callback) {
  loop.call_later(interval, [this, interval, callback = std::move(callback)] {
    if (closing) return;
    callback();
    every(interval, callback);
  });
}

// ---- The stream ---------------------------------------------------------------------------------

void WorkerServer::Impl::on_scheduler_message(const wire::Message& message) {
  bool ends = false;
  auto read = protocol::read_to_worker(message, &ends);
  if (!read.ok()) {
    log::error(kLogger, "The scheduler sent what cannot be read: {}", read.error().message);
    return close("corrupt-message-from-scheduler", false, true);
  }
  Instructions instructions;
  const auto now = loop.now();
  for (auto& item : read.value()) {
    if (const auto* end = std::get_if<protocol::CloseWorker>(&item)) {
      carry_out(instructions);
      return close(end->reason, true, false);
    }
    if (const auto* other = std::get_if<protocol::OtherMessage>(&item)) {
      log::error(kLogger, "The scheduler sent an operation that this worker does not know: {}",
                 other->op);
      continue;
    }
    if (const auto* gone = std::get_if<protocol::RemoveWorker>(&item)) rpc.forget(gone->worker);
    if (const auto* change = std::get_if<protocol::ChangeWorkerStatus>(&item))
      set_status(change->status, change->stimulus_id);
    // What a stock scheduler finds native workers by; every one has enough of it.
    if (auto* compute = std::get_if<protocol::ComputeTask>(&item))
      compute->resource_restrictions.erase(std::string{protocol::kNativeResource});
    machine->handle(std::move(item), now, instructions);
  }
  carry_out(instructions);
  if (ends) close("scheduler-closed-stream", true, false);
}

// Small results go along with the news of them.
void WorkerServer::Impl::add_value(protocol::TaskFinished& message) const {
  if (scheduler == nullptr || !scheduler->peer().dense) return;
  const auto found = data.find(message.key);
  if (found == data.end() || found->second.nbytes() > protocol::kInlineValueBytesMax) return;
  const auto payload = found->second.to_payload();
  if (payload.kind != wire::Payload::Kind::inlined || payload.frames.size() > 1) return;
  const auto bytes = payload.frames.empty() ? "\xc0" : payload.frames.front().view();
  if (bytes.size() <= protocol::kInlineValueBytesMax) message.value = bytes;
}

void WorkerServer::Impl::send(protocol::FromWorker&& message) {
  if (auto* finished = std::get_if<protocol::TaskFinished>(&message)) add_value(*finished);
  batch.add(message);
  plan_flush();
}

void WorkerServer::Impl::plan_flush() {
  if (flush_planned) return;
  flush_planned = true;
  loop.at_end_of_turn([this] {
    flush_planned = false;
    if (scheduler != nullptr && !batch.empty()) scheduler->send(batch.take());
  });
}

// ---- Status -------------------------------------------------------------------------------------

// The scheduler hears of each change, also of those that it has asked for.
void WorkerServer::Impl::set_status(protocol::WorkerStatus to, const protocol::Stimulus& stimulus) {
  if (std::exchange(status, to) != to) send(protocol::WorkerStatusChanged{to, stimulus});
}

// Too full to take on more: what it has may be fetched, or freed.
//   source   distributed/worker_memory.py, WorkerMemoryManager._maybe_pause_or_unpause
void WorkerServer::Impl::watch_memory() {
  using protocol::WorkerStatus;
  if (status != WorkerStatus::running && status != WorkerStatus::paused) return;
  const auto limit = static_cast<double>(options.memory_limit_bytes);
  const bool was_paused = status == WorkerStatus::paused;
  bool is_full = static_cast<double>(executor::resident_bytes()) > options.memory_pause * limit;
  if (is_full) {
    wire::release_spare_blocks();
    is_full = static_cast<double>(executor::resident_bytes()) > options.memory_pause * limit;
  }
  if (is_full == was_paused) return;
  const auto bytes = executor::resident_bytes();
  const auto text = fmt::format(
      "Worker is at {:.0f}% memory usage. {} worker.  Process memory: {} -- Worker memory limit: "
      "{}",
      100 * static_cast<double>(bytes) / limit, is_full ? "Pausing" : "Resuming",
      format_bytes(bytes), format_bytes(options.memory_limit_bytes));
  log::warning(kLogger, "{}", text);
  set_status(is_full ? WorkerStatus::paused : WorkerStatus::running, "worker-memory");
  if (is_full)
    feed(worker::Pause{});
  else
    feed(worker::Unpause{});
}

// ---- Heartbeats ---------------------------------------------------------------------------------

Value WorkerServer::Impl::metrics() {
  const auto sample = executor::sample_system(loop.now());
  const auto span = std::max(1e-3, sample.time - last_sample.time);
  const auto rate = [&](std::uint64_t now_bytes, std::uint64_t before) {
    return now_bytes >= before ? static_cast<double>(now_bytes - before) / span : 0.0;
  };
  const Value cpu = 100 * (sample.cpu_seconds - last_sample.cpu_seconds) / span;
  const Value read_bps = rate(sample.net_read_bytes, last_sample.net_read_bytes);
  const Value write_bps = rate(sample.net_write_bytes, last_sample.net_write_bytes);
  last_sample = sample;
  const auto count = [](std::size_t n) { return Value{static_cast<std::int64_t>(n)}; };
  return Value::object(
      {{"task_counts", Value::object({{"executing", count(machine->executing_count())},
                                      {"ready", count(machine->ready_count())},
                                      {"memory", count(machine->in_memory_count())},
                                      {"flight", count(machine->in_flight_count())}})},
       {"bandwidth", bandwidths.take()},
       {"digests_total_since_heartbeat", Value::Map{}},
       {"managed_bytes", machine->nbytes()},
       {"spilled_bytes", Value::object({{"memory", 0}, {"disk", 0}})},
       {"transfer", Value::object({{"incoming_bytes", 0},
                                   {"incoming_count", count(machine->in_flight_count())},
                                   {"incoming_count_total", 0},
                                   {"outgoing_bytes", 0},
                                   {"outgoing_count", outgoing_count},
                                   {"outgoing_count_total", outgoing_count_total}})},
       {"event_loop_interval", 0.02},
       {"cpu", cpu},
       {"memory", sample.memory_bytes},
       {"time", sample.time},
       {"host_net_io", Value::object({{"read_bps", read_bps}, {"write_bps", write_bps}})},
       {"host_disk_io", Value::object({{"read_bps", 0.0}, {"write_bps", 0.0}})},
       {"num_fds", sample.num_fds}});
}

void WorkerServer::Impl::heartbeat() {
  if (scheduler == nullptr) return;
  Value::Map executing;
  for (const auto& [key, duration] : machine->executing(loop.now())) {
    auto parsed = wire::Message{{wire::Buffer::copy_of(key.msgpack())}}.parse();
    if (parsed.ok()) executing.emplace_back(std::move(parsed).value(), duration);
  }
  rpc.call(options.scheduler,
           wire::encode(Value::object({{"op", "heartbeat_worker"},
                                       {"reply", true},
                                       {"address", address},
                                       {"now", loop.now()},
                                       {"metrics", metrics()},
                                       {"executing", std::move(executing)},
                                       {"extensions", Value::Map{}}})),
           60, [this](Result<wire::Message> reply) {
             if (closing) return;
             auto value =
                 reply.ok() ? comm::reply_value(reply.value()) : Result<Value>{reply.error()};
             if (!value.ok()) {
               log::warning(kLogger, "Failed to communicate with scheduler during heartbeat: {}",
                            value.error().message);
             } else if (value.value()["status"].as_text() == "missing") {
               log::warning(kLogger, "Scheduler was unaware of this worker; shutting down.");
               close("worker-heartbeat-missing", false, true);
             }
           });
}

// ---- Ending -------------------------------------------------------------------------------------

void WorkerServer::Impl::close(const std::string& reason, bool tell_nanny, bool failure) {
  if (closing) return;
  closing = true;
  log::info(kLogger, "Stopping worker at {}. Reason: {}", address, reason);
  if (scheduler != nullptr) {
    batch.add(Value::object({{"op", "close-stream"}}));
    scheduler->send(batch.take());
    scheduler->close();
  }
  listener.reset();
  if (!tell_nanny || options.nanny.empty()) {
    loop.post([this, reason, failure] { finish(reason, failure); });
    return;
  }
  rpc.call(options.nanny,
           wire::encode(
               Value::object({{"op", "close_gracefully"}, {"reason", reason}, {"reply", true}})),
           2, [this, reason, failure](const Result<wire::Message>&) { finish(reason, failure); });
}

void WorkerServer::Impl::finish(const std::string& reason, bool failure) {
  if (closed) return;
  closed = true;
  server.close();
  if (closed_callback) closed_callback(reason, failure);
}

void WorkerServer::Impl::close_gracefully(const std::string& reason, bool restart) {
  if (closing) return;
  log::info(kLogger, "Closing worker gracefully: {}. Reason: {}", address, reason);
  rpc.call(
      options.scheduler,
      wire::encode(Value::object({{"op", "retire_workers"},
                                  {"workers", Value::Array{address}},
                                  {"close_workers", false},
                                  {"remove", false},
                                  {"reply", true}})),
      0, [this, reason, restart](const Result<wire::Message>&) { close(reason, !restart, false); });
}

WorkerServer::WorkerServer(comm::EventLoop& loop, Options options)
    : impl_(std::make_unique<Impl>(loop, std::move(options))) {}
WorkerServer::~WorkerServer() = default;
Result<Ok> WorkerServer::start() { return impl_->start(); }
std::string WorkerServer::address() const { return impl_->address; }
void WorkerServer::on_registered(std::function<void()> callback) {
  impl_->registered_callback = std::move(callback);
}
void WorkerServer::on_closed(std::function<void(const std::string&, bool)> callback) {
  impl_->closed_callback = std::move(callback);
}
void WorkerServer::close(const std::string& reason, bool tell_nanny) {
  impl_->close(reason, tell_nanny, false);
}
void WorkerServer::close_gracefully(const std::string& reason, bool restart) {
  impl_->close_gracefully(reason, restart);
}

}  // namespace rask::worker_server
