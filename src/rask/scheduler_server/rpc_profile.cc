// Where tasks spend their time and where they are: what workers have sampled, put together.
#include <unordered_set>

#include "rask/diagnostics/profile.h"
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {

constexpr Seconds kStackTimeout = 5;

// source: Scheduler.get_profile
void SchedulerServer::Impl::profile(const Request& request) {
  // What the loop's thread does is not sampled.
  if (request["scheduler"].as_bool()) return request.reply(profile_value({}));
  auto message = Value::object({{"op", "profile"},
                                {"start", request["start"]},
                                {"stop", request["stop"]},
                                {"key", request["key"]},
                                {"server", request["server"].as_bool()}});
  const bool merged = request["merge_workers"].as_bool(true);
  broadcast(targets(workers_named(request["workers"]), false), std::move(message), "ignore",
            [request, merged](Result<Value::Map> replies) {
              if (!replies.ok()) return request.reply_error(replies.error());
              std::erase_if(replies.value(), [](const auto& entry) {
                return entry.second["identifier"].is_nil();  // One that has no profile.
              });
              if (!merged) return request.reply(std::move(replies).value());
              ProfileNode whole;
              for (const auto& [worker, tree] : replies.value())
                merge_profile(whole, parse_profile(tree));
              request.reply(profile_value(whole));
            });
}

// The tasks that run for these keys, by worker: of one that waits, those that it waits for. What is
// not known runs nowhere: a request may come before the graph that it asks about.
std::map<std::string, Value::Array> SchedulerServer::Impl::running_for(
    std::vector<Key> keys) const {
  std::map<std::string, Value::Array> running;
  std::unordered_set<Key> seen;
  while (!keys.empty()) {
    const Key key = std::move(keys.back());
    keys.pop_back();
    if (!seen.insert(key).second) continue;
    const auto task = machine.task(key);
    if (!task) continue;
    if (task->state == scheduler::TaskState::waiting)
      keys.insert(keys.end(), task->dependencies.begin(), task->dependencies.end());
    if (task->state == scheduler::TaskState::processing && !task->processing_on.empty())
      running[task->processing_on].push_back(value_of(key));
  }
  return running;
}

// {worker: {key: lines of its stack}}, of workers that run any.    source: Scheduler.get_call_stack
void SchedulerServer::Impl::call_stack(const Request& request) {
  std::map<std::string, Value> questions;  // By worker: its keys, or nil for all.
  if (request["keys"].is_nil()) {
    for (const auto id : machine.workers()) questions[machine.worker(id).info.address] = {};
  } else {
    for (auto& [address, keys] : running_for(keys_of(request["keys"])))
      questions[address] = std::move(keys);
  }
  if (questions.empty()) return request.reply(Value::Map{});
  auto answer = std::make_shared<Value::Map>();
  auto open = std::make_shared<std::size_t>(questions.size());
  for (auto& [address, keys] : questions) {
    call(address, Value::object({{"op", "call_stack"}, {"keys", std::move(keys)}, {"reply", true}}),
         kStackTimeout, [request, answer, open, address](const Result<Value>& reply) {
           if (reply.ok() && !reply.value().as_map().empty())
             answer->emplace_back(address, reply.value());
           if (--*open == 0) request.reply(std::move(*answer));
         });
  }
}

void SchedulerServer::Impl::add_profile_handlers() {
  server.on("profile", [this](const Request& r) { profile(r); });
  server.on("call_stack", [this](const Request& r) { call_stack(r); });
}

}  // namespace rask::scheduler_server
