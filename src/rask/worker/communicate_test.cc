// Fetching: whom to ask, how much at once, and what to do when it does not come.
#include <gtest/gtest.h>

#include "rask/worker/testing.h"

namespace rask::worker::testing {

TEST(Gather, one_message_asks_a_peer_for_all_that_it_has) {
  Machine alice;
  EXPECT_EQ(alice.compute("y", {.who_has = {{"a", {kBob}}, {"b", {kBob}}}}),
            Lines{"gather b,a from " + kBob});
  EXPECT_EQ(alice.gathered(kBob, {"a", "b"}), (Lines{"add-keys a", "add-keys b", "execute y"}));
}

TEST(Gather, execute_names_the_dependencies_in_the_order_of_the_message) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}, {"b", {kBob}}}});
  alice.gathered(kBob, {"b", "a"});
  const auto& execute = std::get<Execute>(alice.instructions.back());
  EXPECT_EQ(execute.dependencies, (std::vector<Key>{Key{"a"}, Key{"b"}}));
}

TEST(Gather, a_peer_is_asked_again_only_when_it_has_answered) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}}});
  EXPECT_EQ(alice.compute("z", {.who_has = {{"b", {kBob}}}}), Lines{});
  EXPECT_EQ(alice.state("b"), "fetch");
  EXPECT_EQ(alice.gathered(kBob, {"a"}),
            (Lines{"add-keys a", "execute y", "gather b from " + kBob}));
}

TEST(Gather, a_peer_of_the_same_host_is_preferred) {
  Machine alice;
  EXPECT_EQ(alice.compute("y", {.who_has = {{"a", {kCarol, kBob, kDave}}}}),
            Lines{"gather a from " + kBob});
}

TEST(Gather, of_two_remote_peers_the_one_with_more_is_asked) {
  Machine alice;
  EXPECT_EQ(alice.compute("y", {.who_has = {{"a", {kCarol, kDave}}, {"b", {kDave}}}}),
            Lines{"gather b,a from " + kDave});
}

TEST(Gather, the_most_urgent_task_is_asked_for_first) {
  Options options;
  options.transfer_incoming_bytes_limit = 100;
  Machine alice{options};
  alice.send(Pause{});
  alice.compute("late", {.who_has = {{"b", {kCarol}}}, .nbytes = 60, .priority = 2});
  alice.compute("soon", {.who_has = {{"a", {kDave}}}, .nbytes = 60, .priority = 1});
  EXPECT_EQ(alice.send(Unpause{}), Lines{"gather a from " + kDave});
}

TEST(Gather, a_message_asks_for_no_more_than_the_limit_but_for_one_at_least) {
  Options options;
  options.transfer_message_bytes_limit = 100;
  Machine alice{options};
  EXPECT_EQ(alice.compute("y", {.who_has = {{"a", {kBob}}, {"b", {kBob}}}, .nbytes = 60}),
            Lines{"gather b from " + kBob});
  EXPECT_EQ(alice.compute("z", {.who_has = {{"c", {kCarol}}}, .nbytes = 500}),
            Lines{"gather c from " + kCarol});
}

TEST(Gather, all_transfers_together_stay_below_the_limit) {
  Options options;
  options.transfer_incoming_bytes_limit = 100;
  Machine alice{options};
  alice.compute("y", {.who_has = {{"a", {kBob}}}, .nbytes = 60});
  EXPECT_EQ(alice.compute("z", {.who_has = {{"b", {kCarol}}}, .nbytes = 60}), Lines{});
  EXPECT_EQ(alice.gathered(kBob, {"a"}).back(), "gather b from " + kCarol);
}

TEST(Gather, the_first_transfer_of_all_may_be_larger_than_the_limit) {
  Options options;
  options.transfer_incoming_bytes_limit = 100;
  Machine alice{options};
  EXPECT_EQ(alice.compute("y", {.who_has = {{"a", {kBob}}}, .nbytes = 1000}),
            Lines{"gather a from " + kBob});
}

TEST(Gather, the_limit_of_connections_counts_only_when_the_bytes_are_worth_it) {
  for (const std::int64_t threshold : {0, 1000}) {
    Options options;
    options.transfer_incoming_count_limit = 1;
    options.transfer_incoming_bytes_throttle_threshold = threshold;
    Machine alice{options};
    alice.compute("y", {.who_has = {{"a", {kBob}}}});
    const auto lines = alice.compute("z", {.who_has = {{"b", {kCarol}}}});
    EXPECT_EQ(lines.empty(), threshold == 0);
  }
}

