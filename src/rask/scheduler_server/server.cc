#include "rask/scheduler_server/server.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "rask/base/log.h"
#include "rask/scheduler_server/coordination_internal.h"
#include "rask/scheduler_server/impl_internal.h"
#include "rask/scheduler_server/watching_internal.h"

namespace rask::scheduler_server {

constexpr std::string_view kLogger = "distributed.scheduler";

Key key_of(const Value& value) {
  if (const auto* text = value.get_if<std::string>()) return Key{*text};
  return Key::from_msgpack(wire::encode(value)[0].view());
}

std::vector<Key> keys_of(const Value& list) {
  std::vector<Key> keys;
  keys.reserve(list.as_array().size());
  for (const Value& item : list.as_array()) keys.push_back(key_of(item));
  return keys;
}

Value value_of(const Key& key) {
  if (key.is_text()) return Value{key.text()};
  auto parsed = wire::Message{{wire::Buffer::copy_of(key.msgpack())}}.parse();
  return parsed.ok() ? std::move(parsed).value() : Value{};
}

Value list_of(const std::vector<Key>& keys) {
  Value::Array list;
  list.reserve(keys.size());
  for (const Key& key : keys) list.push_back(value_of(key));
  return list;
}

Value list_of(const std::vector<std::string>& texts) {
  return Value::Array(texts.begin(), texts.end());
}

Seconds heartbeat_interval(std::size_t workers) {
  if (workers <= 10) return 0.5;
  if (workers < 50) return 1;
  if (workers < 200) return 2;
  return static_cast<double>(workers) / 200 + 1;  // At most 200 heartbeats a second in all.
}

namespace {

LoweringOptions one_process(LoweringOptions options) {
  options.processes_max = 1;
  return options;
}

}  // namespace

SchedulerServer::Impl::Impl(comm::EventLoop& event_loop, Options given)
    : loop(event_loop),
      options(std::move(given)),
      machine(options.machine, event_loop.now()),
      server("distributed.scheduler"),
      rpc(event_loop, options.comm),
      lowering(event_loop, options.lowering),
      feeding(event_loop, one_process(options.lowering)),
      server_id(fmt::format("Scheduler-{:x}-{}", static_cast<std::uint64_t>(event_loop.now() * 1e6),
                            ::getpid())),
      started(event_loop.now()) {
  add_stream_handlers();
  add_info_handlers();
  add_task_info_handlers();
  add_data_handlers();
  add_cluster_handlers();
  add_shuffle_handlers();
  add_topic_handlers();
  add_dataset_handlers();
  add_plugin_handlers();
  add_diagnostic_handlers();
  add_profile_handlers();
  lowering.on_packages = [this] { compare_packages(); };
  add_feed_handlers();
  coordination = std::make_unique<Coordination>(*this);
  watching = std::make_unique<Watching>(*this);
}

SchedulerServer::Impl::~Impl() = default;

std::string SchedulerServer::Impl::contact_address() const {
  return listeners.empty() ? std::string{} : listeners.front()->contact_address();
}

Result<Ok> SchedulerServer::Impl::start() {
  for (const auto& address : options.addresses) {
    RASK_TRY(auto listener, comm::listen(loop, address, options.comm, [this](auto connection) {
               if (!closing) server.serve(std::move(connection));
             }));
    listeners.push_back(std::move(listener));
  }
  for (const auto& listener : listeners) {
    log::info(kLogger, "  Scheduler at: {:>26}", listener->contact_address());
  }
  RASK_TRY([[maybe_unused]] const auto http_started, start_http());
  start_preloads();
  if (!options.scheduler_file.empty()) {
    RASK_TRY([[maybe_unused]] auto written, write_scheduler_file());
  }
  arm_timer();
  measure_system();
  return Ok{};
}

// Written beside and renamed, so that a worker that waits for the file never sees half of it.
Result<Ok> SchedulerServer::Impl::write_scheduler_file() const {
  const auto temporary = options.scheduler_file + ".tmp";
  std::ofstream file{temporary};
  file << json_of(identity()) << '\n';
  file.close();
  if (!file || std::rename(temporary.c_str(), options.scheduler_file.c_str()) != 0) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("cannot write the scheduler file {}; does its folder exist?",
                             options.scheduler_file)};
  }
  return Ok{};
}

void SchedulerServer::Impl::arm_timer() {
  if (timer) loop.cancel(*timer);
  timer.reset();
  const auto deadline = machine.next_deadline();
  if (closing || !deadline) return;
  timer = loop.call_later(std::max(0.0, *deadline - loop.now()), [this] {
    timer.reset();
    tick();
  });
}

void SchedulerServer::Impl::tick() {
  with_machine([&](Seconds now, scheduler::Effects& out) { machine.tick(now, out); });
  for (auto& [number, session] : clients) relieve(session);
  for (auto& [number, session] : workers) relieve(session);
  arm_timer();
}

// When all who have asked for something have their answers.
void SchedulerServer::Impl::tick_soon() {
  if (std::exchange(ticks_soon, true)) return;
  loop.post([this, weak = std::weak_ptr{alive}] {
    if (!weak.lock()) return;
    ticks_soon = false;
    if (!closing) tick();
  });
}

void SchedulerServer::Impl::close(const std::string& reason) {
  if (closing) return;
  closing = true;
  log::info(kLogger, "Closing scheduler. Reason: {}", reason);
  if (timer) loop.cancel(*timer);
  timer.reset();
  if (monitor_timer) loop.cancel(*monitor_timer);
  for (auto& [number, session] : workers) {
    session.batch.add(protocol::ToWorker{protocol::CloseWorker{reason}});
    session.close_after = true;
    mark_dirty(session);
    dirty_workers.push_back(number);
  }
  for (auto& [number, session] : clients) {
    // A stock client that is told tries no more to reconnect, and then never says that it failed.
    if (session.connection->peer().dense) {
      session.batch.add(Value::object({{"op", "stream-closed"}}));
    }
    session.close_after = true;
    mark_dirty(session);
    dirty_clients.push_back(number);
  }
  listeners.clear();
  // The sessions are flushed at the end of this turn; the ends of their connections are not waited
  // for longer than a peer needs to read what was sent.
  loop.call_later(0.05, [this, reason] { finish(reason); });
}

void SchedulerServer::Impl::finish(const std::string& reason) {
  if (closed) return;
  closed = true;
  for (auto& [number, session] : std::exchange(workers, {})) session.connection->close();
  for (auto& [number, session] : std::exchange(clients, {})) session.connection->close();
  server.close();
  http_server.reset();
  lowering.close();
  feeding.close();
  if (!options.scheduler_file.empty()) std::remove(options.scheduler_file.c_str());
  if (closed_callback) closed_callback(reason);
}

SchedulerServer::SchedulerServer(comm::EventLoop& loop, Options options)
    : impl_(std::make_unique<Impl>(loop, std::move(options))) {}
SchedulerServer::~SchedulerServer() = default;

Result<Ok> SchedulerServer::start() { return impl_->start(); }
std::string SchedulerServer::address() const { return impl_->contact_address(); }
void SchedulerServer::on_closed(std::function<void(const std::string&)> callback) {
  impl_->closed_callback = std::move(callback);
}
void SchedulerServer::close(const std::string& reason) { impl_->close(reason); }
const scheduler::Scheduler& SchedulerServer::machine() const { return impl_->machine; }

}  // namespace rask::scheduler_server
