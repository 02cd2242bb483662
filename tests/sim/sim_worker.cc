#include "sim_worker.h"

#include "describe.h"

namespace rask::sim {

namespace {

worker::Options options_of(Cluster& cluster, const WorkerPlan& plan,
                           const protocol::Address& address) {
  worker::Options options;
  options.address = address;
  options.nthreads = plan.nthreads;
  options.resources = plan.resources;
  options.transition_log_length = 2'000;
  if (cluster.random.chance(0.3)) options.transfer_incoming_bytes_limit = 20'000;
  if (cluster.random.chance(0.3)) options.transfer_message_bytes_limit = 5'000;
  if (cluster.random.chance(0.3)) {
    options.transfer_incoming_count_limit = 2;
    options.transfer_incoming_bytes_throttle_threshold = 1'000;
  }
  return options;
}

}  // namespace

SimWorker::SimWorker(Cluster& cluster, WorkerPlan given, protocol::Address its_address)
    : plan(std::move(given)),
      address(std::move(its_address)),
      cluster_(cluster),
      machine_(std::make_unique<worker::Worker>(options_of(cluster, plan, address))) {}

void SimWorker::start() {
  life = Life::running;
  heartbeat();
}

void SimWorker::die(Life how) {
  if (life == Life::gone) return;
  cluster_.say(plan.name + (how == Life::hung ? " hangs" : " dies"));
  life = how;
  store.clear();
}

void SimWorker::heartbeat() {
  if (!is_running()) return;
  if (id && !cut) {
    const scheduler::WorkerMetrics metrics{static_cast<std::uint64_t>(machine_->nbytes()),
                                           static_cast<std::uint64_t>(machine_->nbytes()),
                                           machine_->executing(cluster_.queue.now())};
    cluster_.call([&](auto& out) {
      cluster_.scheduler.heartbeat_worker(*id, metrics, cluster_.queue.now(), out);
    });
  }
  cluster_.queue.after(0.5, [this] { heartbeat(); }, Kind::timer);
}

// ---- Messages -----------------------------------------------------------------------------------

void SimWorker::deliver(std::vector<protocol::ToWorker>&& messages) {
  const auto arrive = [this](std::vector<protocol::ToWorker>&& batch) {
    const auto now = cluster_.queue.now();
    auto shared = std::make_shared<std::vector<protocol::ToWorker>>(std::move(batch));
    cluster_.queue.at(from_scheduler_.arrival(now, cluster_.latency()), [this, shared] {
      for (auto& message : *shared) {
        if (is_running() && !cut) receive(std::move(message));
      }
    });
  };
  if (cluster_.settings.batches) return arrive(std::move(messages));
  for (auto& message : messages) {
    std::vector<protocol::ToWorker> one;
    one.push_back(std::move(message));
    arrive(std::move(one));
  }
}

void SimWorker::receive(protocol::ToWorker&& message) {
  if (cluster_.trace) cluster_.say("scheduler -> " + plan.name + "  " + describe(message));
  if (std::holds_alternative<protocol::CloseWorker>(message)) return cluster_.close(*this);
  if (const auto* change = std::get_if<protocol::ChangeWorkerStatus>(&message))
    set_status(change->status, change->stimulus_id);
  handle(std::move(message));
}

void SimWorker::send(std::vector<protocol::FromWorker>&& messages) {
  if (!id || cut) return;
  const auto now = cluster_.queue.now();
  auto shared = std::make_shared<std::vector<protocol::FromWorker>>(std::move(messages));
  cluster_.queue.at(to_scheduler_.arrival(now, cluster_.latency()), [this, shared] {
    if (!id || cut || (life == Life::gone && loses_last_words)) return;
    if (cluster_.trace) {
      for (const auto& message : *shared)
        cluster_.say(plan.name + " -> scheduler  " + describe(message));
    }
    const auto time = cluster_.queue.now();
    if (cluster_.settings.batches) {
      cluster_.call([&](auto& out) { cluster_.scheduler.handle(*id, *shared, time, out); });
      return;
    }
    for (auto& message : *shared) {
      if (!id) return;
      cluster_.call(
          [&](auto& out) { cluster_.scheduler.handle(*id, std::move(message), time, out); });
    }
  });
}

void SimWorker::set_status(protocol::WorkerStatus status, const std::string& stimulus_id) {
  if (status_ == status) return;
  status_ = status;
  outbox_.push_back(protocol::WorkerStatusChanged{status, stimulus_id});
}

void SimWorker::set_paused(bool paused) {
  if (!is_running() || status_ == protocol::WorkerStatus::closing_gracefully) return;
  cluster_.say(plan.name + (paused ? " pauses" : " goes on"));
  set_status(paused ? protocol::WorkerStatus::paused : protocol::WorkerStatus::running, "memory");
  if (paused)
    handle(worker::Event{worker::Pause{}});
  else
    handle(worker::Event{worker::Unpause{}});
}

void SimWorker::update_data(const std::vector<std::pair<Key, std::uint64_t>>& values) {
  worker::UpdateData event;
  for (const auto& [key, value] : values) {
    store[key] = value;
    event.nbytes.emplace_back(key, cluster_.world.at(key).nbytes);
  }
  handle(worker::Event{std::move(event)});
}

// ---- Instructions -------------------------------------------------------------------------------

void SimWorker::after_handle(worker::Instructions& instructions) {
  for (auto& instruction : instructions) std::visit([this](auto& what) { on(what); }, instruction);
  if (!outbox_.empty()) send(std::exchange(outbox_, {}));
  machine_->check_invariants();
  arm_find_missing();
}

void SimWorker::on(worker::SendToScheduler& instruction) {
  outbox_.push_back(std::move(instruction.message));
}

void SimWorker::on(worker::Forget& instruction) {
  if (store.erase(instruction.key) == 0)
    throw Failure(plan.name + " is told to forget " + instruction.key.str() + ", which it has not");
}

void SimWorker::on(worker::RetryBusyWorkerLater& instruction) {
  cluster_.queue.after(instruction.delay, [this, peer = instruction.worker] {
    if (is_running()) handle(worker::Event{worker::RetryBusyWorker{peer}});
  });
}

void SimWorker::on(worker::Execute& instruction) {
  TaskSpec& spec = cluster_.world.at(instruction.key);
  if (instruction.run_spec != run_spec_of(spec.key))
    throw Failure("the run_spec of " + spec.key.str() + " did not arrive as it was sent");
  if (instruction.dependencies.size() != spec.dependencies.size())
    throw Failure("the dependencies of " + spec.key.str() + " are not those of its graph");
  std::vector<std::uint64_t> inputs;
  for (const Key& dependency : spec.dependencies) {
    const auto found = store.find(dependency);
    if (found == store.end())
      throw Failure(plan.name + " runs " + spec.key.str() + " without " + dependency.str());
    inputs.push_back(found->second);
  }
  const auto value = World::combine(spec.key, inputs);
  const auto duration = spec.duration * plan.slowness;
  const auto now = cluster_.queue.now();
  if (spec.secedes) {
    cluster_.queue.after(duration / 2, [this, key = spec.key, duration] {
      if (is_running()) handle(worker::Event{worker::SecedeTask{key, duration / 2}});
    });
  }
  cluster_.queue.after(duration, [this, key = spec.key, run = instruction.run_id, value, now] {
    if (is_running()) end_execution(key, run, value, now);
  });
}

void SimWorker::end_execution(const Key& key, std::int64_t run_id, std::uint64_t value,
                              Seconds start) {
  TaskSpec& spec = cluster_.world.at(key);
  const int run = ++spec.runs;
  if (run <= spec.reschedule_first) return handle(worker::Event{worker::RescheduleTask{key}});
  const auto stop = cluster_.queue.now();
  if (spec.fail_first < 0 || run - spec.reschedule_first <= spec.fail_first) {
    worker::ExecuteFailure event;
    event.key = key;
    event.run_id = run_id;
    event.exception.frames.push_back(wire::Buffer::copy_of("boom " + key.str()));
    event.exception_text = "boom " + key.str();
    event.start = start;
    event.stop = stop;
    return handle(worker::Event{std::move(event)});
  }
  store[key] = value;
  if (cluster_.computed) cluster_.computed(*this, key);
  worker::ExecuteSuccess event;
  event.key = key;
  event.run_id = run_id;
  event.nbytes = spec.nbytes;
  event.typename_ = "int";
  event.start = start;
  event.stop = stop;
  handle(worker::Event{std::move(event)});
}

void SimWorker::arm_find_missing() {
  if (finding_missing_ || !is_running() || !machine_->has_missing()) return;
  finding_missing_ = true;
  cluster_.queue.after(1.0, [this] {
    finding_missing_ = false;
    if (is_running()) handle(worker::Event{worker::FindMissing{}});
  });
}

// ---- Peers --------------------------------------------------------------------------------------

void SimWorker::end_gather(worker::Event&& event) {
  auto shared = std::make_shared<worker::Event>(std::move(event));
  cluster_.queue.after(cluster_.latency(), [this, shared] {
    if (!is_running()) return;
    if (auto* success = std::get_if<worker::GatherDepSuccess>(shared.get()))
      success->stop = cluster_.queue.now();
    handle(std::move(*shared));
  });
}

void SimWorker::on(worker::GatherDep& instruction) {
  SimWorker* peer = cluster_.find_worker(instruction.worker);
  if (peer == nullptr) throw Failure(plan.name + " asks a worker that never was");
  if (peer == this) throw Failure(plan.name + " asks itself");
  cluster_.queue.after(cluster_.latency(), [this, peer, request = instruction] {
    if (is_running()) peer->serve(*this, request);
  });
}

// At the peer: answers with what it has.
void SimWorker::serve(SimWorker& asking, const worker::GatherDep& request) {
  const Settings& settings = cluster_.settings;
  auto& random = cluster_.random;
  if (life == Life::hung) {  // Nobody answers: the asker gives up in the end.
    cluster_.queue.after(3.0, [&asking, request] {
      if (asking.is_running())
        asking.end_gather(worker::GatherDepNetworkFailure{request.worker, request.keys});
    });
    return;
  }
  if (!is_running() || random.chance(settings.gather_loss))
    return asking.end_gather(worker::GatherDepNetworkFailure{request.worker, request.keys});
  if (random.chance(settings.gather_busy))
    return asking.end_gather(worker::GatherDepBusy{request.worker, request.keys});
  if (random.chance(settings.gather_undecodable)) {
    worker::GatherDepFailure failure;
    failure.worker = request.worker;
    failure.asked = request.keys;
    failure.exception_text = "undecodable";
    return asking.end_gather(std::move(failure));
  }
  auto values = std::make_shared<std::vector<std::pair<Key, std::uint64_t>>>();
  for (const Key& key : request.keys) {
    if (const auto found = store.find(key); found != store.end()) values->push_back(*found);
  }
  const auto start = cluster_.queue.now();
  cluster_.queue.after(cluster_.latency(), [this, &asking, request, values, start] {
    if (!asking.is_running()) return;
    worker::GatherDepSuccess event;
    event.worker = request.worker;
    event.asked = request.keys;
    event.start = start;
    event.stop = cluster_.queue.now();
    for (const auto& [key, value] : *values) {
      asking.store[key] = value;
      event.received.emplace_back(key, cluster_.world.at(key).nbytes);
    }
    asking.handle(worker::Event{std::move(event)});
  });
}

}  // namespace rask::sim
