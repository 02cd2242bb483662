// What tells of a run afterwards: task stream, logs, versions, dumps of the state.
#include <fmt/format.h>

#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {

// The mean of what the workers measure. Source: Scheduler.benchmark_hardware.
void SchedulerServer::Impl::benchmark_hardware(const Request& request) {
  struct Benchmark {
    std::map<std::string, std::map<std::string, std::pair<double, int>>> sums;
    int open = 0;
  };
  auto state = std::make_shared<Benchmark>();
  const auto take = [request, state](const char* what, const Result<Value::Map>& replies) {
    for (const auto& [worker, measured] : replies.ok() ? replies.value() : Value::Map{}) {
      for (const auto& [size, duration] : measured.as_map()) {
        auto& [sum, count] = state->sums[what][std::string{size.as_text()}];
        sum += duration.as_real();
        ++count;
      }
    }
    if (--state->open > 0) return;
    Value answer = Value::object(
        {{"disk", Value::Map{}}, {"memory", Value::Map{}}, {"network", Value::Map{}}});
    for (const auto& [mode, by_size] : state->sums) {
      Value means = Value::Map{};
      for (const auto& [size, sum] : by_size) means.set(size, sum.first / sum.second);
      answer.set(mode, means);
    }
    request.reply(answer);
  };
  const auto all = targets(python_workers(), false);
  state->open = 2 + static_cast<int>(all.size() / 2);
  broadcast(all, Value::object({{"op", "benchmark_disk"}}), "ignore",
            [take](const auto& replies) { take("disk", replies); });
  broadcast(all, Value::object({{"op", "benchmark_memory"}}), "ignore",
            [take](const auto& replies) { take("memory", replies); });
  for (std::size_t i = 0; i + 1 < all.size(); i += 2) {
    broadcast({all[i]},
              Value::object({{"op", "benchmark_network"}, {"address", all[i + 1].address}}),
              "ignore", [take](const auto& replies) { take("network", replies); });
  }
}

// ---- dumps --------------------------------------------------------------------------------------

Value SchedulerServer::Impl::task_for_dump(const Key& key) const {
  const auto task = machine.task(key);
  if (!task) return {};
  const auto texts = [](const std::vector<Key>& keys) {
    Value::Array list;
    for (const Key& other : keys) list.emplace_back(other.str());
    return list;
  };
  return Value::object({{"key", value_of(key)},
                        {"state", scheduler::to_string(task->state)},
                        {"prefix", task->prefix},
                        {"nbytes", task->nbytes},
                        {"type", task->typename_},
                        {"who_has", list_of(task->who_has)},
                        {"processing_on", task->processing_on},
                        {"dependencies", texts(task->dependencies)},
                        {"dependents", texts(task->dependents)},
                        {"exception_text", task->exception_text},
                        {"traceback_text", task->traceback_text},
                        {"retries", task->retries},
                        {"suspicious", task->suspicious}});
}

Value SchedulerServer::Impl::state_for_dump(
    const std::set<std::string, std::less<>>& without) const {
  Value dump = identity();
  const auto add = [&](const char* name, auto&& make) {
    if (!without.contains(name)) dump.set(name, make());
  };
  add("transition_log", [this] {
    Value::Array log;
    for (const auto& line : machine.story(machine.keys(), {})) {
      log.push_back(Value::Array{value_of(line.key), scheduler::to_string(line.start),
                                 scheduler::to_string(line.finish), Value::Map{}, line.stimulus_id,
                                 line.time});
    }
    return Value{std::move(log)};
  });
  add("tasks", [this] {
    Value::Map tasks;
    for (const Key& key : machine.keys()) tasks.emplace_back(key.str(), task_for_dump(key));
    return Value{std::move(tasks)};
  });
  add("task_groups", [] { return Value{Value::Map{}}; });
  add("clients", [this] {
    Value::Map all;
    for (const auto& [number, session] : clients) {
      all.emplace_back(session.name, Value::object({{"client_key", session.name}}));
    }
    return Value{std::move(all)};
  });
  add("events", [this] {
    Value::Map all;
    for (const auto& [name, topic] : topics) {
      Value::Array list;
      for (const auto& [time, event] : topic.events) {
        list.emplace_back(Value::Array{time, wire::to_string(event)});
      }
      all.emplace_back(name, std::move(list));
    }
    return Value{std::move(all)};
  });
  add("extensions", [] { return Value{Value::Map{}}; });
  return dump;
}

