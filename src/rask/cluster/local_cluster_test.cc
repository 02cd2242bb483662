// A whole cluster in one process: scheduler, workers, clients on threads, for the sanitizers.
#include "rask/cluster/local_cluster.h"

#include <gtest/gtest.h>

#include <mutex>
#include <numeric>
#include <ranges>
#include <thread>
#include <vector>

#include "rask/client/actor.h"
#include "rask/client/as_completed.h"
#include "rask/client/coordination.h"
#include "rask/client/delayed.h"

namespace rask {
namespace {

int inc(int x) { return x + 1; }
int add(int x, int y) { return x + y; }
int total(const std::vector<int>& values) {
  return std::accumulate(values.begin(), values.end(), 0);
}
int count_under_lock(int times) {
  Lock lock{"count"};
  Variable<int> count{"count"};
  for (int i = 0; i < times; ++i) {
    const std::lock_guard guard{lock};
    count.set(count.get() + 1);
  }
  return times;
}

// Waits for two of itself: with few threads that needs the slots of those that wait.
int fibonacci(int n) {
  if (n < 2) return n;
  const auto own = worker_client();
  const auto one = own->submit<fibonacci>(n - 1);
  const auto other = own->submit<fibonacci>(n - 2);
  return one.result() + other.result();
}

class Counter {
 public:
  int add(int by) { return n_ += by; }
  int value() const { return n_; }

 private:
  int n_ = 0;
};
int add_to(const Actor<Counter>& counter, int by) {
  return counter.call<&Counter::add>(by).result() > 0 ? by : 0;
}

class ThreadClusterTest : public testing::Test {
 protected:
  LocalCluster cluster{{.n_workers = 2, .threads_per_worker = 2, .processes = false}};
  Client client{cluster.scheduler_address()};
};

TEST_F(ThreadClusterTest, runs_maps_trees_and_lazy_calls) {
  const auto all = client.map<inc>(std::views::iota(0, 500));
  EXPECT_EQ(client.submit<total>(all).result(), 125'250);
  auto sum = client.submit<inc>(0);
  for (int i = 0; i < 100; ++i) sum = client.submit<add>(sum, i);
  EXPECT_EQ(sum.result(), 4951);
  std::vector<Delayed<int>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(delayed<inc>(delayed<inc>(i)));
  EXPECT_EQ(delayed<total>(calls).compute(client), 5150);
}

TEST_F(ThreadClusterTest, several_threads_and_clients_work_at_a_time) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([this, t] {
      Client own{{.address = cluster.scheduler_address(), .set_as_default = false}};
      Client& used = t == 0 ? client : own;
      int sum = 0;
      for (auto& [future, value] :
           as_completed(used.map<inc>(std::views::iota(0, 100)), with_results))
        sum += value;
      EXPECT_EQ(sum, 5050);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_F(ThreadClusterTest, tasks_agree_by_locks_and_variables) {
  Variable<int>{"count", client}.set(0);
  const auto counted = client.map<count_under_lock>({.pure = false}, std::vector{5, 6, 7});
  client.gather(counted);
  EXPECT_EQ((Variable<int>{"count", client}.get()), 18);
}

TEST_F(ThreadClusterTest, tasks_wait_for_tasks_of_their_own) {
  EXPECT_EQ(client.submit<fibonacci>(8).result(), 21);
  EXPECT_THROW(worker_client(), ClientError);
}

TEST_F(ThreadClusterTest, actors_are_called_from_threads_and_tasks) {
  const auto counter = client.submit_actor<Counter>().result();
  std::vector<Future<int>> tasks;
  for (int i = 1; i <= 8; ++i) tasks.push_back(client.submit<add_to>(counter, i));
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([counter] {
      for (int i = 0; i < 50; ++i) counter.call<&Counter::add>(1).result();
    });
  }
  for (auto& thread : threads) thread.join();
  client.gather(tasks);
  EXPECT_EQ(counter.call<&Counter::value>().result(), 150 + 36);
}

}  // namespace
}  // namespace rask
