#include "rask/scheduler/queue.h"

#include <algorithm>
#include <limits>
#include <span>

#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

constexpr auto kLive = [](const TaskQueue::Entry&) { return true; };

TEST(TaskQueue, gives_the_best_first_however_they_came) {
  TaskQueue queue;
  for (const std::uint32_t order : {1u, 3u, 5u, 2u, 4u, 0u}) queue.add({0, 0, order}, order);
  for (std::uint32_t expected = 0; expected < 6; ++expected) {
    EXPECT_EQ(queue.peek(kLive), expected);
    queue.drop_first();
    queue.left();
  }
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.peek(kLive), kNone);
}

TEST(TaskQueue, throws_stale_entries_away_when_they_are_many) {
  TaskQueue queue;
  for (std::uint32_t i = 0; i < 5000; ++i) queue.add({0, 0, i}, i);
  for (std::uint32_t i = 0; i < 4000; ++i) queue.left();
  const auto live = [](const TaskQueue::Entry& entry) { return entry.task >= 4000; };
  queue.trim(live);
  EXPECT_EQ(queue.stored(), 1000u);
  EXPECT_EQ(queue.peek(live), 4000u);
  EXPECT_EQ(queue.tasks(live).size(), 1000u);
}

struct Map {
  std::vector<T> tasks;
  std::vector<std::string> wanted;
  explicit Map(int count, const std::string& name = "t") {
    for (int i = 0; i < count; ++i) {
      tasks.push_back({name + "-" + std::to_string(i), {}, {}});
      wanted.push_back(tasks.back().key);
    }
  }
};

void runs_python(WorkerInfo& info) {
  info.runs_native = false;
  info.runs_python = true;
}

void of_python(protocol::UpdateGraph& graph) {
  for (auto& task : graph.tasks) task.run_spec.kind = protocol::Payload::Kind::pickled;
}

TEST(Saturation, the_rule_of_dask_keeps_its_number_of_tasks_at_a_worker) {
  Rig rig;
  const auto alice = rig.add_worker("alice", 2);
  rig.take();
  const Map map{10};
  EXPECT_EQ(rig.update_graph(map.tasks, map.wanted),
            (Lines{"alice compute-task t-0", "alice compute-task t-1", "alice compute-task t-2"}));
  EXPECT_EQ(rig.state("t-3"), "queued");
  EXPECT_EQ(rig.finish(alice, "t-0", 1e-6),
            (Lines{"client-1 key-in-memory t-0@alice", "alice compute-task t-3"}));
}

// And the invariants hold: nobody is idle for no reason.
TEST(Saturation, below_one_leaves_threads_idle) {
  auto options = test_options();
  options.worker_saturation = 0.1;
  Rig rig{options};
  rig.add_worker("alice", 2);
  rig.add_worker("bob", 1);
  rig.take();
  const Map map{10};
  EXPECT_EQ(rig.update_graph(map.tasks, map.wanted),
            (Lines{"alice compute-task t-0", "bob compute-task t-1"}));
}

TEST(Saturation, tasks_of_one_language_do_not_keep_those_of_another) {
  Rig rig;
  rig.add_worker("native", 1);
  const auto python = rig.add_worker("python", 1, runs_python);
  rig.take();
  const Map native{20, "n"};
  EXPECT_EQ(rig.update_graph(native.tasks, native.wanted),
            (Lines{"native compute-task n-0", "native compute-task n-1"}));
  const Map map{20, "p"};
  EXPECT_EQ(rig.update_graph(map.tasks, map.wanted, of_python),
            (Lines{"python compute-task p-0", "python compute-task p-1"}));
  EXPECT_EQ(rig.finish(python, "p-0", 0.1),
            (Lines{"client-1 key-in-memory p-0@python", "python compute-task p-2"}));
}

TEST(Saturation, infinity_sends_everything_at_once) {
  auto options = test_options();
  options.worker_saturation = std::numeric_limits<double>::infinity();
  Rig rig{options};
  rig.add_worker("alice");
  rig.take();
  const Map map{10};
  EXPECT_EQ(rig.update_graph(map.tasks, map.wanted).size(), 10u);
}

