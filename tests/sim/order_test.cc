// One worker with one thread, and nothing goes wrong: what runs when, and how many results it holds
// meanwhile, is as lazy calls were ordered.
//
// This is so where all that is ready waits in the scheduler's queue or follows from what ran last.
// Else a worker begins what it knows while it is not yet told what has become possible, as in Dask.
#include "rask/graph/order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <unordered_set>

#include "rask/graph/delayed_testing.h"
#include "scenario.h"

namespace rask::sim {
namespace {

using delayed_testing::call;
using delayed_testing::Handle;

int load(int number) { return number; }
int clean(int number) { return number; }
int join(const std::vector<int>& numbers) { return numbers.front(); }

// Some are loaded, cleaned in a few steps, and joined by twos to fours until there is one. The
// calls are made in any order.
internal::Plan draw_tree(Random& random) {
  std::vector<Handle<int>> layer;
  for (int i = random.between(3, 60); i > 0; --i) {
    layer.push_back(call<load>(i));
    for (int step = random.between(0, 3); step > 0; --step)
      layer.back() = call<clean>(layer.back());
  }
  while (layer.size() > 1) {
    std::vector<Handle<int>> next;
    for (std::size_t i = 0; i < layer.size();) {
      const auto count = std::min<std::size_t>(2 + random.below(3), layer.size() - i);
      const auto from = layer.begin() + static_cast<std::ptrdiff_t>(i);
      const std::vector<Handle<int>> some{from, from + static_cast<std::ptrdiff_t>(count)};
      next.push_back(count == 1 ? some.front() : call<join>(some));
      i += count;
    }
    layer = std::move(next);
  }
  return delayed_testing::plan_of(layer);
}

struct Ordered {
  GraphPlan graph;
  std::size_t peak = 0;  // Of results that others need.
};

Ordered add_to(World& world, const internal::Plan& plan) {
  Ordered ordered;
  const auto sequence = plan.ordered();
  for (const std::uint32_t place : sequence) {
    const internal::DelayedNode& node = *plan.nodes[place];
    TaskSpec spec;
    spec.key = node.key();
    spec.dependencies = internal::written_call(node).dependencies;
    spec.order = static_cast<std::int64_t>(ordered.graph.keys.size());
    ordered.graph.keys.push_back(world.add(std::move(spec)).key);
  }
  for (const std::uint32_t target : plan.targets)
    ordered.graph.targets.push_back(plan.nodes[target]->key());
  ordered.peak = graph::peak_held(
      {.offsets = plan.dependency_offsets, .dependencies = plan.dependencies}, sequence);
  return ordered;
}

Settings without_faults() {
  Settings settings;
  settings.latency_low = settings.latency_high = 1e-5;
  settings.scheduler.worker_saturation = 1;
  return settings;
}

TEST(SimOrder, one_thread_runs_tasks_as_they_were_ordered) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Cluster cluster{without_faults(), seed};
    cluster.start_worker({"w1", 1, {}, 1});
    SimClient& client = cluster.start_client("client-1");
    cluster.run_for(0.1);
    Random random{seed};
    const Ordered given = add_to(cluster.world, draw_tree(random));
    const std::unordered_set<Key> ends(given.graph.targets.begin(), given.graph.targets.end());
    std::vector<Key> ran;
    std::size_t peak = 0;
    SimWorker& worker = *cluster.live_workers().front();
    cluster.computed = [&](const SimWorker&, const Key& key) {
      ran.push_back(key);
      peak = std::max(peak, worker.store.size() - ends.contains(key));
    };
    // Not before all is known: else what happens to be looked at first goes to a free thread.
    worker.set_paused(true);
    cluster.run_for(0.1);
    client.submit(given.graph);
    cluster.run_for(0.1);
    worker.set_paused(false);
    const auto done = [&] { return client.keys_that_are(SimClient::Status::memory).size() == 1; };
    ASSERT_TRUE(cluster.run_until(done, 100));
    EXPECT_EQ(ran, given.graph.keys);
    EXPECT_EQ(peak, given.peak);
    const Key& end = given.graph.targets.front();
    EXPECT_EQ(worker.store.at(end), cluster.world.at(end).value);
  }
}

}  // namespace
}  // namespace rask::sim
