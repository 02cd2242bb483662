// Questions that the machine's state answers.
#include <fmt/format.h>

#include <algorithm>

#include "rask/base/log.h"
#include "rask/protocol/payloads.h"
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {
namespace {

Value resources_value(const protocol::Resources& resources) {
  Value::Map map;
  for (const auto& [name, amount] : resources) map.emplace_back(name, amount);
  return map;
}

// {"worker": f(worker)} for each of them.
template <class Function>
Value by_worker(const scheduler::Scheduler& machine, const std::vector<WorkerId>& workers,
                Function&& function) {
  Value::Map map;
  for (const auto id : workers) {
    const auto view = machine.worker(id);
    map.emplace_back(view.info.address, function(id, view));
  }
  return map;
}

Value story_value(const std::vector<scheduler::Scheduler::StoryLine>& lines) {
  Value::Array story;
  for (const auto& line : lines) {
    story.push_back(Value::Array{value_of(line.key), scheduler::to_string(line.start),
                                 scheduler::to_string(line.finish), Value::Map{}, line.stimulus_id,
                                 line.time});
  }
  return story;
}

}  // namespace

Value SchedulerServer::Impl::worker_identity(WorkerId worker) const {
  const auto view = machine.worker(worker);
  const auto found = workers.find(static_cast<std::uint32_t>(worker));
  const Value none;
  const Value& metrics = found == workers.end() ? none : found->second.metrics;
  const Value& given = found == workers.end() ? none : found->second.info;
  // A cluster may name its workers by numbers.
  const Value name = given["name"].is_nil() ? Value{view.info.name} : given["name"];
  const auto address = comm::parse_tcp_address(view.info.address);
  return Value::object({{"type", "Worker"},
                        {"id", name},
                        {"host", address.ok() ? Value{address.value().host} : Value{}},
                        {"resources", resources_value(view.info.resources)},
                        {"local_directory", view.info.local_directory},
                        {"name", name},
                        {"nthreads", view.info.nthreads},
                        {"memory_limit", view.info.memory_limit_bytes},
                        {"last_seen", view.last_seen},
                        {"services", given["services"]},
                        {"metrics", metrics},
                        {"status", protocol::to_string(view.status)},
                        {"nanny", view.info.nanny.empty() ? Value{} : Value{view.info.nanny}}});
}

Value SchedulerServer::Impl::identity(std::int64_t workers_max) const {
  Value::Map services;
  if (http_server) services.emplace_back("dashboard", http_server->port());
  Value::Map all;
  std::int64_t count = 0;
  std::int64_t threads = 0;
  std::uint64_t memory = 0;
  for (const auto id : machine.workers()) {
    const auto view = machine.worker(id);
    threads += view.info.nthreads;
    memory += view.info.memory_limit_bytes;
    ++count;
    if (workers_max < 0 || count <= workers_max)
      all.emplace_back(view.info.address, worker_identity(id));
  }
  return Value::object({{"type", "Scheduler"},
                        {"id", server_id},
                        {"address", contact_address()},
                        {"services", std::move(services)},
                        {"started", started},
                        {"n_workers", count},
                        {"total_threads", threads},
                        {"total_memory", memory},
                        {"workers", std::move(all)}});
}

// All of them come in the order of their addresses, as in Dask.    source: Scheduler.workers
std::vector<WorkerId> SchedulerServer::Impl::workers_named(const Value& list) const {
  std::vector<WorkerId> found;
  if (list.is_nil()) {
    found = machine.workers();
    const auto address = [this](WorkerId id) -> const std::string& {
      return workers.at(static_cast<std::uint32_t>(id)).name;
    };
    std::ranges::sort(found, {}, address);
    return found;
  }
  for (const Value& item : list.as_array()) {
    const std::string name = item.get_if<std::int64_t>() != nullptr ? std::to_string(item.as_int())
                                                                    : std::string{item.as_text()};
    auto worker = machine.find_worker(name);
    if (!worker) worker = machine.find_worker(comm::normalize_address(name));
    if (worker) found.push_back(*worker);
  }
  return found;
}

std::optional<ClientId> SchedulerServer::Impl::client_named(std::string_view name) const {
  for (const auto& [number, session] : clients) {
    if (session.name == name) return static_cast<ClientId>(number);
  }
  return std::nullopt;
}

void SchedulerServer::Impl::add_task_info_handlers() {
  on_question("who_has", [this](const Request& r) {
    Value::Map map;
    for (const Key& key : r["keys"].is_nil() ? machine.keys() : keys_of(r["keys"])) {
      const auto task = machine.task(key);
      map.emplace_back(value_of(key), task ? list_of(task->who_has) : Value{Value::Array{}});
    }
    return Value{std::move(map)};
  });
  on_question("nbytes", [this](const Request& r) {
    Value::Map map;
    std::map<std::string, std::int64_t> by_prefix;
    for (const Key& key : r["keys"].is_nil() ? machine.keys() : keys_of(r["keys"])) {
      const auto task = machine.task(key);
      if (!task || task->nbytes < 0) continue;
      if (r["summary"].as_bool())
        by_prefix[task->prefix] += task->nbytes;
      else
        map.emplace_back(value_of(key), task->nbytes);
    }
    for (const auto& [prefix, bytes] : by_prefix) map.emplace_back(prefix, bytes);
    return Value{std::move(map)};
  });
  on_question("get_task_status", [this](const Request& r) {
    Value::Map map;
    for (const Key& key : keys_of(r["keys"])) {
      const auto task = machine.task(key);
      map.emplace_back(value_of(key),
                       task ? Value{scheduler::to_string(task->state)} : Value{nullptr});
    }
    return Value{std::move(map)};
  });
  on_question("get_task_prefix_states", [this](const Request&) {
    Value::Map map;
    for (const auto& [prefix, states] : machine.prefix_states()) {
      Value::Map counts;
      for (const auto& [state, count] : states) {
        counts.emplace_back(scheduler::to_string(state), static_cast<std::int64_t>(count));
      }
      map.emplace_back(prefix, std::move(counts));
    }
    return Value{std::move(map)};
  });
  on_question("get_error_cause", [this](const Request& r) {
    for (const Key& key : keys_of(r["keys"])) {
      const auto task = machine.task(key);
      if (task && !task->exception_blame.empty()) return value_of(task->exception_blame);
    }
    return Value{};
  });
  on_question("get_runspec", [this](const Request& r) {
    const auto task = machine.task(key_of(r["key"]));
    if (!task) return comm::error_reply("KeyError", key_of(r["key"]).str());
    const auto run_spec = protocol::tree(*task->run_spec);
    return run_spec.ok() ? run_spec.value() : Value{};
  });
  on_question("get_story", [this](const Request& r) {
    std::vector<std::string> stimuli;
    for (const Value& item : r["keys_or_stimuli"].as_array()) stimuli.emplace_back(item.as_text());
    return story_value(machine.story(keys_of(r["keys_or_stimuli"]), stimuli));
  });
}

void SchedulerServer::Impl::add_info_handlers() {
  on_question("identity", [this](const Request& r) { return identity(r["n_workers"].as_int(-1)); });
  on_question("echo", [](const Request& r) { return r["data"]; });
  on_question("ping", [](const Request&) { return Value{"pong"}; });
  on_question("ncores", [this](const Request& r) {
    return by_worker(machine, workers_named(r["workers"]),
                     [](WorkerId, const auto& view) { return Value{view.info.nthreads}; });
  });
  on_question("ncores_running", [this](const Request& r) {
    auto which = workers_named(r["workers"]);
    std::erase_if(which, [this](WorkerId id) {
      return machine.worker(id).status != protocol::WorkerStatus::running;
    });
    return by_worker(machine, which,
                     [](WorkerId, const auto& view) { return Value{view.info.nthreads}; });
  });
  on_question("has_what", [this](const Request& r) {
    auto found = by_worker(machine, workers_named(r["workers"]), [this](WorkerId id, const auto&) {
      return list_of(machine.has_what(id));
    });
    for (const Value& asked : r["workers"].as_array()) {  // Who is gone has nothing.
      if (found[asked.as_text()].is_nil()) found.set(asked.as_text(), Value::Array{});
    }
    return found;
  });
  on_question("processing", [this](const Request& r) {
    return by_worker(machine, workers_named(r["workers"]),
                     [this](WorkerId id, const auto&) { return list_of(machine.processing(id)); });
  });
  on_question("adaptive_target", [this](const Request& r) {
    return Value{machine.adaptive_target(r["target_duration"].as_real(5))};
  });
  on_question("workers_to_close", [this](const Request& r) {
    int count = -1;  // As many as there is no use for.
    if (!r["n"].is_nil()) {
      count = std::max(0, static_cast<int>(r["n"].as_int()));
    } else if (!r["target"].is_nil()) {
      const auto there = static_cast<int>(machine.workers().size());
      count = std::max(0, there - static_cast<int>(r["target"].as_int()));
    }
    const bool by_name = r["attribute"].as_text() == "name";
    std::vector<std::string> found;
    for (const auto id : machine.workers_to_close(count)) {
      const auto& info = machine.worker(id).info;
      found.push_back(by_name ? info.name : info.address);
    }
    return list_of(found);
  });
  on_question("check_idle", [this](const Request&) {
    const auto since = machine.idle_since();
    return since ? Value{*since} : Value{};
  });
}

}  // namespace rask::scheduler_server