Options own_rule() {
  auto options = test_options();
  options.worker_saturation.reset();
  return options;
}

TEST(Saturation, tiny_tasks_fill_a_worker_as_soon_as_one_has_shown_how_short_they_are) {
  Rig rig{own_rule()};
  const auto alice = rig.add_worker("alice");
  rig.take();
  const Map map{1000};
  EXPECT_EQ(rig.update_graph(map.tasks, map.wanted).size(), 2u);  // Not known: Dask's rule.
  // 60 microseconds each: the 84th fills five milliseconds.
  EXPECT_EQ(rig.finish(alice, "t-0", 60e-6).size(), 1 + 83u);
  EXPECT_EQ(rig.scheduler.worker(alice).processing_count, 84u);
}

TEST(Saturation, a_worker_full_of_tiny_tasks_is_filled_again_when_half_of_them_are_done) {
  Rig rig{own_rule()};
  const auto alice = rig.add_worker("alice");
  rig.take();
  const Map map{1000};
  rig.update_graph(map.tasks, map.wanted);
  rig.finish(alice, "t-0", 60e-6);
  for (int i = 1; i < 43; ++i)
    EXPECT_EQ(rig.finish(alice, "t-" + std::to_string(i), 60e-6).size(), 1u) << i;
  EXPECT_EQ(rig.scheduler.worker(alice).processing_count, 42u);
  EXPECT_EQ(rig.finish(alice, "t-43", 60e-6).size(), 1 + 43u);
}

TEST(Saturation, the_number_of_tiny_tasks_is_bounded) {
  Rig rig{own_rule()};
  const auto alice = rig.add_worker("alice");
  const Map map{5000};
  rig.update_graph(map.tasks, map.wanted);
  rig.finish(alice, "t-0", 0);
  EXPECT_EQ(rig.scheduler.worker(alice).processing_count, 2000u);
}

TEST(Saturation, long_tasks_and_large_results_are_kept_to_the_rule_of_dask) {
  Rig rig{own_rule()};
  const auto alice = rig.add_worker("alice");
  const Map slow{20, "slow"};
  rig.update_graph(slow.tasks, slow.wanted);
  EXPECT_EQ(rig.finish(alice, "slow-0", 0.02).size(), 1 + 1u);
  Rig other{own_rule()};
  const auto bob = other.add_worker("bob");
  const Map large{20, "large"};
  other.update_graph(large.tasks, large.wanted);
  EXPECT_EQ(other.finish(bob, "large-0", 1e-6, 1'000'000).size(), 1 + 1u);
}

TEST(Saturation, tiny_tasks_are_spread_over_all_workers) {
  Rig rig{own_rule()};
  const auto alice = rig.add_worker("alice");
  const auto bob = rig.add_worker("bob");
  const Map map{1000};
  rig.update_graph(map.tasks, map.wanted);
  for (const auto worker : {alice, bob}) {
    const auto key = rig.scheduler.processing(worker).front().str();
    rig.finish(worker, key, 120e-6);
  }
  EXPECT_EQ(rig.scheduler.worker(alice).processing_count, 42u);
  EXPECT_EQ(rig.scheduler.worker(bob).processing_count, 42u);
}

TEST(Saturation, a_few_tiny_tasks_are_shared_evenly) {
  Rig rig{own_rule()};
  const auto alice = rig.add_worker("alice");
  const auto bob = rig.add_worker("bob");
  const Map first{5};
  rig.update_graph(first.tasks, first.wanted);
  for (int i = 0; i < 5; ++i) {
    const auto key = "t-" + std::to_string(i);
    const bool is_alices = rig.scheduler.task(Key{key})->processing_on == "alice";
    rig.finish(is_alices ? alice : bob, key, 20e-6);
  }
  Map more{14};
  more.tasks.erase(more.tasks.begin(), more.tasks.begin() + 5);
  rig.update_graph(more.tasks, more.wanted);
  EXPECT_EQ(
      rig.scheduler.worker(alice).processing_count + rig.scheduler.worker(bob).processing_count,
      9u);
  EXPECT_GE(rig.scheduler.worker(alice).processing_count, 2u);
  EXPECT_GE(rig.scheduler.worker(bob).processing_count, 2u);
}

