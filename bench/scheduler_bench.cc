// What does one tiny task cost in the scheduler's state machine, from update-graph to forgotten?
//
// No sockets, no codec: messages are made and read as structs. Run: scheduler_bench
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "rask/scheduler/scheduler.h"

namespace {

using rask::Key;
using rask::Seconds;
using rask::WorkerId;
namespace protocol = rask::protocol;
namespace scheduler = rask::scheduler;

constexpr std::size_t kBatch = 512;  // Messages that a worker sends at once.

protocol::UpdateGraph map_graph(std::int64_t count, std::int64_t round) {
  protocol::UpdateGraph graph;
  auto block = rask::wire::Buffer::own(std::string(static_cast<std::size_t>(count) * 32, 'x'));
  auto header = rask::wire::Buffer::copy_of("header");
  for (std::int64_t i = 0; i < count; ++i) {
    char name[64];
    std::snprintf(
        name, sizeof name, "inc-%016llx%08lld",
        static_cast<unsigned long long>(static_cast<std::uint64_t>(i) * 0x9e3779b97f4a7c15),
        static_cast<long long>(round));
    protocol::GraphTask task;
    task.key = Key{name};
    task.run_spec.header = header;
    task.run_spec.frames.push_back(block.slice(static_cast<std::size_t>(i) * 32, 32));
    task.order = i;
    graph.keys.push_back(task.key);
    graph.tasks.push_back(std::move(task));
  }
  graph.stimulus_id = "update-graph-1731000000.000000";
  return graph;
}

// Workers that finish whatever they get, a batch at a time.
class Cluster {
 public:
  Cluster(int workers, int nthreads, std::optional<double> saturation)
      : scheduler_(options(saturation), 0) {
    for (int i = 0; i < workers; ++i) {
      scheduler::WorkerInfo info;
      info.address = "tcp://127.0.0.1:" + std::to_string(40000 + i);
      info.name = std::to_string(i);
      info.nthreads = nthreads;
      (void)scheduler_.add_worker(info, 0, effects_);
    }
    inbox_.resize(static_cast<std::size_t>(workers));
    client_ = scheduler_.add_client("bench", 0, effects_);
    effects_.clear();
  }

  void submit(protocol::UpdateGraph&& graph) {
    scheduler_.handle(client_, protocol::FromClient{std::move(graph)}, now_, effects_);
    deliver();
  }
  void release(std::vector<Key> keys) {
    scheduler_.handle(client_,
                      protocol::ClientReleasesKeys{std::move(keys), "client-releases-keys"}, now_,
                      effects_);
    deliver();
  }
  void run() {
    for (bool busy = true; busy;) {
      busy = false;
      for (std::size_t w = 0; w < inbox_.size(); ++w) {
        auto& tasks = inbox_[w];
        const auto count = std::min(kBatch, tasks.size() - done_[w]);
        if (count == 0) continue;
        busy = true;
        work(w, count);
        now_ += 1e-5;
        scheduler_.handle(WorkerId{static_cast<std::uint32_t>(w)}, std::span{batch_}, now_,
                          effects_);
        deliver();
      }
    }
  }
  std::int64_t answers() const { return answers_; }
  std::int64_t messages() const { return messages_; }

 private:
  static scheduler::Options options(std::optional<double> saturation) {
    scheduler::Options options;
    options.worker_saturation = saturation;
    return options;
  }

  void work(std::size_t w, std::size_t count) {
    batch_.clear();
    for (std::size_t i = 0; i < count; ++i) {
      auto& [key, run_id] = inbox_[w][done_[w]++];
      protocol::TaskFinished done;
      done.key = std::move(key);
      done.run_id = run_id;
      done.stimulus_id = "task-finished-1731000000.123456";
      done.nbytes = 28;
      done.typename_ = "int";
      done.startstops.push_back({"compute", 10, 10.00001, ""});
      batch_.emplace_back(std::move(done));
    }
    if (done_[w] == inbox_[w].size()) {
      inbox_[w].clear();
      done_[w] = 0;
    }
  }

