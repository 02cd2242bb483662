#include <limits>

#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

TEST(UpdateGraph, lost_dependencies_cancel_the_whole_graph) {
  Rig rig;
  rig.add_worker("alice");
  rig.take();
  EXPECT_EQ(rig.update_graph({{"x", {}, {}}, {"y", {"x", "gone"}, {}}}, {"y"}),
            Lines{"client-1 cancelled-keys y lost dependencies"});
  EXPECT_EQ(rig.scheduler.task_count(), 0u);
}

TEST(UpdateGraph, a_key_that_nobody_knows_is_lost_too) {
  Rig rig;
  EXPECT_EQ(rig.update_graph({{"x", {}, {}}}, {"x", "gone"}),
            Lines{"client-1 cancelled-keys x,gone lost dependencies"});
}

TEST(UpdateGraph, what_no_wanted_key_needs_is_not_kept) {
  Rig rig;
  rig.add_worker("alice");
  rig.take();
  EXPECT_EQ(rig.update_graph({{"x", {}, {}}, {"unused", {"x"}, {}}}, {"x"}),
            Lines{"alice compute-task x"});
  EXPECT_EQ(rig.state("unused"), "unknown");
}

TEST(UpdateGraph, a_known_result_is_reported_and_used) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  rig.finish(alice, "x");
  EXPECT_EQ(rig.update_graph({{"x", {}, {}}, {"y", {"x"}, {}}}, {"x", "y"}),
            (Lines{"client-1 key-in-memory x@alice", "alice compute-task y x@alice"}));
}

TEST(UpdateGraph, a_key_that_comes_with_other_dependencies_stays_what_it_was) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.update_graph({{"x", {}, {}}}, {"x"});
  rig.finish(alice, "x");
  EXPECT_EQ(rig.update_graph({{"new", {}, {}}, {"x", {"new"}, {}}}, {"x"}),
            Lines{"client-1 key-in-memory x@alice"});
  EXPECT_EQ(rig.state("new"), "unknown");
  EXPECT_TRUE(rig.scheduler.task(Key{"x"})->dependencies.empty());
}

TEST(UpdateGraph, a_key_twice_in_a_graph_and_twice_among_dependencies_counts_once) {
  Rig rig;
  const auto alice = rig.add_worker("alice");
  rig.take();
  EXPECT_EQ(rig.update_graph({{"x", {}, {}}, {"x", {}, {}}, {"y", {"x", "x"}, {}}}, {"y", "y"}),
            Lines{"alice compute-task x"});
  EXPECT_EQ(rig.finish(alice, "x"), Lines{"alice compute-task y x@alice"});
}

TEST(UpdateGraph, earlier_graphs_and_higher_priorities_go_first) {
  Rig rig;
  rig.update_graph({{"a", {}, {}}}, {"a"});
  rig.now += 10;
  protocol::Annotations urgent;
  urgent.priority = 5;
  rig.update_graph({{"c", {}, urgent}, {"b", {}, {}}}, {"b", "c"});
  rig.add_worker("alice", 3);
  EXPECT_EQ(rig.take(),
            (Lines{"alice compute-task c", "alice compute-task a", "alice compute-task b"}));
}

TEST(UpdateGraph, the_least_priority_that_there_is_goes_last) {
  Rig rig;
  protocol::Annotations last;
  last.priority = std::numeric_limits<std::int64_t>::min();
  rig.update_graph({{"a", {}, last}, {"b", {}, {}}}, {"a", "b"});
  rig.add_worker("alice", 2);
  EXPECT_EQ(rig.take(), (Lines{"alice compute-task b", "alice compute-task a"}));
}

TEST(UpdateGraph, graphs_within_the_fifo_timeout_share_a_generation) {
  Rig rig;
  rig.update_graph({{"a", {}, {}}, {"b", {}, {}}}, {"a", "b"});
  rig.update_graph({{"c", {}, {}}}, {"c"}, [](auto& graph) { graph.fifo_timeout = 60; });
  rig.add_worker("alice", 3);
  // c has place 0 in its own graph: as early as a.
  EXPECT_EQ(rig.take(),
            (Lines{"alice compute-task a", "alice compute-task c", "alice compute-task b"}));
}

TEST(UpdateGraph, tasks_of_a_task_go_before_its_siblings) {
  Rig rig;
  rig.update_graph({{"parent", {}, {}}, {"sibling", {}, {}}}, {"parent", "sibling"});
  rig.now += 10;
  rig.update_graph({{"child", {}, {}}}, {"child"},
                   [](auto& graph) { graph.submitting_task = Key{"parent"}; });
  rig.add_worker("alice", 3);
  EXPECT_EQ(rig.take(), (Lines{"alice compute-task child", "alice compute-task parent",
                               "alice compute-task sibling"}));
}

TEST(UpdateGraph, a_run_spec_goes_out_as_it_came_in_any_shape) {
  Rig rig;
  rig.add_worker("alice", 1, [](WorkerInfo& info) { info.runs_python = true; });
  rig.take();
  protocol::Payload header_only;
  header_only.kind = protocol::Payload::Kind::pickled;
  header_only.header = wire::Buffer::copy_of("all in the header");
  auto two_frames = payload("first");
  two_frames.frames.push_back(wire::Buffer::copy_of("second"));
  auto inlined = protocol::Payload{protocol::Payload::Kind::inlined, {}, {}};
  inlined.frames.push_back(wire::Buffer::copy_of("inlined"));
  int number = 0;
  for (const auto& spec : {header_only, two_frames, inlined, payload("usual")}) {
    const auto key = "x" + std::to_string(number++);
    rig.update_graph({{key, {}, {}}}, {key},
                     [&](auto& graph) { graph.tasks.front().run_spec = spec; });
    const auto& sent = std::get<SendToWorker>(rig.last.back()).message;
    EXPECT_EQ(std::get<protocol::ComputeTask>(sent).run_spec, spec);
    EXPECT_EQ(*rig.scheduler.task(Key{key})->run_spec, spec);
  }
}

TEST(UpdateGraph, prefixes_count_states) {
  Rig rig;
  const auto alice = rig.add_worker("alice", 2);
  rig.update_graph({{"inc-1", {}, {}}, {"inc-2", {}, {}}, {"add-1", {"inc-1"}, {}}},
                   {"inc-2", "add-1"});
  rig.finish(alice, "inc-1");
  const auto states = rig.scheduler.prefix_states();
  EXPECT_EQ(states.at("inc").at(TaskState::memory), 1u);
  EXPECT_EQ(states.at("inc").at(TaskState::processing), 1u);
  EXPECT_EQ(states.at("add").at(TaskState::processing), 1u);
}

}  // namespace
}  // namespace rask::scheduler
