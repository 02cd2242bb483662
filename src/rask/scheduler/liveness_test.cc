#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

TEST(Liveness, a_silent_worker_is_removed_after_its_ttl) {
  auto options = test_options();
  options.worker_ttl = 60;
  Rig rig{options};
  const auto alice = rig.add_worker("alice");
  rig.take();
  EXPECT_EQ(rig.tick(60), Lines{});  // At the limit: alive.
  rig.scheduler.heartbeat_worker(alice, {}, rig.now, rig.effects);
  EXPECT_EQ(rig.tick(60), Lines{});
  EXPECT_EQ(rig.tick(0.01), (Lines{"alice close scheduler-remove-worker", "drop alice"}));
  EXPECT_EQ(rig.scheduler.next_deadline(), std::nullopt);
}

// It would take its nanny with it if it were told to close; this way another one comes.
TEST(Liveness, a_silent_worker_with_a_nanny_is_killed_by_it) {
  auto options = test_options();
  options.worker_ttl = 60;
  Rig rig{options};
  rig.add_worker("alice", 1, [](WorkerInfo& info) { info.nanny = "alices-nanny"; });
  rig.take();
  EXPECT_EQ(rig.tick(61), Lines{"drop alice, killed by alices-nanny"});
}

TEST(Liveness, an_idle_scheduler_asks_to_be_shut_down) {
  auto options = test_options();
  options.idle_timeout = 10;
  options.worker_ttl = 0;
  Rig rig{options};
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  EXPECT_EQ(rig.scheduler.idle_since(), std::nullopt);
  EXPECT_EQ(rig.tick(100), Lines{});
  rig.finish(alice, "x");
  EXPECT_EQ(rig.scheduler.idle_since(), 1100);
  EXPECT_EQ(rig.scheduler.next_deadline(), 1110);
  EXPECT_EQ(rig.tick(10), Lines{"shut-down idle-timeout-exceeded"});
}

TEST(Liveness, a_task_that_no_worker_may_run_fails_after_the_timeout) {
  auto options = test_options();
  options.no_workers_timeout = 5;
  options.worker_ttl = 0;
  Rig rig{options};
  rig.add_worker("alice");
  protocol::Annotations elsewhere;
  elsewhere.workers = {"bob"};
  rig.update_graph({{"x", {}, elsewhere}}, {"x"});
  EXPECT_EQ(rig.tick(5), Lines{});
  EXPECT_EQ(rig.tick(0.1), Lines{"client-1 task-erred x"});
  EXPECT_NE(rig.scheduler.task(Key{"x"})->exception_text.find("restrictions"), std::string::npos);
}

TEST(Liveness, tasks_fail_when_there_are_no_workers_for_too_long) {
  auto options = test_options();
  options.no_workers_timeout = 5;
  Rig rig{options};
  rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"y"});
  ASSERT_TRUE(rig.scheduler.next_deadline());
  EXPECT_GT(*rig.scheduler.next_deadline(), rig.now + 5);
  EXPECT_EQ(rig.tick(5.1), Lines{"client-1 task-erred y"});
  EXPECT_NE(rig.scheduler.task(Key{"x"})->exception_text.find("without any running workers"),
            std::string::npos);
}

TEST(Liveness, an_outlier_of_a_heartbeat_makes_a_duration_unknown_again) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x-1", {}, {}}}, {"x-1"});
  rig.finish(alice, "x-1", 1);
  rig.update_graph({{"x-2", {}, {}}}, {"x-2"});
  EXPECT_DOUBLE_EQ(rig.scheduler.worker(alice).occupancy, 1);
  WorkerMetrics metrics;
  metrics.executing.emplace_back(Key{"x-2"}, 3);
  rig.scheduler.heartbeat_worker(alice, metrics, rig.now, rig.effects);
  EXPECT_DOUBLE_EQ(rig.scheduler.worker(alice).occupancy, 6);  // Twice the longest seen.
}

TEST(Liveness, default_task_durations_are_known_from_the_start) {
  auto options = test_options();
  options.default_task_durations["load"] = 7;
  Rig rig{options};
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"load-1", {}, {}}}, {"load-1"});
  EXPECT_DOUBLE_EQ(rig.scheduler.worker(alice).occupancy, 7);
}

}  // namespace
}  // namespace rask::scheduler
