#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

TEST(Clients, a_removed_client_lets_go_of_everything) {
  Rig rig;
  rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"x", "y"});
  rig.scheduler.remove_client(rig.client, rig.now, rig.effects);
  EXPECT_EQ(rig.take(), Lines{"alice free-keys x"});
  EXPECT_EQ(rig.scheduler.task_count(), 0u);
  EXPECT_EQ(rig.scheduler.client_count(), 0u);
  rig.scheduler.remove_client(rig.client, rig.now, rig.effects);  // Said twice.
  EXPECT_EQ(rig.from_client(protocol::HeartbeatClient{}), Lines{});
}

// Forgets three tasks at once; its client has let go of a chain of ten that was done.
struct ForgettingRig : Rig {
  ForgettingRig() : Rig{options()} {
    const auto alice = add_worker("alice");
    std::vector<T> chain{{"0", {}, {}}};
    for (int i = 1; i < 10; ++i) chain.push_back({std::to_string(i), {std::to_string(i - 1)}, {}});
    update_graph(chain, {"9"});
    for (int i = 0; i < 10; ++i) finish(alice, std::to_string(i));
    from_client(protocol::ClientReleasesKeys{keys_of({"9"}), "release"});
  }
  static Options options() {
    auto options = test_options();
    options.forgets_max = 3;
    return options;
  }
};

TEST(Clients, a_large_graph_is_forgotten_bit_by_bit) {
  ForgettingRig rig;
  EXPECT_EQ(rig.state("9"), "unknown");  // What was in memory goes at once.
  for (const std::size_t left : {7, 4, 1}) {
    EXPECT_EQ(rig.scheduler.task_count(), left);
    EXPECT_TRUE(rig.scheduler.has_work_left());
    rig.tick(0);
  }
  EXPECT_EQ(rig.scheduler.task_count(), 0u);
  EXPECT_FALSE(rig.scheduler.has_work_left());
}

TEST(Clients, what_is_needed_again_before_it_is_forgotten_stays) {
  ForgettingRig rig;
  EXPECT_EQ(rig.update_graph({{"x", {"6"}, {}}}, {"x"}), Lines{"alice compute-task 0"});
  rig.tick(0);
  EXPECT_EQ(rig.scheduler.task_count(), 8u);
  EXPECT_FALSE(rig.scheduler.has_work_left());
  EXPECT_EQ(rig.state("6"), "waiting");
}

TEST(Clients, a_restart_forgets_everything_at_once) {
  ForgettingRig rig;
  rig.scheduler.restart(rig.now, rig.effects);
  EXPECT_EQ(rig.scheduler.task_count(), 0u);
  rig.take();
  rig.tick(0);
  EXPECT_FALSE(rig.scheduler.has_work_left());
}

TEST(Clients, a_key_stays_while_one_of_two_clients_wants_it) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  const auto other = rig.scheduler.add_client("other", rig.now, rig.effects);
  rig.update_graph({{"x", {}, {}}}, {"x"});
  rig.scheduler.handle(other, protocol::ClientDesiresKeys{{Key{"x"}, Key{"gone"}}}, rig.now,
                       rig.effects);
  EXPECT_EQ(rig.take(), Lines{});
  EXPECT_EQ(rig.finish(alice, "x"),
            (Lines{"client-1 key-in-memory x@alice", "client-2 key-in-memory x@alice"}));
  EXPECT_EQ(rig.from_client(protocol::ClientReleasesKeys{{Key{"x"}}, "release"}), Lines{});
  EXPECT_EQ(rig.state("x"), "memory");
}

TEST(Clients, progress_is_that_of_all_tasks_that_keys_need) {
  using Count = Scheduler::ProgressCount;
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"load-1", {}, {}},
                    {"load-2", {}, {}},
                    {"sum-1", {"load-1", "load-2"}, {}},
                    {"other-1", {}, {}}},
                   {"sum-1", "other-1"});
  const auto progress = [&] { return rig.scheduler.progress(keys_of({"sum-1", "later-1"})); };
  EXPECT_EQ(progress(), (std::map<std::string, Count>{
                            {"later", {1, 0, 0}}, {"load", {2, 0, 0}}, {"sum", {1, 0, 0}}}));
  rig.finish(alice, "load-1");
  EXPECT_EQ(progress().at("load"), (Count{2, 1, 0}));
  rig.finish(alice, "load-2");
  rig.finish(alice, "sum-1");  // What it needed is released, and has been done.
  EXPECT_EQ(progress(), (std::map<std::string, Count>{
                            {"later", {1, 0, 0}}, {"load", {2, 2, 0}}, {"sum", {1, 1, 0}}}));
}

TEST(Clients, cancel_takes_dependents_along_and_tells_everybody) {
  Rig rig;
  rig.add_worker("alice");
  rig.scheduler.add_client("other", rig.now, rig.effects);
  rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"x", "y"});
  EXPECT_EQ(rig.from_client(protocol::CancelKeys{keys_of({"x"}), false, "why", "text"}),
            (Lines{"client-1 cancelled-keys x,y why", "client-2 cancelled-keys x,y why",
                   "alice free-keys x"}));
  EXPECT_EQ(rig.scheduler.task_count(), 0u);
}

