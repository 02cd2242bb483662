#include <array>

#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

struct Two : Rig {
  Two() {
    alice = add_worker("alice");
    bob = add_worker("bob");
    take();
  }
  Lines retire(WorkerId worker) {
    scheduler.retire_workers(std::span{&worker, 1}, now, effects);
    return take();
  }
  void scatter(const std::string& key, const std::string& worker) {
    from_client(protocol::UpdateData{{{Key{key}, {worker}}}, {{Key{key}, 10}}});
  }
  WorkerId alice{};
  WorkerId bob{};
};

TEST(Retirement, a_worker_without_data_may_go_at_once) {
  Two rig;
  EXPECT_EQ(rig.retire(rig.alice),
            (Lines{"alice worker-status-change closing_gracefully", "retirement-done 1 alice"}));
  EXPECT_EQ(rig.scheduler.worker(rig.alice).status, protocol::WorkerStatus::closing_gracefully);
  rig.update_graph({{"x", {}, {}}}, {"x"});
  EXPECT_EQ(rig.scheduler.task(Key{"x"})->processing_on, "bob");
}

TEST(Retirement, data_is_moved_before_the_worker_goes) {
  Two rig;
  rig.scatter("x", "alice");
  EXPECT_EQ(rig.retire(rig.alice), (Lines{"alice worker-status-change closing_gracefully",
                                          "bob acquire-replicas x@alice"}));
  EXPECT_EQ(rig.from_worker(rig.bob, protocol::AddKeys{keys_of({"x"}), "add"}),
            Lines{"retirement-done 1 alice"});
  EXPECT_EQ(rig.remove_worker(rig.alice, true), (Lines{"drop alice", "bob remove-worker alice"}));
  EXPECT_EQ(rig.state("x"), "memory");
}

// Found by the simulation: the copy that a retirement has made was dropped again, as y keeps the
// other.
TEST(Retirement, the_copy_that_stays_is_not_dropped_for_one_in_use_on_the_worker_that_goes) {
  Two rig;
  rig.scatter("x", "alice");
  rig.update_graph({{"y", {"x"}, {}}}, {"y"});
  ASSERT_EQ(rig.scheduler.task(Key{"y"})->processing_on, "alice");
  rig.retire(rig.alice);
  EXPECT_EQ(rig.from_worker(rig.bob, protocol::AddKeys{keys_of({"x"}), "add"}),
            Lines{"retirement-done 1 alice"});
  EXPECT_EQ(rig.tick(2), Lines{});
  EXPECT_EQ(rig.scheduler.task(Key{"x"})->who_has, (std::vector<Address>{"alice", "bob"}));
}

TEST(Retirement, nobody_to_take_the_data_ends_it) {
  Two rig;
  rig.scatter("x", "alice");
  rig.from_worker(rig.bob, protocol::WorkerStatusChanged{protocol::WorkerStatus::paused, "p"});
  EXPECT_EQ(rig.retire(rig.alice),
            (Lines{"alice worker-status-change closing_gracefully",
                   "alice worker-status-change running", "retirement-done 1"}));
}

TEST(Retirement, a_recipient_that_dies_is_replaced) {
  Two rig;
  rig.scatter("x", "alice");
  rig.add_worker("carol");
  rig.take();
  rig.retire(rig.alice);
  rig.remove_worker(rig.bob);
  EXPECT_EQ(rig.tick(2), Lines{"carol acquire-replicas x@alice"});
}

TEST(Retirement, a_retiring_worker_that_dies_ends_it) {
  Two rig;
  rig.scatter("x", "alice");
  rig.retire(rig.alice);
  const auto lines = rig.remove_worker(rig.alice);
  EXPECT_EQ(lines.back(), "retirement-done 1 alice");
}

TEST(Retirement, several_workers_leave_together) {
  Two rig;
  rig.scatter("x", "alice");
  rig.scatter("y", "bob");
  rig.add_worker("carol");
  rig.take();
  const std::array both{rig.alice, rig.bob};
  rig.scheduler.retire_workers(both, rig.now, rig.effects);
  EXPECT_EQ(rig.take(), (Lines{"alice worker-status-change closing_gracefully",
                               "bob worker-status-change closing_gracefully",
                               "carol acquire-replicas x@alice", "carol acquire-replicas y@bob"}));
  const auto carol = *rig.scheduler.find_worker("carol");
  EXPECT_EQ(rig.from_worker(carol, protocol::AddKeys{keys_of({"x", "y"}), "add"}),
            Lines{"retirement-done 1 alice bob"});
}

}  // namespace
}  // namespace rask::scheduler
