#include <array>

#include "rask/scheduler/test_rig.h"

namespace rask::scheduler {
namespace {

struct Three : Rig {
  Three() {
    const auto limit = [](WorkerInfo& info) { info.memory_limit_bytes = 10'000; };
    alice = add_worker("alice", 1, limit);
    bob = add_worker("bob", 1, limit);
    carol = add_worker("carol", 1, limit);
    take();
  }
  void scatter(const std::string& key, const std::string& worker, std::int64_t nbytes) {
    from_client(protocol::UpdateData{{{Key{key}, {worker}}}, {{Key{key}, nbytes}}});
  }
  std::vector<Address> who_has(const std::string& key) { return scheduler.task(Key{key})->who_has; }
  WorkerId alice{};
  WorkerId bob{};
  WorkerId carol{};
};

TEST(Replicate, copies_spread_and_are_believed_when_they_have_arrived) {
  Three rig;
  rig.scatter("x", "alice", 10);
  const std::array keys{Key{"x"}};
  rig.scheduler.replicate(keys, 0, {}, rig.now, rig.effects);
  EXPECT_EQ(rig.take(), (Lines{"bob acquire-replicas x@alice", "carol acquire-replicas x@alice"}));
  EXPECT_EQ(rig.who_has("x").size(), 1u);
  EXPECT_EQ(rig.from_worker(rig.bob, protocol::AddKeys{keys_of({"x"}), "add"}), Lines{});
  EXPECT_EQ(rig.from_worker(rig.carol, protocol::AddKeys{keys_of({"x"}), "add"}), Lines{});
  EXPECT_EQ(rig.who_has("x"), (std::vector<Address>{"alice", "bob", "carol"}));
}

TEST(Replicate, copies_beyond_the_number_asked_for_are_dropped) {
  Three rig;
  rig.scatter("x", "alice", 10);
  rig.from_worker(rig.bob, protocol::AddKeys{keys_of({"x"}), "add"});
  rig.from_worker(rig.carol, protocol::AddKeys{keys_of({"x"}), "add"});
  const std::array keys{Key{"x"}};
  rig.scheduler.replicate(keys, 1, {}, rig.now, rig.effects);
  EXPECT_EQ(rig.take(), (Lines{"alice remove-replicas x", "bob remove-replicas x"}));
  EXPECT_EQ(rig.who_has("x"), std::vector<Address>{"carol"});
}

TEST(Replicate, a_key_that_is_named_twice_is_dropped_once) {
  Three rig;
  rig.scatter("x", "alice", 10);
  rig.from_worker(rig.bob, protocol::AddKeys{keys_of({"x"}), "add"});
  const std::array keys{Key{"x"}, Key{"x"}};
  rig.scheduler.replicate(keys, 1, {}, rig.now, rig.effects);
  EXPECT_EQ(rig.take(), Lines{"alice remove-replicas x"});
  EXPECT_EQ(rig.who_has("x"), std::vector<Address>{"bob"});
}

TEST(Replicate, a_copy_that_does_not_arrive_is_asked_for_again) {
  Three rig;
  rig.scatter("x", "alice", 10);
  const std::array keys{Key{"x"}};
  const std::array places{rig.bob, rig.alice};
  rig.scheduler.replicate(keys, 2, places, rig.now, rig.effects);
  EXPECT_EQ(rig.take(), Lines{"bob acquire-replicas x@alice"});
  EXPECT_EQ(rig.tick(10), Lines{});
  EXPECT_EQ(rig.tick(40), Lines{"bob acquire-replicas x@alice"});
}

TEST(Rebalance, data_moves_from_the_fullest_to_the_emptiest) {
  Three rig;
  for (int i = 0; i < 6; ++i) rig.scatter("d" + std::to_string(i), "alice", 1000);
  rig.scheduler.rebalance({}, {}, rig.now, rig.effects);
  EXPECT_EQ(rig.take(), (Lines{"bob acquire-replicas d0@alice d2@alice",
                               "carol acquire-replicas d1@alice d3@alice"}));
  // Only what has arrived goes.
  EXPECT_EQ(rig.from_worker(rig.bob, protocol::AddKeys{keys_of({"d0"}), "add"}),
            Lines{"alice remove-replicas d0"});
  EXPECT_EQ(rig.who_has("d0"), std::vector<Address>{"bob"});
  EXPECT_EQ(rig.who_has("d1"), std::vector<Address>{"alice"});
}

TEST(Rebalance, only_the_keys_asked_for_move_and_balanced_workers_keep_theirs) {
  Three rig;
  for (int i = 0; i < 6; ++i) rig.scatter("d" + std::to_string(i), "alice", 1000);
  const std::array keys{Key{"d5"}};
  rig.scheduler.rebalance(keys, {}, rig.now, rig.effects);
  EXPECT_EQ(rig.take(), Lines{"bob acquire-replicas d5@alice"});
  const std::array places{rig.bob, rig.carol};
  rig.scheduler.rebalance({}, places, rig.now, rig.effects);
  EXPECT_EQ(rig.take(), Lines{});
}

TEST(ActiveMemoryManager, copies_that_nobody_needs_are_dropped_where_memory_is_scarcest) {
  Three rig;
  rig.scatter("big", "bob", 5000);
  rig.scatter("x", "alice", 10);
  rig.from_worker(rig.bob, protocol::AddKeys{keys_of({"x"}), "add"});
  rig.from_worker(rig.carol, protocol::AddKeys{keys_of({"x"}), "add"});
  EXPECT_EQ(rig.tick(2), (Lines{"alice remove-replicas x", "bob remove-replicas x"}));
  EXPECT_EQ(rig.who_has("x"), std::vector<Address>{"carol"});
  EXPECT_EQ(rig.tick(2), Lines{});
  EXPECT_EQ(*rig.scheduler.next_deadline(), 1300.001);  // Nothing left to do: only the ttl.
}

TEST(ActiveMemoryManager, copies_that_somebody_asked_for_or_uses_stay) {
  Three rig;
  rig.scatter("x", "alice", 10);
  const std::array keys{Key{"x"}};
  rig.scheduler.replicate(keys, 2, {}, rig.now, rig.effects);
  rig.from_worker(rig.bob, protocol::AddKeys{keys_of({"x"}), "add"});
  rig.scatter("y", "alice", 10);
  rig.update_graph({{"a", {"y"}, {}}}, {"a"});  // Runs on alice.
  rig.from_worker(rig.bob, protocol::AddKeys{keys_of({"y"}), "add"});
  EXPECT_EQ(rig.tick(2), Lines{"bob remove-replicas y"});
  EXPECT_EQ(rig.who_has("x").size(), 2u);
}

}  // namespace
}  // namespace rask::scheduler