TEST(Saturation, the_last_tiny_tasks_are_dealt_out_fewer_and_fewer_at_a_time) {
  Rig rig{own_rule()};
  const auto alice = rig.add_worker("alice");
  const auto bob = rig.add_worker("bob");
  const Map map{64};
  rig.update_graph(map.tasks, map.wanted);
  const auto queued = [&] {
    return std::ranges::count_if(map.wanted,
                                 [&](const auto& key) { return rig.state(key) == "queued"; });
  };
  const auto on = [&](WorkerId worker) {
    return static_cast<std::int64_t>(rig.scheduler.worker(worker).processing_count);
  };
  // A tenth of a millisecond each: most of them would have room at one worker, and half a
  // millisecond is not worth a message. Alice alone goes on.
  std::vector<std::int64_t> most;
  while (queued() > 0) {
    rig.finish(alice, rig.scheduler.processing(alice).front().str(), 100e-6);
    most.push_back(on(alice));
    EXPECT_LE(on(alice), std::max(queued() + 1, std::int64_t{6}));
  }
  EXPECT_GT(most.front(), 10);
  EXPECT_LE(most.back(), 6);
  EXPECT_LE(on(bob), 32);
}

// A Python worker that holds as many as it may of tasks that take half a millisecond.
struct Filled {
  Rig rig{own_rule()};
  WorkerId alice = rig.add_worker("alice", 1, runs_python);
  Map map{1000};
  Filled() {
    rig.update_graph(map.tasks, map.wanted, of_python);
    rig.finish(alice, "t-0", 500e-6);
  }
};

TEST(Saturation, a_python_worker_holds_more_of_what_it_needs_time_around) {
  Filled filled;
  const auto& map = filled.map;
  // Half a millisecond each and 0.2 around it: the 143rd fills 100 ms.
  EXPECT_EQ(filled.rig.scheduler.worker(filled.alice).processing_count, 143u);
  Rig other{own_rule()};
  const auto native = other.add_worker("native", 1);
  other.update_graph(map.tasks, map.wanted);
  other.finish(native, "t-0", 500e-6);
  EXPECT_EQ(other.scheduler.worker(native).processing_count, 10u);
}

TEST(Saturation, tasks_that_have_seceded_take_no_room_from_short_ones) {
  Filled filled;
  auto& [rig, alice, map] = filled;
  for (int i = 1; i <= 72; ++i) {
    protocol::LongRunning seceded;
    seceded.key = Key{"t-" + std::to_string(i)};
    seceded.run_id = rig.current_run(seceded.key.str());
    seceded.compute_duration = 500e-6;
    rig.from_worker(alice, seceded);
  }
  // 71 were left, less than half of what fills it: it was filled again.
  EXPECT_EQ(rig.scheduler.worker(alice).processing_count, 72 + 143u);
}

TEST(CanWait, for_most_of_the_work_that_waits_for_a_thread_and_no_longer_than_a_limit) {
  Rig rig{own_rule()};
  const auto alice = rig.add_worker("alice", 1, runs_python);
  EXPECT_EQ(rig.scheduler.can_wait(alice), 0);
  const Map map{1000};
  rig.update_graph(map.tasks, map.wanted, of_python);
  // Two tasks, of which nothing is known but that Python is around them.
  EXPECT_NEAR(rig.scheduler.can_wait(alice), 0.85 * 1.5 * 0.0002, 1e-9);
  rig.finish(alice, "t-0", 500e-6);  // Now 143 of half a millisecond: more than enough.
  EXPECT_EQ(rig.scheduler.worker(alice).processing_count, 143u);
  EXPECT_NEAR(rig.scheduler.can_wait(alice), 0.050, 1e-9);
  for (int i = 1; i < 72; ++i) rig.finish(alice, "t-" + std::to_string(i), 500e-6);
  EXPECT_EQ(rig.scheduler.worker(alice).processing_count, 72u);
  EXPECT_NEAR(rig.scheduler.can_wait(alice), 0.85 * 71.5 * 0.0007, 1e-9);
}

