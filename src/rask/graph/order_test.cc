#include "rask/graph/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <vector>

namespace rask::graph {
namespace {

using testing::ElementsAre;

/// The dependencies of each task.
using Lists = std::vector<std::vector<std::uint32_t>>;

struct Flat {
  explicit Flat(const Lists& lists) {
    for (const auto& list : lists) {
      dependencies.insert(dependencies.end(), list.begin(), list.end());
      offsets.push_back(static_cast<std::uint32_t>(dependencies.size()));
    }
  }
  Dag dag() const { return {.offsets = offsets, .dependencies = dependencies}; }

  std::vector<std::uint32_t> offsets{0};
  std::vector<std::uint32_t> dependencies;
};

std::uint32_t peak_of(const Lists& lists) {
  const Flat flat{lists};
  return peak_held(flat.dag(), order(flat.dag()).value());
}

TEST(Order, of_nothing_is_nothing) { EXPECT_TRUE(order(Flat{{}}.dag())->empty()); }

TEST(Order, a_circle_has_none) {
  EXPECT_FALSE(order(Flat{{{1}, {0}}}.dag()));
  EXPECT_FALSE(order(Flat{{{}, {0, 2}, {1}}}.dag()));
}

TEST(Order, tasks_without_dependencies_stay_as_they_came) {
  EXPECT_THAT(order(Flat{{{}, {}, {}}}.dag()).value(), ElementsAre(0, 1, 2));
}

TEST(Order, a_chain_is_finished_before_the_next_is_begun) {
  // 0 - 2 - 4
  // 1 - 3 - 5
  EXPECT_THAT(order(Flat{{{}, {}, {0}, {1}, {2}, {3}}}.dag()).value(),
              ElementsAre(0, 2, 4, 1, 3, 5));
}

TEST(Order, a_tree_holds_one_result_a_level) {
  Lists tree(1024);
  for (std::uint32_t first = 0, width = 1024; width > 1; first += width, width /= 2)
    for (std::uint32_t i = 0; i < width / 2; ++i)
      tree.push_back({first + 2 * i, first + 2 * i + 1});
  EXPECT_EQ(peak_of(tree), 12U);
}

TEST(Order, the_wider_branch_comes_first) {
  // 0 and 1 to 2, 3 and 4 to 5, both to 6; and 7 beside them: first 6, or 7 would wait.
  EXPECT_EQ(peak_of({{}, {}, {0, 1}, {}, {}, {3, 4}, {2, 5}, {}, {6, 7}}), 4U);
}

TEST(Order, what_is_fanned_out_to_ends_is_not_held) {
  Lists fan{{}};
  for (std::uint32_t i = 0; i < 100; ++i) fan.push_back({0});
  EXPECT_EQ(peak_of(fan), 1U);
}

TEST(Order, a_window_over_a_row_holds_the_window) {
  Lists row(200);
  for (std::uint32_t i = 1; i + 1 < 200; ++i) row.push_back({i - 1, i, i + 1});
  EXPECT_LE(peak_of(row), 4U);
}

TEST(Order, shuffled_groups_are_finished_one_by_one) {
  // In 8 groups 8 inputs are each split into 8 pieces; each group gathers its pieces by number, and
  // what the groups have of a number comes together.
  Lists shuffle;
  const auto add = [&](std::vector<std::uint32_t> dependencies) {
    shuffle.push_back(std::move(dependencies));
    return static_cast<std::uint32_t>(shuffle.size() - 1);
  };
  Lists outputs(8);
  for (int group = 0; group < 8; ++group) {
    Lists pieces(8);
    for (int input = 0; input < 8; ++input) {
      const auto split = add({});
      for (auto& piece : pieces) piece.push_back(add({split}));
    }
    for (std::size_t number = 0; number < 8; ++number)
      outputs[number].push_back(add(pieces[number]));
  }
  for (const auto& output : outputs) add(output);
  EXPECT_LE(peak_of(shuffle), 64U + 16U);
}

TEST(Order, two_sums_that_run_along_one_row_go_side_by_side) {
  // Each of 50 chunks gives two columns, each column a part of its running sum; rows come of both.
  Lists sums;
  const auto add = [&](std::vector<std::uint32_t> dependencies) {
    sums.push_back(std::move(dependencies));
    return static_cast<std::uint32_t>(sums.size() - 1);
  };
  std::uint32_t left = 0;
  std::uint32_t right = 0;
  for (int chunk = 0; chunk < 50; ++chunk) {
    const auto read = add({});
    const auto first = add({read});
    const auto second = add({read});
    left = chunk == 0 ? first : add({left, first});
    right = chunk == 0 ? second : add({right, second});
    add({left, right});
  }
  EXPECT_LE(peak_of(sums), 6U);
}

TEST(Order, what_only_fills_memory_waits) {
  // The last task needs a row of a hundred, and ten that need nothing.
  Lists row{{}};
  for (std::uint32_t i = 1; i < 100; ++i) row.push_back({i - 1});
  std::vector<std::uint32_t> last{99};
  for (int i = 0; i < 10; ++i) {
    row.push_back({});
    last.push_back(static_cast<std::uint32_t>(row.size() - 1));
  }
  row.push_back(last);
  EXPECT_EQ(peak_of(row), 11U);
}

TEST(Order, groups_are_regrouped_before_others_are_read) {
  // A shuffle in two stages: 9 inputs, exchanged among each three, then among those with the same
  // remainder.
  Lists shuffle(9);
  std::vector<std::uint32_t> stage(9);
  std::iota(stage.begin(), stage.end(), 0U);
  for (const std::uint32_t step : {1U, 3U}) {
    Lists inputs(9);
    for (std::uint32_t from = 0; from < 9; ++from)
      for (std::uint32_t number = 0; number < 3; ++number) {
        shuffle.push_back({stage[from]});
        inputs[from - from / step % 3 * step + number * step].push_back(
            static_cast<std::uint32_t>(shuffle.size() - 1));
      }
    for (std::uint32_t to = 0; to < 9; ++to) {
      stage[to] = static_cast<std::uint32_t>(shuffle.size());
      shuffle.push_back(inputs[to]);
    }
  }
  EXPECT_LE(peak_of(shuffle), 18U);
}

/// The least that any order of so few tasks holds at most, found over all sets that can have run.
std::uint32_t least_possible(const Lists& lists) {
  std::vector<std::uint32_t> needs(lists.size());
  std::vector<std::uint32_t> users(lists.size());
  for (std::uint32_t task = 0; task < lists.size(); ++task)
    for (const auto dependency : lists[task]) {
      needs[task] |= 1U << dependency;
      users[dependency] |= 1U << task;
    }
  const std::uint32_t all = (1U << lists.size()) - 1;
  std::vector<std::uint32_t> peak(all + 1, 100);  // To have run this set.
  peak[0] = 0;
  for (std::uint32_t ran = 0; ran < all; ++ran) {
    std::uint32_t held = 0;
    for (std::uint32_t task = 0; task < lists.size(); ++task)
      held += (ran >> task & 1) != 0 && (users[task] & ~ran) != 0;
    for (std::uint32_t task = 0; task < lists.size(); ++task) {
      if ((ran >> task & 1) != 0 || (needs[task] & ~ran) != 0) continue;
      std::uint32_t& then = peak[ran | 1U << task];
      then = std::min(then, std::max(peak[ran], held + (users[task] != 0)));
    }
  }
  return peak[all];
}

TEST(Order, of_small_graphs_hardly_ever_holds_more_than_the_best) {
  constexpr std::uint32_t kTasks = 12;
  int worse = 0;
  for (std::uint32_t seed = 0; seed < 400; ++seed) {
    std::mt19937 random{seed};
    Lists lists(kTasks);
    const auto density = 1 + random() % 3;
    for (std::uint32_t task = 1; task < kTasks; ++task)
      for (std::uint32_t before = 0; before < task; ++before)
        if (random() % kTasks < density) lists[task].push_back(before);
    const auto excess = peak_of(lists) - least_possible(lists);
    EXPECT_LE(excess, 1U) << "seed " << seed;
    worse += excess != 0 ? 1 : 0;
  }
  EXPECT_LE(worse, 1);
}

TEST(Order, every_task_comes_once_and_behind_what_it_needs) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random{seed};
  for (int round = 0; round < 200; ++round) {
    const auto count = static_cast<std::uint32_t>(1 + random() % 200);
    const auto window = static_cast<std::uint32_t>(1 + random() % 50);
    Lists lists(count);
    for (std::uint32_t task = 1; task < count; ++task)
      for (std::uint32_t near = task - std::min(task, window); near < task; ++near)
        if (random() % (window + 1) < 2) lists[task].push_back(near);
    const Flat flat{lists};
    const auto sequence = order(flat.dag()).value();
    std::vector<std::uint32_t> place(count, count);
    ASSERT_EQ(sequence.size(), count);
    for (std::uint32_t i = 0; i < count; ++i) place[sequence[i]] = i;
    for (std::uint32_t task = 0; task < count; ++task) {
      ASSERT_LT(place[task], count);
      for (const auto dependency : lists[task]) ASSERT_LT(place[dependency], place[task]);
    }
  }
}

TEST(Order, other_languages_hear_who_needs_a_task_last) {
  const Flat flat{{{3}, {3, 0}, {}, {}}};
  std::vector<std::uint32_t> sequence(4);
  std::vector<std::uint32_t> last_use(4);
  ASSERT_EQ(rask_order(4, flat.offsets.data(), flat.dependencies.data(), sequence.data(),
                       last_use.data()),
            1);
  EXPECT_THAT(sequence, ElementsAre(3, 0, 1, 2));
  EXPECT_THAT(last_use, ElementsAre(2, 2, 0, 0));
}

}  // namespace
}  // namespace rask::graph
