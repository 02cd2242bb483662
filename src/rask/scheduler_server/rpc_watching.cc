#include <fmt/format.h>

#include "rask/protocol/payloads.h"
#include "rask/scheduler_server/watching_internal.h"

namespace rask::scheduler_server {

// distributed.worker.memory.recent-to-old-time: memory that is there for longer is no mere peak.
constexpr Seconds kRecentToOld = 30;
constexpr Seconds kSampleIntervalMin = 0.001;

Watching::Watching(SchedulerServer::Impl& impl) : impl_(impl) {
  auto& server = impl_.server;
  server.on("subscribe_worker_status", [this](const Request& r) { subscribe_worker_status(r); });
  server.on("memory_sampler_start", [this](const Request& r) { memory_sampler_start(r); });
  server.on("memory_sampler_stop", [this](const Request& r) { memory_sampler_stop(r); });
  server.on("start_task_metadata", [this](const Request& r) {
    collections_.try_emplace(std::string{r["name"].as_text()});
    r.reply(Value{});
  });
  server.on("stop_task_metadata", [this](const Request& r) { stop_task_metadata(r); });
}

Watching::~Watching() {
  for (const auto& [key, sampler] : samplers_) {
    if (sampler.timer) impl_.loop.cancel(*sampler.timer);
  }
}

// ---- Workers that come and go -------------------------------------------------------------------

namespace {

// What changes all the time is not sent to those who only hear of changes.
Value without_readings(const Value& worker) {
  auto fields = worker.as_map();
  std::erase_if(fields, [](const auto& field) {
    return field.first.as_text() == "metrics" || field.first.as_text() == "last_seen";
  });
  return fields;
}

}  // namespace

Value Watching::described(WorkerId worker) const {
  return without_readings(impl_.worker_identity(worker));
}

// The connection stays the asker's: it hears [[op, what], …] behind the answer.
void Watching::subscribe_worker_status(const Request& request) {
  auto identity = impl_.identity();
  Value::Map workers;
  for (const auto& [address, worker] : identity["workers"].as_map()) {
    workers.emplace_back(address, without_readings(worker));
  }
  identity.set("workers", std::move(workers));
  request.reply(identity);
  auto* const raw = request.connection().get();
  managers_[raw] = request.connection();
  impl_.server.when_gone(request.connection(), [this, raw] { managers_.erase(raw); });
}

void Watching::tell(Value event) {
  if (managers_.empty()) return;
  const Value::Array message{std::move(event)};
  for (const auto& [raw, connection] : managers_) connection->send(wire::encode(message));
}

void Watching::worker_added(WorkerId worker) {
  if (managers_.empty()) return;
  Value::Map workers{{impl_.machine.worker(worker).info.address, described(worker)}};
  tell(Value::Array{"add", Value::object({{"workers", std::move(workers)}})});
}

void Watching::worker_removed(const std::string& address) {
  unmanaged_.erase(address);
  tell(Value::Array{"remove", address});
}

// ---- Memory -------------------------------------------------------------------------------------

namespace {

struct Memory {
  std::int64_t process = 0;
  std::int64_t managed = 0;
  std::int64_t spilled = 0;
  std::int64_t unmanaged_old = 0;
};

// Readings come at different times: made to add up.
Memory memory_of(const Session& session, std::int64_t nbytes) {
  const auto& spilled = session.metrics["spilled_bytes"];
  Memory memory;
  memory.process = session.metrics["memory"].as_int();
  memory.managed = std::clamp(nbytes - spilled["memory"].as_int(), std::int64_t{0},
                              std::max(memory.process, std::int64_t{0}));
  memory.spilled = spilled["disk"].as_int();
  return memory;
}

std::optional<std::int64_t> read_measure(const Memory& memory, std::string_view measure) {
  const auto unmanaged = memory.process - memory.managed;
  const auto old = std::min(memory.unmanaged_old, unmanaged);
  if (measure == "process") return memory.process;
  if (measure == "managed") return memory.managed;
  if (measure == "spilled") return memory.spilled;
  if (measure == "managed_total") return memory.managed + memory.spilled;
  if (measure == "unmanaged") return unmanaged;
  if (measure == "unmanaged_old") return old;
  if (measure == "unmanaged_recent") return unmanaged - old;
  if (measure == "optimistic") return memory.managed + old;
  return std::nullopt;
}

}  // namespace

void Watching::heartbeat(WorkerId worker, const Session& session) {
  auto& history = unmanaged_[session.name];
  const auto now = impl_.loop.now();
  while (!history.empty() && history.front().first < now - kRecentToOld) history.pop_front();
  const auto memory = memory_of(session, impl_.machine.worker(worker).nbytes);
  history.emplace_back(now, memory.process - memory.managed);
}

std::int64_t Watching::measured(std::string_view measure) const {
  Memory sum;
  for (const auto id : impl_.machine.workers()) {
    const auto* session = impl_.session_of(id);
    if (session == nullptr) continue;
    const auto memory = memory_of(*session, impl_.machine.worker(id).nbytes);
    sum.process += memory.process;
    sum.managed += memory.managed;
    sum.spilled += memory.spilled;
    const auto history = unmanaged_.find(session->name);
    if (history == unmanaged_.end() || history->second.empty()) continue;
    sum.unmanaged_old += std::ranges::min(history->second, {}, [](const auto& entry) {
                           return entry.second;
                         }).second;
  }
  return read_measure(sum, measure).value_or(0);
}

void Watching::memory_sampler_start(const Request& request) {
  const std::string measure{request["measure"].as_text()};
  const auto interval = request["interval"].as_real(0);
  if (!read_measure({}, measure)) {
    return request.reply(comm::error_reply(
        "AttributeError", fmt::format("'MemoryState' object has no attribute '{}'", measure)));
  }
  if (!(interval > 0)) {
    return request.reply_error(
        {ErrorCode::invalid_argument, "interval must be a positive number of seconds"});
  }
  const auto key = fmt::format("{}-{}", impl_.server_id, ++last_sampler_);
  samplers_.emplace(key, Sampler{std::string{request["client"].as_text()}, measure,
                                 std::max(interval, kSampleIntervalMin)});
  sample(key);
  request.reply(key);
}

void Watching::sample(const std::string& key) {
  const auto found = samplers_.find(key);
  if (found == samplers_.end()) return;
  auto& sampler = found->second;
  sampler.timer.reset();
  // Whoever will not fetch them any more needs no further ones, nor those that are there.
  if (!impl_.client_named(sampler.client)) {
    samplers_.erase(found);
    return;
  }
  sampler.samples.push_back(Value::Array{impl_.loop.now(), measured(sampler.measure)});
  sampler.timer = impl_.loop.call_later(sampler.interval, [this, key] { sample(key); });
}

void Watching::memory_sampler_stop(const Request& request) {
  const auto node = samplers_.extract(std::string{request["key"].as_text()});
  if (node.empty()) {
    return request.reply(comm::error_reply("KeyError", request["key"].as_text()));
  }
  if (node.mapped().timer) impl_.loop.cancel(*node.mapped().timer);
  request.reply(node.mapped().samples);
}

// ---- What becomes of tasks ----------------------------------------------------------------------

void Watching::keys_wanted(const std::vector<Key>& keys) {
  for (const Key& key : keys) {
    const auto state = impl_.machine.task_state(key);
    const bool done = state == scheduler::TaskState::memory || state == scheduler::TaskState::erred;
    if (done) continue;
    for (auto& [name, collection] : collections_) collection.open.insert(key);
  }
}

void Watching::task_finished(const protocol::TaskFinished& message) {
  const auto metadata = protocol::tree(message.metadata);
  for (auto& [name, collection] : collections_) {
    if (!collection.open.contains(message.key)) continue;
    if (metadata.ok()) collection.metadata.insert_or_assign(message.key, metadata.value());
  }
}

// A task that somebody wants is done when he is told.
void Watching::told_client(const protocol::ToClient& message) {
  if (const auto* done = std::get_if<protocol::KeyInMemory>(&message)) {
    task_done(done->key, "memory");
  } else if (const auto* failed = std::get_if<protocol::TaskErredForClient>(&message)) {
    task_done(failed->key, "erred");
  }
}

void Watching::task_done(const Key& key, const char* state) {
  for (auto& [name, collection] : collections_) {
    if (collection.open.erase(key) == 0) continue;
    auto node = collection.metadata.extract(key);
    const bool any = !node.empty() && !node.mapped().is_nil();
    collection.found_metadata.emplace_back(value_of(key),
                                           any ? node.mapped() : Value{Value::Map{}});
    collection.found_state.emplace_back(value_of(key), state);
  }
}

void Watching::stop_task_metadata(const Request& request) {
  const std::string name{request["name"].as_text()};
  auto node = collections_.extract(name);
  if (node.empty()) {
    return request.reply_error(
        {ErrorCode::invalid_argument,
         fmt::format("Expected to find exactly one collection of task metadata with name {} but "
                     "found 0.",
                     name)});
  }
  request.reply(Value::object({{"metadata", std::move(node.mapped().found_metadata)},
                               {"state", std::move(node.mapped().found_state)}}));
}

}  // namespace rask::scheduler_server
