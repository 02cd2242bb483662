// Queues and variables: their requests, and the keys that they hold.
#include <fmt/format.h>

#include <charconv>

#include "rask/protocol/payloads.h"
#include "rask/scheduler_server/coordination_internal.h"

namespace rask::scheduler_server {

using scheduler::Effects;
using scheduler::Item;

// A client submits on one connection and puts the future on another: the key may come later.
constexpr Seconds kKeyPause = 0.01;

// ---- Holding keys -------------------------------------------------------------------------------

void Coordination::desire(ClientId client, const Key& key) {
  impl_.with_machine([&](Seconds now, Effects& out) {
    impl_.machine.handle(client, protocol::ClientDesiresKeys{{key}}, now, out);
  });
}

void Coordination::hold(std::string_view kind, const scheduler::Hold& hold) {
  auto found = holders_.find({kind, hold.holder});
  if (found == holders_.end()) {
    const auto client = impl_.with_machine([&](Seconds now, Effects& out) {
      return impl_.machine.add_client(fmt::format("{}-{}", kind, hold.holder.str()), now, out);
    });
    found = holders_.emplace(Holding{kind, hold.holder}, Holder{client}).first;
  }
  ++found->second.keys;
  desire(found->second.client, hold.key);
}

void Coordination::drop(std::string_view kind, const scheduler::Hold& hold) {
  const auto found = holders_.find({kind, hold.holder});
  if (found == holders_.end()) return;
  --found->second.keys;
  impl_.with_machine([&](Seconds now, Effects& out) {
    impl_.machine.handle(found->second.client, protocol::ClientReleasesKeys{{hold.key}, {}}, now,
                         out);
  });
  end_holder(found->first);
}

// Lives as long as its queue or variable, and longer while a key is on its way to somebody.
void Coordination::end_holder(const Holding& holding) {
  const auto found = holders_.find(holding);
  if (found == holders_.end() || found->second.keys > 0) return;
  const auto& [kind, name] = holding;
  if (kind == "queue" ? queues_.contains(name) : variables_.contains(name)) return;
  const auto client = found->second.client;
  holders_.erase(found);
  impl_.with_machine(
      [&](Seconds now, Effects& out) { impl_.machine.remove_client(client, now, out); });
}

void Coordination::with_item(const Request& request, Deadline deadline,
                             std::function<void(Item)> then) {
  const Value& key_value = request["key"];
  if (key_value.is_nil()) return then(Item{request["data"]});
  Key key = key_of(key_value);
  if (impl_.machine.task_state(key)) return then(Item{std::move(key)});
  if (request.connection()->closed()) return;
  if (deadline && *deadline <= impl_.loop.now()) {
    return request.reply_error(
        {ErrorCode::timed_out, fmt::format("Task {} unknown to scheduler.", key.str())});
  }
  impl_.loop.call_later(
      kKeyPause, [this, alive = std::weak_ptr{alive_}, request, deadline, then = std::move(then)] {
        if (!alive.expired()) with_item(request, deadline, then);
      });
}

// What a client makes a Future or a value of.
Value Coordination::record(const Item& item) const {
  const auto* key = std::get_if<Key>(&item);
  if (key == nullptr) {
    return Value::object({{"type", "msgpack"}, {"value", std::get<Value>(item)}});
  }
  const auto task = impl_.machine.task(*key);
  auto found = Value::object({{"type", "Future"},
                              {"value", value_of(*key)},
                              {"state", task ? scheduler::to_string(task->state) : "lost"}});
  if (task && task->state == scheduler::TaskState::erred && task->exception != nullptr) {
    found.set("exception", *task->exception);
    found.set("traceback", protocol::is_none(*task->traceback) ? Value{} : *task->traceback);
  }
  return found;
}

// ---- Queues -------------------------------------------------------------------------------------

template <class Call>
void Coordination::with_queues(Call&& call) {
  scheduler::Queues::Output out;
  call(out);
  for (const auto& held : out.held) hold("queue", held);
  answer(out.put, Value{});
  for (const auto& [ticket, items] : out.got) {
    const auto found = waiters_.find(ticket);
    if (found == waiters_.end()) continue;
    const Value& batch = found->second.request["batch"];
    if (batch.is_nil() || batch == Value{false}) {
      answer(ticket, record(items.front()));
      continue;
    }
    Value::Array records;
    for (const auto& item : items) records.push_back(record(item));
    answer(ticket, std::move(records));
  }
  answer(out.closed, comm::error_reply("KeyError", "the queue was closed"));
  for (const auto& dropped : out.dropped) drop("queue", dropped);
}

bool Coordination::unknown_queue(const Request& request, const Name& name) const {
  if (queues_.contains(name)) return false;
  request.reply(comm::error_reply("KeyError", name.str()));
  return true;
}

void Coordination::queue_create(const Request& request, const Name& name) {
  queues_.create(name, request["maxsize"].as_int(0));
  request.reply(Value{});
}

void Coordination::queue_put(const Request& request, const Name& name, Deadline deadline) {
  with_item(request, deadline, [this, request, name, deadline](Item item) {
    if (unknown_queue(request, name)) return;
    wait(
        request, deadline, comm::error_reply("TimeoutError", "the queue is full"),
        [&](Ticket ticket) {
          with_queues([&](auto& out) { queues_.put(name, std::move(item), ticket, out); });
        },
        [this, name](Ticket ticket) {
          with_queues([&](auto& out) { queues_.withdraw(name, ticket, out); });
        });
  });
}

void Coordination::queue_get(const Request& request, const Name& name, Deadline deadline) {
  if (unknown_queue(request, name)) return;
  const Value& batch = request["batch"];
  const auto* number = batch.get_if<std::int64_t>();
  const auto count = number != nullptr ? *number : 1;
  if (batch == Value{true}) {
    Value::Array records;
    with_queues([&](auto& out) {
      for (const auto& item : queues_.get_all(name, out)) records.push_back(record(item));
    });
    return request.reply(std::move(records));
  }
  if (number != nullptr && deadline) {
    return request.reply(comm::error_reply(
        "NotImplementedError",
        "Dask queues don't support simultaneous use of integer batch sizes and timeouts"));
  }
  if (count <= 0) return request.reply(Value::Array{});
  wait(
      request, deadline, comm::error_reply("TimeoutError", "the queue is empty"),
      [&](Ticket ticket) {
        with_queues(
            [&](auto& out) { queues_.get(name, static_cast<std::size_t>(count), ticket, out); });
      },
      [this, name](Ticket ticket) {
        with_queues([&](auto& out) { queues_.withdraw(name, ticket, out); });
      });
}

void Coordination::queue_qsize(const Request& request, const Name& name) {
  if (unknown_queue(request, name)) return;
  request.reply(static_cast<std::int64_t>(queues_.size(name)));
}

// ---- Variables ----------------------------------------------------------------------------------

template <class Call>
void Coordination::with_variables(Call&& call) {
  scheduler::Variables::Output out;
  call(out);
  for (const auto& held : out.held) hold("variable", held);
  for (const auto& got : out.got) {
    auto value = record(got.item);
    if (std::holds_alternative<Key>(got.item)) value.set("token", std::to_string(got.token));
    answer(got.ticket, value);
  }
  for (const auto& dropped : out.dropped) drop("variable", dropped);
}

void Coordination::variable_set(const Request& request, const Name& name, Deadline deadline) {
  with_item(request, deadline, [this, request, name](Item item) {
    with_variables([&](auto& out) { variables_.set(name, std::move(item), out); });
    request.reply(Value{});
  });
}

void Coordination::variable_get(const Request& request, const Name& name, Deadline deadline) {
  std::string client{request["client"].as_text()};
  if (!impl_.client_named(client)) client.clear();
  wait(
      request, deadline, comm::error_reply("TimeoutError", "the variable is not set"),
      [&](Ticket ticket) {
        with_variables([&](auto& out) { variables_.get(name, client, ticket, out); });
      },
      [this, name](Ticket ticket) { variables_.withdraw(name, ticket); });
}

// ---- The streams --------------------------------------------------------------------------------

bool Coordination::handle(ClientId client, std::string_view op, const Value& message) {
  const Name name = key_of(message["name"]);
  const Key key = key_of(message["key"]);
  if (op == "queue_release") {
    with_queues([&](auto& out) { queues_.release(name, out); });
    end_holder({"queue", name});
  } else if (op == "queue-future-release") {
    desire(client, key);
    with_queues([&](auto& out) { queues_.future_release(name, key, out); });
  } else if (op == "variable-future-received-confirm") {
    desire(client, key);
    std::uint64_t token = 0;
    const auto text = message["token"].as_text();
    std::from_chars(text.data(), text.data() + text.size(), token);
    with_variables([&](auto& out) { variables_.confirm(name, key, token, out); });
  } else if (op == "variable_delete") {
    with_variables([&](auto& out) { variables_.remove(name, out); });
    end_holder({"variable", name});
  } else {
    return false;
  }
  return true;
}

void Coordination::client_gone(const std::string& name) {
  with_variables([&](auto& out) { variables_.remove_client(name, out); });
}

}  // namespace rask::scheduler_server
