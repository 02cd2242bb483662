#include "rask/client/state.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace rask::internal {
namespace {

unsigned seed() {
  const char* given = std::getenv("RASK_SEED");
  return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
}

// Inserts and erases agree with a standard map at every step. Replay: RASK_SEED=<n>.
TEST(KeyTable, random_walk_agrees_with_a_map) {
  const unsigned start = seed();
  SCOPED_TRACE("RASK_SEED=" + std::to_string(start));
  std::mt19937 random{start};
  Slab slab;
  KeyTable table;
  std::unordered_map<Key, FutureState*> model;
  for (int step = 0; step < 20'000; ++step) {
    const Key key{"task-" + std::to_string(random() % 300)};
    FutureState* found = table.find(key);
    const auto expected = model.find(key);
    ASSERT_EQ(found, expected == model.end() ? nullptr : expected->second);
    if (found == nullptr) {
      FutureState* state = slab.take();
      state->key = key;
      table.insert(state);
      model.emplace(key, state);
    } else if (random() % 2 == 0) {
      table.erase(found);
      slab.give_back(found);
      model.erase(expected);
    }
    ASSERT_EQ(table.size(), model.size());
  }
  std::size_t count = 0;
  table.for_each([&](FutureState& state) { count += model.contains(state.key) ? 1 : 0; });
  EXPECT_EQ(count, model.size());
}

TEST(Slab, hands_out_each_state_once_and_used_ones_as_new) {
  Slab slab;
  std::unordered_set<FutureState*> taken;
  for (int i = 0; i < 3000; ++i) EXPECT_TRUE(taken.insert(slab.take()).second);
  FutureState* state = *taken.begin();
  state->key = Key{"x"};
  state->status = Status::error;
  state->failure = std::make_shared<Failure>();
  slab.give_back(state);
  FutureState* again = slab.take();
  EXPECT_EQ(again, state);
  EXPECT_TRUE(again->key.empty());
  EXPECT_EQ(again->status, Status::pending);
  EXPECT_EQ(again->failure, nullptr);
}

TEST(Status, has_dasks_names) {
  EXPECT_EQ(to_string(Status::pending), "pending");
  EXPECT_EQ(to_string(Status::finished), "finished");
  EXPECT_EQ(to_string(Status::error), "error");
  EXPECT_EQ(to_string(Status::lost), "lost");
  EXPECT_EQ(to_string(Status::cancelled), "cancelled");
}

}  // namespace
}  // namespace rask::internal
