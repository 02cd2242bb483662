#include "rask/client/progress.h"

#include <gmock/gmock.h>

#include <atomic>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "rask/client/client.h"
#include "rask/client/delayed.h"
#include "rask/client/fake_cluster.h"

// Tasks are known by their names: those of other tests are in rask.
namespace progress_test {

int inc(int x) { return x + 1; }
int fail(int x) { throw std::invalid_argument{"not " + std::to_string(x)}; }
int nested(int x) { return rask::delayed<inc>(x).compute(rask::threads); }

}  // namespace progress_test

namespace rask {
namespace {

using progress_test::fail;
using progress_test::inc;
using progress_test::nested;

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<Delayed<int>> calls_of(int count) {
  std::vector<Delayed<int>> calls;
  for (int i = 0; i < count; ++i) calls.push_back(delayed<inc>(i));
  return calls;
}

TEST(ProgressBar, writes_one_line_for_each_compute_in_its_scope) {
  std::ostringstream out;
  const auto calls = calls_of(100);
  compute(threads, calls);
  {
    const ProgressBar bar{{.width = 4, .out = &out}};
    compute(threads, calls);
    EXPECT_THAT(out.str(), AllOf(StartsWith("[####] | 100% Completed |  0."), EndsWith(" s\n")));
    compute(synchronous, calls);
    EXPECT_GT(bar.last_duration(), 0);
  }
  const auto written = out.str();
  EXPECT_EQ(std::ranges::count(written, '\n'), 2);
  compute(threads, calls);
  EXPECT_EQ(out.str(), written);
}

TEST(ProgressBar, shows_failures_and_leaves_them_to_compute) {
  std::ostringstream out;
  const ProgressBar bar{{.width = 4, .out = &out}};
  auto calls = calls_of(3);
  calls.push_back(delayed<fail>(1));
  compute(threads, collect_errors, calls);
  EXPECT_THAT(out.str(), AllOf(StartsWith("[### ] | 75% Completed"), EndsWith("1 of 4 failed\n")));
  EXPECT_THROW(compute(synchronous, calls), TaskError);
}

TEST(ProgressBar, of_what_was_over_before_the_minimum_is_silent) {
  std::ostringstream out;
  const ProgressBar bar{{.minimum = 60, .out = &out}};
  compute(threads, calls_of(3));
  EXPECT_EQ(out.str(), "");
  EXPECT_GT(bar.last_duration(), 0);
}

TEST(ProgressBar, is_that_of_the_outer_of_two_graphs) {
  std::ostringstream out;
  const ProgressBar bar{{.width = 4, .out = &out}};
  delayed<nested>(1).compute(threads);
  const auto written = out.str();
  EXPECT_EQ(std::ranges::count(written, '\n'), 1);
}

TEST(Progress, waits_for_all_and_tells_of_failures) {
  testing::FakeCluster cluster;
  Client client{cluster.address()};
  std::vector<Future<int>> futures;
  for (int i = 0; i < 3; ++i) futures.push_back(client.submit<inc>(i));
  auto bad = client.submit<fail>(7);
  std::ostringstream out;
  progress({.width = 4, .out = &out}, futures, bad);
  EXPECT_THAT(out.str(), AllOf(StartsWith("[### ] | 75% Completed"),
                               EndsWith("1 of 4 failed: std::invalid_argument: not 7\n")));
  out.str({});
  progress({.multi = true, .width = 2, .out = &out}, futures, bad);
  EXPECT_THAT(out.str(), HasSubstr("inc  [##] | 100% Completed"));
  EXPECT_THAT(out.str(), HasSubstr("fail [  ] | 0% Completed"));
}

}  // namespace
}  // namespace rask
