#include "rask/executor/process_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "rask/executor/local_run.h"
#include "rask/graph/delayed_call.h"

namespace process_pool_test {

int process_id(int) { return ::getpid(); }
int inc(int x) { return x + 1; }
int fail(const std::string& why) { throw std::out_of_range{why}; }
int die(int signal) { return ::raise(signal); }
int leave(int code) { ::_exit(code); }
std::vector<double> numbers(int count) {
  std::vector<double> made(static_cast<std::size_t>(count));
  std::iota(made.begin(), made.end(), 0.0);
  return made;
}
double total(const std::vector<double>& left, const std::vector<double>& right) {
  return std::accumulate(left.begin(), left.end(), 0.0) +
         std::accumulate(right.begin(), right.end(), 0.0);
}

}  // namespace process_pool_test

namespace rask::executor {
namespace {

using namespace process_pool_test;

using internal::make_call;
using internal::NodeRef;
using ::testing::HasSubstr;

template <class T>
struct Handle {
  using result_type = T;
  struct is_result_handle {};
  NodeRef ref;
  const NodeRef& node() const { return ref; }
  const Key& key() const { return ref->key(); }
};

template <auto F, class... A>
auto call(const A&... arguments) {
  using Parameters = typename Function<F>::Parameters;
  return Handle<std::remove_cvref_t<typename Function<F>::Result>>{
      make_call<F>(static_cast<Parameters*>(nullptr), arguments...)};
}

template <class T>
LocalRun run_of(const std::vector<Handle<T>>& targets) {
  std::vector<const internal::DelayedNode*> nodes;
  for (const auto& target : targets) nodes.push_back(target.ref.get());
  return LocalRun{internal::plan_of(nodes),
                  {.num_workers = 3, .stop_on_error = false, .call = call_in_process}};
}

TEST(Processes, tasks_run_elsewhere) {
  std::vector<Handle<int>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(call<process_id>(i));
  calls.push_back(call<inc>(call<inc>(1)));
  auto run = run_of(calls);
  run.run();
  for (std::size_t i = 0; i < 10; ++i) {
    ASSERT_NE(run.result(i), nullptr);
    EXPECT_NE(*static_cast<int*>(run.result(i)), ::getpid());
  }
  ASSERT_NE(run.result(10), nullptr) << run.failure(10).failure.message;
  EXPECT_EQ(*static_cast<int*>(run.result(10)), 3);
}

TEST(Processes, large_values_cross) {
  constexpr int kCount = 1 << 20;
  const auto many = call<numbers>(kCount);
  auto run = run_of<double>({call<total>(many, call<numbers>(10)), call<total>(many, many)});
  run.run();
  ASSERT_NE(run.result(0), nullptr) << run.failure(0).failure.message;
  EXPECT_EQ(*static_cast<double*>(run.result(0)), (kCount - 1.0) * kCount / 2 + 45);
  EXPECT_EQ(*static_cast<double*>(run.result(1)), (kCount - 1.0) * kCount);
}

TEST(Processes, an_exception_crosses) {
  auto run = run_of<int>({call<inc>(call<fail>(std::string{"too far"})), call<inc>(1)});
  run.run();
  const auto failure = run.failure(0);
  EXPECT_EQ(failure.failure.type, "std::out_of_range");
  EXPECT_EQ(failure.failure.message, "too far");
  EXPECT_THAT(failure.failure.traceback, HasSubstr("process_pool_test::fail"));
  EXPECT_EQ(failure.chain.size(), 2U);
  EXPECT_EQ(*static_cast<int*>(run.result(1)), 2);
}

TEST(Processes, a_death_is_an_error_that_names_the_task) {
  const auto killed = call<die>(SIGKILL);
  auto run = run_of<int>({killed, call<leave>(7), call<inc>(1)});
  run.run();
  EXPECT_EQ(run.failure(0).failure.message,
            "the process that ran " + killed.key().str() + " was killed by signal 9 (Killed)");
  EXPECT_THAT(run.failure(1).failure.message, HasSubstr("exited with code 7"));
  EXPECT_EQ(*static_cast<int*>(run.result(2)), 2);
  auto again = run_of<int>({call<inc>(1)});
  again.run();
  EXPECT_EQ(*static_cast<int*>(again.result(0)), 2);
}

}  // namespace
}  // namespace rask::executor

// The children of these tests are this program.
int main(int argc, char** argv) {
  if (argc == 2 && std::string_view{argv[1]} == "--rask-process")
    return rask::executor::process_main();
  rask::executor::set_process_command(
      {std::filesystem::read_symlink("/proc/self/exe").string(), "--rask-process"});
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