// ---- What does not come -------------------------------------------------------------------------

TEST(Gather, a_value_that_the_peer_has_not_is_asked_of_another) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob, kCarol}}}});
  EXPECT_EQ(alice.gathered(kBob, {}), Lines{"gather a from " + kCarol});
  EXPECT_EQ(alice.gathered(kCarol, {}), Lines{});
  EXPECT_EQ(alice.state("a"), "missing");
}

TEST(Gather, the_scheduler_is_asked_for_what_is_missing_until_it_knows) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}}});
  alice.gathered(kBob, {});
  EXPECT_TRUE(alice.worker.has_missing());
  EXPECT_EQ(alice.send(FindMissing{}), Lines{"request-refresh-who-has a"});
  EXPECT_EQ(alice.refresh("a", {}), Lines{});
  EXPECT_EQ(alice.send(FindMissing{}), Lines{"request-refresh-who-has a"});
  EXPECT_EQ(alice.refresh("a", {kCarol}), Lines{"gather a from " + kCarol});
  EXPECT_FALSE(alice.worker.has_missing());
  EXPECT_EQ(alice.send(FindMissing{}), Lines{});
}

TEST(Gather, a_missing_task_that_the_scheduler_does_not_know_is_forgotten_with_its_dependent) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}}});
  alice.gathered(kBob, {});
  alice.free({"a"});
  EXPECT_EQ(alice.state("a"), "released");
  alice.free({"y"});
  EXPECT_EQ(alice.worker.task_count(), 0U);
}

TEST(Gather, a_missing_task_can_be_computed_here) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}}});
  alice.gathered(kBob, {});
  EXPECT_EQ(alice.compute("a"), Lines{"execute a"});
  EXPECT_EQ(alice.success("a"), (Lines{"task-finished a run 1", "execute y"}));
}

TEST(Gather, a_lost_peer_is_taken_for_dead_with_all_that_it_has) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}}});
  alice.compute("z", {.who_has = {{"b", {kBob}}, {"c", {kBob, kCarol}}}});
  EXPECT_EQ(alice.gather_lost(kBob), Lines{});
  EXPECT_EQ(alice.state("a"), "missing");
  EXPECT_EQ(alice.state("b"), "missing");
  EXPECT_EQ(alice.gathered(kCarol, {"c"}), Lines{"add-keys c"});
}

TEST(Gather, a_removed_worker_leaves_its_tasks_missing_but_for_those_in_flight) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}}});
  alice.compute("z", {.who_has = {{"b", {kBob}}}});
  alice.remove_worker(kBob);
  EXPECT_EQ(alice.state("a"), "flight");
  EXPECT_EQ(alice.state("b"), "missing");
  alice.gathered(kBob, {"a"});
  EXPECT_EQ(alice.state("a"), "memory");
  EXPECT_EQ(alice.remove_worker("tcp://nobody:1"), Lines{});
}

TEST(Gather, a_peer_that_has_gone_and_comes_back_is_asked_again) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}}});
  alice.remove_worker(kBob);
  alice.gather_lost(kBob);
  EXPECT_EQ(alice.refresh("a", {kBob}), Lines{"gather a from " + kBob});
}

TEST(Gather, a_value_that_cannot_be_decoded_fails_the_tasks_that_wait_for_it) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}, {"b", {kCarol}}}, .run_id = 3});
  EXPECT_EQ(alice.gather_failed(kBob),
            (Lines{"task-erred a run 0: cannot decode", "task-erred y run 3: cannot decode"}));
  EXPECT_EQ(alice.state("b"), "cancelled");
  alice.free({"y"});
  EXPECT_EQ(alice.state("a"), "");
}

TEST(Gather, a_task_that_failed_for_its_input_can_be_tried_again) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}}});
  alice.gather_failed(kBob);
  EXPECT_EQ(alice.compute("y", {.who_has = {{"a", {kBob}}}, .run_id = 2}),
            Lines{"gather a from " + kBob});
  EXPECT_EQ(alice.gathered(kBob, {"a"}), (Lines{"add-keys a", "execute y"}));
}

