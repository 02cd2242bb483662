#include "rask/graph/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace rask {
namespace {

int one() { return 1; }
int add(int x, int y) { return x + y; }
int sum(const std::vector<int>& items) {
  int total = 0;
  for (int item : items) total += item;
  return total;
}

TEST(Graph, nodes_keep_their_calls_and_dependencies) {
  Graph graph;
  auto x = graph.add<one>("x");
  auto y = graph.add<add>("y", x, 10);
  static_assert(std::same_as<decltype(y), Node<int>>);
  ASSERT_EQ(graph.nodes().size(), 2U);
  EXPECT_EQ(graph.find(Key{"y"})->dependencies, std::vector<Key>{Key{"x"}});
  EXPECT_TRUE(is_native_task(graph.find(Key{"x"})->run_spec));
}

TEST(Graph, a_key_is_taken_once) {
  Graph graph;
  graph.add<one>("x");
  EXPECT_THROW(graph.add<one>("x"), std::invalid_argument);
}

TEST(Graph, a_dependency_that_is_used_twice_counts_once) {
  Graph graph;
  auto x = graph.add<one>("x");
  graph.add<add>("y", x, x);
  EXPECT_EQ(graph.find(Key{"y"})->dependencies.size(), 1U);
}

TEST(Graph, order_has_what_is_wanted_after_its_dependencies_and_nothing_else) {
  Graph graph;
  auto a = graph.add<one>("a");
  graph.add<one>("unused");
  auto b = graph.add<one>("b");
  auto c = graph.add<sum>("c", std::vector{b, a});
  const std::vector<Key> wanted{c.key()};
  EXPECT_THAT(graph.ordered(wanted), testing::ElementsAre(2, 0, 3));
}

TEST(Graph, a_chain_of_a_hundred_thousand_tasks_can_be_ordered) {
  Graph graph;
  auto last = graph.add<one>("0");
  for (int i = 1; i < 100'000; ++i) last = graph.add<add>(std::to_string(i), last, 1);
  const std::vector<Key> wanted{last.key()};
  const auto order = graph.ordered(wanted);
  ASSERT_EQ(order.size(), 100'000U);
  EXPECT_EQ(order.front(), 0U);
  EXPECT_EQ(order.back(), 99'999U);
}

TEST(Graph, tasks_that_need_each_other_have_no_order) {
  Graph graph;
  graph.add<add>("x", Node<int>{Key{"y"}}, 1);
  graph.add<add>("y", Node<int>{Key{"x"}}, 1);
  const std::vector wanted{Key{"x"}};
  EXPECT_THROW(graph.ordered(wanted), std::invalid_argument);
}

}  // namespace
}  // namespace rask
