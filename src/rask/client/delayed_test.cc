#include "rask/client/delayed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "rask/client/fake_cluster.h"

namespace rask {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Span {
  int from = 0;
  int to = 0;
};

std::atomic<int> g_calls = 0;
int inc(int x) {
  ++g_calls;
  return x + 1;
}
int add(int x, int y) { return x + y; }
double halve(double x) { return x / 2; }
int sum(const std::vector<int>& items) {
  int total = 0;
  for (const int item : items) total += item;
  return total;
}
std::string join(const std::map<std::string, int>& items) {
  std::string text;
  for (const auto& [name, value] : items) text += name + std::to_string(value);
  return text;
}
int width(const Span& span) { return span.to - span.from; }
int first_of(const std::tuple<int, std::string>& pair) { return std::get<0>(pair); }
std::string shared(std::shared_ptr<const std::string> text) { return *text; }
std::string hello(const std::string& name) { return "hello " + name; }
std::pair<int, std::string> split(int x) { return {x, std::to_string(x)}; }
std::vector<int> up_to(int end) {
  std::vector<int> items;
  for (int i = 0; i < end; ++i) items.push_back(i);
  return items;
}
void nothing(int) {}
int checked(const std::string& path) {
  if (path == "bad.csv") throw std::runtime_error{"cannot read " + path};
  return static_cast<int>(path.size());
}

TEST(Delayed, calls_are_put_together_and_nothing_runs) {
  g_calls = 0;
  const Delayed<int> x = delayed<inc>(1);
  const auto y = delayed<add>(x, delayed<inc>(x));
  EXPECT_EQ(g_calls, 0);
  EXPECT_EQ(y.compute(threads), 5);
  EXPECT_EQ(g_calls, 2);
  EXPECT_EQ(y.compute(synchronous), 5);
  EXPECT_EQ(y.compute(Threads{.num_workers = 4}), 5);
}

TEST(Delayed, arguments_may_be_lists_maps_tuples_and_structs) {
  const auto one = delayed<inc>(0);
  const auto two = delayed<inc>(1);
  EXPECT_EQ(delayed<sum>(std::vector{one, two, one}).compute(threads), 4);
  EXPECT_EQ(
      delayed<join>(std::map<std::string, Delayed<int>>{{"a", one}, {"b", two}}).compute(threads),
      "a1b2");
  EXPECT_EQ(delayed<first_of>(std::tuple{two, std::string{"text"}}).compute(threads), 2);
  struct Ends {
    Delayed<int> from;
    Delayed<int> to;
  };
  EXPECT_EQ(delayed<width>(Ends{one, two}).compute(threads), 1);
  EXPECT_EQ(delayed<width>(std::tuple{5, two}).compute(threads), -3);
  EXPECT_EQ(delayed<width>(Span{.from = 1, .to = 9}).compute(threads), 8);
}

TEST(Delayed, results_are_read_as_what_is_wanted) {
  EXPECT_EQ(delayed<halve>(delayed<inc>(2)).compute(threads), 1.5);
  EXPECT_EQ(delayed<shared>(delayed<hello>("you")).compute(threads), "hello you");
}

TEST(Delayed, several_are_computed_together) {
  g_calls = 0;
  const auto x = delayed<inc>(1);
  auto [a, b, c] = compute(threads, x, delayed<add>(x, x), x);
  EXPECT_THAT((std::vector{a, b, c}), ElementsAre(2, 4, 2));
  EXPECT_EQ(g_calls, 1);
  const auto text = delayed<hello>("you");
  EXPECT_THAT(compute(threads, std::vector{text, text}), ElementsAre("hello you", "hello you"));
  delayed<nothing>(1).compute(threads);
}

TEST(Delayed, parts_of_results) {
  auto [number, text] = delayed<split>(7);
  EXPECT_EQ(delayed<add>(number, 1).compute(threads), 8);
  EXPECT_EQ(text.compute(threads), "7");
  const auto items = unpack(delayed<up_to>(3), 3);
  EXPECT_EQ(delayed<sum>(items).compute(threads), 3);
}

TEST(Delayed, keys_tell_calls_apart_or_not) {
  EXPECT_THAT(delayed<inc>(1).key().str(), StartsWith("inc-"));
  EXPECT_NE(delayed<inc>(1).key(), delayed<inc>(1).key());
  const DelayedOptions pure{.pure = true};
  EXPECT_EQ(delayed<inc>(pure, 1).key(), delayed<inc>(pure, 1).key());
  EXPECT_NE(delayed<inc>(pure, 1).key(), delayed<inc>(pure, 2).key());
  EXPECT_EQ(delayed<add>(pure, delayed<inc>(pure, 1), 2).key(),
            delayed<add>(pure, delayed<inc>(pure, 1), 2).key());
  EXPECT_EQ(delayed<inc>({.name = "mine"}, 1).key(), Key{"mine"});
}

TEST(Delayed, the_key_of_a_deep_pure_call_needs_no_deep_stack) {
  auto last = delayed<inc>({.pure = true}, 0);
  for (int i = 0; i < 100'000; ++i) last = delayed<inc>({.pure = true}, last);
  EXPECT_THAT(last.key().str(), StartsWith("inc-"));
}

TEST(Delayed, the_first_failure_is_thrown_with_the_keys_that_it_concerns) {
  const auto bad = delayed<checked>("bad.csv");
  const auto total = delayed<add>(delayed<inc>(bad), delayed<checked>("good.csv"));
  try {
    total.compute(threads);
    FAIL();
  } catch (const TaskError& error) {
    EXPECT_EQ(error.type, "std::runtime_error");
    EXPECT_EQ(error.message, "cannot read bad.csv");
    EXPECT_EQ(error.key, bad.key().str());
    ASSERT_EQ(error.chain.size(), 3U);
    EXPECT_EQ(error.chain.back(), total.key().str());
    EXPECT_THAT(error.traceback, HasSubstr("needed by " + total.key().str()));
  }
}

TEST(Delayed, failures_can_be_collected) {
  const auto good = delayed<checked>("good.csv");
  const auto bad = delayed<checked>("bad.csv");
  const auto [a, b, c] = compute(threads, collect_errors, delayed<inc>(bad), good, bad);
  EXPECT_FALSE(a.ok());
  EXPECT_EQ(a.error->chain.size(), 2U);
  EXPECT_EQ(b.value, 8);
  EXPECT_EQ(c.error->message, "cannot read bad.csv");
  EXPECT_EQ(good.compute(threads, collect_errors).value, 8);
}

TEST(Delayed, safe_calls_do_not_fail) {
  const auto results = compute(
      threads, std::vector{delayed<safe<checked>>("bad.csv"), delayed<safe<checked>>("good.csv")});
  EXPECT_FALSE(results[0].ok);
  EXPECT_EQ(results[0].key, "bad.csv");
  EXPECT_EQ(results[0].error, "std::runtime_error: cannot read bad.csv");
  EXPECT_EQ(results[1].result, 8);
  EXPECT_TRUE(results[1].ok && results[1].error.empty());
}

TEST(Delayed, registered_functions_run_here_too) {
  const auto twice = register_function("delayed_test_twice", [](int x) { return 2 * x; });
  EXPECT_EQ(delayed(twice, delayed<inc>(20)).compute(threads), 42);
  const FunctionHandle<int(int)> unknown{"delayed_test_unknown"};
  EXPECT_THROW(delayed(unknown, 1).compute(threads), TaskError);
}

int inner_sum(int count) {
  std::vector<Delayed<int>> parts;
  for (int i = 0; i < count; ++i) parts.push_back(delayed<inc>(i));
  return delayed<sum>(parts).compute(threads);
}
TEST(Delayed, a_task_may_compute) {
  std::vector<Delayed<int>> parts;
  for (int i = 0; i < 50; ++i) parts.push_back(delayed<inner_sum>(10));
  EXPECT_EQ(delayed<sum>(parts).compute(threads), 50 * 55);
}

TEST(Delayed, the_place_can_be_set) {
  set_scheduler(synchronous);
  EXPECT_EQ(default_scheduler().num_workers(), 1);
  EXPECT_EQ(delayed<inc>(1).compute(), 2);
  set_scheduler(std::nullopt);
  EXPECT_EQ(default_scheduler().client(), nullptr);
  EXPECT_EQ(default_scheduler().num_workers(), 0);
}

TEST(Delayed, a_client_is_a_place_too) {
  testing::FakeCluster cluster;
  Client client{cluster.address()};
  const auto x = delayed<inc>(1);
  struct Ends {
    Delayed<int> from;
    int to;
  };
  const auto y = delayed<add>(delayed<width>(Ends{x, 10}), delayed<sum>(std::vector{x, x}));
  EXPECT_EQ(y.compute(client), 12);
  EXPECT_EQ(y.compute(), 12);  // The client is the default now.
  const auto [a, b] = compute(client, x, delayed<hello>("you"));
  EXPECT_EQ(a, 2);
  EXPECT_EQ(b, "hello you");
  const Future<int> held = client.persist(y);
  EXPECT_EQ(held.result(), 12);
  EXPECT_EQ(held.key(), y.key());
  // A future goes into graphs of any place.
  EXPECT_EQ(delayed<add>(held, 1).compute(client), 13);
  EXPECT_EQ(delayed<add>(held, x).compute(threads), 14);
}

TEST(Delayed, what_failed_can_be_computed_again) {
  testing::FakeCluster cluster;
  Client client{cluster.address()};
  const auto bad = delayed<checked>({.name = "bad"}, "bad.csv");
  for (int round = 0; round < 3; ++round)
    EXPECT_FALSE(client.persist(bad).exception(10) == std::nullopt);
}

TEST(Delayed, a_client_that_has_gone_is_no_place) {
  testing::FakeCluster cluster;
  {
    Client client{cluster.address()};
    set_scheduler(client);
    EXPECT_EQ(default_scheduler().client(), &client);
    EXPECT_EQ(delayed<inc>(1).compute(), 2);
  }
  EXPECT_EQ(default_scheduler().client(), nullptr);
}

/// What is drawn, as text.
template <class Draw>
std::string drawn(const Draw& draw) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("rask_delayed_test_" + std::to_string(::getpid()) + ".dot");
  draw(path.string());
  std::ostringstream text;
  text << std::ifstream{path}.rdbuf();
  std::filesystem::remove(path);
  return text.str();
}

TEST(Delayed, a_graph_is_drawn) {
  const auto x = delayed<inc>(1);
  const std::string text =
      drawn([&](const auto& path) { delayed<add>(x, x).visualize(path, Colour::order); });
  EXPECT_THAT(text, StartsWith("digraph {"));
  EXPECT_THAT(text, HasSubstr("label=\"inc\\n0\""));
  EXPECT_THAT(text, HasSubstr("label=\"add\\n1\""));
  EXPECT_THAT(text, HasSubstr("r0 -> f1"));
  EXPECT_THROW(x.visualize("without_ending"), ClientError);
}

TEST(Delayed, a_graph_is_drawn_with_what_has_become_of_its_tasks) {
  const auto x = delayed<inc>(1);
  const auto bad = delayed<checked>({.name = "bad"}, "bad.csv");
  const auto late = delayed<halve>(x);
  const auto gone = delayed<hello>("nobody");
  const auto never = delayed<up_to>(3);
  const auto draw = [&](Client& client) {
    return drawn([&](const auto& path) {
      internal::visualize_nodes(
          {bad.node().get(), late.node().get(), gone.node().get(), never.node().get()}, path,
          Colour::status, &client);
    });
  };
  EXPECT_THROW(x.visualize("x.dot", Colour::status), ClientError);  // There is no client.
  testing::FakeCluster cluster;
  Client client{cluster.address()};
  EXPECT_THAT(draw(client),
              HasSubstr("label=\"inc\\nnot submitted\", tooltip=\"" + x.key().str() + "\"]"));
  cluster.hold("halve");
  cluster.hold("hello");
  const auto failed = client.persist(bad);
  EXPECT_TRUE(failed.exception(10).has_value());
  auto cancelled = client.persist(gone);
  cancelled.cancel();
  cluster.hold("halve");
  const auto pending = client.persist(late);
  const auto finished = client.persist(x);
  EXPECT_EQ(finished.result(), 2);
  const std::string text = draw(client);
  EXPECT_THAT(text, HasSubstr("label=\"inc\\nfinished\", tooltip=\"" + x.key().str() +
                              "\", style=filled, fillcolor=\"red\"]"));
  EXPECT_THAT(text, HasSubstr("label=\"checked\\nerror\", tooltip=\"bad\", style=filled, "
                              "fillcolor=\"black\", fontcolor=\"white\"]"));
  EXPECT_THAT(text, HasSubstr("label=\"halve\\npending\""));
  EXPECT_THAT(text, HasSubstr("label=\"hello\\ncancelled\""));
  EXPECT_THAT(text, HasSubstr("label=\"up_to\\nnot submitted\""));
  cluster.release_held();
  EXPECT_EQ(pending.result(), 1.0);
  EXPECT_THAT(drawn([&](const auto& path) { late.visualize(path, client); }),
              HasSubstr("label=\"halve\\nfinished\""));
}

}  // namespace
}  // namespace rask
