#include <array>
#include <cmath>
#include <limits>

#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

bool has(const Lines& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

TEST(Workers, an_address_or_name_that_is_taken_is_refused) {
  Rig rig;
  rig.add_worker("alice");
  WorkerInfo info;
  info.address = "alice";
  info.name = "other";
  EXPECT_EQ(rig.scheduler.add_worker(info, rig.now, rig.effects).error().code,
            ErrorCode::invalid_argument);
  info.address = "other";
  info.name = "alice";
  const auto refused = rig.scheduler.add_worker(info, rig.now, rig.effects);
  EXPECT_EQ(refused.error().message, "name taken, alice");
}

TEST(Workers, a_lost_worker_gives_its_tasks_and_results_to_others) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.add_worker("bob");
  rig.take();
  rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"x", "y"});
  rig.finish(alice, "x");
  ASSERT_EQ(rig.scheduler.task(Key{"y"})->processing_on, "alice");
  EXPECT_EQ(rig.remove_worker(alice),
            (Lines{"alice close scheduler-remove-worker", "drop alice", "client-1 lost-data x",
                   "bob compute-task x", "bob remove-worker alice"}));
  EXPECT_EQ(rig.state("y"), "waiting");
  EXPECT_EQ(rig.scheduler.find_worker("alice"), std::nullopt);
}

TEST(Workers, a_task_that_kills_workers_fails_at_the_limit) {
  auto options = test_options();
  options.allowed_failures = 1;
  Rig rig{options};
  auto worker = rig.add_worker("w0");
  rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"y"});
  auto next = rig.add_worker("w1");
  rig.remove_worker(worker);
  EXPECT_EQ(rig.state("x"), "processing");  // Once is allowed.
  EXPECT_EQ(rig.scheduler.task(Key{"x"})->suspicious, 1);
  const auto lines = rig.remove_worker(next);
  EXPECT_TRUE(has(lines, "client-1 task-erred y"));
  const auto view = *rig.scheduler.task(Key{"x"});
  EXPECT_NE(view.exception_text.find("2 different workers"), std::string::npos);
  EXPECT_NE(view.exception_text.find("w1"), std::string::npos);
}

TEST(Workers, sizes_and_durations_beyond_reason_are_bounded) {
  Rig rig;
  const auto alice = rig.add_worker("alice", 4);
  rig.update_graph({{"x-1", {}, {}}, {"x-2", {}, {}}, {"x-3", {}, {}}}, {"x-1", "x-2", "x-3"});
  constexpr auto kHuge = std::numeric_limits<std::int64_t>::max();
  rig.finish(alice, "x-1", std::numeric_limits<double>::infinity(), kHuge);
  rig.finish(alice, "x-2", std::nan(""), kHuge);
  EXPECT_GT(rig.scheduler.worker(alice).nbytes, 0);
  EXPECT_TRUE(std::isfinite(rig.scheduler.total_occupancy()));
}

TEST(Workers, a_worker_that_goes_on_purpose_is_not_held_against_its_tasks) {
  auto options = test_options();
  options.allowed_failures = 0;
  Rig rig{options};
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  rig.remove_worker(alice, true);
  EXPECT_EQ(rig.state("x"), "queued");
  EXPECT_EQ(rig.scheduler.task(Key{"x"})->suspicious, 0);
}

TEST(Workers, a_paused_worker_gets_nothing_new) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.from_worker(alice, protocol::WorkerStatusChanged{protocol::WorkerStatus::paused, "p"});
  rig.update_graph({{"x", {}, {}}}, {"x"});
  EXPECT_EQ(rig.state("x"), "no-worker");
  EXPECT_EQ(
      rig.from_worker(alice, protocol::WorkerStatusChanged{protocol::WorkerStatus::running, "r"}),
      Lines{"alice compute-task x"});
}

TEST(Workers, copies_that_the_scheduler_does_not_want_are_dropped) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  const auto bob = rig.add_worker("bob");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  rig.finish(alice, "x");
  EXPECT_EQ(rig.from_worker(bob, protocol::AddKeys{keys_of({"x", "gone"}), "add"}),
            Lines{"bob remove-replicas gone"});
  EXPECT_EQ(rig.scheduler.task(Key{"x"})->who_has, (std::vector<Address>{"alice", "bob"}));
}

TEST(Workers, who_has_is_told_again_on_request) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  const auto bob = rig.add_worker("bob");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  rig.finish(alice, "x");
  EXPECT_EQ(rig.from_worker(bob, protocol::RequestRefreshWhoHas{keys_of({"x", "gone"}), "r"}),
            (Lines{"bob free-keys gone", "bob refresh-who-has x@alice"}));
}

