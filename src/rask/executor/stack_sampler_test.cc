#include "rask/executor/stack_sampler.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <thread>

#include "rask/executor/symbols.h"

namespace app {
namespace {

std::atomic<bool> g_stop{false};
std::atomic<bool> g_inside{false};
std::atomic<pid_t> g_thread{0};

// In no table of dynamic symbols: the names come from the program's own.
[[gnu::noinline]] int inner_function() {
  int turns = 0;
  while (!g_stop.load()) {
    g_inside.store(true);
    ++turns;
  }
  return turns;
}
[[gnu::noinline]] int outer_function() { return inner_function() + 1; }

[[gnu::noinline]] int reads_from(int pipe) {
  char byte = 0;
  g_inside.store(true);
  const auto size = ::read(pipe, &byte, 1);
  return static_cast<int>(size) + 1;
}

[[gnu::noinline]] int polls_for_ever(int pipe) {
  pollfd wanted{.fd = pipe, .events = POLLIN, .revents = 0};
  g_thread.store(::gettid());
  g_inside.store(true);
  return ::poll(&wanted, 1, -1) + 1;
}

}  // namespace
}  // namespace app

namespace rask::executor {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Runs `body` as the task "a-task" on a thread of its own.
std::thread task_thread(StackSampler& sampler, std::function<void()> body) {
  app::g_stop = false;
  app::g_inside = false;
  std::thread thread{[&sampler, body = std::move(body)] {
    TaskContext context;
    context.key = Key{"a-task"};
    const SampledTask sampled{sampler, context, __builtin_frame_address(0)};
    body();
  }};
  while (!app::g_inside.load()) std::this_thread::yield();
  return thread;
}

// Until that thread waits in poll(): a signal that meets it on its way there would end the wait.
void await_poll(pid_t thread) {
#ifdef SYS_poll
  const auto poll = std::to_string(SYS_poll) + " ";
#else
  const auto poll = std::to_string(SYS_ppoll) + " ";
#endif
  const auto path = "/proc/self/task/" + std::to_string(thread) + "/syscall";
  for (std::string status; !status.starts_with(poll); std::this_thread::yield()) {
    std::ifstream file{path};
    std::getline(file, status);
  }
}

// Asks until a sample is as wanted; none within ten seconds: an empty one.
StackSample sample_where(StackSampler& sampler,
                         const std::function<bool(const StackSample&)>& wanted) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (std::chrono::steady_clock::now() < limit) {
    sampler.request();
    for (auto& sample : sampler.take())
      if (wanted(sample)) return std::move(sample);
    std::this_thread::yield();
  }
  return {};
}

std::vector<std::string> names_of(const StackSample& sample) {
  Symbols symbols;
  std::vector<std::string> names;
  for (const void* address : sample.addresses) names.push_back(symbols.at(address).name);
  return names;
}

// A pipe that is written to when a test wants its thread to go on.
struct Pipe {
  std::array<int, 2> ends{};
  Pipe() { EXPECT_EQ(::pipe(ends.data()), 0); }
  ~Pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  void write() const { EXPECT_EQ(::write(ends[1], "x", 1), 1); }
};

TEST(StackSampler, sees_the_functions_of_a_busy_task_and_nothing_below) {
  StackSampler sampler;
  EXPECT_FALSE(sampler.busy());
  auto thread = task_thread(sampler, [] { app::outer_function(); });
  EXPECT_TRUE(sampler.busy());
  const auto sample =
      sample_where(sampler, [](const StackSample& one) { return one.addresses.size() > 1; });
  app::g_stop = true;
  thread.join();
  EXPECT_EQ(sample.key, Key{"a-task"});
  EXPECT_FALSE(sample.waits);
  const auto names = names_of(sample);
  const auto inner = std::ranges::find(names, "app::(anonymous namespace)::inner_function()");
  ASSERT_NE(inner, names.end()) << testing::PrintToString(names);
  ASSERT_NE(std::next(inner), names.end());
  EXPECT_EQ(*std::next(inner), "app::(anonymous namespace)::outer_function()");
  EXPECT_THAT(names, Not(Contains(HasSubstr("_M_run"))));  // std::thread's own.
  EXPECT_FALSE(sampler.busy());
}

TEST(StackSampler, a_thread_without_a_task_is_left_alone) {
  StackSampler sampler;
  auto thread = task_thread(sampler, [] { app::outer_function(); });
  app::g_stop = true;
  thread.join();
  sampler.take();
  sampler.request();
  EXPECT_FALSE(sampler.awaits());
  EXPECT_THAT(sampler.take(), IsEmpty());
}

TEST(StackSampler, sees_through_a_wait_that_the_kernel_resumes) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer holds signals back until read() has returned";
#endif
  StackSampler sampler;
  Pipe pipe;
  int result = 0;
  auto thread = task_thread(sampler, [&] { result = app::reads_from(pipe.ends[0]); });
  const auto sample = sample_where(sampler, [](const StackSample& one) {
    const auto names = names_of(one);
    return std::ranges::find(names, "app::(anonymous namespace)::reads_from(int)") != names.end();
  });
  EXPECT_FALSE(sample.addresses.empty());
  pipe.write();
  thread.join();
  EXPECT_EQ(result, 2);  // It was not interrupted: it read the byte.
}

TEST(StackSampler, does_not_interrupt_a_wait_that_would_end) {
  StackSampler sampler;
  Pipe pipe;
  int result = 0;
  auto thread = task_thread(sampler, [&] { result = app::polls_for_ever(pipe.ends[0]); });
  await_poll(app::g_thread);
  const auto sample = sample_where(sampler, [](const StackSample& one) { return one.waits; });
  for (int i = 0; i < 100; ++i) {
    sampler.request();
    sampler.take();
  }
  pipe.write();
  thread.join();
  EXPECT_EQ(result, 2);  // poll() saw the byte; EINTR would be 0.
  EXPECT_TRUE(sample.waits);
  EXPECT_EQ(sample.key, Key{"a-task"});
  EXPECT_EQ(names_of(sample), std::vector<std::string>{"poll"});
}

TEST(StackSampler, tasks_that_come_and_go_while_they_are_looked_at_are_whole) {
  StackSampler sampler;
  app::g_stop = false;
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int number = 0; number < 2; ++number) {
    threads.emplace_back([&, number] {
      while (!app::g_stop.load()) {
        TaskContext context;
        context.key = Key::integer(number * 1'000'000 + done.fetch_add(1));
        const SampledTask sampled{sampler, context, __builtin_frame_address(0)};
        for (int turn = 0; turn < 1000; ++turn) app::g_inside.store(true);
      }
    });
  }
  std::size_t seen = 0;
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (seen < 50 && std::chrono::steady_clock::now() < limit) {
    sampler.request();
    for (const auto& sample : sampler.take()) {
      ++seen;
      EXPECT_FALSE(sample.key.str().empty());
    }
  }
  app::g_stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_GE(seen, 50u);
}

TEST(StackSampler, symbols_are_those_of_program_and_libraries) {
  Symbols symbols;
  const auto& own = symbols.at(reinterpret_cast<const void*>(&app::polls_for_ever));
  EXPECT_EQ(own.name, "app::(anonymous namespace)::polls_for_ever(int)");
  EXPECT_THAT(own.file, HasSubstr("rask_executor_test"));
  EXPECT_FALSE(own.is_runtime);
  EXPECT_EQ(own.begin, reinterpret_cast<const void*>(&app::polls_for_ever));
  const int here = 0;
  EXPECT_TRUE(symbols.at(&here).is_runtime);  // A stack has no functions.
}

}  // namespace
}  // namespace rask::executor
