// Graphs of Python clients: a side process turns them into tasks (lowering.h). What a client says
// behind such a graph waits until the graph is there, so that its order holds.
#include <limits>

#include "rask/base/log.h"
#include "rask/protocol/payloads.h"
#include "rask/scheduler_server/impl_internal.h"
#include "rask/scheduler_server/watching_internal.h"
#include "rask/wire/header.h"

namespace rask::scheduler_server {

using protocol::Payload;
using scheduler::Effects;

constexpr std::string_view kLogger = "distributed.scheduler";

// A submission on its way. A large graph comes in slices, so that others are served meanwhile.
struct LoweredGraph {
  protocol::OtherMessage message;
  std::string stimulus_id;
  Payload code;                             // The text where it was written.
  Payload span_metadata;                    // For the first slice.
  std::deque<protocol::GraphSlice> slices;  // That have come, and wait for their turn.
  std::optional<Lowering::Answer> answer;   // Behind the last one.
  std::optional<ClientId> holder;           // Holds what later slices need.
  std::size_t tasks = 0;                    // So many have been handed on.
  bool is_first = true;
};

namespace {

std::string stimulus_of(const protocol::OtherMessage& message, Seconds now) {
  std::string stimulus;
  if (!message.whole.frames.empty()) {
    auto found = wire::find_field(message.whole.frames[0].view(), "stimulus_id");
    if (found && found->peek() == wire::Type::text) stimulus = found->text();
  }
  return stimulus.empty() ? fmt::format("update-graph-{:.6f}", now) : stimulus;
}

Payload field_of(const protocol::OtherMessage& message, std::string_view name) {
  const wire::Message whole{message.whole.frames};
  auto found = wire::find_field(whole.root(), name);
  auto payload = found ? whole.payload(*found) : Payload{};
  return found && found->ok() ? payload : Payload{};
}

}  // namespace

void SchedulerServer::Impl::lower_graph(ClientId client, const protocol::OtherMessage& message) {
  auto* session = session_of(client);
  if (session == nullptr) return;
  const auto graph = std::make_shared<LoweredGraph>();
  graph->message = message;
  graph->stimulus_id = stimulus_of(message, loop.now());
  graph->code = field_of(message, "code");
  graph->span_metadata = field_of(message, "span_metadata");
  session->held.push_back({graph, nullptr});
  lowering.ask_graph(
      message,
      [this, client, graph](protocol::GraphSlice&& slice) {
        graph->slices.push_back(std::move(slice));
        carry_out_held(client);
      },
      [this, client, graph](Lowering::Answer&& answer) {
        graph->answer = std::move(answer);
        carry_out_held(client);
      });
}

void SchedulerServer::Impl::take_slice(ClientId client, LoweredGraph& lowered) {
  auto slice = std::move(lowered.slices.front());
  lowered.slices.pop_front();
  auto& graph = slice.graph;
  lowered.tasks += graph.tasks.size();
  // All slices are one generation.
  if (!lowered.is_first) graph.fifo_timeout = std::numeric_limits<Seconds>::infinity();
  machine.describe_graph(lowered.code, std::exchange(lowered.span_metadata, {}));
  graph.stimulus_id = lowered.stimulus_id;
  lowered.is_first = false;
  watching->keys_wanted(graph.keys);
  with_machine([&](Seconds now, Effects& out) {
    if (!graph.held.empty() && !lowered.holder)
      lowered.holder = machine.add_client("graph-" + lowered.stimulus_id, now, out);
    graph.holder = lowered.holder;
    machine.handle(client, FromClient{std::move(graph)}, now, out);
    if (!slice.release.empty() && lowered.holder) {
      protocol::ClientReleasesKeys release{std::move(slice.release), lowered.stimulus_id};
      machine.handle(*lowered.holder, std::move(release), now, out);
    }
  });
}

void SchedulerServer::Impl::finish_graph(ClientId client, LoweredGraph& lowered) {
  if (lowered.answer->failure.is_nil()) {
    const auto* session = session_of(client);
    const auto name = session == nullptr ? std::string{} : session->name;
    auto event = Value::object(
        {{"action", "update-graph"}, {"stimulus_id", lowered.stimulus_id}, {"status", "OK"}});
    event.set("metrics", Value::object({{"tasks", static_cast<std::int64_t>(lowered.tasks)}}));
    log_event("scheduler", event);
    log_event(name, event);
  } else {
    fail_graph(client, lowered);
  }
  if (!lowered.holder) return;
  with_machine(
      [&](Seconds now, Effects& out) { machine.remove_client(*lowered.holder, now, out); });
}

void SchedulerServer::Impl::fail_graph(ClientId client, const LoweredGraph& lowered) {
  const Value& failure = lowered.answer->failure;
  const auto fields = protocol::tree(lowered.message);
  const auto keys = fields.ok() ? keys_of(fields.value()["keys"]) : std::vector<Key>{};
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
  session_of(client)->held.push_back({nullptr, std::make_shared<FromClient>(std::move(message))});
}

void SchedulerServer::Impl::carry_out_held(ClientId client) {
  while (auto* session = session_of(client)) {
    if (session->held.empty()) {
      if (session->gone) remove_client(client);
      return;
    }
    const auto first = session->held.front();
    if (first.graph != nullptr && !first.graph->slices.empty()) {
      take_slice(client, *first.graph);
      // Others have their turn between two slices.
      if (!first.graph->slices.empty()) return carry_out_later(client);
      continue;
    }
    if (first.graph != nullptr && !first.graph->answer) return;
    session->held.pop_front();
    if (first.graph != nullptr)
      finish_graph(client, *first.graph);
    else
      handle_client(client, std::move(*first.message), loop.now());
  }
}

void SchedulerServer::Impl::carry_out_later(ClientId client) {
  loop.post([this, client, weak = std::weak_ptr{alive}] {
    if (weak.lock()) carry_out_held(client);
  });
}

}  // namespace rask::scheduler_server