TEST(Workers, holders_that_cannot_give_a_result_are_not_believed_for_ever) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  const auto bob = rig.add_worker("bob");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  rig.finish(alice, "x");
  const protocol::RequestRefreshWhoHas ask{keys_of({"x"}), "r"};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(rig.from_worker(bob, ask), Lines{"bob refresh-who-has x@alice"});
    rig.now += 1;
  }
  EXPECT_EQ(rig.from_worker(bob, ask), (Lines{"bob refresh-who-has x@", "alice free-keys x",
                                              "client-1 lost-data x", "bob compute-task x"}));
}

TEST(Workers, a_batch_of_messages_frees_keys_in_one_message) {
  Rig rig;
  const auto alice = rig.add_worker("alice", 2);
  rig.update_graph({{"a", {}, {}}, {"b", {}, {}}, {"c", {"a"}, {}}, {"d", {"b"}, {}}}, {"c", "d"});
  rig.finish(alice, "a");
  rig.finish(alice, "b");
  std::vector<protocol::FromWorker> batch;
  batch.emplace_back(rig.finished("c", rig.current_run("c")));
  batch.emplace_back(rig.finished("d", rig.current_run("d")));
  rig.scheduler.handle(alice, std::span{batch}, rig.now, rig.effects);
  EXPECT_EQ(rig.take(), (Lines{"client-1 key-in-memory c@alice", "alice free-keys a,b",
                               "client-1 key-in-memory d@alice"}));
}

TEST(Workers, missing_data_is_forgotten_and_made_again) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  rig.finish(alice, "x");
  const std::array missing{Key{"x"}, Key{"gone"}};
  rig.scheduler.missing_data(missing, alice, rig.now, rig.effects);
  EXPECT_EQ(rig.take(), (Lines{"client-1 lost-data x", "alice compute-task x"}));
}

TEST(Workers, views_tell_what_a_worker_does_and_holds) {
  Rig rig;
  const auto alice = rig.add_worker("alice", 2);
  rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"x", "y"});
  rig.finish(alice, "x", 0.25, 1000);
  const auto view = rig.scheduler.worker(alice);
  EXPECT_EQ(view.nbytes, 1000);
  EXPECT_EQ(view.has_what_count, 1u);
  EXPECT_EQ(view.processing_count, 1u);
  EXPECT_EQ(rig.scheduler.has_what(alice), keys_of({"x"}));
  EXPECT_EQ(rig.scheduler.processing(alice), keys_of({"y"}));
  EXPECT_DOUBLE_EQ(view.occupancy, 0.5);  // unknown-task-duration
  EXPECT_DOUBLE_EQ(rig.scheduler.total_occupancy(), 0.5);
}

TEST(Workers, adaptive_target_follows_the_load) {
  Rig rig;
  EXPECT_EQ(rig.scheduler.adaptive_target(5), 0);
  std::vector<T> tasks;
  std::vector<std::string> wanted;
  for (int i = 0; i < 40; ++i) {
    tasks.push_back({"t-" + std::to_string(i), {}, {}});
    wanted.push_back(tasks.back().key);
  }
  rig.update_graph(tasks, wanted);
  EXPECT_EQ(rig.scheduler.adaptive_target(5), 4);  // 40 tasks of 0.5 s
  rig.add_worker("alice", 2);
  EXPECT_EQ(rig.scheduler.adaptive_target(5), 2);  // of two threads each
}

TEST(Workers, idle_workers_with_little_data_are_closed_first) {
  Rig rig;
  const auto limit = [](WorkerInfo& info) { info.memory_limit_bytes = 10'000; };
  const auto alice = rig.add_worker("alice", 1, limit);
  const auto bob = rig.add_worker("bob", 1, limit);
  const auto carol = rig.add_worker("carol", 1, limit);
  rig.from_client(protocol::UpdateData{{{Key{"d"}, {"bob"}}}, {{Key{"d"}, 1000}}});
  rig.update_graph({{"x", {}, {}}}, {"x"});
  ASSERT_EQ(rig.scheduler.processing(alice).size(), 1u);
  EXPECT_EQ(rig.scheduler.workers_to_close(2), (std::vector<WorkerId>{carol, bob}));
  EXPECT_EQ(rig.scheduler.workers_to_close(-1), (std::vector<WorkerId>{carol, bob}));
}

}  // namespace
}  // namespace rask::scheduler
