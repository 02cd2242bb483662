#include "rask/worker/worker.h"

#include <gtest/gtest.h>

#include "rask/worker/testing.h"

namespace rask::worker::testing {

Options with_threads(int nthreads) {
  Options options;
  options.nthreads = nthreads;
  return options;
}

TEST(Worker, runs_a_task_reports_it_and_forgets_it_when_it_is_freed) {
  Machine alice;
  EXPECT_EQ(alice.compute("x"), Lines{"execute x"});
  EXPECT_EQ(alice.state("x"), "executing");
  EXPECT_EQ(alice.success("x", 28), Lines{"task-finished x run 1"});
  EXPECT_EQ(alice.state("x"), "memory");
  EXPECT_EQ(alice.worker.nbytes(), 28);
  EXPECT_EQ(alice.free({"x"}), (Lines{"forget x", "release-worker-data x"}));
  EXPECT_EQ(alice.state("x"), "");
  EXPECT_EQ(alice.worker.nbytes(), 0);
  EXPECT_EQ(alice.worker.task_count(), 0U);
}

TEST(Worker, task_finished_carries_what_the_shell_said) {
  Machine alice;
  alice.compute("x");
  alice.success("x", 28);
  const auto& sent = std::get<SendToScheduler>(alice.instructions.at(0)).message;
  const auto& message = std::get<protocol::TaskFinished>(sent);
  EXPECT_EQ(message.nbytes, 28);
  EXPECT_EQ(message.typename_, "int");
  EXPECT_TRUE(message.stimulus_id.starts_with("task-finished-1000000.00200"));
  ASSERT_EQ(message.startstops.size(), 1U);
  EXPECT_EQ(message.startstops[0].action, "compute");
}

TEST(Worker, failure_is_reported_and_the_task_can_be_computed_again) {
  Machine alice;
  alice.compute("x");
  EXPECT_EQ(alice.failure("x"), Lines{"task-erred x run 1: boom"});
  EXPECT_EQ(alice.state("x"), "error");
  EXPECT_EQ(alice.compute("x", {.run_id = 2}), Lines{"execute x"});
  EXPECT_EQ(alice.success("x", 8, 2), Lines{"task-finished x run 2"});
}

TEST(Worker, freeing_an_erred_task_forgets_it) {
  Machine alice;
  alice.compute("x");
  alice.failure("x");
  EXPECT_EQ(alice.free({"x"}), Lines{});
  EXPECT_EQ(alice.state("x"), "");
}

TEST(Worker, runs_by_priority_and_the_last_of_equals_first) {
  Machine alice;
  alice.compute("first");
  for (const auto* key : {"b1", "b2"}) alice.compute(key, {.priority = 2});
  alice.compute("a", {.priority = 1});
  alice.compute("c", {.priority = 3});
  EXPECT_EQ(alice.worker.ready_count(), 4U);
  EXPECT_EQ(alice.success("first")[1], "execute a");
  EXPECT_EQ(alice.success("a")[1], "execute b2");
  EXPECT_EQ(alice.success("b2")[1], "execute b1");
  EXPECT_EQ(alice.success("b1")[1], "execute c");
}

TEST(Worker, keeps_no_more_running_than_threads) {
  Machine alice{with_threads(2)};
  for (const auto* key : {"a", "b", "c"}) alice.compute(key);
  EXPECT_EQ(alice.worker.executing_count(), 2U);
  EXPECT_EQ(alice.state("c"), "ready");
}

TEST(Worker, a_dependent_that_becomes_ready_competes_for_the_thread_that_its_dependency_leaves) {
  Machine alice;
  alice.compute("x");
  alice.compute("late", {.priority = 9});
  alice.compute("y", {.who_has = {{"x", {kAlice}}}, .priority = 1});
  EXPECT_EQ(alice.state("y"), "waiting");
  // x is fetched when it ends: the scheduler says that it is in memory somewhere.
  EXPECT_EQ(alice.state("x"), "resumed");
  EXPECT_EQ(alice.success("x"), (Lines{"add-keys x", "execute y"}));
}

TEST(Worker, computing_a_task_that_is_in_memory_is_answered_at_once) {
  Machine alice;
  alice.compute("x");
  alice.success("x", 28);
  EXPECT_EQ(alice.compute("x", {.run_id = 7}), Lines{"task-finished x run 7"});
}

TEST(Worker, computing_a_task_that_is_here_already_changes_nothing) {
  Machine alice;
  alice.compute("x");
  EXPECT_EQ(alice.compute("x", {.run_id = 2}), Lines{});
  alice.compute("y");
  EXPECT_EQ(alice.compute("y"), Lines{});
  EXPECT_EQ(alice.success("x"), (Lines{"task-finished x run 1", "execute y"}));
}

// ---- Resources ----------------------------------------------------------------------------------

Options with_gpus(double count, int nthreads = 4) {
  Options options = with_threads(nthreads);
  options.resources = {{"GPU", count}};
  return options;
}

TEST(Worker, constrained_tasks_wait_for_their_resources) {
  Machine alice{with_gpus(1)};
  EXPECT_EQ(alice.compute("x", {.resources = {{"GPU", 1}}}), Lines{"execute x"});
  EXPECT_EQ(alice.compute("y", {.resources = {{"GPU", 1}}}), Lines{});
  EXPECT_EQ(alice.state("y"), "constrained");
  EXPECT_EQ(alice.compute("z"), Lines{"execute z"});
  EXPECT_EQ(alice.worker.available_resources().at("GPU"), 0);
  EXPECT_EQ(alice.success("x"), (Lines{"task-finished x run 1", "execute y"}));
  alice.failure("y");
  EXPECT_EQ(alice.worker.available_resources().at("GPU"), 1);
}

TEST(Worker, a_constrained_task_with_resources_free_runs_before_a_ready_one_of_lower_priority) {
  Machine alice{with_gpus(1, 1)};
  alice.compute("first");
  alice.compute("ready", {.priority = 2});
  alice.compute("gpu", {.priority = 1, .resources = {{"GPU", 1}}});
  EXPECT_EQ(alice.success("first")[1], "execute gpu");
}

TEST(Worker, resources_are_given_back_by_reschedule_and_by_a_cancelled_task) {
  Machine alice{with_gpus(1)};
  alice.compute("x", {.resources = {{"GPU", 1}}});
  EXPECT_EQ(alice.reschedule("x"), Lines{"reschedule x"});
  EXPECT_EQ(alice.worker.available_resources().at("GPU"), 1);
  alice.compute("x", {.resources = {{"GPU", 1}}});
  alice.free({"x"});
  EXPECT_EQ(alice.worker.available_resources().at("GPU"), 0);
  alice.success("x");
  EXPECT_EQ(alice.worker.available_resources().at("GPU"), 1);
  EXPECT_EQ(alice.state("x"), "");
}

TEST(Worker, a_task_that_seceded_keeps_its_resources) {
  Machine alice{with_gpus(1)};
  alice.compute("x", {.resources = {{"GPU", 1}}});
  alice.secede("x");
  EXPECT_EQ(alice.compute("y", {.resources = {{"GPU", 1}}}), Lines{});
}

TEST(Worker, a_running_task_gives_back_what_it_took_though_it_is_sent_again_with_other_needs) {
  Machine alice{with_gpus(2)};
  alice.compute("x", {.resources = {{"GPU", 1}}});
  alice.free({"x"});
  alice.compute("x", {.resources = {{"GPU", 2}}, .run_id = 2});
  EXPECT_EQ(alice.state("x"), "executing");
  alice.success("x");
  EXPECT_EQ(alice.worker.available_resources().at("GPU"), 2);
}

TEST(Worker, new_resources_start_what_waited_for_them) {
  Machine alice;
  EXPECT_EQ(alice.compute("x", {.resources = {{"GPU", 1}}}), Lines{});
  alice.instructions.clear();
  alice.worker.set_resources({{"GPU", 2}}, alice.now, alice.instructions);
  EXPECT_EQ(describe(alice.instructions), Lines{"execute x"});
  EXPECT_EQ(alice.worker.available_resources().at("GPU"), 1);
}

// ---- secede, reschedule, pause ------------------------------------------------------------------

TEST(Worker, secede_frees_the_thread_and_tells_the_scheduler) {
  Machine alice;
  alice.compute("x");
  alice.compute("y");
  EXPECT_EQ(alice.secede("x"), (Lines{"long-running x run 1", "execute y"}));
  EXPECT_EQ(alice.worker.executing_count(), 1U);
  EXPECT_EQ(alice.worker.executing(alice.now).size(), 2U);
  EXPECT_EQ(alice.secede("x"), Lines{});  // Twice is once.
  EXPECT_EQ(alice.success("x"), Lines{"task-finished x run 1"});
}

TEST(Worker, secede_of_a_task_that_has_ended_does_nothing) {
  Machine alice;
  EXPECT_EQ(alice.secede("x"), Lines{});
  alice.compute("x");
  alice.success("x");
  EXPECT_EQ(alice.secede("x"), Lines{});
}

TEST(Worker, long_running_tasks_can_fail_and_be_rescheduled) {
  Machine alice;
  alice.compute("x");
  alice.secede("x");
  EXPECT_EQ(alice.failure("x"), Lines{"task-erred x run 1: boom"});
  alice.compute("y");
  alice.secede("y");
  EXPECT_EQ(alice.reschedule("y"), Lines{"reschedule y"});
  EXPECT_EQ(alice.state("y"), "");
}

TEST(Worker, a_paused_worker_starts_nothing_and_fetches_nothing) {
  Machine alice;
  EXPECT_EQ(alice.send(Pause{}), Lines{});
  EXPECT_TRUE(alice.worker.paused());
  EXPECT_EQ(alice.compute("x"), Lines{});
  EXPECT_EQ(alice.compute("y", {.who_has = {{"z", {kBob}}}}), Lines{});
  EXPECT_EQ(alice.send(Unpause{}), (Lines{"execute x", "gather z from " + kBob}));
}

TEST(Worker, the_scheduler_can_pause_a_worker) {
  Machine alice;
  alice.send(protocol::ChangeWorkerStatus{protocol::WorkerStatus::closing_gracefully, "s"});
  EXPECT_TRUE(alice.worker.paused());
  alice.compute("x");
  const auto lines = alice.send(protocol::ChangeWorkerStatus{protocol::WorkerStatus::running, "s"});
  EXPECT_EQ(lines, Lines{"execute x"});
}

// ---- free-keys, cancel-compute, steal-request ---------------------------------------------------

TEST(Worker, freeing_a_ready_task_forgets_it_and_what_it_alone_needed) {
  Machine alice;
  alice.compute("busy");
  alice.compute("y", {.who_has = {{"x", {kBob}}}});
  EXPECT_EQ(alice.state("x"), "flight");
  alice.free({"y"});
  EXPECT_EQ(alice.state("y"), "");
  EXPECT_EQ(alice.state("x"), "cancelled");
  EXPECT_EQ(alice.gathered(kBob, {"x"}), Lines{"forget x"});
  EXPECT_EQ(alice.state("x"), "");
}

TEST(Worker, a_dependency_in_memory_stays_until_the_scheduler_frees_it) {
  Machine alice;
  alice.compute("busy");
  alice.compute("y", {.who_has = {{"x", {kBob}}}});
  alice.gathered(kBob, {"x"});
  EXPECT_EQ(alice.free({"y"}), Lines{});
  EXPECT_EQ(alice.state("x"), "memory");
}

TEST(Worker, a_shared_dependency_is_fetched_on_while_another_task_waits_for_it) {
  Machine alice;
  alice.compute("y", {.who_has = {{"x", {kBob}}}});
  alice.compute("z", {.who_has = {{"x", {kBob}}}});
  alice.free({"y"});
  EXPECT_EQ(alice.state("x"), "flight");
  EXPECT_EQ(alice.gathered(kBob, {"x"}), (Lines{"add-keys x", "execute z"}));
}

// The scheduler frees a key before the task that needs it: the task must not run without it.
TEST(Worker, a_ready_task_goes_back_to_waiting_when_its_dependency_is_freed_first) {
  Machine alice;
  alice.compute("busy");
  alice.scatter("x");
  alice.compute("y", {.who_has = {{"x", {kAlice}}}});
  EXPECT_EQ(alice.state("y"), "ready");
  EXPECT_EQ(alice.free({"x"}), (Lines{"forget x", "release-worker-data x"}));
  EXPECT_EQ(alice.state("y"), "waiting");
  EXPECT_EQ(alice.state("x"), "missing");
  EXPECT_EQ(alice.success("busy"), Lines{"task-finished busy run 1"});
  alice.free({"y"});
  EXPECT_EQ(alice.state("x"), "");
}

TEST(Worker, cancel_compute_gives_up_only_what_has_not_begun) {
  Machine alice;
  alice.compute("x");
  alice.compute("y");
  alice.cancel("y");
  EXPECT_EQ(alice.state("y"), "");
  alice.cancel("x");
  EXPECT_EQ(alice.state("x"), "executing");
  EXPECT_EQ(alice.cancel("unknown"), Lines{});
}

TEST(Worker, steal_request_gives_up_only_what_has_not_begun) {
  Machine alice;
  alice.compute("x");
  alice.compute("y");
  alice.compute("w", {.who_has = {{"d", {kBob}}}});
  EXPECT_EQ(alice.steal("x"), Lines{"steal-response x 'executing'"});
  EXPECT_EQ(alice.steal("y"), Lines{"steal-response y 'ready'"});
  EXPECT_EQ(alice.steal("w"), Lines{"steal-response w 'waiting'"});
  EXPECT_EQ(alice.steal("unknown"), Lines{"steal-response unknown ''"});
  EXPECT_EQ(alice.state("x"), "executing");
  EXPECT_EQ(alice.state("y"), "");
  EXPECT_EQ(alice.state("w"), "");
}

TEST(Worker, steal_response_carries_the_id_of_the_request) {
  Machine alice;
  alice.steal("x");
  const auto& sent = std::get<SendToScheduler>(alice.instructions.at(0)).message;
  EXPECT_EQ(std::get<protocol::StealResponse>(sent).stimulus_id, "steal-1");
}

TEST(Worker, constrained_tasks_can_be_stolen) {
  Machine alice{with_gpus(0)};
  alice.compute("x", {.resources = {{"GPU", 1}}});
  EXPECT_EQ(alice.steal("x"), Lines{"steal-response x 'constrained'"});
  EXPECT_EQ(alice.state("x"), "");
}

// ---- scatter, replicas --------------------------------------------------------------------------

TEST(Worker, scattered_values_are_in_memory_without_a_message) {
  Machine alice;
  EXPECT_EQ(alice.scatter("x"), Lines{});
  EXPECT_EQ(alice.state("x"), "memory");
  EXPECT_EQ(alice.worker.keys_in_memory(), std::vector<Key>{Key{"x"}});
}

TEST(Worker, a_scattered_value_serves_the_tasks_that_waited_for_it) {
  Machine alice;
  alice.compute("y", {.who_has = {{"x", {kBob}}}});
  alice.gather_lost(kBob);
  EXPECT_EQ(alice.state("x"), "missing");
  EXPECT_EQ(alice.scatter("x"), Lines{"execute y"});
}

TEST(Worker, a_value_scattered_while_its_task_is_in_flight_survives_the_failure_of_the_flight) {
  Machine alice;
  alice.compute("y", {.who_has = {{"x", {kBob}}}});
  EXPECT_EQ(alice.scatter("x"), Lines{});
  EXPECT_EQ(alice.gather_lost(kBob), (Lines{"add-keys x", "execute y"}));
}

TEST(Worker, a_value_scattered_while_its_task_runs_unwanted_is_kept) {
  Machine alice;
  alice.compute("x");
  alice.free({"x"});
  alice.scatter("x");
  EXPECT_EQ(alice.failure("x"), Lines{});
  EXPECT_EQ(alice.state("x"), "memory");
}

TEST(Worker, a_value_scattered_into_a_running_task_goes_when_the_task_is_freed) {
  Machine alice;
  alice.compute("x");
  alice.scatter("x");
  EXPECT_EQ(alice.free({"x"}), Lines{"forget x"});
  EXPECT_EQ(alice.success("x"), Lines{"forget x"});
  EXPECT_EQ(alice.state("x"), "");
}

TEST(Worker, remove_replicas_drops_idle_data_and_refuses_data_in_use) {
  Machine alice;
  alice.scatter("idle");
  alice.scatter("used");
  alice.compute("y", {.who_has = {{"used", {kAlice}}}});
  EXPECT_EQ(alice.remove_replicas({"idle", "used", "unknown"}),
            (Lines{"add-keys used", "forget idle", "release-worker-data idle"}));
  EXPECT_EQ(alice.state("used"), "memory");
  alice.success("y");
  EXPECT_EQ(alice.remove_replicas({"used"}), (Lines{"forget used", "release-worker-data used"}));
}

TEST(Worker, remove_replicas_leaves_a_task_alone_that_is_not_in_memory) {
  Machine alice;
  alice.compute("x");
  EXPECT_EQ(alice.remove_replicas({"x"}), Lines{});
  EXPECT_EQ(alice.state("x"), "executing");
}

// ---- story --------------------------------------------------------------------------------------

TEST(Worker, story_tells_the_transitions_of_a_key_and_of_a_stimulus) {
  Machine alice;
  alice.compute("x");
  alice.compute("other");
  alice.success("x");
  const Key key{"x"};
  const auto story = alice.worker.story({&key, 1}, {});
  ASSERT_EQ(story.size(), 4U);
  EXPECT_EQ(story[0].start, TaskState::released);
  EXPECT_EQ(story[0].finish, TaskState::waiting);
  EXPECT_EQ(story[0].stimulus_id, "compute-x");
  EXPECT_EQ(story[3].finish, TaskState::memory);
  EXPECT_TRUE(story[3].stimulus_id.starts_with("task-finished-"));
  const std::string stimulus = "compute-other";
  EXPECT_EQ(alice.worker.story({}, {&stimulus, 1}).size(), 2U);
}

TEST(Worker, story_keeps_only_the_last_lines) {
  Options options;
  options.transition_log_length = 3;
  Machine alice{options};
  alice.compute("x");
  alice.success("x");
  const Key key{"x"};
  const auto story = alice.worker.story({&key, 1}, {});
  ASSERT_EQ(story.size(), 3U);
  EXPECT_EQ(story[0].start, TaskState::waiting);
}

TEST(Worker, idle_means_that_nothing_is_under_way) {
  Machine alice;
  EXPECT_TRUE(alice.worker.idle());
  alice.compute("x");
  EXPECT_FALSE(alice.worker.idle());
  alice.success("x");
  EXPECT_TRUE(alice.worker.idle());
}

}  // namespace rask::worker::testing
