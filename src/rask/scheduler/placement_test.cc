#include <limits>

#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

protocol::Annotations on(std::vector<std::string> workers, bool loose = false) {
  protocol::Annotations out;
  out.workers = std::move(workers);
  out.allow_other_workers = loose;
  return out;
}

TEST(Placement, a_task_goes_where_its_data_is) {
  Rig rig;
  rig.add_worker("alice");
  rig.add_worker("bob");
  rig.take();
  rig.from_client(protocol::UpdateData{{{Key{"big"}, {"bob"}}, {Key{"small"}, {"alice"}}},
                                       {{Key{"big"}, 1'000'000'000}, {Key{"small"}, 10}}});
  EXPECT_EQ(rig.update_graph({{"x", {"big", "small"}, {}}}, {"x"}),
            Lines{"bob compute-task x big@bob small@alice"});
}

TEST(Placement, tasks_without_relations_are_spread_over_idle_workers) {
  Rig rig;
  rig.add_worker("alice");
  rig.add_worker("bob");
  rig.take();
  EXPECT_EQ(rig.update_graph({{"x", {}, {}}, {"y", {}, {}}}, {"x", "y"}),
            (Lines{"alice compute-task x", "bob compute-task y"}));
}

// A stock worker knows no task of C++, a native one none of Python.
TEST(Placement, a_task_goes_only_to_workers_that_speak_its_language) {
  Rig rig;
  rig.add_worker("native");
  rig.add_worker("python", 1, [](WorkerInfo& info) {
    info.runs_native = false;
    info.runs_python = true;
  });
  rig.take();
  const auto python = [](auto& graph) {
    for (auto& task : graph.tasks) task.run_spec.kind = protocol::Payload::Kind::pickled;
  };
  EXPECT_EQ(
      rig.update_graph({{"a", {}, {}}, {"b", {}, {}}, {"c", {}, {}}}, {"a", "b", "c"}, python),
      (Lines{"python compute-task a", "python compute-task b", "python compute-task c"}));
  EXPECT_EQ(rig.update_graph({{"x", {}, {}}, {"y", {}, {}}}, {"x", "y"}),
            (Lines{"native compute-task x", "native compute-task y"}));
}

TEST(Placement, a_task_that_nobody_speaks_waits_for_a_worker) {
  Rig rig;
  rig.add_worker("native");
  rig.take();
  const auto python = [](auto& graph) {
    for (auto& task : graph.tasks) task.run_spec.kind = protocol::Payload::Kind::pickled;
  };
  EXPECT_EQ(rig.update_graph({{"a", {}, {}}}, {"a"}, python), Lines{});
  EXPECT_EQ(rig.scheduler.task_state(Key{"a"}), TaskState::no_worker);
  rig.add_worker("python", 1, [](WorkerInfo& info) {
    info.runs_native = false;
    info.runs_python = true;
  });
  EXPECT_EQ(rig.take(), Lines{"python compute-task a"});
}

TEST(Placement, restrictions_name_addresses_names_or_hosts) {
  Rig rig;
  rig.add_worker("alice");
  rig.add_worker("bob", 1, [](WorkerInfo& info) { info.address = "tcp://10.0.0.2:40000"; });
  rig.take();
  EXPECT_EQ(rig.update_graph({{"a", {}, on({"bob"})}}, {"a"}), Lines{"bob compute-task a"});
  EXPECT_EQ(rig.update_graph({{"b", {}, on({"10.0.0.2"})}}, {"b"}), Lines{"bob compute-task b"});
  EXPECT_EQ(rig.update_graph({{"c", {}, on({"10.0.0.2:40000"})}}, {"c"}),
            Lines{"bob compute-task c"});
  EXPECT_EQ(rig.update_graph({{"d", {}, on({"carol"})}}, {"d"}), Lines{});
  EXPECT_EQ(rig.state("d"), "no-worker");
  rig.add_worker("carol");
  EXPECT_EQ(rig.take(), Lines{"carol compute-task d"});
}

TEST(Placement, allow_other_workers_makes_a_restriction_a_wish) {
  Rig rig;
  rig.add_worker("alice");
  rig.take();
  EXPECT_EQ(rig.update_graph({{"a", {}, on({"bob"}, true)}}, {"a"}), Lines{"alice compute-task a"});
}

TEST(Placement, resources_are_asked_of_the_worker_and_booked) {
  Rig rig;
  rig.add_worker("alice");
  const auto bob = rig.add_worker("bob", 1, [](WorkerInfo& info) { info.resources["GPU"] = 2; });
  rig.take();
  protocol::Annotations gpu;
  gpu.resources["GPU"] = 1;
  EXPECT_EQ(rig.update_graph({{"a", {}, gpu}}, {"a"}), Lines{"bob compute-task a"});
  EXPECT_EQ(rig.scheduler.worker(bob).used_resources.at("GPU"), 1);
  rig.finish(bob, "a");
  EXPECT_EQ(rig.scheduler.worker(bob).used_resources.at("GPU"), 0);
  gpu.resources["GPU"] = 3;
  EXPECT_EQ(rig.update_graph({{"b", {}, gpu}}, {"b"}), Lines{});
  rig.scheduler.add_resources(bob, {{"GPU", 4}}, rig.now, rig.effects);
  EXPECT_EQ(rig.take(), Lines{"bob compute-task b"});
}

TEST(Placement, without_queuing_siblings_are_dealt_out_in_shares) {
  auto options = test_options();
  options.worker_saturation = std::numeric_limits<double>::infinity();
  Rig rig{options};
  rig.add_worker("alice");
  rig.add_worker("bob");
  rig.take();
  std::vector<T> tasks;
  std::vector<std::string> wanted;
  for (int i = 0; i < 6; ++i) {
    tasks.push_back({"t-" + std::to_string(i), {}, {}});
    wanted.push_back(tasks.back().key);
  }
  EXPECT_EQ(rig.update_graph(tasks, wanted),
            (Lines{"alice compute-task t-0", "alice compute-task t-1", "alice compute-task t-2",
                   "bob compute-task t-3", "bob compute-task t-4", "bob compute-task t-5"}));
}

TEST(Placement, a_task_with_inputs_larger_than_the_worker_errs) {
  Rig rig;
  rig.add_worker("alice", 1, [](WorkerInfo& info) { info.memory_limit_bytes = 1000; });
  rig.from_client(protocol::UpdateData{{{Key{"d"}, {"alice"}}}, {{Key{"d"}, 2000}}});
  EXPECT_EQ(rig.update_graph({{"x", {"d"}, {}}}, {"x"}), Lines{"client-1 task-erred x"});
  EXPECT_NE(rig.scheduler.task(Key{"x"})->exception_text.find("memory_limit"), std::string::npos);
}

}  // namespace
}  // namespace rask::scheduler
