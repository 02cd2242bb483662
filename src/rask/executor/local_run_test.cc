#include "rask/executor/local_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "rask/graph/delayed_testing.h"

namespace rask::executor {
namespace {

using delayed_testing::call;
using testing::ElementsAre;

using Handle = delayed_testing::Handle<int>;

std::atomic<int> g_calls = 0;
int inc(int x) {
  ++g_calls;
  return x + 1;
}
int add(int x, int y) { return x + y; }
int fail(int x) { throw std::invalid_argument{"not " + std::to_string(x)}; }
std::string text(int x) { return std::string(100, static_cast<char>('a' + x)); }
int length(const std::string& text) { return static_cast<int>(text.size()); }

LocalRun run_of(const std::vector<Handle>& targets, const LocalRunOptions& options) {
  return LocalRun{delayed_testing::plan_of(targets), options};
}

class OnThreads : public testing::TestWithParam<int> {
 protected:
  LocalRunOptions options() const {
    return {.num_workers = GetParam(), .stop_on_error = true, .call = nullptr};
  }
};
INSTANTIATE_TEST_SUITE_P(, OnThreads, testing::Values(1, 2, 8));

TEST_P(OnThreads, what_is_shared_runs_once) {
  g_calls = 0;
  const Handle x = call<inc>(1);
  const Handle sum = call<add>(x, x);
  auto run = run_of({sum, x, call<add>(sum, x)}, options());
  run.run();
  EXPECT_EQ(*static_cast<int*>(run.result(0)), 4);
  EXPECT_EQ(*static_cast<int*>(run.result(1)), 2);
  EXPECT_EQ(*static_cast<int*>(run.result(2)), 6);
  EXPECT_EQ(g_calls, 1);
}

TEST_P(OnThreads, a_tree_is_added_up) {
  std::vector<Handle> row;
  for (int i = 0; i < 4096; ++i) row.push_back(call<inc>(i));
  while (row.size() > 1) {
    std::vector<Handle> next;
    for (std::size_t i = 0; i < row.size(); i += 2) next.push_back(call<add>(row[i], row[i + 1]));
    row = next;
  }
  auto run = run_of(row, options());
  run.run();
  EXPECT_EQ(*static_cast<int*>(run.result(0)), 4096 * 4097 / 2);
}

TEST_P(OnThreads, a_long_chain_needs_no_deep_stack) {
  Handle last = call<inc>(0);
  for (int i = 1; i < 100'000; ++i) last = call<inc>(last);
  auto run = run_of({last}, options());
  run.run();
  EXPECT_EQ(*static_cast<int*>(run.result(0)), 100'000);
}

TEST_P(OnThreads, large_results_are_handed_on_and_freed) {
  std::vector<Handle> lengths;
  for (int i = 0; i < 20; ++i) {
    lengths.push_back(call<length>(call<text>(i)));
  }
  auto run = run_of(lengths, options());
  run.run();
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(*static_cast<int*>(run.result(i)), 100);
}

TEST_P(OnThreads, the_first_failure_stops_the_run) {
  const Handle bad = call<fail>(7);
  auto run = run_of({call<add>(call<inc>(bad), 1)}, options());
  run.run();
  const auto failure = run.first_failure().value();
  EXPECT_EQ(failure.failure.type, "std::invalid_argument");
  EXPECT_EQ(failure.failure.message, "not 7");
  ASSERT_EQ(failure.chain.size(), 3U);
  EXPECT_EQ(failure.chain[0], bad.key());
  EXPECT_EQ(run.result(0), nullptr);
}

TEST_P(OnThreads, failures_can_be_collected) {
  LocalRunOptions collecting = options();
  collecting.stop_on_error = false;
  const Handle bad = call<fail>(1);
  const Handle good = call<inc>(1);
  auto run =
      run_of({call<inc>(bad), call<add>(good, 1), call<add>(good, bad), call<fail>(2)}, collecting);
  run.run();
  EXPECT_EQ(run.result(0), nullptr);
  EXPECT_EQ(run.failure(0).failure.message, "not 1");
  EXPECT_EQ(*static_cast<int*>(run.result(1)), 3);
  EXPECT_EQ(run.result(2), nullptr);
  EXPECT_EQ(run.failure(2).chain.size(), 2U);
  EXPECT_EQ(run.failure(3).failure.message, "not 2");
}

int nested(int depth) {
  if (depth == 0) return 1;
  std::vector<Handle> children;
  for (int i = 0; i < 3; ++i) children.push_back(call<nested>(depth - 1));
  auto run = run_of(children, {.num_workers = 4, .stop_on_error = true, .call = nullptr});
  run.run();
  int sum = 0;
  for (std::size_t i = 0; i < 3; ++i) sum += *static_cast<int*>(run.result(i));
  return sum;
}

TEST_P(OnThreads, a_task_may_compute_a_graph_of_its_own) {
  auto run = run_of({call<nested>(5), call<nested>(4)}, options());
  run.run();
  EXPECT_EQ(*static_cast<int*>(run.result(0)), 243);
  EXPECT_EQ(*static_cast<int*>(run.result(1)), 81);
}

std::atomic<int> g_meeting = 0;
int meet(int others) {
  ++g_meeting;
  while (g_meeting < others) std::this_thread::yield();
  return others;
}

TEST(Threads, as_many_tasks_as_asked_for_run_at_a_time) {
  g_meeting = 0;
  std::vector<Handle> meeting;
  for (int i = 0; i < 6; ++i) meeting.push_back(call<meet>(6));
  auto run = run_of(meeting, {.num_workers = 6, .stop_on_error = true, .call = nullptr});
  run.run();
  EXPECT_EQ(*static_cast<int*>(run.result(0)), 6);
}

TEST(Threads, somebody_else_sees_how_many_tasks_have_run) {
  g_meeting = 0;
  auto last = call<inc>(1);
  for (int i = 0; i < 99; ++i) last = call<inc>(last);
  auto run = run_of({last, call<meet>(1)}, {.num_workers = 2, .counted = true});
  EXPECT_EQ(run.finished(), 0U);
  EXPECT_EQ(run.size(), 101U);
  std::atomic<std::size_t> seen = 0;
  std::thread watcher{[&] {
    while (seen < 101) seen = run.finished();
  }};
  run.run();
  watcher.join();
  EXPECT_EQ(run.finished(), 101U);
  EXPECT_EQ(run.failed(), 0U);
  auto uncounted = run_of({call<inc>(1)}, {.num_workers = 1});
  uncounted.run();
  EXPECT_EQ(uncounted.finished(), 0U);
}

TEST(Threads, a_graph_may_be_computed_by_many_at_a_time) {
  std::vector<Handle> row;
  for (int i = 0; i < 500; ++i) row.push_back(call<inc>(i));
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        auto run = run_of(row, {.num_workers = 3, .stop_on_error = true, .call = nullptr});
        run.run();
        right += *static_cast<int*>(run.result(499)) == 500;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 80);
}

}  // namespace
}  // namespace rask::executor
