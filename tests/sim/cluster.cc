#include "cluster.h"

#include <algorithm>

#include "describe.h"
#include "sim_client.h"
#include "sim_worker.h"

namespace rask::sim {

namespace {

constexpr Seconds kStart = 1'700'000'000;

}  // namespace

Cluster::Cluster(Settings given, std::uint64_t seed)
    : settings(std::move(given)),
      random(seed),
      queue(kStart),
      scheduler(settings.scheduler, kStart) {
  arm_tick();
}

Cluster::~Cluster() = default;

// ---- Workers ------------------------------------------------------------------------------------

SimWorker& Cluster::start_worker(const WorkerPlan& plan) {
  // The address belongs to the name: one that comes back is found where it was.
  const auto number = std::stoi(plan.name.substr(1));
  const auto address =
      "tcp://10.0.0." + std::to_string(number % 4 + 1) + ":" + std::to_string(40'000 + number);
  workers.push_back(std::make_unique<SimWorker>(*this, plan, address));
  SimWorker& worker = *workers.back();
  by_address_[address] = &worker;
  queue.after(latency(), [this, &worker] { register_worker(worker); });
  return worker;
}

void Cluster::register_worker(SimWorker& worker) {
  if (worker.life != SimWorker::Life::joining) return;
  scheduler::WorkerInfo info;
  info.address = worker.address;
  info.name = worker.plan.name;
  info.server_id = "server-" + worker.address;
  info.nthreads = worker.plan.nthreads;
  info.memory_limit_bytes = 1'000'000'000;
  info.resources = worker.plan.resources;
  // Its messages go out only after the scheduler's effects know it.
  scheduler::Effects effects;
  const auto id = scheduler.add_worker(info, queue.now(), effects);
  if (!id.ok()) {  // One of the name is there still.
    say("scheduler refuses " + worker.plan.name);
    worker.life = SimWorker::Life::gone;
    return;
  }
  say("scheduler adds " + worker.plan.name);
  worker.id = id.value();
  connected_[id.value()] = &worker;
  worker.start();
  after_call(effects);
}

// The scheduler sees that the connection is closed.
void Cluster::lose_worker(SimWorker& worker, bool expected) {
  if (!worker.id) return;
  const WorkerId id = *worker.id;
  worker.id.reset();
  connected_.erase(id);
  outbox_.erase(id);
  unexpected_deaths += !expected;
  say("scheduler loses " + worker.plan.name);
  call([&](auto& out) {
    scheduler.remove_worker(id, expected, "remove-worker-" + worker.plan.name, queue.now(), out);
  });
}

void Cluster::kill(SimWorker& worker) {
  if (worker.life == SimWorker::Life::gone) return;
  worker.loses_last_words = random.chance(0.5);
  worker.die(SimWorker::Life::gone);
  // Later than all that it has sent and that still arrives.
  queue.after(settings.spike_max + random.between(0.0, 0.2),
              [this, &worker] { lose_worker(worker, false); });
}

void Cluster::cut(SimWorker& worker) {
  if (!worker.is_running()) return;
  worker.cut = true;
  queue.after(random.between(0.0, 1.0), [this, &worker] { lose_worker(worker, false); });
  queue.after(random.between(0.0, 1.0), [&worker] { worker.die(SimWorker::Life::gone); });
}

void Cluster::hang(SimWorker& worker) {
  if (worker.is_running()) worker.die(SimWorker::Life::hung);
}

void Cluster::close(SimWorker& worker) {
  if (worker.life == SimWorker::Life::gone) return;
  worker.die(SimWorker::Life::gone);
  queue.after(settings.spike_max, [this, &worker] { lose_worker(worker, true); });
}

void Cluster::retire(SimWorker& worker) {
  const std::vector<WorkerId> ids = {*worker.id};
  ++open_retirements_;
  call([&](auto& out) { scheduler.retire_workers(ids, queue.now(), out); });
}

bool Cluster::all_retired() const {
  return open_retirements_ == 0 &&
         std::none_of(workers.begin(), workers.end(),
                      [](const auto& worker) { return worker->leaving && worker->id; });
}

std::vector<SimWorker*> Cluster::live_workers() const {
  std::vector<SimWorker*> live;
  for (const auto& worker : workers) {
    const bool stays = worker->id && !worker->cut && !worker->leaving;
    if (worker->is_running() && stays) live.push_back(worker.get());
  }
  return live;
}

SimWorker* Cluster::find_worker(const protocol::Address& address) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? nullptr : found->second;
}

// ---- Scheduler ----------------------------------------------------------------------------------

SimClient& Cluster::start_client(const std::string& name) {
  scheduler::Effects effects;
  const ClientId id = scheduler.add_client(name, queue.now(), effects);
  clients.push_back(std::make_unique<SimClient>(*this, name, id));
  clients_by_id_[id] = clients.back().get();
  after_call(effects);
  return *clients.back();
}

void Cluster::after_call(scheduler::Effects& effects) {
  for (auto& effect : effects) std::visit([this](auto& what) { on(what); }, effect);
  flush();
  scheduler.check_invariants();
  arm_tick();
}

void Cluster::on(scheduler::SendToWorker& effect) {
  outbox_[effect.worker].push_back(std::move(effect.message));
}

void Cluster::flush() {
  auto outbox = std::exchange(outbox_, {});
  for (auto& [id, messages] : outbox) {
    const auto found = connected_.find(id);
    if (found != connected_.end()) found->second->deliver(std::move(messages));
  }
}

void Cluster::on(scheduler::SendToClient& effect) {
  const auto found = clients_by_id_.find(effect.client);
  if (found == clients_by_id_.end()) throw Failure("a message for a client that never was");
  found->second->deliver(std::move(effect.message));
}

void Cluster::on(scheduler::DropWorker& effect) {
  flush();
  const auto found = connected_.find(effect.worker);
  if (found == connected_.end()) return;
  SimWorker& worker = *found->second;
  say("scheduler drops " + worker.plan.name);
  connected_.erase(found);
  worker.id.reset();
  worker.cut = true;
  ++unexpected_deaths;
  queue.after(latency(), [&worker] { worker.die(SimWorker::Life::gone); });
}

void Cluster::on(scheduler::RetirementDone& effect) {
  say("scheduler has done retirement " + std::to_string(effect.retirement));
  --open_retirements_;
  // Its shell asks the workers to close.
  for (const auto& address : effect.retired) {
    SimWorker* worker = find_worker(address);
    worker->leaving = true;
    queue.after(latency(), [this, worker] { close(*worker); });
  }
}

void Cluster::on(scheduler::LogLine& effect) { say("scheduler: " + effect.text); }

void Cluster::arm_tick() {
  const auto deadline =
      scheduler.has_work_left() ? std::optional{queue.now()} : scheduler.next_deadline();
  if (!deadline || (tick_at_ && *tick_at_ <= *deadline)) return;
  const Seconds at = std::max(*deadline, queue.now());
  tick_at_ = at;
  queue.at(
      at,
      [this, at] {
        if (tick_at_ != at) return;  // An earlier one has been set since.
        tick_at_.reset();
        call([&](auto& out) { scheduler.tick(queue.now(), out); });
      },
      Kind::timer);
}

// ---- Network and time ---------------------------------------------------------------------------

Seconds Cluster::latency() {
  if (settings.spike > 0 && random.chance(settings.spike))
    return random.between(settings.latency_high, settings.spike_max);
  return random.between(settings.latency_low, settings.latency_high);
}

bool Cluster::run_until(const std::function<bool()>& done, Seconds limit) {
  const Seconds end = queue.now() + limit;
  Seconds look = queue.now();
  while (true) {
    if (at_rest() || queue.now() >= look) {
      if (done()) return true;
      look = queue.now() + limit / 100;
    }
    if (queue.empty() || queue.next_time() > end) return done();
    queue.step();
  }
}

void Cluster::run_for(Seconds duration) {
  const Seconds end = queue.now() + duration;
  while (!queue.empty() && queue.next_time() <= end) queue.step();
  queue.advance_to(end);
}

}  // namespace rask::sim