  void deliver() {
    done_.resize(inbox_.size());
    messages_ += static_cast<std::int64_t>(effects_.size());
    for (auto& effect : effects_) {
      if (auto* sent = std::get_if<scheduler::SendToWorker>(&effect)) {
        if (auto* task = std::get_if<protocol::ComputeTask>(&sent->message))
          inbox_[static_cast<std::size_t>(sent->worker)].emplace_back(task->key, task->run_id);
      } else if (auto* told = std::get_if<scheduler::SendToClient>(&effect)) {
        if (std::holds_alternative<protocol::KeyInMemory>(told->message)) ++answers_;
      }
    }
    effects_.clear();
  }

  scheduler::Scheduler scheduler_;
  scheduler::Effects effects_;
  rask::ClientId client_{};
  std::vector<std::vector<std::pair<Key, std::int64_t>>> inbox_;
  std::vector<std::size_t> done_;
  std::vector<protocol::FromWorker> batch_;
  Seconds now_ = 1;
  std::int64_t answers_ = 0;
  std::int64_t messages_ = 0;
};

// client.map of a tiny function, gathered and released. Arguments: tasks, workers, threads each.
void BM_Map(benchmark::State& state) {
  const auto count = state.range(0);
  Cluster cluster{static_cast<int>(state.range(1)), static_cast<int>(state.range(2)), {}};
  std::int64_t round = 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto graph = map_graph(count, round++);
    auto keys = graph.keys;
    state.ResumeTiming();
    cluster.submit(std::move(graph));
    cluster.run();
    cluster.release(std::move(keys));
  }
  if (cluster.answers() != count * round) state.SkipWithError("a task did not finish");
  state.SetItemsProcessed(state.iterations() * count);
  state.counters["ns_per_task"] =
      benchmark::Counter(static_cast<double>(state.iterations() * count) * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_Map)
    ->Args({1'000, 2, 2})
    ->Args({100'000, 2, 2})
    ->Args({1'000'000, 2, 2})
    ->Args({100'000, 200, 2})
    ->Unit(benchmark::kMillisecond);

// Only the graph: what a held task costs to take in.
void BM_UpdateGraph(benchmark::State& state) {
  const auto count = state.range(0);
  for (auto _ : state) {
    state.PauseTiming();
    auto cluster = std::make_unique<Cluster>(2, 2, std::nullopt);
    auto graph = map_graph(count, 0);
    state.ResumeTiming();
    cluster->submit(std::move(graph));
    state.PauseTiming();
    cluster.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(BM_UpdateGraph)->Arg(100'000)->Unit(benchmark::kMillisecond);

// A binary tree of sums over `leaves` inputs: every task but the leaves has two dependencies.
void BM_TreeReduce(benchmark::State& state) {
  const auto leaves = state.range(0);
  std::int64_t tasks = 0;
  Cluster cluster{4, 2, {}};
  std::int64_t round = 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto graph = map_graph(leaves, round++);
    std::vector<Key> level = std::exchange(graph.keys, {});
    while (level.size() > 1) {
      std::vector<Key> next;
      for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
        protocol::GraphTask task;
        task.key = Key{"sum-" + std::to_string(graph.tasks.size()) + "-" + std::to_string(round)};
        task.dependencies = {level[i], level[i + 1]};
        task.run_spec = graph.tasks.front().run_spec;
        task.order = static_cast<std::int64_t>(graph.tasks.size());
        next.push_back(task.key);
        graph.tasks.push_back(std::move(task));
      }
      level = std::move(next);
    }
    tasks = static_cast<std::int64_t>(graph.tasks.size());
    graph.keys = level;
    state.ResumeTiming();
    cluster.submit(std::move(graph));
    cluster.run();
    cluster.release(std::move(level));
  }
  state.SetItemsProcessed(state.iterations() * tasks);
}
BENCHMARK(BM_TreeReduce)->Arg(1 << 15)->Unit(benchmark::kMillisecond);

}  // namespace
