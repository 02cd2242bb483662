#include "rask/worker_server/profile_history.h"

#include <gtest/gtest.h>

namespace rask::worker_server {
namespace {

ProfileNode function(const std::string& name) {
  ProfileNode node;
  node.identifier = name + ";app;0";
  node.name = name;
  return node;
}

// One sample of inc in the cycle that ends at 1, two of add at 2, none at 3, one of inc since.
ProfileHistory three_cycles(std::size_t cycles_max = 1000) {
  const auto inc = function("inc");
  const auto add = function("add");
  ProfileHistory history{cycles_max};
  history.add("inc", {&inc});
  history.cycle(1);
  history.add("add", {&add});
  history.add("add", {&add});
  history.cycle(2);
  history.cycle(3);
  history.add("inc", {&inc});
  return history;
}

std::int64_t samples(const ProfileHistory& history, const ProfileRange& range,
                     const std::optional<std::string>& prefix = {}) {
  return history.profile(range, prefix, 3.5).count;
}

TEST(ProfileHistory, has_all_cycles_and_what_came_since) {
  const auto history = three_cycles();
  const auto whole = history.profile({}, {}, 3.5);
  EXPECT_EQ(whole.count, 4);
  EXPECT_EQ(whole.child("inc")->count, 2);
  EXPECT_EQ(whole.child("add")->count, 2);
}

TEST(ProfileHistory, what_came_since_counts_before_the_first_cycle_ends) {
  const auto inc = function("inc");
  ProfileHistory history{10};
  history.add("inc", {&inc});
  EXPECT_EQ(samples(history, {}), 1);
}

TEST(ProfileHistory, of_one_prefix) {
  const auto history = three_cycles();
  EXPECT_EQ(samples(history, {}, "inc"), 2);
  EXPECT_EQ(samples(history, {}, "add"), 2);
  EXPECT_EQ(samples(history, {}, "mul"), 0);
}

TEST(ProfileHistory, cycles_count_as_a_whole_where_a_range_begins_and_ends) {
  const auto history = three_cycles();
  EXPECT_EQ(samples(history, {.start = 1.0, .stop = {}}), 4);
  EXPECT_EQ(samples(history, {.start = 1.5, .stop = {}}), 3);  // The rest of the second, and since.
  EXPECT_EQ(samples(history, {.start = 2.5, .stop = {}}), 1);
  EXPECT_EQ(samples(history, {.start = {}, .stop = 0.5}), 1);
  EXPECT_EQ(samples(history, {.start = {}, .stop = 1.5}), 3);
  EXPECT_EQ(samples(history, {.start = {}, .stop = 9.0}), 4);
  EXPECT_EQ(samples(history, {.start = 9.0, .stop = {}}), 0);  // Later than now.
}

TEST(ProfileHistory, the_oldest_cycle_is_forgotten) { EXPECT_EQ(samples(three_cycles(2), {}), 3); }

TEST(ProfileHistory, metadata_counts_samples_of_each_cycle) {
  const auto history = three_cycles();
  EXPECT_EQ(wire::to_string(history.metadata({}, 3.5)),
            "{'counts': [[1.0, 1], [2.0, 2], [3.0, 0], [3.5, 1]], "
            "'keys': [[1.0, {'inc': 1}], [2.0, {'add': 2}], [3.0, {}], [3.5, {'inc': 1}]]}");
  EXPECT_EQ(wire::to_string(history.metadata({.start = 1.0, .stop = 3.0}, 3.5)),
            "{'counts': [[2.0, 2]], 'keys': [[2.0, {'add': 2}]]}");
}

}  // namespace
}  // namespace rask::worker_server
