// What one message costs to write and to read: the hot path of scheduler and worker.
// Items are messages (tasks for graphs); the goal is 150 ns to write and 250 ns to read one.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "rask/protocol/codec.h"
#include "rask/protocol/payloads.h"

namespace {

using namespace rask;
using namespace rask::protocol;

constexpr std::size_t kBatch = 500;
const std::string kStimulus = "task-finished-1795365888.2926755";

Style style_of(const benchmark::State& state) {
  return state.range(0) == 0 ? Style::plain : Style::dense;
}

Payload small_call(std::int64_t argument) {
  return inlined(wire::Value{
      wire::Value::Array{"rask", "inc(int)", wire::Value::Array{wire::Value{argument}}}});
}

std::vector<ToWorker> compute_tasks() {
  std::vector<ToWorker> out;
  for (std::size_t i = 0; i < kBatch; ++i) {
    const auto number = std::to_string(i);
    ComputeTask task;
    task.key = Key{"inc-4f2a9c51d8e07b63-" + number};
    task.run_id = static_cast<std::int64_t>(i);
    task.priority = {0, 3, static_cast<std::int64_t>(i)};
    task.stimulus_id = kStimulus;
    task.dependencies = {
        {Key{"load-77ab01c2-" + number}, {"tcp://10.0.0.17:" + std::to_string(40000 + i % 8)}, 28}};
    task.run_spec = small_call(static_cast<std::int64_t>(i));
    task.duration = 1e-6;
    out.emplace_back(std::move(task));
  }
  return out;
}

std::vector<FromWorker> finished_tasks() {
  std::vector<FromWorker> out;
  for (std::size_t i = 0; i < kBatch; ++i) {
    TaskFinished task;
    task.key = Key{"inc-4f2a9c51d8e07b63-" + std::to_string(i)};
    task.run_id = static_cast<std::int64_t>(i);
    task.stimulus_id = kStimulus;
    task.nbytes = 28;
    task.typename_ = "int";
    task.thread = 140'123'456'789;
    task.startstops = {{"compute", 1795365888.25, 1795365888.26, ""}};
    out.emplace_back(std::move(task));
  }
  return out;
}

std::vector<ToClient> keys_in_memory() {
  std::vector<ToClient> out;
  for (std::size_t i = 0; i < kBatch; ++i)
    out.emplace_back(KeyInMemory{Key{"inc-4f2a9c51d8e07b63-" + std::to_string(i)}, {}, {}});
  return out;
}

FromClient graph_of(std::size_t count) {
  UpdateGraph graph;
  const auto annotations = std::make_shared<Annotations>();
  annotations->retries = 2;
  for (std::size_t i = 0; i < count; ++i) {
    GraphTask task;
    task.key = Key{"inc-4f2a9c51d8e07b63-" + std::to_string(i)};
    task.order = static_cast<std::int64_t>(i);
    task.run_spec = small_call(static_cast<std::int64_t>(i));
    task.annotations = annotations;
    if (i >= 2) task.dependencies = {graph.tasks[i - 1].key, graph.tasks[i / 2].key};
    graph.keys.push_back(task.key);
    graph.tasks.push_back(std::move(task));
  }
  return graph;
}

template <class Variant>
wire::Message batch_of(const std::vector<Variant>& messages, Style style) {
  Batch batch{style};
  for (const auto& message : messages) batch.add(message);
  return wire::Message{batch.take()};
}

template <class Variant>
void write(benchmark::State& state, const std::vector<Variant>& messages) {
  Batch batch{style_of(state)};
  std::size_t bytes = 0;
  for (auto _ : state) {
    for (const auto& message : messages) batch.add(message);
    bytes = batch.nbytes();
    benchmark::DoNotOptimize(batch.take());
  }
  const auto count = static_cast<double>(messages.size());
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(messages.size()));
  state.counters["bytes"] = static_cast<double>(bytes) / count;
  state.counters["each"] = benchmark::Counter(
      count, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

template <class Variant, class Read>
void read(benchmark::State& state, const std::vector<Variant>& messages, const Read& read_batch,
          std::size_t count) {
  const auto message = batch_of(messages, style_of(state));
  for (auto _ : state) {
    auto result = read_batch(message, nullptr);
    if (!result.ok()) state.SkipWithError(result.error().message.c_str());
    benchmark::DoNotOptimize(result);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
  state.counters["each"] =
      benchmark::Counter(static_cast<double>(count), benchmark::Counter::kIsIterationInvariantRate |
                                                         benchmark::Counter::kInvert);
}

void WriteComputeTask(benchmark::State& state) { write(state, compute_tasks()); }
void ReadComputeTask(benchmark::State& state) {
  read(state, compute_tasks(), read_to_worker, kBatch);
}
void WriteTaskFinished(benchmark::State& state) { write(state, finished_tasks()); }
void ReadTaskFinished(benchmark::State& state) {
  read(state, finished_tasks(), read_from_worker, kBatch);
}
void WriteKeyInMemory(benchmark::State& state) { write(state, keys_in_memory()); }
void ReadKeyInMemory(benchmark::State& state) {
  read(state, keys_in_memory(), read_to_client, kBatch);
}

void WriteUpdateGraph(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(1));
  const auto graph = graph_of(count);
  Batch batch{style_of(state)};
  std::size_t bytes = 0;
  for (auto _ : state) {
    batch.add(graph);
    bytes = batch.nbytes();
    benchmark::DoNotOptimize(batch.take());
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
  state.counters["bytes"] = static_cast<double>(bytes) / static_cast<double>(count);
}
void ReadUpdateGraph(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(1));
  read(state, std::vector<FromClient>{graph_of(count)}, read_from_client, count);
}

// The argument is the style: 0 plain, 1 dense.
BENCHMARK(WriteComputeTask)->Arg(0)->Arg(1);
BENCHMARK(ReadComputeTask)->Arg(0)->Arg(1);
BENCHMARK(WriteTaskFinished)->Arg(0)->Arg(1);
BENCHMARK(ReadTaskFinished)->Arg(0)->Arg(1);
BENCHMARK(WriteKeyInMemory)->Arg(0)->Arg(1);
BENCHMARK(ReadKeyInMemory)->Arg(0)->Arg(1);
BENCHMARK(WriteUpdateGraph)->Args({1, 1})->Args({1, 100'000});
BENCHMARK(ReadUpdateGraph)->Args({1, 1})->Args({1, 100'000});

}  // namespace
