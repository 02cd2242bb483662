// Work grows with the number of tasks, not with its square: counted in steps, not in time.
#include <gtest/gtest.h>

#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

class Counting {
 public:
  explicit Counting(int workers, Options options = {}) : state_(std::move(options), 0) {
    for (int i = 0; i < workers; ++i) {
      const State::Event event{state_, "add-worker", 0, effects_};
      WorkerInfo info;
      info.address = info.name = "w" + std::to_string(i);
      info.nthreads = 2;
      EXPECT_TRUE(state_.add_worker(info).ok());
    }
    const State::Event event{state_, "add-client", 0, effects_};
    client_ = state_.add_client("client");
  }

  // Steps of the machine for the whole life of the graph.
  std::uint64_t run(protocol::UpdateGraph&& graph) {
    const auto before = state_.work_count;
    const auto wanted = graph.keys;
    {
      const State::Event event{state_, "update-graph", 1, effects_};
      state_.update_graph(client_, std::move(graph));
    }
    while (finish_what_was_sent()) {
    }
    for (const auto& key : wanted)
      EXPECT_EQ(state_.tasks[state_.find(key)].state, TaskState::memory);
    {
      const State::Event event{state_, "release", 2, effects_};
      state_.client_releases_keys(client_, wanted);
    }
    while (!state_.to_forget.empty()) {
      const State::Event event{state_, "tick", 2, effects_};
      state_.tick();
    }
    effects_.clear();
    EXPECT_EQ(state_.tasks.size(), 0u);
    return state_.work_count - before;
  }

 private:
  bool finish_what_was_sent() {
    auto effects = std::exchange(effects_, {});
    bool any = false;
    const State::Event event{state_, "finished", 1, effects_};
    for (auto& effect : effects) {
      auto* sent = std::get_if<SendToWorker>(&effect);
      if (sent == nullptr) continue;
      auto* task = std::get_if<protocol::ComputeTask>(&sent->message);
      if (task == nullptr) continue;
      any = true;
      protocol::TaskFinished done;
      done.key = task->key;
      done.run_id = task->run_id;
      done.nbytes = 28;
      done.startstops.push_back({"compute", 0, 1e-5, ""});
      state_.handle(static_cast<std::uint32_t>(sent->worker), std::move(done));
    }
    return any;
  }

  State state_;
  Effects effects_;
  std::uint32_t client_ = 0;
};

protocol::GraphTask task(const std::string& key, std::int64_t order) {
  protocol::GraphTask out;
  out.key = Key{key};
  out.run_spec = payload("f");
  out.order = order;
  return out;
}

protocol::UpdateGraph map_of(int count) {
  protocol::UpdateGraph graph;
  for (int i = 0; i < count; ++i) {
    graph.tasks.push_back(task("inc-" + std::to_string(i) + "1", i));
    graph.keys.push_back(graph.tasks.back().key);
  }
  return graph;
}

// One to many to one.
protocol::UpdateGraph diamond_of(int count) {
  protocol::UpdateGraph graph;
  graph.tasks.push_back(task("source-1", 0));
  auto sink = task("sink-1", count + 1);
  for (int i = 0; i < count; ++i) {
    graph.tasks.push_back(task("mid-" + std::to_string(i) + "1", i + 1));
    graph.tasks.back().dependencies = {Key{"source-1"}};
    sink.dependencies.push_back(graph.tasks.back().key);
  }
  graph.keys = {sink.key};
  graph.tasks.push_back(std::move(sink));
  return graph;
}

protocol::UpdateGraph chain_of(int count) {
  protocol::UpdateGraph graph;
  for (int i = 0; i < count; ++i) {
    graph.tasks.push_back(task("link-" + std::to_string(i) + "1", i));
    if (i > 0) graph.tasks.back().dependencies = {graph.tasks[static_cast<std::size_t>(i) - 1].key};
  }
  graph.keys = {graph.tasks.back().key};
  return graph;
}

constexpr int kSmall = 2'000;
constexpr int kFactor = 10;

template <class MakeGraph>
void expect_linear(MakeGraph make, int workers, double steps_max) {
  const auto small = Counting{workers}.run(make(kSmall));
  const auto large = Counting{workers}.run(make(kSmall * kFactor));
  EXPECT_LT(static_cast<double>(large), 1.3 * kFactor * static_cast<double>(small));
  EXPECT_LT(static_cast<double>(large) / (kSmall * kFactor), steps_max);
}

TEST(Scale, a_map_is_linear) { expect_linear(map_of, 2, 12); }
TEST(Scale, a_map_on_many_workers_looks_at_few_of_them_for_each_task) {
  expect_linear(map_of, 200, 60);
}
TEST(Scale, wide_fan_out_and_fan_in_are_linear) { expect_linear(diamond_of, 2, 30); }
TEST(Scale, a_chain_is_linear) { expect_linear(chain_of, 2, 25); }

TEST(Scale, a_held_task_takes_few_bytes) {
  // The record, its key (a block of the heap), its slot in the table, its place in a client's list.
  constexpr std::size_t kKeyBlock = 16 + 40 + 8;
  constexpr std::size_t kTableSlots = 8 * 8 / 3 + 1;  // At the emptiest, after growing.
  EXPECT_LE(
      sizeof(Task) + kKeyBlock + kTableSlots + 2 * sizeof(std::uint32_t) + sizeof(TaskQueue::Entry),
      350u);
}

}  // namespace
}  // namespace rask::scheduler
