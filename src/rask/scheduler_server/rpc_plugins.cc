// Plugins: pickles that go to workers and nannies as they came, and Python that means the scheduler
// itself, which the lowering process runs as far as that is possible.
#include "rask/base/log.h"
#include "rask/protocol/forward_logging.h"
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {

constexpr std::string_view kLogger = "distributed.scheduler";

namespace {

// Every stock scheduler gives its workers this one: an object without state.
constexpr std::string_view kShufflePlugin =
    "\x80\x04"
    "cdistributed.shuffle._worker_plugin\nShuffleWorkerPlugin\n"
    ")\x81.";

// As what a handler raises, and not what it returns.
Value uncaught(Value failure) {
  failure.set("status", "uncaught-error");
  return failure;
}

bool has(const Value& map, std::string_view name) {
  return std::ranges::any_of(map.as_map(),
                             [&](const auto& entry) { return entry.first.as_text() == name; });
}

void remove(Value& map, std::string_view name) {
  std::erase_if(*map.get_if<Value::Map>(),
                [&](const auto& entry) { return entry.first.as_text() == name; });
}

}  // namespace

std::vector<WorkerId> SchedulerServer::Impl::python_workers() const {
  auto which = machine.workers();
  std::erase_if(which, [this](WorkerId id) { return !machine.worker(id).info.runs_python; });
  return which;
}

// Native workers forward logging without any Python.
std::vector<WorkerId> SchedulerServer::Impl::workers_of_plugin(std::string_view name) const {
  return name.starts_with(protocol::kForwardLoggingPlugin) ? machine.workers() : python_workers();
}

Value SchedulerServer::Impl::plugins_of(bool runs_python) const {
  if (runs_python) return worker_plugins;
  Value::Map native;
  for (const auto& [name, plugin] : worker_plugins.as_map())
    if (name.as_text().starts_with(protocol::kForwardLoggingPlugin))
      native.emplace_back(name, plugin);
  return native;
}

void SchedulerServer::Impl::register_plugin(const Request& request) {
  const std::string name{request["name"].as_text()};
  log::info(kLogger, "Registering Worker plugin {}", name);
  if (has(worker_plugins, name) && request["idempotent"].as_bool()) {
    return request.reply(Value::Map{});
  }
  worker_plugins.set(name, request["plugin"]);
  reply_broadcast(
      request, targets(workers_of_plugin(name), false),
      Value::object({{"op", "plugin-add"}, {"plugin", request["plugin"]}, {"name", name}}),
      "raise");
}

// Those that are still starting their worker have been given the plugins that there were before.
void SchedulerServer::Impl::register_nanny_plugin(const Request& request) {
  const std::string name{request["name"].as_text()};
  log::info(kLogger, "Registering Nanny plugin {}", name);
  if (has(nanny_plugins, name) && request["idempotent"].as_bool()) {
    return request.reply(Value::Map{});
  }
  nanny_plugins.set(name, request["plugin"]);
  auto tell = [this, request, name] {
    reply_broadcast(
        request, targets(python_workers(), true),
        Value::object({{"op", "plugin_add"}, {"plugin", request["plugin"]}, {"name", name}}),
        "raise");
  };
  if (starting_nannies.empty()) return tell();
  waiting_for_nannies.push_back(std::move(tell));
}

void SchedulerServer::Impl::nanny_started(const comm::Connection* connection) {
  starting_nannies.erase(connection);
  if (!starting_nannies.empty() || closing) return;
  for (const auto& tell : std::exchange(waiting_for_nannies, {})) tell();
}

void SchedulerServer::Impl::register_scheduler_plugin(const Request& request) {
  const std::string name{request["name"].as_text()};
  if (!name.empty() && scheduler_plugins.contains(name) && request["idempotent"].as_bool()) {
    return request.reply(Value{});
  }
  lowering.ask_each("register_scheduler_plugin", request.fields(),
                    [this, request, name](Lowering::Answer&& answer) {
                      if (!answer.failure.is_nil()) return request.reply(uncaught(answer.failure));
                      scheduler_plugins.insert(name);
                      carry_out(request, answer.fields["then"].as_array());
                    });
}

// What a plugin asked of the scheduler when it started, one after the other; then the answer.
void SchedulerServer::Impl::carry_out(const Request& request, Value::Array operations) {
  if (operations.empty()) return request.reply(Value{});
  auto operation = operations.front();
  operations.erase(operations.begin());
  operation.set("reply", true);
  rpc.call(contact_address(), wire::encode(operation), 0,
           [this, request, operations](Result<wire::Message> reply) {
             if (!reply.ok()) return request.reply_error(reply.error());
             const auto tree = reply.value().parse();
             if (!tree.ok()) return request.reply_error(tree.error());
             for (const auto& [worker, outcome] : tree.value().as_map()) {
               if (outcome["status"].as_text() == "error") return request.reply(uncaught(outcome));
             }
             carry_out(request, operations);
           });
}

void SchedulerServer::Impl::run_function(const Request& request) {
  lowering.ask("run_function", request.fields(), [request](Lowering::Answer&& answer) {
    request.reply(answer.failure.is_nil() ? answer.fields : answer.failure);
  });
}

// Modules that a stock scheduler would load into itself.
void SchedulerServer::Impl::start_preloads() {
  if (options.preload.empty() && !options.preload_from_config) return;
  lowering.ask_each(
      "preload",
      Value::object(
          {{"preload", list_of(options.preload)}, {"preload_argv", list_of(options.preload_argv)}}),
      [](Lowering::Answer&& answer) {
        if (!answer.failure.is_nil())
          log::error(kLogger, "preload: {}", answer.failure["exception_text"].as_text());
      });
}

void SchedulerServer::Impl::add_plugin_handlers() {
  worker_plugins.set("shuffle", Value::Binary{std::string{kShufflePlugin}});
  server.on("register_worker_plugin", [this](const Request& r) { register_plugin(r); });
  server.on("register_nanny_plugin", [this](const Request& r) { register_nanny_plugin(r); });
  server.on("register_scheduler_plugin",
            [this](const Request& r) { register_scheduler_plugin(r); });
  server.on("run_function", [this](const Request& r) { run_function(r); });
  const auto unregister_from = [this](const Request& r, Value& plugins, const char* kind,
                                      const char* op, bool nannies) {
    const std::string name{r["name"].as_text()};
    if (!has(plugins, name)) {
      return r.reply(comm::error_reply("ValueError",
                                       fmt::format("The {} plugin {} does not exist", kind, name)));
    }
    remove(plugins, name);
    reply_broadcast(r, targets(nannies ? python_workers() : workers_of_plugin(name), nannies),
                    Value::object({{"op", op}, {"name", name}}), "raise");
  };
  server.on("unregister_worker_plugin", [this, unregister_from](const Request& r) {
    unregister_from(r, worker_plugins, "worker", "plugin-remove", false);
  });
  server.on("unregister_nanny_plugin", [this, unregister_from](const Request& r) {
    unregister_from(r, nanny_plugins, "nanny", "plugin_remove", true);
  });
  server.on("unregister_scheduler_plugin", [this](const Request& r) {
    const std::string name{r["name"].as_text()};
    if (scheduler_plugins.erase(name) > 0) return r.reply(Value{});
    r.reply(comm::error_reply(
        "ValueError", fmt::format("Could not find plugin '{}' among the current plugins", name)));
  });
}

}  // namespace rask::scheduler_server
