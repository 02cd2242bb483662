#include <array>

#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

Options stealing_options() {
  auto options = test_options();
  options.work_stealing = true;
  options.unknown_task_duration = 1;
  return options;
}

// Alice has ten tasks that wait for her one thread when Bob comes.
struct Busy : Rig {
  explicit Busy(protocol::Annotations annotations = {}, Options options = stealing_options())
      : Rig(std::move(options)) {
    alice = add_worker("alice");
    std::vector<T> tasks;
    std::vector<std::string> wanted;
    from_client(protocol::UpdateData{{{Key{"d"}, {"alice"}}}, {{Key{"d"}, 10}}});
    for (int i = 0; i < 10; ++i) {
      // Of ten prefixes, so that none is root-ish and waits in the queue.
      tasks.push_back({"t" + std::to_string(i), {"d"}, annotations});
      wanted.push_back(tasks.back().key);
    }
    update_graph(tasks, wanted);
    bob = add_worker("bob");
    take();
  }
  std::vector<protocol::StealRequest> requests() const {
    std::vector<protocol::StealRequest> out;
    for (const auto& effect : last) {
      const auto* sent = std::get_if<SendToWorker>(&effect);
      if (sent == nullptr) continue;
      if (const auto* request = std::get_if<protocol::StealRequest>(&sent->message))
        out.push_back(*request);
    }
    return out;
  }
  WorkerId alice{};
  WorkerId bob{};
};

TEST(Stealing, an_idle_worker_is_given_what_waits_at_a_busy_one) {
  Busy rig;
  EXPECT_EQ(rig.tick(0.01), Lines{});  // Not before its time.
  const auto lines = rig.tick(0.1);
  ASSERT_FALSE(lines.empty());
  EXPECT_LT(lines.size(), 8u);
  const auto request = rig.requests().front();
  const auto key = request.key.str();
  EXPECT_EQ(rig.scheduler.task(request.key)->processing_on, "alice");  // Until she agrees.
  EXPECT_EQ(rig.from_worker(rig.alice,
                            protocol::StealResponse{request.key, "ready", request.stimulus_id}),
            Lines{"bob compute-task " + key + " d@alice"});
  EXPECT_EQ(rig.scheduler.task(request.key)->processing_on, "bob");
}

TEST(Stealing, a_task_that_has_started_stays) {
  Busy rig;
  rig.tick(0.2);
  const auto request = rig.requests().front();
  EXPECT_EQ(rig.from_worker(rig.alice,
                            protocol::StealResponse{request.key, "executing", request.stimulus_id}),
            Lines{});
  EXPECT_EQ(rig.scheduler.task(request.key)->processing_on, "alice");
}

TEST(Stealing, a_task_that_the_victim_does_not_know_is_placed_again) {
  Busy rig;
  rig.tick(0.2);
  const auto request = rig.requests().front();
  const auto lines =
      rig.from_worker(rig.alice, protocol::StealResponse{request.key, "", request.stimulus_id});
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "alice free-keys " + request.key.str());
  EXPECT_EQ(rig.state(request.key.str()), "processing");
}

TEST(Stealing, an_answer_to_an_old_request_is_ignored) {
  Busy rig;
  rig.tick(0.2);
  const auto request = rig.requests().front();
  EXPECT_EQ(rig.from_worker(rig.alice, protocol::StealResponse{request.key, "ready", "steal-old"}),
            Lines{});
  EXPECT_EQ(rig.from_worker(rig.alice, protocol::StealResponse{Key{"gone"}, "ready", "steal-0"}),
            Lines{});
  // A task that finishes meanwhile ends the request.
  rig.finish(rig.alice, request.key.str());
  EXPECT_EQ(rig.from_worker(rig.alice,
                            protocol::StealResponse{request.key, "ready", request.stimulus_id}),
            Lines{});
}

TEST(Stealing, a_thief_that_is_gone_gets_nothing) {
  Busy rig;
  rig.tick(0.2);
  const auto request = rig.requests().front();
  rig.remove_worker(rig.bob);
  const auto lines = rig.from_worker(
      rig.alice, protocol::StealResponse{request.key, "ready", request.stimulus_id});
  EXPECT_EQ(rig.scheduler.task(request.key)->processing_on, "alice");
  EXPECT_EQ(lines.back(), "alice compute-task " + request.key.str() + " d@alice");
}

TEST(Stealing, restrictions_hold_for_thieves) {
  protocol::Annotations only;
  only.workers = {"alice"};
  Busy rig{only};
  EXPECT_EQ(rig.tick(0.2), Lines{});
}

TEST(Stealing, data_that_is_dear_to_move_stays) {
  auto options = stealing_options();
  options.bandwidth_bytes_per_s = 0.01;
  Busy rig{{}, options};
  EXPECT_EQ(rig.tick(0.2), Lines{});
}

TEST(Stealing, can_be_turned_off) {
  auto options = stealing_options();
  options.work_stealing = false;
  Busy rig{{}, options};
  EXPECT_EQ(rig.tick(0.2), Lines{});
}

}  // namespace
}  // namespace rask::scheduler