void SchedulerServer::Impl::cluster_state(const Request& request,
                                          std::function<void(Result<Value>)> done) {
  std::set<std::string, std::less<>> without;
  for (const Value& name : request["exclude"].as_array()) without.emplace(name.as_text());
  const auto all = targets(machine.workers(), false);
  auto whole = std::make_shared<Value>(Value::object({{"scheduler", state_for_dump(without)}}));
  const auto take_versions = [whole, done](Result<Value::Map> versions) {
    if (!versions.ok()) return done(versions.error());
    whole->set("versions", Value::object({{"scheduler", Value::object({{"rask", RASK_VERSION}})},
                                          {"workers", std::move(versions).value()}}));
    done(std::move(*whole));
  };
  broadcast(all, Value::object({{"op", "dump_state"}, {"exclude", request["exclude"]}}), "return",
            [this, all, whole, done, take_versions](Result<Value::Map> states) {
              if (!states.ok()) return done(states.error());
              whole->set("workers", std::move(states).value());
              broadcast(all, Value::object({{"op", "versions"}}), "ignore", take_versions);
            });
}

// {prefix: [all, done, erred]} of tasks and all that they need; for rask's own clients.
Value SchedulerServer::Impl::progress(const std::vector<Key>& keys) const {
  const auto number = [](std::size_t count) { return static_cast<std::int64_t>(count); };
  Value::Map counts;
  for (const auto& [prefix, count] : machine.progress(keys))
    counts.emplace_back(prefix,
                        Value::Array{number(count.all), number(count.done), number(count.erred)});
  return counts;
}

void SchedulerServer::Impl::add_diagnostic_handlers() {
  on_question("progress", [this](const Request& r) { return progress(keys_of(r["keys"])); });
  on_question("get_task_stream",
              [this](const Request& r) { return task_stream.collect(r.fields(), loop.now()); });
  on_question("get_task_stream_index", [this](const Request&) { return task_stream.index(); });
  on_question("get_logs", [](const Request& r) { return comm::recent_logs(r); });
  on_question("logs", [](const Request& r) { return comm::recent_logs(r); });
  server.on("worker_logs", [this](const Request& r) {
    reply_broadcast(r, targets(workers_named(r["workers"]), r["nanny"].as_bool()),
                    Value::object({{"op", "get_logs"}, {"n", r["n"]}}), "raise");
  });
  server.on("benchmark_hardware", [this](const Request& r) { benchmark_hardware(r); });
  // The versions that matter are those of the Python that lowers graphs.
  server.on("versions", [this](const Request& r) {
    lowering.ask("versions", r.fields(), [r](Lowering::Answer&& answer) {
      if (answer.failure.is_nil()) return r.reply(answer.fields);
      r.reply(Value::object(
          {{"host", Value::Map{}}, {"packages", Value::object({{"rask", RASK_VERSION}})}}));
    });
  });
  server.on("get_cluster_state", [this](const Request& r) {
    cluster_state(r, [r](Result<Value> state) {
      if (state.ok())
        r.reply(state.value());
      else
        r.reply_error(state.error());
    });
  });
  server.on("dump_cluster_state_to_url", [this](const Request& r) {
    cluster_state(r, [this, r](Result<Value> state) {
      if (!state.ok()) return r.reply_error(state.error());
      Value storage = Value::Map{};
      for (const auto& [name, value] : r.fields().as_map()) {
        static const std::set<std::string, std::less<>> kOwn{"op", "reply", "url", "exclude",
                                                             "format"};
        if (!kOwn.contains(name.as_text())) storage.set(name.as_text(), value);
      }
      lowering.ask("write_state",
                   Value::object({{"state", std::move(state).value()},
                                  {"url", r["url"]},
                                  {"format", r["format"]},
                                  {"storage_options", storage}}),
                   [r](Lowering::Answer&& answer) {
                     if (answer.failure.is_nil()) return r.reply(Value{});
                     answer.failure.set("status", "uncaught-error");
                     r.reply(answer.failure);
                   });
    });
  });
  server.on("performance_report", [this](const Request& r) { performance_report(r); });
}

}  // namespace rask::scheduler_server
