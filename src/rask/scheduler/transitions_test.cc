// The life of tasks, one event at a time.
#include <malloc.h>

#include "rask/scheduler/story.h"
#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

TEST(Transitions, a_task_runs_and_its_future_hears_of_it) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.take();
  EXPECT_EQ(rig.update_graph({{"x", {}, {}}}, {"x"}), Lines{"alice compute-task x"});
  EXPECT_EQ(rig.state("x"), "processing");
  EXPECT_EQ(rig.finish(alice, "x"), Lines{"client-1 key-in-memory x@alice"});
  EXPECT_EQ(rig.from_client(protocol::ClientReleasesKeys{{Key{"x"}}, "release"}),
            Lines{"alice free-keys x"});
  EXPECT_EQ(rig.state("x"), "unknown");
}

TEST(Transitions, a_dependent_waits_and_its_dependency_goes_when_it_is_done) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.take();
  EXPECT_EQ(rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"y"}),
            Lines{"alice compute-task x"});
  EXPECT_EQ(rig.state("y"), "waiting");
  EXPECT_EQ(rig.finish(alice, "x"), Lines{"alice compute-task y x@alice"});
  EXPECT_EQ(rig.finish(alice, "y"), (Lines{"client-1 key-in-memory y@alice", "alice free-keys x"}));
  EXPECT_EQ(rig.state("x"), "released");  // Known, to be computed again if y is lost.
}

TEST(Transitions, an_error_reaches_dependents_and_clients) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.take();
  rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}, {"z", {"y"}, {}}}, {"x", "z"});
  EXPECT_EQ(rig.err(alice, "x"), (Lines{"client-1 task-erred x", "client-1 task-erred z"}));
  const auto z = *rig.scheduler.task(Key{"z"});
  EXPECT_EQ(z.state, TaskState::erred);
  EXPECT_EQ(z.exception_blame, Key{"x"});
  EXPECT_EQ(z.exception_text, "ZeroDivisionError('division by zero')");
  EXPECT_EQ(*z.exception, payload("exception"));
}

TEST(Transitions, a_task_submitted_on_an_erred_one_errs_at_once) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  rig.err(alice, "x");
  EXPECT_EQ(rig.update_graph({{"y", {"x"}, {}}}, {"y"}), Lines{"client-1 task-erred y"});
}

TEST(Transitions, retries_are_used_up_before_a_task_errs) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.take();
  protocol::Annotations twice;
  twice.retries = 1;
  rig.update_graph({{"x", {}, twice}}, {"x"});
  EXPECT_EQ(rig.err(alice, "x"), (Lines{"alice free-keys x", "alice compute-task x"}));
  EXPECT_EQ(rig.err(alice, "x"), Lines{"client-1 task-erred x"});
}

// Found by the simulation: alice remembered y for ever.
TEST(Transitions, what_erred_by_itself_and_then_for_its_inputs_is_freed_where_it_ran) {
  Rig rig;
  const auto bob = rig.add_worker("bob");
  rig.update_graph({{"x", {}, {}}, {"z", {}, {}}}, {"x", "z"});
  rig.finish(bob, "x");
  rig.finish(bob, "z");
  const auto alice = rig.add_worker("alice");
  rig.from_worker(bob, protocol::WorkerStatusChanged{protocol::WorkerStatus::paused, "p"});
  rig.update_graph({{"y", {"x", "z"}, {}}}, {"y"});
  EXPECT_EQ(rig.err(alice, "y"), Lines{"client-1 task-erred y"});
  rig.remove_worker(bob);
  rig.err(alice, "x");
  rig.err(alice, "z");
  const Key x{"x"};
  rig.scheduler.retry(std::span{&x, 1}, rig.now, rig.effects);
  EXPECT_EQ(rig.take(),
            (Lines{"alice free-keys x,y", "client-1 task-retried x", "alice compute-task x"}));
}

TEST(Transitions, retry_runs_the_first_cause_again_and_then_the_rest) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"y"});
  rig.err(alice, "x");
  const Key y{"y"};
  const auto retried = rig.scheduler.retry(std::span{&y, 1}, rig.now, rig.effects);
  EXPECT_EQ(retried, keys_of({"y", "x"}));
  EXPECT_EQ(rig.take(),
            (Lines{"alice free-keys x", "client-1 task-retried y", "alice compute-task x"}));
  EXPECT_EQ(rig.finish(alice, "x"), Lines{"alice compute-task y x@alice"});
}

TEST(Transitions, without_a_worker_tasks_wait_for_one) {
  Rig rig;
  EXPECT_EQ(rig.update_graph({{"x", {}, {}}}, {"x"}), Lines{});
  EXPECT_EQ(rig.state("x"), "queued");  // One task is many for a cluster of no threads.
  rig.add_worker("alice");
  EXPECT_EQ(rig.take(), Lines{"alice compute-task x"});
}

TEST(Transitions, what_nobody_wants_any_more_is_called_off) {
  Rig rig;
  rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"y"});
  EXPECT_EQ(rig.from_client(protocol::ClientReleasesKeys{{Key{"y"}}, "release"}),
            Lines{"alice free-keys x"});
  EXPECT_EQ(rig.scheduler.task_count(), 0u);
}

