// Python code that a stock scheduler would run in itself, in the side process: what it asks, and
// functions that a client wants called again and again (Dask's op "feed": progress bars).
// source: distributed/scheduler.py, Scheduler.feed
#include <algorithm>
#include <set>

#include "rask/base/units.h"
#include "rask/scheduler_server/impl_internal.h"

namespace rask::scheduler_server {
namespace {

constexpr Seconds kIntervalMin = 0.001;
constexpr double kPauseByCost = 4;  // A feed that takes long comes less often than it asks for.

Seconds interval_of(const Value& given) {
  if (given.get_if<std::string>() == nullptr) return given.as_real(1);
  const auto parsed = parse_timedelta(std::string{given.as_text()});
  return parsed.ok() ? parsed.value() : 1;
}

}  // namespace

void SchedulerServer::Impl::add_feed_handlers() {
  server.on("feed", [this](const Request& r) { start_feed(r); });
  for (auto* side : {&lowering, &feeding}) {
    side->on_question = [this](const Value& request, const Lowering::Reply& reply) {
      answer_question(request, reply);
    };
  }
}

// As Dask's RPC answers, and some questions more.
void SchedulerServer::Impl::answer_question(const Value& request, const Lowering::Reply& reply) {
  if (request["op"].as_text() == "task-states") {
    return reply(task_states(keys_of(request["keys"]), request["recursive"].as_bool()));
  }
  if (request["op"].as_text() == "monitor-count") return reply(monitor.count());
  if (request["op"].as_text() == "spans") return reply(spans());
  Value message = request;
  message.set("reply", true);
  rpc.call(contact_address(), wire::encode(message), 0, [reply](Result<wire::Message> answer) {
    const auto tree = answer.ok() ? answer.value().parse() : Result<Value>{answer.error()};
    reply(tree.ok() ? tree.value() : comm::error_reply("OSError", tree.error().message));
  });
}

// {key: [state, dependencies, dependents, who_has, nbytes, type, exception]}
Value SchedulerServer::Impl::task_states(const std::vector<Key>& keys, bool recursive) const {
  Value::Map found;
  std::set<Key> seen;
  auto stack = keys;
  while (!stack.empty()) {
    const Key key = std::move(stack.back());
    stack.pop_back();
    const auto task = machine.task(key);
    if (!task || !seen.insert(key).second) continue;
    const Value exception = task->exception == nullptr ? Value{} : Value{*task->exception};
    found.emplace_back(value_of(key),
                       Value::Array{scheduler::to_string(task->state), list_of(task->dependencies),
                                    list_of(task->dependents), list_of(task->who_has), task->nbytes,
                                    task->typename_, exception});
    if (recursive) stack.insert(stack.end(), task->dependencies.begin(), task->dependencies.end());
  }
  return found;
}

void SchedulerServer::Impl::start_feed(const Request& request) {
  const auto id = ++last_feed;
  const auto connection = request.connection();
  server.hand_over(connection);
  feeds[id] = {.connection = connection,
               .interval = std::max(kIntervalMin, interval_of(request["interval"]))};
  connection->start([](wire::Message&&) {}, [this, id](const Error&) { end_feed(id); });
  Value fields = request.fields();
  fields.set("id", static_cast<std::int64_t>(id));
  ask_feed(id, "feed_start", fields);
}

void SchedulerServer::Impl::ask_feed(std::uint64_t id, const char* op, const Value& fields) {
  const auto asked = loop.now();
  feeding.ask(op, fields, [this, id, asked](Lowering::Answer&& answer) {
    const auto found = feeds.find(id);
    if (found == feeds.end()) return;
    Feed& feed = found->second;
    if (!answer.failure.is_nil()) {
      answer.failure.set("status", "uncaught-error");
      feed.connection->send(wire::encode(answer.failure));
      return feed.connection->close();
    }
    feed.connection->send(wire::encode(answer.fields["response"]));
    const auto pause = std::max(feed.interval, kPauseByCost * (loop.now() - asked));
    feed.timer = loop.call_later(pause, [this, id] {
      ask_feed(id, "feed_next", Value::object({{"id", static_cast<std::int64_t>(id)}}));
    });
  });
}

void SchedulerServer::Impl::end_feed(std::uint64_t id) {
  const auto found = feeds.find(id);
  if (found == feeds.end()) return;
  if (found->second.timer) loop.cancel(*found->second.timer);
  feeds.erase(found);
  if (closing) return;
  feeding.ask("feed_stop", Value::object({{"id", static_cast<std::int64_t>(id)}}),
              [](Lowering::Answer&&) {});
}

}  // namespace rask::scheduler_server
