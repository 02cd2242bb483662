#include "rask/executor/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <mutex>

namespace rask::executor {
namespace {

void submit(ThreadPool& pool, ThreadPool::Job job) {
  std::vector<ThreadPool::Job> jobs;
  jobs.push_back(std::move(job));
  pool.submit(jobs);
}

TEST(ThreadPool, one_thread_runs_jobs_in_order) {
  ThreadPool pool{"test", 1};
  std::vector<int> order;
  std::latch done{1};
  std::vector<ThreadPool::Job> jobs;
  for (int i = 0; i < 100; ++i) jobs.push_back([&order, i] { order.push_back(i); });
  jobs.push_back([&done] { done.count_down(); });
  pool.submit(jobs);
  done.wait();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(ThreadPool, two_threads_run_two_jobs_at_once) {
  ThreadPool pool{"test", 2};
  std::latch both{2};
  for (int i = 0; i < 2; ++i) submit(pool, [&both] { both.arrive_and_wait(); });
  both.wait();
}

TEST(ThreadPool, a_job_that_secedes_lets_others_run) {
  ThreadPool pool{"test", 1};
  std::promise<int> other;
  std::promise<int> result;
  submit(pool, [&] {
    EXPECT_TRUE(pool.secede());
    EXPECT_FALSE(pool.secede());
    const int value = other.get_future().get();  // Only possible while the other job runs.
    pool.rejoin();
    result.set_value(value + 1);
  });
  submit(pool, [&] { other.set_value(41); });
  EXPECT_EQ(result.get_future().get(), 42);
  // The pool still has its one thread.
  std::latch done{1};
  submit(pool, [&done] { done.count_down(); });
  done.wait();
}

TEST(ThreadPool, many_seceding_jobs_leave_the_pool_whole) {
  std::atomic<int> ran{0};
  std::latch done{200};
  ThreadPool pool{"test", 3};
  for (int i = 0; i < 200; ++i) {
    submit(pool, [&] {
      pool.secede();
      pool.rejoin();
      ++ran;
      done.count_down();
    });
  }
  done.wait();
  EXPECT_EQ(ran, 200);
}

TEST(ThreadPool, the_end_drops_what_has_not_begun) {
  std::atomic<int> ran{0};
  std::latch begun{1};
  std::latch go{1};
  {
    ThreadPool pool{"test", 1};
    submit(pool, [&] {
      begun.count_down();
      go.wait();
      ++ran;
    });
    for (int i = 0; i < 10; ++i) submit(pool, [&] { ++ran; });
    begun.wait();
    EXPECT_EQ(pool.queued(), 10u);
    std::thread{[&go] { go.count_down(); }}.detach();
  }
  EXPECT_GE(ran, 1);
}

TEST(ThreadPool, a_stranger_cannot_secede) {
  ThreadPool pool{"test", 1};
  EXPECT_FALSE(pool.secede());
}

}  // namespace
}  // namespace rask::executor