TEST(Clients, cancel_spares_what_another_client_wants_unless_forced) {
  Rig rig;
  rig.add_worker("alice");
  const auto other = rig.scheduler.add_client("other", rig.now, rig.effects);
  rig.update_graph({{"x", {}, {}}}, {"x"});
  rig.scheduler.handle(other, protocol::ClientDesiresKeys{{Key{"x"}}}, rig.now, rig.effects);
  EXPECT_EQ(rig.from_client(protocol::CancelKeys{keys_of({"x"}), false, "", ""}), Lines{});
  EXPECT_EQ(rig.state("x"), "processing");
  EXPECT_EQ(rig.from_client(protocol::CancelKeys{keys_of({"x"}), true, "", ""}),
            (Lines{"client-1 cancelled-keys x", "client-2 cancelled-keys x", "alice free-keys x"}));
}

TEST(Clients, fire_and_forget_wants_a_task_until_it_is_done) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}, {"y", {}, {}}}, {"x", "y"});
  rig.scheduler.handle(rig.scheduler.fire_and_forget(),
                       protocol::ClientDesiresKeys{keys_of({"x", "y"})}, rig.now, rig.effects);
  rig.from_client(protocol::ClientReleasesKeys{keys_of({"x", "y"}), "release"});
  EXPECT_EQ(rig.state("x"), "processing");
  EXPECT_EQ(rig.finish(alice, "x"), Lines{"alice free-keys x"});
  EXPECT_EQ(rig.err(alice, "y"), Lines{"alice free-keys y"});
  EXPECT_EQ(rig.scheduler.task_count(), 0u);
  EXPECT_EQ(rig.scheduler.add_client("fire-and-forget", rig.now, rig.effects),
            rig.scheduler.fire_and_forget());
}

TEST(Clients, scattered_data_is_known_and_lost_with_its_worker) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.take();
  const protocol::UpdateData data{{{Key{"d"}, {"alice"}}}, {{Key{"d"}, 100}}};
  EXPECT_EQ(rig.from_client(data), Lines{"client-1 key-in-memory d@alice"});
  EXPECT_EQ(rig.scheduler.worker(alice).nbytes, 100);
  EXPECT_EQ(rig.update_graph({{"x", {"d"}, {}}}, {"x"}), Lines{"alice compute-task x d@alice"});
  EXPECT_EQ(rig.remove_worker(alice), (Lines{"alice close scheduler-remove-worker", "drop alice",
                                             "client-1 cancelled-keys d already forgotten",
                                             "client-1 cancelled-keys x already forgotten"}));
  EXPECT_EQ(rig.scheduler.task_count(), 0u);
}

TEST(Clients, scattered_data_ends_the_wait_for_a_task_of_its_key) {
  Rig rig;
  rig.add_worker("alice");
  rig.take();
  rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"y"});
  EXPECT_EQ(rig.from_client(protocol::UpdateData{{{Key{"x"}, {"alice"}}}, {}}),
            (Lines{"alice free-keys x", "client-1 key-in-memory x@alice",
                   "alice compute-task y x@alice"}));
}

TEST(Clients, report_key_answers_for_known_and_unknown_keys) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  EXPECT_EQ(rig.from_client(protocol::ReportKey{Key{"x"}}), Lines{});
  rig.finish(alice, "x");
  EXPECT_EQ(rig.from_client(protocol::ReportKey{Key{"x"}}),
            Lines{"client-1 key-in-memory x@alice"});
  EXPECT_EQ(rig.from_client(protocol::ReportKey{Key{"y"}}), Lines{"client-1 cancelled-keys y"});
}

TEST(Clients, a_heartbeat_is_answered_with_its_interval) {
  Rig rig;
  EXPECT_EQ(rig.from_client(protocol::HeartbeatClient{}),
            Lines{"client-1 adjust-heartbeat-interval 5.000000"});
}

TEST(Clients, restart_forgets_all_tasks_of_all_clients) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"x", "y"});
  rig.finish(alice, "x");
  rig.scheduler.restart(rig.now, rig.effects);
  EXPECT_EQ(rig.take(), (Lines{"alice free-keys y,x", "client-1 restart"}));
  EXPECT_EQ(rig.scheduler.task_count(), 0u);
  rig.update_graph({{"x", {}, {}}}, {"x"});
  EXPECT_EQ(rig.state("x"), "processing");
}

TEST(Clients, an_actor_is_not_made_again) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.add_worker("bob");
  rig.update_graph({{"a", {}, {}}}, {"a"}, [](auto& graph) { graph.actors = true; });
  rig.finish(alice, "a");
  EXPECT_EQ(rig.state("a"), "memory");
  const auto lines = rig.remove_worker(alice);
  EXPECT_NE(std::find(lines.begin(), lines.end(), "client-1 task-erred a"), lines.end());
  EXPECT_EQ(rig.scheduler.task(Key{"a"})->exception_text,
            "RuntimeError('Worker holding Actor was lost')");
}

}  // namespace
}  // namespace rask::scheduler
