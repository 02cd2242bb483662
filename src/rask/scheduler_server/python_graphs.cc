// Graphs of Python clients: a side process turns them into tasks (lowering.h). What a client says
// behind such a graph waits until the graph is there, so that its order holds.
#include "rask/base/log.h"
#include "rask/protocol/payloads.h"
#include "rask/scheduler_server/impl_internal.h"
#include "rask/scheduler_server/watching_internal.h"

namespace rask::scheduler_server {

using scheduler::Effects;

constexpr std::string_view kLogger = "distributed.scheduler";

void SchedulerServer::Impl::lower_graph(ClientId client, const protocol::OtherMessage& message) {
  auto* session = session_of(client);
  const auto fields = protocol::tree(message);
  if (session == nullptr || !fields.ok()) return;
  const auto held = std::make_shared<std::function<void()>>();
  session->held.push_back(held);
  auto keys = keys_of(fields.value()["keys"]);
  std::string stimulus{fields.value()["stimulus_id"].as_text()};
  if (stimulus.empty()) stimulus = fmt::format("update-graph-{:.6f}", loop.now());
  lowering.ask(message.op, fields.value(),
               [this, client, held, keys = std::move(keys),
                stimulus = std::move(stimulus)](Lowering::Answer&& answer) mutable {
                 *held = after_lowering(client, std::move(keys), std::move(stimulus),
                                        std::move(answer));
                 carry_out_held(client);
               });
}

std::function<void()> SchedulerServer::Impl::after_lowering(ClientId client, std::vector<Key> keys,
                                                            std::string stimulus_id,
                                                            Lowering::Answer&& answer) {
  if (!answer.failure.is_nil()) {
    return [this, client, keys = std::move(keys), failure = std::move(answer.failure)] {
      fail_graph(client, keys, failure);
    };
  }
  protocol::UpdateGraph graph;
  graph.tasks = std::move(answer.tasks);
  graph.keys = std::move(keys);
  const auto& submitting = answer.fields["submitting_task"];
  if (!submitting.is_nil()) graph.submitting_task = key_of(submitting);
  graph.fifo_timeout = answer.fields["fifo_timeout"].as_real();
  graph.actor_keys = keys_of(answer.fields["actors"]);
  graph.stimulus_id = std::move(stimulus_id);
  auto shared = std::make_shared<protocol::UpdateGraph>(std::move(graph));
  return [this, client, shared] {
    const auto* session = session_of(client);
    const auto name = session == nullptr ? std::string{} : session->name;
    auto event = Value::object(
        {{"action", "update-graph"}, {"stimulus_id", shared->stimulus_id}, {"status", "OK"}});
    event.set("metrics",
              Value::object({{"tasks", static_cast<std::int64_t>(shared->tasks.size())}}));
    watching->keys_wanted(shared->keys);
    with_machine([&](Seconds now, Effects& out) {
      machine.handle(client, FromClient{std::move(*shared)}, now, out);
    });
    log_event("scheduler", event);
    log_event(name, event);
  };
}

void SchedulerServer::Impl::fail_graph(ClientId client, const std::vector<Key>& keys,
                                       const Value& failure) {
  log::error(kLogger, "A graph of {} keys failed: {}", keys.size(),
             failure["exception_text"].as_text());
  auto* session = session_of(client);
  if (session == nullptr) return;
  const auto payload_of = [&](const char* field) {
    const auto* payload = failure[field].get_if<wire::Payload>();
    return payload == nullptr ? wire::Payload{} : *payload;
  };
  for (const Key& key : keys) {
    session->batch.add(protocol::ToClient{
        protocol::TaskErredForClient{key, payload_of("exception"), payload_of("traceback")}});
  }
  mark_dirty(*session);
  dirty_clients.push_back(static_cast<std::uint32_t>(client));
}

void SchedulerServer::Impl::hold_back(ClientId client, FromClient&& message) {
  if (std::holds_alternative<protocol::HeartbeatClient>(message)) {
    return handle_client(client, std::move(message), loop.now());
  }
  if (const auto* other = std::get_if<protocol::OtherMessage>(&message);
      other != nullptr && other->op == "update-graph") {
    return lower_graph(client, *other);
  }
  const auto shared = std::make_shared<FromClient>(std::move(message));
  session_of(client)->held.push_back(std::make_shared<std::function<void()>>(
      [this, client, shared] { handle_client(client, std::move(*shared), loop.now()); }));
}

void SchedulerServer::Impl::carry_out_held(ClientId client) {
  while (auto* session = session_of(client)) {
    if (session->held.empty()) {
      if (session->gone) remove_client(client);
      return;
    }
    if (!*session->held.front()) return;
    const auto act = session->held.front();
    session->held.pop_front();
    (*act)();
  }
}

}  // namespace rask::scheduler_server