TEST(Transitions, a_message_of_an_old_run_is_not_believed) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  const auto bob = rig.add_worker("bob");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  const auto run = rig.current_run("x");
  // The worker goes and comes back under another id; what it says of the old run counts no more.
  rig.remove_worker(alice);
  ASSERT_EQ(rig.state("x"), "processing");
  EXPECT_EQ(rig.from_worker(bob, rig.finished("x", run)),
            (Lines{"bob free-keys x", "bob compute-task x"}));
  EXPECT_EQ(rig.from_worker(bob, rig.finished("y", 1)), Lines{"bob free-keys y"});
  EXPECT_EQ(rig.finish(bob, "x"), Lines{"client-1 key-in-memory x@bob"});
  EXPECT_EQ(rig.finish(bob, "x"), Lines{});  // Said twice.
}

TEST(Transitions, a_rescheduled_task_is_placed_again) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  EXPECT_EQ(rig.from_worker(alice, protocol::Reschedule{Key{"x"}, "reschedule"}),
            (Lines{"alice free-keys x", "alice compute-task x"}));
}

TEST(Transitions, a_long_running_task_gives_its_slot_to_the_next) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  std::vector<T> tasks;
  for (int i = 0; i < 5; ++i) tasks.push_back({"t-" + std::to_string(i), {}, {}});
  EXPECT_EQ(rig.update_graph(tasks, {"t-0", "t-1", "t-2", "t-3", "t-4"}),
            (Lines{"alice compute-task t-0", "alice compute-task t-1"}));
  protocol::LongRunning seceded;
  seceded.key = Key{"t-0"};
  seceded.run_id = rig.current_run("t-0");
  seceded.compute_duration = 0.5;
  EXPECT_EQ(rig.from_worker(alice, seceded), Lines{"alice compute-task t-2"});
  EXPECT_EQ(rig.from_worker(alice, seceded), Lines{});  // Once.
  EXPECT_EQ(rig.finish(alice, "t-0"), Lines{"client-1 key-in-memory t-0@alice"});
}

TEST(Transitions, lost_data_is_computed_again_for_who_waits) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.add_worker("bob");
  rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"x", "y"});
  rig.finish(alice, "x");
  EXPECT_EQ(rig.from_worker(alice, protocol::ReleaseWorkerData{Key{"x"}, "gone"}),
            (Lines{"client-1 lost-data x", "alice free-keys y", "alice compute-task x"}));
  EXPECT_EQ(rig.state("y"), "waiting");
  EXPECT_EQ(rig.finish(alice, "x"),
            (Lines{"client-1 key-in-memory x@alice", "alice compute-task y x@alice"}));
}

TEST(Transitions, the_story_tells_every_step_and_why) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  rig.finish(alice, "x");
  const Key x{"x"};
  std::string told;
  for (const auto& line : rig.scheduler.story(std::span{&x, 1}, {}))
    told += std::string{to_string(line.start)} + ">" + std::string{to_string(line.finish)} + " " +
            line.stimulus_id + "; ";
  EXPECT_EQ(told,
            "released>waiting update-graph; waiting>processing update-graph; "
            "processing>memory task-finished-x; ");
  const std::string stimulus = "task-finished-x";
  EXPECT_EQ(rig.scheduler.story({}, std::span{&stimulus, 1}).size(), 1u);
}

TEST(Transitions, the_ring_of_stories_forgets_the_oldest) {
  auto options = test_options();
  options.transition_log_length = 4;
  Rig rig{options};
  const auto alice = rig.add_worker("alice");
  for (int i = 0; i < 20; ++i) {
    const auto key = "x-" + std::to_string(i);
    rig.update_graph({{key, {}, {}}}, {key});
    rig.finish(alice, key);
  }
  const auto all = keys_of({"x-0", "x-18", "x-19"});
  const auto lines = rig.scheduler.story(all, {});
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back().key, Key{"x-19"});
  EXPECT_EQ(lines.back().stimulus_id, "task-finished-x-19");
  EXPECT_NE(lines.front().key, Key{"x-0"});
}

TEST(Transitions, the_memory_of_a_long_stimulus_goes_with_it) {
  const auto allocated = [] {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  if (allocated() == 0) GTEST_SKIP() << "a sanitizer's allocator does not tell";
  StoryLog story{4};
  const Key key{"x"};
  const auto log = [&](const std::string& stimulus) {
    const auto number = story.open_stimulus();
    story.add(key, TaskState::waiting, TaskState::processing, number, 0);
    story.set_stimulus(number, stimulus);
  };
  const auto before = allocated();
  for (int i = 0; i < 4; ++i) log(std::string(1 << 20, 's'));
  EXPECT_GT(allocated(), before + (4 << 20));
  for (int i = 0; i < 4; ++i) log("a stimulus that is too long to stand in the string itself");
  EXPECT_LT(allocated(), before + (1 << 20));
  EXPECT_EQ(story.find({&key, 1}, {}).back().stimulus_id,
            "a stimulus that is too long to stand in the string itself");
}

}  // namespace
}  // namespace rask::scheduler
