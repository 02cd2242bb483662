#include "scenario.h"

#include <algorithm>

namespace rask::sim {

// ---- Drawing ------------------------------------------------------------------------------------

Settings Scenario::draw_settings(std::uint64_t seed) {
  Random random{seed * 3 + 1};
  Settings settings;
  settings.scheduler.worker_ttl = 4;
  settings.scheduler.transition_log_length = 20'000;
  settings.scheduler.work_stealing = random.chance(0.8);
  if (random.chance(0.5))
    settings.scheduler.worker_saturation = random.chance(0.3) ? 1e9 : random.between(1.0, 3.0);
  settings.scheduler.allowed_failures = random.between(0, 3);
  settings.latency_high = random.spread(2e-4, 0.02);
  if (random.chance(0.5)) settings.spike = 0.05;
  if (random.chance(0.4)) settings.gather_loss = random.between(0.0, 0.2);
  if (random.chance(0.4)) settings.gather_busy = random.between(0.0, 0.3);
  if (random.chance(0.1)) settings.gather_undecodable = 0.05;
  settings.batches = random.chance(0.6);
  if (random.chance(0.3))
    settings.scheduler.forgets_max = static_cast<std::size_t>(random.between(1, 5));
  return settings;
}

void Scenario::draw_plan() {
  faults_.kills = random_.chance(0.5);
  faults_.cuts = random_.chance(0.2);
  faults_.hangs = random_.chance(0.1);
  faults_.pauses = random_.chance(0.25);
  faults_.retirements = random_.chance(0.15);
  faults_.restrictions = random_.chance(0.25);
  faults_.resources = random_.chance(0.25);
  const double size = random_.real();
  worker_count_ = size < 0.8    ? random_.between(2, 8)
                  : size < 0.97 ? random_.between(9, 40)
                                : random_.between(41, 200);
  graph_options_.size_max = static_cast<std::size_t>(
      random_.chance(0.04) ? random_.spread(200, 1000) : random_.spread(2, 120));
  if (random_.chance(0.4)) graph_options_.fail = random_.between(0.0, 0.2);
  if (random_.chance(0.2)) graph_options_.secede = 0.2;
  if (random_.chance(0.2)) graph_options_.reschedule = 0.1;
  if (faults_.restrictions) graph_options_.restrict = 0.2;
  if (faults_.resources) graph_options_.resources = 0.3;
  action_count_ = static_cast<int>(random_.spread(2, 60));
  duration_ = random_.spread(0.02, 4);
}

Scenario::Scenario(std::uint64_t seed, std::function<void(const std::string&)> trace)
    : random_(seed) {
  draw_plan();
  Settings settings = draw_settings(seed);
  cluster_ = std::make_unique<Cluster>(settings, random_.next());
  if (trace) {
    cluster_->trace = [this, trace = std::move(trace)](const std::string& line) {
      trace(std::to_string(cluster_->queue.now() - 1.7e9) + "  " + line);
    };
  }
  for (int i = 0; i < worker_count_; ++i) {
    graph_options_.worker_names.push_back(new_worker_name());
    cluster_->start_worker(plan_worker(graph_options_.worker_names.back()));
  }
  for (int i = random_.between(1, 3); i > 0; --i)
    cluster_->start_client("client-" + std::to_string(i));
}

std::string Scenario::new_worker_name() { return "w" + std::to_string(++names_); }

WorkerPlan Scenario::plan_worker(const std::string& name) {
  WorkerPlan plan;
  plan.name = name;
  plan.nthreads = random_.between(1, random_.chance(0.2) ? 8 : 2);
  // Where a task may run on one worker only, that one has what it needs.
  if (faults_.resources && (faults_.restrictions || random_.chance(0.5)))
    plan.resources["R"] = random_.between(1, 2);
  if (random_.chance(0.1)) plan.slowness = random_.spread(2, 30);
  return plan;
}

// ---- What happens -------------------------------------------------------------------------------

void Scenario::run() {
  if (random_.chance(0.8)) cluster_->run_for(0.05);
  for (const auto& client : cluster_->clients) submit(*client);
  for (int i = 0; i < action_count_; ++i) {
    cluster_->run_for(random_.between(0.0, 2 * duration_ / action_count_));
    act();
  }
  heal();
  if (!cluster_->run_until([this] { return all_resolved(); }, 3'000)) fail(what_is_stuck());
  check_results();
  for (const auto& client : cluster_->clients) {
    if (client->leaving) continue;
    // Also what it was told is cancelled: it may have been wanted again in between.
    std::vector<Key> all;
    for (const auto& plan : client->submitted)
      all.insert(all.end(), plan.targets.begin(), plan.targets.end());
    for (const auto& [key, status] : client->wants) all.push_back(key);
    client->release(all);
  }
  if (!cluster_->run_until([this] { return all_drained(); }, 300)) fail(what_is_left());
  cluster_->scheduler.check_invariants();
}

void Scenario::act() {
  if (random_.chance(0.6))
    client_acts();
  else
    something_goes_wrong();
}

void Scenario::client_acts() {
  SimClient& client = *random_.of(cluster_->clients).get();
  if (client.leaving) return;
  std::vector<Key> all;
  for (const auto& [key, status] : client.wants) all.push_back(key);
  std::vector<Key> some;
  for (std::size_t i = random_.below(4); i > 0 && !all.empty(); --i)
    some.push_back(random_.of(all));
  std::sort(some.begin(), some.end());
  some.erase(std::unique(some.begin(), some.end()), some.end());
  switch (random_.below(12)) {
    case 0:
    case 1:
      return submit(client);
    case 2:
    case 3:
      return resubmit(client);
    case 4:
    case 5:
      return client.release(some);
    case 6:
      return client.cancel(some, random_.chance(0.2));
    case 7:
    case 8:
      if (const auto erred = client.keys_that_are(SimClient::Status::erred); !erred.empty())
        client.retry({random_.of(erred)});
      return;
    case 9:
      return scatter(client);
    case 10:
      if (!some.empty()) client.gather(some.front());
      return;
    default:
      if (random_.chance(0.2)) {
        client.disconnect();
        cluster_->start_client("late-client-" + std::to_string(++names_));
      }
  }
}

void Scenario::submit(SimClient& client) {
  if (++graphs_ > 8) return;
  // It builds upon what it holds, and cannot be sure that this is still there.
  const auto held = client.keys_that_are(SimClient::Status::memory);
  auto plan = random_graph(cluster_->world, random_, graph_options_, graphs_, held);
  client.submitted.push_back(plan);
  client.submit(plan);
}

void Scenario::resubmit(SimClient& client) {
  if (client.submitted.empty()) return;
  GraphPlan plan = random_.of(client.submitted);
  // What it builds upon has to be sent again, when the client does not hold it any more.
  for (const Key& key : plan.keys) {
    for (const Key& dependency : cluster_->world.at(key).dependencies) {
      if (std::find(plan.keys.begin(), plan.keys.end(), dependency) != plan.keys.end()) continue;
      const auto held = client.wants.find(dependency);
      if (held == client.wants.end() || held->second != SimClient::Status::memory) return;
    }
  }
  if (random_.chance(0.5)) plan.targets = {random_.of(plan.keys)};
  client.submitted.push_back(plan);
  client.submit(plan);
}

void Scenario::scatter(SimClient& client) {
  TaskSpec spec;
  spec.key = Key{"scattered-" + std::to_string(++scatters_)};
  spec.scattered = true;
  cluster_->world.add(spec);
  client.scatter(spec.key, 1 + random_.below(3));
}

void Scenario::something_goes_wrong() {
  auto live = cluster_->live_workers();
  if (live.empty() || random_.chance(0.2)) {
    cluster_->start_worker(plan_worker(new_worker_name()));
    return;
  }
  SimWorker& victim = *random_.of(live);
  switch (random_.below(7)) {
    case 0:
    case 1:
      if (faults_.kills) cluster_->kill(victim);
      return;
    case 2:
      if (faults_.cuts) cluster_->cut(victim);
      return;
    case 3:
      if (faults_.hangs) cluster_->hang(victim);
      return;
    case 4:
      if (!faults_.pauses) return;
      victim.set_paused(true);
      cluster_->queue.after(random_.between(0.0, 1.0), [&victim] { victim.set_paused(false); });
      return;
    case 5:
      if (faults_.retirements) retire();
      return;
    default:
      move_data();
  }
}

void Scenario::move_data() {
  SimClient& client = *random_.of(cluster_->clients).get();
  const auto keys = client.keys_that_are(SimClient::Status::memory);
  if (keys.empty() || client.leaving) return;
  const bool copies = random_.chance(0.5);
  const int count = random_.between(1, 4);
  client.ask([this, keys, copies, count] {
    cluster_->call([&](auto& out) {
      const auto now = cluster_->queue.now();
      if (copies)
        cluster_->scheduler.replicate(keys, count, {}, now, out);
      else
        cluster_->scheduler.rebalance(keys, {}, now, out);
    });
  });
}

void Scenario::retire() {
  const auto live = cluster_->live_workers();
  if (live.size() < 2) return;
  cluster_->retire(*random_.of(live));
}

// Nothing goes wrong from now on, and every task can run somewhere.
void Scenario::heal() {
  // What hangs has been noticed: after ten heartbeats, of which 200 workers send one in 2 s.
  cluster_->run_for(faults_.hangs ? 25 : 2);
  if (!cluster_->run_until([this] { return cluster_->all_retired(); }, 300))
    fail("a retirement never ends");
  for (SimWorker* worker : cluster_->live_workers()) worker->set_paused(false);
  for (const auto& name : graph_options_.worker_names) {
    const auto live = cluster_->live_workers();
    const bool is_there =
        std::any_of(live.begin(), live.end(), [&](const auto* w) { return w->plan.name == name; });
    if (is_there) continue;
    WorkerPlan again = plan_worker(name);
    if (faults_.resources) again.resources["R"] = 2;
    cluster_->start_worker(again);
  }
  WorkerPlan healer;
  healer.name = new_worker_name();
  healer.nthreads = 2;
  healer.resources["R"] = 2;
  cluster_->start_worker(healer);
}

}  // namespace rask::sim
