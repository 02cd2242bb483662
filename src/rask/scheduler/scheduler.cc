// The public calls: each is one Event of the state.
#include "rask/scheduler/scheduler.h"

#include <fmt/format.h>

#include <utility>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

namespace {

std::uint32_t number(WorkerId id) { return static_cast<std::uint32_t>(id); }
std::uint32_t number(ClientId id) { return static_cast<std::uint32_t>(id); }

// Dask's shape of a stimulus: what, and when.
std::string stimulus(std::string_view what, Seconds now) {
  return fmt::format("{}-{:.6f}", what, now);
}

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

// source: heartbeat_interval; clients report ten times less often than workers.
Seconds client_heartbeat_interval(std::size_t clients) {
  if (clients <= 10) return 5;
  if (clients < 50) return 10;
  if (clients < 200) return 20;
  return (static_cast<double>(clients) / 200 + 1) * 10;
}

}  // namespace

Scheduler::Scheduler(Options options, Seconds now)
    : state_(std::make_unique<State>(std::move(options), now)) {}

Scheduler::~Scheduler() = default;

Result<WorkerId> Scheduler::add_worker(const WorkerInfo& info, Seconds now, Effects& out) {
  const State::Event event{*state_, stimulus("add-worker", now), now, out};
  return state_->add_worker(info);
}

void Scheduler::remove_worker(WorkerId worker, bool expected, std::string_view stimulus_id,
                              Seconds now, Effects& out) {
  const State::Event event{*state_, std::string{stimulus_id}, now, out};
  state_->remove_worker(number(worker), expected);
}

void Scheduler::heartbeat_worker(WorkerId worker, const WorkerMetrics& metrics, Seconds now,
                                 Effects& out) {
  const State::Event event{*state_, "heartbeat", now, out};
  state_->heartbeat_worker(number(worker), metrics);
}

ClientId Scheduler::add_client(std::string_view name, Seconds now, Effects& out) {
  const State::Event event{*state_, "add-client", now, out};
  return ClientId{state_->add_client(name)};
}

void Scheduler::remove_client(ClientId client, Seconds now, Effects& out) {
  const State::Event event{*state_, stimulus("remove-client", now), now, out};
  state_->remove_client(number(client));
}

ClientId Scheduler::fire_and_forget() const { return ClientId{0}; }

void Scheduler::handle(WorkerId worker, protocol::FromWorker&& message, Seconds now, Effects& out) {
  const State::Event event{*state_, {}, now, out};
  state_->handle(number(worker), std::move(message));
}

namespace {

// Of the messages that come by the thousand.
const Key* frequent_key(const protocol::FromWorker& message) {
  if (const auto* finished = std::get_if<protocol::TaskFinished>(&message)) return &finished->key;
  if (const auto* released = std::get_if<protocol::ReleaseWorkerData>(&message))
    return &released->key;
  return nullptr;
}

}  // namespace

void Scheduler::handle(WorkerId worker, std::span<protocol::FromWorker> messages, Seconds now,
                       Effects& out) {
  const State::Event event{*state_, {}, now, out};
  state_->for_each_task(
      messages.size(), [&](std::size_t i) { return frequent_key(messages[i]); },
      [&](std::size_t i) { state_->handle(number(worker), std::move(messages[i])); });
  state_->measure_pace(*state_->workers[number(worker)]);
}

void Scheduler::handle(ClientId id, protocol::FromClient&& message, Seconds now, Effects& out) {
  const auto client = number(id);
  if (!state_->clients[client]->alive) return;
  const State::Event event{*state_, {}, now, out};
  state_->clients[client]->last_seen = state_->now;
  const auto because = [&](std::string_view what) { state_->set_stimulus(stimulus(what, now)); };
  std::visit(Overloaded{[&](protocol::UpdateGraph& m) {
                          if (m.stimulus_id.empty())
                            because("update-graph");
                          else
                            state_->set_stimulus(std::move(m.stimulus_id));
                          state_->update_graph(client, std::move(m));
                        },
                        [&](protocol::ClientReleasesKeys& m) {
                          if (m.stimulus_id.empty())
                            because("client-releases-keys");
                          else
                            state_->set_stimulus(std::move(m.stimulus_id));
                          state_->client_releases_keys(client, m.keys);
                        },
                        [&](protocol::ClientDesiresKeys& m) {
                          because("client-desires-keys");
                          state_->client_desires_keys(client, m.keys);
                        },
                        [&](protocol::CancelKeys& m) {
                          because("cancel-key");
                          state_->cancel_keys(client, m);
                        },
                        [&](protocol::UpdateData& m) {
                          because("update-data");
                          state_->update_data(m.who_has, m.nbytes, client);
                        },
                        [&](protocol::ReportKey& m) {
                          const auto task = state_->find(m.key);
                          if (task != kNone)
                            state_->report_on_key(client, task);
                          else
                            state_->report(client, protocol::CancelledKeys{{m.key}, "", ""});
                        },
                        [&](protocol::HeartbeatClient&) {
                          const auto interval = client_heartbeat_interval(state_->client_count);
                          state_->report(client, protocol::AdjustHeartbeatInterval{interval});
                        },
                        [&](protocol::CloseClient&) {
                          because("close-client");
                          state_->remove_client(client);
                        },
                        // Topics and extensions are the shell's.
                        [](protocol::SubscribeTopic&) {}, [](protocol::UnsubscribeTopic&) {},
                        [](protocol::LogEvent&) {}, [](protocol::OtherMessage&) {}},
             message);
}

