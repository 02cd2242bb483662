// Clients and workers that lie: whatever they say, in whatever order, the scheduler stays whole.
//
// The input is a series of choices. They make well-formed messages about eight keys (graphs with
// circles, tasks twice, dependencies that nobody knows; results that nobody asked for, of runs that
// never were), registrations and deaths, and the scheduler checks its invariants after each.
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "rask/scheduler/scheduler.h"

namespace rask::scheduler {
namespace {

constexpr std::size_t kKeys = 8;
constexpr std::size_t kPeers = 3;
constexpr std::size_t kEventsMax = 200;

class Choices {
 public:
  Choices(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}
  bool any() const { return at_ != end_; }
  std::size_t below(std::size_t limit) { return any() ? *at_++ % limit : 0; }
  bool flag() { return below(2) == 1; }
  Key key() { return Key{std::string(1, static_cast<char>('a' + below(kKeys)))}; }
  std::vector<Key> keys() {
    std::vector<Key> all(below(4));
    for (Key& one : all) one = key();
    return all;
  }
  std::int64_t integer() {
    constexpr std::array<std::int64_t, 8> kSome{0,       1,     -1,        100,
                                                1 << 30, 65536, INT64_MAX, INT64_MIN};
    return kSome.at(below(kSome.size()));
  }
  Seconds seconds() {
    constexpr double kInfinite = std::numeric_limits<double>::infinity();
    const std::array<double, 8> kSome{0, 0.001, 1, -1, 1e300, kInfinite, -kInfinite, std::nan("")};
    return kSome.at(below(kSome.size()));
  }
  std::string worker() { return "tcp://w:" + std::to_string(below(kPeers + 1)); }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

Options options_of(Choices& choices) {
  Options options;
  const std::size_t which = choices.below(4);
  if (which % 2 == 1) options.worker_saturation = 1.1;
  if (which / 2 == 1) options.forgets_max = 1;
  options.idle_timeout = 5;
  options.validate = true;
  return options;
}

struct World {
  explicit World(Choices& from) : choices(from) {}

  void step();
  void from_client();
  void from_worker();
  void shell();
  protocol::UpdateGraph graph();
  WorkerInfo worker_info(std::size_t place);
  std::int64_t run_of(WorkerId worker, const Key& key);
  std::vector<WorkerId> some_workers() { return machine.workers(); }