// ---- Busy peers ---------------------------------------------------------------------------------

TEST(Busy, a_busy_peer_is_left_alone_for_a_while) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}}});
  EXPECT_EQ(alice.gather_busy(kBob), (Lines{"retry later " + kBob, "request-refresh-who-has a"}));
  EXPECT_EQ(alice.state("a"), "fetch");
  EXPECT_EQ(alice.compute("z", {.who_has = {{"b", {kBob}}}}), Lines{});
  EXPECT_EQ(alice.send(RetryBusyWorker{kBob}), Lines{"gather b,a from " + kBob});
}

TEST(Busy, another_peer_is_asked_at_once) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob, kCarol}}}});
  EXPECT_EQ(alice.gather_busy(kBob), (Lines{"retry later " + kBob, "gather a from " + kCarol}));
  EXPECT_EQ(alice.gather_busy(kCarol),
            (Lines{"retry later " + kCarol, "request-refresh-who-has a"}));
  // The answer names one more.
  EXPECT_EQ(alice.refresh("a", {kBob, kCarol, kDave}), Lines{"gather a from " + kDave});
}

// ---- Replicas -----------------------------------------------------------------------------------

TEST(Replicas, are_acquired_after_what_computations_need) {
  Options options;
  options.transfer_incoming_bytes_limit = 1;
  Machine alice{options};
  alice.send(Pause{});
  alice.acquire({{"r", {kBob}}});
  alice.compute("y", {.who_has = {{"a", {kCarol}}}});
  EXPECT_EQ(alice.send(Unpause{}), Lines{"gather a from " + kCarol});
  EXPECT_EQ(alice.gathered(kCarol, {"a"}).back(), "gather r from " + kBob);
  EXPECT_EQ(alice.gathered(kBob, {"r"}), Lines{"add-keys r"});
}

TEST(Replicas, what_is_in_memory_is_not_fetched_again) {
  Machine alice;
  alice.scatter("x");
  EXPECT_EQ(alice.acquire({{"x", {kBob}}}), Lines{});
}

// Dask gives the replica up with the dependent, and nobody tells the scheduler.
TEST(Replicas, an_acquired_replica_is_fetched_on_when_a_dependent_goes) {
  Machine alice;
  alice.compute("y", {.who_has = {{"x", {kBob}}}});
  alice.acquire({{"x", {kBob}}});
  alice.free({"y"});
  EXPECT_EQ(alice.state("x"), "flight");
  EXPECT_EQ(alice.gathered(kBob, {"x"}), Lines{"add-keys x"});
}

TEST(Replicas, an_acquired_replica_can_be_freed) {
  Machine alice;
  alice.acquire({{"x", {kBob}}});
  alice.free({"x"});
  EXPECT_EQ(alice.gathered(kBob, {"x"}), Lines{"forget x"});
  EXPECT_EQ(alice.worker.task_count(), 0U);
}

TEST(Replicas, an_acquired_replica_that_nobody_has_any_more_is_given_up) {
  Machine alice;
  alice.acquire({{"x", {kBob}}});
  alice.gathered(kBob, {});
  EXPECT_EQ(alice.send(FindMissing{}), Lines{"request-refresh-who-has x"});
  EXPECT_EQ(alice.refresh("x", {}), Lines{});
  EXPECT_EQ(alice.worker.task_count(), 0U);
}

TEST(Replicas, an_acquired_replica_that_cannot_be_decoded_is_forgotten) {
  Machine alice;
  alice.acquire({{"x", {kBob}}});
  alice.gather_failed(kBob);
  EXPECT_EQ(alice.worker.task_count(), 0U);
}

TEST(WhoHas, refresh_moves_a_task_from_one_peer_to_another) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kBob}}, {"b", {kBob}}}});
  alice.compute("z", {.who_has = {{"c", {kBob}}}});
  EXPECT_EQ(alice.refresh("c", {kCarol}), Lines{"gather c from " + kCarol});
  EXPECT_EQ(alice.refresh("unknown", {kCarol}), Lines{});
}

TEST(WhoHas, our_own_address_is_nobody_to_ask) {
  Machine alice;
  alice.compute("y", {.who_has = {{"a", {kAlice}}}});
  EXPECT_EQ(alice.state("a"), "missing");
}

}  // namespace rask::worker::testing
