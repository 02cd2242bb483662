// What a worker can be asked.
#include <dlfcn.h>

#include <filesystem>

#include "rask/base/log.h"
#include "rask/executor/files.h"
#include "rask/graph/task.h"
#include "rask/protocol/forward_logging.h"
#include "rask/protocol/payloads.h"
#include "rask/worker_server/impl_internal.h"

namespace rask::worker_server {

constexpr std::string_view kLogger = "distributed.worker";

Key key_of(const Value& value) { return Key::from_msgpack(wire::encode(value)[0].view()); }

Value value_of(const Key& key) {
  auto parsed = wire::Message{{wire::Buffer::copy_of(key.msgpack())}}.parse();
  return parsed.ok() ? std::move(parsed).value() : Value{};
}

namespace {

// Writes an uploaded file beside the worker's other files; a library is loaded at once.
Result<Ok> keep_file(const std::string& folder, std::string_view name, std::string_view bytes,
                     bool load) {
  namespace fs = std::filesystem;
  const fs::path path = fs::path{folder.empty() ? "." : folder} / fs::path{name}.filename();
  std::error_code failed;
  fs::create_directories(path.parent_path(), failed);
  fs::remove(path, failed);  // A library that is loaded must not be written over in place.
  RASK_TRY([[maybe_unused]] const auto written, write_file(path, bytes));
  if (load && path.extension() == ".so") {
    if (::dlopen(fs::absolute(path).c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("cannot load {}: {}", path.string(), ::dlerror())};
    }
  }
  return Ok{};
}

}  // namespace

Value WorkerServer::Impl::identity() const {
  return Value::object({{"type", "Worker"},
                        {"id", id},
                        {"scheduler", options.scheduler},
                        {"nthreads", options.machine.nthreads},
                        {"memory_limit", options.memory_limit_bytes},
                        {"name", options.name},
                        {"address", address}});
}

// Values that a client scatters here.
void WorkerServer::Impl::update_data(const Request& request) {
  worker::UpdateData update;
  Value::Map sizes;
  for (const auto& [name, value] : request["data"].as_map()) {
    const Key key = key_of(name);
    auto kept = TaskValue::from_payload(protocol::payload_in(value));
    const auto nbytes = static_cast<std::int64_t>(kept.nbytes());
    data.insert_or_assign(key, std::move(kept));
    update.nbytes.emplace_back(key, nbytes);
    sizes.emplace_back(name, nbytes);
  }
  feed(std::move(update));
  request.reply(Value::object({{"nbytes", std::move(sizes)}, {"status", "OK"}}));
}

void WorkerServer::Impl::add_handlers() {
  server.on("get_data", [this](const Request& r) { get_data(r); });
  server.on("identity", [this](const Request& r) { r.reply(identity()); });
  server.on("echo", [](const Request& r) { r.reply(r["data"]); });
  server.on("ping", [](const Request& r) { r.reply("pong"); });
  server.on("keys", [this](const Request& r) {
    Value::Array keys;
    for (const auto& [key, value] : data) keys.push_back(value_of(key));
    r.reply(std::move(keys));
  });
  server.on("update_data", [this](const Request& r) { update_data(r); });
  server.on("free_keys", [this](const Request& r) {
    protocol::FreeKeys free{.keys = {}, .stimulus_id = std::string{r["stimulus_id"].as_text()}};
    for (const Value& key : r["keys"].as_array()) free.keys.push_back(key_of(key));
    Instructions instructions;
    machine->handle(protocol::ToWorker{std::move(free)}, loop.now(), instructions);
    carry_out(instructions);
    r.reply("OK");
  });
  server.on("upload_file", [this](const Request& r) {
    const auto kept = keep_file(options.local_directory, r["filename"].as_text(),
                                r["data"].as_text(), r["load"].as_bool(true));
    if (!kept.ok()) return r.reply_error(kept.error());
    r.reply(Value::object(
        {{"status", "OK"}, {"nbytes", static_cast<std::int64_t>(r["data"].as_text().size())}}));
  });
  server.on("get_story", [this](const Request& r) {
    std::vector<Key> keys;
    std::vector<std::string> stimuli;
    for (const Value& item : r["keys_or_stimuli"].as_array()) {
      keys.push_back(key_of(item));
      stimuli.emplace_back(item.as_text());
    }
    Value::Array story;
    for (const auto& line : machine->story(keys, stimuli)) {
      story.push_back(Value::Array{value_of(line.key), worker::to_string(line.start),
                                   worker::to_string(line.finish), Value::Map{}, line.stimulus_id,
                                   line.time});
    }
    r.reply(std::move(story));
  });
  server.on("versions", [](const Request& r) {
    r.reply(Value::object({{"host", Value::Map{}}, {"packages", Value::Map{}}}));
  });
  server.on("terminate", [this](const Request& r) {
    r.reply("OK");
    close(std::string{r["reason"].as_text("worker-close")}, r["nanny"].as_bool(true), false);
  });
  server.on("run", [this](const Request& r) { run(r); });
  server.on("actor_execute", [this](const Request& r) { call_actor(r, r["function"].as_text()); });
  server.on("actor_attribute",
            [this](const Request& r) { call_actor(r, r["attribute"].as_text()); });
  server.on("gather", [this](const Request& r) { gather(r); });
  add_profile_handlers();
  add_python_handlers();
}

// What only a Python process has: nothing is there to tell, and what would run Python is refused.
// A plugin is taken without a word to its owner, who means the workers that can run it: an error
// from one worker would undo it on all.
void WorkerServer::Impl::add_python_handlers() {
  server.on("get_logs", [](const Request& r) { r.reply(comm::recent_logs(r)); });
  server.on("get_monitor_info", [](const Request& r) {
    r.reply(Value::object({{"range_query", Value::Map{}}, {"count", 0}, {"last_time", nullptr}}));
  });
  for (const char* op : {"plugin-add", "plugin-remove"}) {
    server.on(op, [this](const Request& r) {
      if (r["name"].as_text().starts_with(protocol::kForwardLoggingPlugin)) {
        set_forwarding(r["name"].as_text(), r["op"].as_text() == "plugin-add");
        return r.reply(Value::object({{"status", "OK"}}));
      }
      log::info(kLogger, "{} '{}': plugins are Python, this worker has none", r["op"].as_text(),
                r["name"].as_text());
      r.reply(Value::object({{"status", "OK"}}));
    });
  }
  for (const char* op : {"benchmark_disk", "benchmark_memory", "benchmark_network"})
    server.on(op, [](const Request& r) { r.reply(Value::Map{}); });
  server.on("run_coroutine", [](const Request& r) {
    r.reply(
        comm::error_reply("TypeError", "run_coroutine: this worker is native and runs no Python"));
  });
}

}  // namespace rask::worker_server