  Choices& choices;
  Seconds now = 1;
  Scheduler machine{options_of(choices), now};
  std::array<std::optional<ClientId>, kPeers> clients;
  std::array<std::optional<WorkerId>, kPeers> workers;
  Effects out;
  std::map<std::pair<WorkerId, Key>, std::int64_t> runs;  // As compute-task said.
};

protocol::UpdateGraph World::graph() {
  protocol::UpdateGraph graph;
  for (std::size_t count = choices.below(5); count > 0; --count) {
    protocol::GraphTask task{.key = choices.key(),
                             .dependencies = choices.keys(),
                             .run_spec = {},
                             .annotations = nullptr,
                             .order = choices.integer()};
    task.run_spec.frames.push_back(wire::Buffer::copy_of("\x90"));
    if (choices.flag()) {
      protocol::Annotations notes;
      notes.priority = choices.integer();
      notes.retries = choices.integer();
      if (choices.flag()) notes.workers.push_back(choices.worker());
      notes.allow_other_workers = choices.flag();
      if (choices.flag()) notes.resources["GPU"] = choices.seconds();
      task.annotations = std::make_shared<const protocol::Annotations>(std::move(notes));
    }
    graph.tasks.push_back(std::move(task));
  }
  graph.keys = choices.keys();
  graph.fifo_timeout = choices.seconds();
  graph.actors = choices.below(8) == 7;
  if (choices.below(8) == 7) graph.submitting_task = choices.key();
  graph.stimulus_id = "graph";
  return graph;
}

void World::from_client() {
  auto& place = clients.at(choices.below(kPeers));
  if (!place)
    place = machine.add_client("client-" + std::to_string(&place - clients.data()), now, out);
  const ClientId client = *place;
  switch (choices.below(8)) {
    case 0:
    case 1:
    case 2:
      return machine.handle(client, graph(), now, out);
    case 3:
      return machine.handle(client, protocol::ClientReleasesKeys{choices.keys(), "r"}, now, out);
    case 4:
      return machine.handle(client, protocol::ClientDesiresKeys{choices.keys()}, now, out);
    case 5:
      return machine.handle(
          client, protocol::CancelKeys{choices.keys(), choices.flag(), "why", "text"}, now, out);
    case 6: {
      protocol::UpdateData data;
      for (const Key& key : choices.keys()) {
        data.who_has.emplace_back(key, std::vector{choices.worker()});
        if (choices.flag()) data.nbytes.emplace_back(key, choices.integer());
      }
      return machine.handle(client, std::move(data), now, out);
    }
    default:
      machine.remove_client(client, now, out);
      place.reset();
  }
}

WorkerInfo World::worker_info(std::size_t place) {
  WorkerInfo info;
  info.address = "tcp://w:" + std::to_string(place);
  info.name = std::to_string(place);
  info.nthreads = static_cast<int>(choices.below(3));
  info.memory_limit_bytes = choices.flag() ? 1'000'000 : 0;
  if (choices.flag()) info.resources["GPU"] = 1;
  return info;
}

// The run that the worker was told of, or a lie.
std::int64_t World::run_of(WorkerId worker, const Key& key) {
  const auto found = runs.find({worker, key});
  return found == runs.end() || choices.below(8) == 7 ? choices.integer() : found->second;
}

void World::from_worker() {
  const std::size_t number = choices.below(kPeers);
  auto& place = workers.at(number);
  if (!place) {
    const auto added = machine.add_worker(worker_info(number), now, out);
    if (added.ok()) place = added.value();
    return;
  }
  const WorkerId worker = *place;
  const Key key = choices.key();
  const auto say = [&](protocol::FromWorker&& message) {
    machine.handle(worker, std::move(message), now, out);
  };
  switch (choices.below(12)) {
    case 0:
    case 1:
    case 2: {
      protocol::TaskFinished done;
      done.key = key;
      done.run_id = run_of(worker, key);
      done.nbytes = choices.integer();
      if (choices.flag()) done.startstops.push_back({"compute", choices.seconds(), now, ""});
      if (choices.flag()) done.value = "\x01";
      return say(std::move(done));
    }
    case 3: {
      protocol::TaskErred erred;
      erred.key = key;
      erred.run_id = run_of(worker, key);
      return say(std::move(erred));
    }
    case 4:
      return say(protocol::ReleaseWorkerData{key, "d"});
    case 5:
      return say(protocol::Reschedule{key, "s"});
    case 6:
      return say(protocol::LongRunning{key, run_of(worker, key), choices.seconds(), "l"});
    case 7:
      return say(protocol::AddKeys{choices.keys(), "k"});
    case 8:
      return say(protocol::RequestRefreshWhoHas{choices.keys(), "w"});
    case 9: {
      constexpr std::array kStates{"", "ready", "executing", "memory", "nonsense"};
      return say(protocol::StealResponse{key, kStates.at(choices.below(kStates.size())), "s"});
    }
    case 10: {
      constexpr std::array kStatus{protocol::WorkerStatus::running, protocol::WorkerStatus::paused,
                                   protocol::WorkerStatus::closing_gracefully};
      return say(protocol::WorkerStatusChanged{kStatus.at(choices.below(kStatus.size())), "c"});
    }
    default:
      machine.remove_worker(worker, choices.flag(), "gone", now, out);
      place.reset();
  }
}

// What the server asks for people, and time.
void World::shell() {
  const auto all = some_workers();
  switch (choices.below(9)) {
    case 0:
    case 1:
      now += choices.flag() ? 0.01 : 400;
      return machine.tick(now, out);
    case 2: {
      const auto keys = choices.keys();
      machine.retry(keys, now, out);
      return;
    }
    case 3:
      return machine.replicate(choices.keys(), static_cast<int>(choices.below(4)), all, now, out);
    case 4:
      return machine.rebalance(choices.keys(), all, now, out);
    case 5: {
      std::vector<WorkerId> some;
      for (const auto worker : all)
        if (choices.flag()) some.push_back(worker);
      machine.retire_workers(some, now, out);
      return;
    }
    case 6:
      if (!all.empty())
        machine.missing_data(choices.keys(), all[choices.below(all.size())], now, out);
      return;
    case 7:
      if (!all.empty()) {
        WorkerMetrics metrics{.memory_bytes = 500'000, .managed_bytes = 1000, .executing = {}};
        metrics.executing.emplace_back(choices.key(), choices.seconds());
        machine.heartbeat_worker(all[choices.below(all.size())], metrics, now, out);
      }
      return;
    default:
      if (choices.below(16) == 15) machine.restart(now, out);
  }
}

void World::step() {
  switch (choices.below(8)) {
    case 0:
    case 1:
    case 2:
      from_client();
      break;
    case 3:
      shell();
      break;
    default:
      from_worker();
  }
  for (const Effect& effect : out) {
    if (const auto* send = std::get_if<SendToWorker>(&effect)) {
      if (const auto* compute = std::get_if<protocol::ComputeTask>(&send->message))
        runs[{send->worker, compute->key}] = compute->run_id;
    } else if (const auto* drop = std::get_if<DropWorker>(&effect)) {
      for (auto& worker : workers)
        if (worker == drop->worker) worker.reset();
    }
  }
  out.clear();
}

}  // namespace
}  // namespace rask::scheduler

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rask::scheduler;
  Choices choices{data, size};
  World world{choices};
  for (std::size_t events = 0; choices.any() && events < kEventsMax; ++events) world.step();
  world.machine.check_invariants();
  return 0;
}