// So many tasks that a worker gets all of them at once.
struct AtOnce {
  Rig rig{[] {
    auto options = own_rule();
    options.worker_saturation = std::numeric_limits<double>::infinity();
    return options;
  }()};
  WorkerId alice = rig.add_worker("alice", 1, runs_python);
  void finish(int begin, int end, Seconds took) {
    std::vector<protocol::FromWorker> batch;
    for (int i = begin; i < end; ++i) {
      const auto key = "t-" + std::to_string(i);
      batch.emplace_back(rig.finished(key, rig.current_run(key), took));
    }
    rig.scheduler.handle(alice, std::span{batch}, rig.now, rig.effects);
  }
};

TEST(CanWait, the_pace_of_a_busy_worker_counts_as_long_as_it_has_enough_to_do) {
  AtOnce at;
  const Map map{30};
  at.rig.update_graph(map.tasks, map.wanted, of_python);
  at.finish(0, 1, 0.0001);
  EXPECT_NEAR(at.rig.scheduler.can_wait(at.alice), 0.85 * 28.5 * 0.0003, 1e-9);
  // Ten in ten milliseconds, in two messages that are read together: 0.9 ms around each of them.
  at.rig.now += 0.010;
  at.finish(1, 9, 0.0001);
  at.finish(9, 11, 0.0001);
  const double around = (0.0002 + (0.010 - 9 * 0.0001) / 9) / 2;
  EXPECT_NEAR(at.rig.scheduler.can_wait(at.alice), 0.85 * 18.5 * (0.0001 + around), 1e-9);
  at.finish(11, 29, 0.0001);  // One is left: it may have been idle since.
  at.rig.now += 10;
  const Map more{10, "more"};
  at.rig.update_graph(more.tasks, more.wanted, of_python);
  EXPECT_NEAR(at.rig.scheduler.can_wait(at.alice), 0.85 * 10.5 * (0.0001 / 11 + 0.0002), 1e-9);
}

TEST(CanWait, not_long_while_a_client_holds_few_and_waits_for_one) {
  AtOnce at;
  const Map map{100};
  at.rig.update_graph(map.tasks, map.wanted, of_python);
  EXPECT_GT(at.rig.scheduler.can_wait(at.alice), 0.010);
  at.rig.client = at.rig.scheduler.add_client("other", at.rig.now, at.rig.effects);
  at.rig.update_graph({{"one", {}, {}}}, {"one"}, of_python);
  EXPECT_NEAR(at.rig.scheduler.can_wait(at.alice), 0.005, 1e-9);
}

TEST(CanWait, less_while_another_python_worker_has_nothing_to_do) {
  AtOnce at;
  const Map map{100};
  at.rig.update_graph(map.tasks, map.wanted, of_python);
  EXPECT_GT(at.rig.scheduler.can_wait(at.alice), 0.005);
  at.rig.add_worker("native", 1);  // Could not run them.
  EXPECT_GT(at.rig.scheduler.can_wait(at.alice), 0.005);
  at.rig.add_worker("bob", 1, runs_python);
  EXPECT_NEAR(at.rig.scheduler.can_wait(at.alice), 0.005, 1e-9);
  at.rig.update_graph({{"next", {"t-1"}, {}}}, {"next"}, of_python);
  EXPECT_EQ(at.rig.scheduler.can_wait(at.alice), 0);  // Its news may be work for bob.
}

TEST(Saturation, downstream_tasks_run_before_the_queue_moves) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  auto map = Map{10};
  map.tasks.push_back({"sum", {"t-0"}, {}});
  map.wanted.push_back("sum");
  rig.update_graph(map.tasks, map.wanted);
  // The slot that t-0 leaves goes to what its result makes possible.
  EXPECT_EQ(rig.finish(alice, "t-0"),
            (Lines{"client-1 key-in-memory t-0@alice", "alice compute-task sum t-0@alice"}));
}

}  // namespace
}  // namespace rask::scheduler
