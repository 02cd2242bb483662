// Work that cannot be stopped and is not wanted any more, or wanted again for another reason.
#include <gtest/gtest.h>

#include "rask/worker/testing.h"

namespace rask::worker::testing {

TEST(Cancelled, a_running_task_that_is_freed_ends_unheard) {
  Machine alice;
  alice.compute("x");
  EXPECT_EQ(alice.free({"x"}), Lines{});
  EXPECT_EQ(alice.state("x"), "cancelled");
  EXPECT_EQ(alice.worker.executing_count(), 1U);
  EXPECT_EQ(alice.success("x"), Lines{"forget x"});
  EXPECT_EQ(alice.state("x"), "");
}

TEST(Cancelled, the_error_of_a_cancelled_task_is_not_reported) {
  Machine alice;
  alice.compute("x");
  alice.free({"x"});
  EXPECT_EQ(alice.failure("x"), Lines{});
  EXPECT_EQ(alice.state("x"), "");
}

TEST(Cancelled, a_cancelled_task_that_asks_to_run_elsewhere_just_ends) {
  Machine alice;
  alice.compute("x");
  alice.free({"x"});
  EXPECT_EQ(alice.reschedule("x"), Lines{});
  EXPECT_EQ(alice.state("x"), "");
}

TEST(Cancelled, freeing_twice_is_freeing_once) {
  Machine alice;
  alice.compute("x");
  alice.free({"x"});
  alice.free({"x"});
  EXPECT_EQ(alice.state("x"), "cancelled");
}

TEST(Cancelled, a_cancelled_task_that_is_computed_again_goes_on_as_it_was) {
  Machine alice;
  alice.compute("x");
  alice.free({"x"});
  EXPECT_EQ(alice.compute("x", {.run_id = 2}), Lines{});
  EXPECT_EQ(alice.state("x"), "executing");
  // It says which run it was: the scheduler decides whether that will do.
  EXPECT_EQ(alice.success("x", 8, 1), Lines{"task-finished x run 1"});
}

TEST(Cancelled, a_task_that_seceded_unheard_says_so_when_it_is_wanted_again) {
  Machine alice;
  alice.compute("x");
  alice.free({"x"});
  alice.compute("y", {.run_id = 5});
  EXPECT_EQ(alice.secede("x"), Lines{"execute y"});
  EXPECT_EQ(alice.state("x"), "cancelled");
  EXPECT_EQ(alice.compute("x", {.run_id = 2}), Lines{"long-running x run 2"});
  EXPECT_EQ(alice.state("x"), "long-running");
}

TEST(Cancelled, a_long_running_task_can_be_cancelled_and_wanted_again) {
  Machine alice;
  alice.compute("x");
  alice.secede("x");
  alice.free({"x"});
  EXPECT_EQ(alice.state("x"), "cancelled");
  EXPECT_EQ(alice.worker.executing_count(), 0U);
  EXPECT_EQ(alice.compute("x"), Lines{"long-running x run 1"});
  EXPECT_EQ(alice.success("x"), Lines{"task-finished x run 1"});
}

// ---- resumed: executing, and then to be fetched -------------------------------------------------

void resume_for_fetch(Machine& alice) {
  alice.compute("x");
  alice.free({"x"});
  alice.compute("y", {.who_has = {{"x", {kBob}}}});
  ASSERT_EQ(alice.state("x"), "resumed");
}

TEST(Resumed, a_task_that_is_to_be_fetched_while_it_runs_counts_as_fetched_when_it_ends) {
  Machine alice;
  resume_for_fetch(alice);
  EXPECT_EQ(alice.success("x"), (Lines{"add-keys x", "execute y"}));
}

TEST(Resumed, a_task_that_is_to_be_fetched_is_fetched_when_its_run_fails) {
  Machine alice;
  resume_for_fetch(alice);
  EXPECT_EQ(alice.failure("x"), Lines{"gather x from " + kBob});
  EXPECT_EQ(alice.gathered(kBob, {"x"}), (Lines{"add-keys x", "execute y"}));
}

TEST(Resumed, a_task_that_is_to_be_fetched_is_fetched_when_it_asks_to_run_elsewhere) {
  Machine alice;
  resume_for_fetch(alice);
  EXPECT_EQ(alice.reschedule("x"), Lines{"gather x from " + kBob});
}

TEST(Resumed, it_is_cancelled_again_when_its_dependent_goes) {
  Machine alice;
  resume_for_fetch(alice);
  alice.free({"y"});
  EXPECT_EQ(alice.state("x"), "cancelled");
  EXPECT_EQ(alice.success("x"), Lines{"forget x"});
  EXPECT_EQ(alice.worker.task_count(), 0U);
}

TEST(Resumed, it_runs_as_before_when_the_scheduler_wants_it_computed_after_all) {
  Machine alice;
  resume_for_fetch(alice);
  alice.compute("x", {.run_id = 3});
  EXPECT_EQ(alice.state("x"), "executing");
  EXPECT_EQ(alice.success("x", 8, 1), (Lines{"task-finished x run 1", "execute y"}));
}

TEST(Resumed, it_may_secede) {
  Machine alice;
  resume_for_fetch(alice);
  alice.compute("other");
  EXPECT_EQ(alice.secede("x"), Lines{"execute other"});
  EXPECT_EQ(alice.success("x"), Lines{"add-keys x"});
  EXPECT_EQ(alice.success("other"), (Lines{"task-finished other run 1", "execute y"}));
}

TEST(Resumed, a_running_task_that_a_dependent_is_told_to_fetch_is_resumed_too) {
  Machine alice;
  alice.compute("x");
  alice.compute("y", {.who_has = {{"x", {kBob}}}});
  EXPECT_EQ(alice.state("x"), "resumed");
}

// ---- resumed: in flight, and then to be computed ------------------------------------------------

void resume_for_compute(Machine& alice) {
  alice.compute("y", {.who_has = {{"x", {kBob}}}});
  alice.free({"y"});
  ASSERT_EQ(alice.state("x"), "cancelled");
  ASSERT_EQ(alice.compute("x", {.run_id = 4}), Lines{});
  ASSERT_EQ(alice.state("x"), "resumed");
}

TEST(Resumed, a_task_that_is_to_be_computed_while_in_flight_counts_as_finished_when_it_arrives) {
  Machine alice;
  resume_for_compute(alice);
  EXPECT_EQ(alice.gathered(kBob, {"x"}), Lines{"task-finished x run 4"});
}

TEST(Resumed, a_task_that_is_to_be_computed_is_computed_when_it_does_not_arrive) {
  for (const int how : {0, 1, 2, 3}) {
    Machine alice;
    resume_for_compute(alice);
    Lines lines;
    if (how == 0) lines = alice.gather_lost(kBob);
    if (how == 1) lines = alice.gathered(kBob, {});
    if (how == 2) lines = alice.gather_failed(kBob);
    if (how == 3) lines = alice.gather_busy(kBob);
    EXPECT_EQ(lines.back(), "execute x");
    EXPECT_EQ(alice.state("x"), "executing");
  }
}

TEST(Resumed, a_flight_that_is_wanted_for_a_dependent_again_is_a_flight_again) {
  Machine alice;
  resume_for_compute(alice);
  alice.compute("z", {.who_has = {{"x", {kBob}}}});
  EXPECT_EQ(alice.state("x"), "flight");
}

TEST(Resumed, a_task_to_compute_is_cancelled_when_the_scheduler_frees_it) {
  Machine alice;
  resume_for_compute(alice);
  alice.free({"x"});
  EXPECT_EQ(alice.state("x"), "cancelled");
  EXPECT_EQ(alice.gathered(kBob, {"x"}), Lines{"forget x"});
  EXPECT_EQ(alice.worker.task_count(), 0U);
}

// Dask gives the task up here, and the scheduler waits for it for ever.
TEST(Resumed, a_task_to_compute_is_not_given_up_because_an_old_dependent_ends) {
  Machine alice;
  alice.scatter("x");
  alice.compute("old", {.who_has = {{"x", {kAlice}}}});
  alice.free({"old", "x"});
  ASSERT_EQ(alice.state("old"), "cancelled");
  resume_for_compute(alice);
  alice.success("old");
  EXPECT_EQ(alice.state("x"), "resumed");
  EXPECT_EQ(alice.gathered(kBob, {"x"}), Lines{"task-finished x run 4"});
}

// Found by the simulation: one transfer ends for a task and for what it needs.
TEST(Resumed, a_task_to_compute_keeps_the_dependency_whose_transfer_ended_with_its_own) {
  for (const bool arrives : {false, true}) {
    for (const auto& order :
         {WhoHas{{"a", {kBob}}, {"x", {kBob}}}, WhoHas{{"x", {kBob}}, {"a", {kBob}}}}) {
      Machine alice;
      alice.compute("y", {.who_has = order});
      alice.free({"y"});
      alice.compute("x", {.who_has = {{"a", {kCarol}}}});
      ASSERT_EQ(alice.state("a"), "cancelled");
      if (arrives) {
        EXPECT_EQ(alice.gathered(kBob, {"a"}), (Lines{"add-keys a", "execute x"}));
      } else {
        EXPECT_EQ(alice.gather_lost(kBob), (Lines{"gather a from " + kCarol}));
        EXPECT_EQ(alice.gathered(kCarol, {"a"}), (Lines{"add-keys a", "execute x"}));
      }
    }
  }
}

// ---- cancelled flights --------------------------------------------------------------------------

TEST(Cancelled, a_cancelled_flight_that_is_wanted_again_goes_on) {
  Machine alice;
  alice.compute("y", {.who_has = {{"x", {kBob}}}});
  alice.free({"y"});
  EXPECT_EQ(alice.compute("y", {.who_has = {{"x", {kBob}}}}), Lines{});
  EXPECT_EQ(alice.state("x"), "flight");
  EXPECT_EQ(alice.gathered(kBob, {"x"}), (Lines{"add-keys x", "execute y"}));
}

TEST(Cancelled, a_cancelled_flight_that_fails_is_forgotten) {
  for (const int how : {0, 1, 2, 3}) {
    Machine alice;
    alice.compute("y", {.who_has = {{"x", {kBob}}}});
    alice.free({"y"});
    Lines lines;
    if (how == 0) lines = alice.gather_lost(kBob);
    if (how == 1) lines = alice.gathered(kBob, {});
    if (how == 2) lines = alice.gather_failed(kBob);
    if (how == 3) lines = alice.gather_busy(kBob);
    const auto expected = how == 3 ? Lines{"retry later " + kBob} : Lines{};
    EXPECT_EQ(lines, expected) << how;
    EXPECT_EQ(alice.worker.task_count(), 0U);
  }
}

TEST(Cancelled, dependencies_of_a_task_that_is_computed_again_are_those_of_the_new_message) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}}});
  alice.gathered(kBob, {"a"});
  alice.free({"y", "a"});
  ASSERT_EQ(alice.state("y"), "cancelled");
  alice.compute("y", {.who_has = {{"b", {kBob}}}, .run_id = 2});
  EXPECT_EQ(alice.state("y"), "executing");
  EXPECT_EQ(alice.state("a"), "");
  EXPECT_EQ(alice.success("y"), Lines{"task-finished y run 1"});
  EXPECT_EQ(alice.free({"y"}), (Lines{"forget y", "release-worker-data y"}));
  EXPECT_EQ(alice.worker.task_count(), 0U);
}

}  // namespace rask::worker::testing