ShuffleAnswer<Payload> Scheduler::shuffle_get(const ShuffleRequest& request, Seconds now,
                                              Effects& out) {
  const State::Event event{*state_, stimulus("p2p-get", now), now, out};
  return state_->shuffles.get(request);
}

ShuffleAnswer<Payload> Scheduler::shuffle_get_or_create(const ShuffleRequest& request, Seconds now,
                                                        Effects& out) {
  const State::Event event{*state_, stimulus("p2p-get-or-create", now), now, out};
  return state_->shuffles.get_or_create(request);
}

ShuffleAnswer<std::vector<Address>> Scheduler::shuffle_barrier(const ShuffleRequest& request,
                                                               bool consistent, Seconds now,
                                                               Effects& out) {
  const State::Event event{*state_, stimulus("p2p-barrier-inconsistent", now), now, out};
  return state_->shuffles.barrier(request, consistent);
}

std::optional<ShuffleRefusal> Scheduler::shuffle_restrict_task(const ShuffleRequest& request,
                                                               Seconds now, Effects& out) {
  const State::Event event{*state_, stimulus("p2p-restrict-task", now), now, out};
  return state_->shuffles.restrict_task(request);
}

std::optional<Scheduler::ShuffleView> Scheduler::shuffle(std::string_view id) const {
  return state_->shuffles.find(id);
}

void Scheduler::tick(Seconds now, Effects& out) {
  const State::Event event{*state_, stimulus("tick", now), now, out};
  state_->tick();
}

std::optional<Seconds> Scheduler::next_deadline() const { return state_->next_deadline(); }

bool Scheduler::has_work_left() const { return !state_->to_forget.empty(); }

const Spans& Scheduler::spans() const { return state_->spans; }

void Scheduler::describe_graph(const protocol::Payload& code,
                               const protocol::Payload& span_metadata) {
  state_->spans.describe_graph(code, span_metadata);
}

void Scheduler::measure_span(const std::string& span, std::string key, Span::Metric metric) {
  state_->spans.measure(span, std::move(key), metric);
}

void Scheduler::update_data(std::span<const std::pair<Key, std::vector<Address>>> who_has,
                            std::span<const std::pair<Key, std::int64_t>> nbytes,
                            std::optional<ClientId> client, Seconds now, Effects& out) {
  const State::Event event{*state_, stimulus("update-data", now), now, out};
  std::optional<std::uint32_t> for_client;
  if (client) for_client = number(*client);
  state_->update_data(who_has, nbytes, for_client);
}

std::vector<Key> Scheduler::retry(std::span<const Key> keys, Seconds now, Effects& out) {
  std::vector<Key> again;
  {
    const State::Event event{*state_, stimulus("stimulus-retry", now), now, out};
    again = state_->retry(keys);
  }
  // A client waits for what is named here: not for what something else fails at once.
  std::erase_if(again, [this](const Key& key) { return task_state(key) == TaskState::erred; });
  return again;
}

void Scheduler::restart(Seconds now, Effects& out) {
  const State::Event event{*state_, stimulus("restart", now), now, out};
  state_->restart();
}

std::uint64_t Scheduler::retire_workers(std::span<const WorkerId> workers, Seconds now,
                                        Effects& out) {
  const State::Event event{*state_, stimulus("retire-workers", now), now, out};
  return state_->retire_workers(workers);
}

void Scheduler::replicate(std::span<const Key> keys, int copies, std::span<const WorkerId> workers,
                          Seconds now, Effects& out) {
  const State::Event event{*state_, stimulus("replicate", now), now, out};
  state_->replicate(keys, copies, workers);
}

void Scheduler::rebalance(std::span<const Key> keys, std::span<const WorkerId> workers, Seconds now,
                          Effects& out) {
  const State::Event event{*state_, stimulus("rebalance", now), now, out};
  state_->rebalance(keys, workers);
}

void Scheduler::run_active_memory_manager(bool on) { state_->run_active_memory_manager(on); }

bool Scheduler::active_memory_manager() const { return state_->options.active_memory_manager; }

void Scheduler::reduce_replicas(Seconds now, Effects& out) {
  const State::Event event{*state_, stimulus("active_memory_manager", now), now, out};
  state_->reduce_replicas();
}

void Scheduler::add_resources(WorkerId worker, const protocol::Resources& resources, Seconds now,
                              Effects& out) {
  const State::Event event{*state_, stimulus("add-resources", now), now, out};
  state_->add_resources(number(worker), resources);
}

void Scheduler::missing_data(std::span<const Key> keys, WorkerId worker, Seconds now,
                             Effects& out) {
  const State::Event event{*state_, stimulus("missing-data", now), now, out};
  state_->missing_data(keys, number(worker));
}

}  // namespace rask::scheduler
