#include "rask/client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <future>
#include <list>
#include <numeric>
#include <set>

#include "rask/client/as_completed.h"
#include "rask/client/fake_cluster.h"

namespace app {

int inc(int x) { return x + 1; }
int add(int x, int y) { return x + y; }
double half(double x) { return x / 2; }
int sum(const std::vector<int>& items) { return std::accumulate(items.begin(), items.end(), 0); }
std::string greet(const std::string& name) { return "hello " + name; }
void nothing() {}
int held(int x) { return x; }
int fails(int x) {
  if (x < 0) throw std::invalid_argument{"negative: " + std::to_string(x)};
  return x;
}
std::vector<double> zeros(int n) { return std::vector<double>(static_cast<std::size_t>(n)); }
std::atomic<bool> g_broken{true};
int flaky() {
  if (g_broken) throw std::runtime_error{"broken"};
  return 7;
}

}  // namespace app

namespace rask {
namespace {

using ::testing::ElementsAre;
using testing::FakeCluster;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class ClientTest : public ::testing::Test {
 protected:
  FakeCluster cluster;
  Client client{cluster.address()};
};

template <class Exception, class Function>
std::string message_of(Function&& function) {
  try {
    function();
  } catch (const Exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

// ---- submit, map, gather ------------------------------------------------------------------------

TEST_F(ClientTest, submit_runs_a_function_and_result_brings_it_here) {
  EXPECT_EQ(client.submit<app::inc>(10).result(), 11);
  EXPECT_EQ(client.submit<app::greet>("you").result(), "hello you");
  EXPECT_EQ(client.submit<app::zeros>(10'000).result().size(), 10'000U);
  client.submit<app::nothing>().result();
}

TEST_F(ClientTest, a_future_as_an_argument_is_a_dependency) {
  auto x = client.submit<app::inc>(1);
  auto y = client.submit<app::inc>(x);
  EXPECT_EQ(client.submit<app::add>(x, y).result(), 5);
  EXPECT_EQ(client.submit<app::half>(y).result(), 1.5);
  const auto seen = cluster.seen();
  ASSERT_GE(seen.graph_tasks.size(), 2U);
  EXPECT_EQ(seen.graph_tasks[1].dependencies, std::vector<Key>{x.key()});
}

TEST_F(ClientTest, a_list_of_futures_is_one_argument) {
  auto all = client.map<app::inc>(std::views::iota(0, 1000));
  EXPECT_EQ(client.submit<app::sum>(all).result(), 500'500);
}

TEST_F(ClientTest, map_goes_over_several_ranges_to_the_end_of_the_shortest) {
  const std::list<int> left{1, 2, 3};
  const std::vector<int> right{10, 20};
  auto futures = client.map<app::add>(left, right);
  EXPECT_THAT(client.gather(futures), ElementsAre(11, 22));
  EXPECT_THAT(client.gather(client.map<app::inc>(futures)), ElementsAre(12, 23));
}

TEST_F(ClientTest, gather_fetches_many_results_in_few_requests) {
  auto futures = client.map<app::inc>(std::views::iota(0, 5000));
  const auto results = client.gather(futures);
  ASSERT_EQ(results.size(), 5000U);
  EXPECT_EQ(results[4999], 5000);
  EXPECT_EQ(cluster.seen().get_data_calls, 1U);
  const std::map<std::string, Future<int>> named{{"a", futures[0]}, {"b", futures[1]}};
  EXPECT_EQ(client.gather(named), (std::map<std::string, int>{{"a", 1}, {"b", 2}}));
}

TEST_F(ClientTest, gather_raises_or_skips_failures) {
  auto futures = client.map<app::fails>(std::vector{1, -2, 3});
  EXPECT_THROW(client.gather(futures), TaskError);
  EXPECT_THAT(client.gather(futures, Errors::skip), ElementsAre(1, 3));
}

TEST_F(ClientTest, a_failure_ends_gather_though_other_tasks_still_run) {
  cluster.hold("held");
  auto slow = client.submit<app::held>(1);
  auto bad = client.submit<app::fails>(-1);
  EXPECT_THROW(client.gather(std::vector{slow, bad}), TaskError);
  cluster.release_held();
}

TEST_F(ClientTest, the_same_pure_call_is_one_task) {
  auto first = client.submit<app::inc>(1);
  auto second = client.submit<app::inc>(1);
  EXPECT_EQ(first, second);
  auto other = client.submit<app::inc>({.pure = false}, 1);
  EXPECT_NE(first.key(), other.key());
  EXPECT_EQ(client.gather(std::vector{first, second, other}), (std::vector{2, 2, 2}));
  EXPECT_EQ(cluster.seen().tasks, 2U);
}

TEST_F(ClientTest, options_travel_with_the_task) {
  auto future = client.submit<app::inc>(
      {.key = "mine", .workers = {"alice"}, .resources = {{"GPU", 1}}, .retries = 3, .priority = 5},
      1);
  EXPECT_EQ(future.key(), Key{"mine"});
  EXPECT_EQ(future.result(), 2);
  const auto annotations = cluster.seen().graph_tasks.at(0).annotations;
  ASSERT_NE(annotations, nullptr);
  EXPECT_EQ(annotations->retries, 3);
  EXPECT_EQ(annotations->priority, 5);
  EXPECT_THAT(annotations->workers, ElementsAre("alice"));
  EXPECT_EQ(annotations->resources.at("GPU"), 1);
}

TEST_F(ClientTest, a_callable_runs_by_its_name) {
  const auto scale = register_function("client_test::scale", [](int x) { return 3 * x; });
  EXPECT_EQ(client.submit(scale, 14).result(), 42);
  EXPECT_THAT(client.gather(client.map(scale, std::vector{1, 2})), ElementsAre(3, 6));
  const FunctionHandle<int(int)> unknown{"nobody::knows"};
  EXPECT_THAT(message_of<TaskError>([&] { client.submit(unknown, 1).result(); }),
              HasSubstr("nobody::knows"));
}

// ---- Failures and ends --------------------------------------------------------------------------

TEST_F(ClientTest, an_exception_reaches_result_with_all_that_is_known) {
  auto future = client.submit<app::fails>(-5);
  try {
    future.result();
    FAIL() << "nothing was thrown";
  } catch (const TaskError& error) {
    EXPECT_EQ(error.type, "std::invalid_argument");
    EXPECT_EQ(error.message, "negative: -5");
    EXPECT_EQ(error.key, future.key().str());
    EXPECT_EQ(error.worker, cluster.address());
    EXPECT_THAT(error.traceback, HasSubstr("app::fails(int)"));
  }
  EXPECT_EQ(future.status(), Status::error);
  EXPECT_EQ(future.exception()->type, "std::invalid_argument");
  EXPECT_THAT(future.traceback(), HasSubstr("app::fails(int)"));
  EXPECT_FALSE(client.submit<app::fails>(1).exception().has_value());
}

TEST_F(ClientTest, result_gives_up_after_its_timeout_and_the_task_goes_on) {
  cluster.hold("held");
  auto future = client.submit<app::held>(1);
  EXPECT_THROW(future.result(0.01), TimeoutError);
  EXPECT_EQ(future.status(), Status::pending);
  cluster.release_held();
  EXPECT_EQ(future.result(), 1);
}

TEST_F(ClientTest, a_cancelled_future_throws_and_frees_its_key) {
  cluster.hold("held");
  auto future = client.submit<app::held>(1);
  auto copy = future;
  client.cancel(future, {.reason = "user", .msg = "not needed"});
  EXPECT_TRUE(copy.cancelled());
  EXPECT_THAT(message_of<CancelledError>([&] { copy.result(); }), HasSubstr("not needed"));
  cluster.release_held();
  EXPECT_EQ(client.submit<app::held>(1).result(), 1);
  EXPECT_THAT(cluster.seen().cancelled, ElementsAre(future.key()));
}

TEST_F(ClientTest, a_failed_task_can_be_retried) {
  app::g_broken = true;
  auto future = client.submit<app::flaky>();
  EXPECT_THROW(future.result(), TaskError);
  app::g_broken = false;
  future.retry();
  EXPECT_EQ(future.result(), 7);
}

TEST_F(ClientTest, a_failed_task_that_nobody_holds_runs_again_when_submitted_again) {
  app::g_broken = true;
  EXPECT_THROW(client.submit<app::flaky>().result(), TaskError);
  app::g_broken = false;
  EXPECT_EQ(client.submit<app::flaky>().result(), 7);
}

TEST_F(ClientTest, the_last_copys_end_releases_the_key) {
  auto future = client.submit<app::inc>(1);
  const Key key = future.key();
  EXPECT_EQ(future.result(), 2);
  auto copy = future;
  future.release();
  EXPECT_EQ(copy.result(), 2);
  EXPECT_TRUE(cluster.seen().released.empty());
  copy.release();
  const auto seen = cluster.wait_seen([](const auto& s) { return !s.released.empty(); });
  EXPECT_THAT(seen.released, ElementsAre(key));
}

TEST_F(ClientTest, a_result_that_was_lost_is_computed_again) {
  auto future = client.submit<app::inc>(1);
  EXPECT_EQ(future.result(), 2);
  cluster.lose_value(future.key());
  EXPECT_EQ(future.result(), 2);
  EXPECT_THAT(cluster.seen().reported, ElementsAre(future.key()));
}

TEST_F(ClientTest, the_scheduler_gives_what_a_worker_does_not) {
  auto future = client.submit<app::inc>(1);
  cluster.refuse_get_data(true);
  EXPECT_EQ(future.result(), 2);
  EXPECT_EQ(cluster.seen().gather_calls, 1U);
}

TEST_F(ClientTest, a_result_that_is_read_as_another_type_is_an_error_that_names_both) {
  auto future = client.submit<app::greet>("x");
  EXPECT_THAT(message_of<ClientError>([&] { Future<int>{future}.result(); }), HasSubstr("int"));
}

// ---- The scheduler goes -------------------------------------------------------------------------

TEST_F(ClientTest, a_lost_scheduler_ends_what_waits_and_the_client_comes_back) {
  cluster.hold("held");
  auto future = client.submit<app::held>(1);
  auto waiting = std::async(std::launch::async, [&] { return future.result(); });
  cluster.wait_seen([](const auto& s) { return s.tasks == 1; });
  cluster.lose_stream();
  EXPECT_THAT(message_of<CancelledError>([&] { waiting.get(); }),
              HasSubstr("scheduler-connection-lost"));
  EXPECT_EQ(client.submit<app::inc>(1).result(), 2);
}

TEST(ClientLoss, a_scheduler_that_stays_away_ends_the_client) {
  FakeCluster cluster;
  ClientOptions options;
  options.timeout = 0.5;
  Client client{cluster.address(), options};
  auto future = client.submit<app::inc>(1);
  EXPECT_EQ(future.result(), 2);
  cluster.stop_listening();
  cluster.lose_stream();
  EXPECT_THROW(
      {
        for (;;) client.submit<app::inc>({.pure = false}, 1).result();
      },
      ClientError);
  while (!client.closed()) std::this_thread::yield();
  EXPECT_THAT(message_of<ClientError>([&] { client.submit<app::inc>(2); }),
              HasSubstr("could not connect"));
}

TEST(ClientConnect, nobody_there_is_an_error_in_time) {
  ClientOptions options;
  options.timeout = 0.2;
  EXPECT_THAT(message_of<ClientError>([&] { Client client("tcp://127.0.0.1:1", options); }),
              HasSubstr("tcp://127.0.0.1:1"));
  EXPECT_THROW(Client{ClientOptions{}}, ClientError);
}

TEST(ClientConnect, a_scheduler_file_says_where) {
  FakeCluster cluster;
  const std::string path = ::testing::TempDir() + "/rask-scheduler-file.json";
  std::ofstream{path} << "{\"type\": \"Scheduler\", \"address\": \"" << cluster.address() << "\"}";
  ClientOptions options;
  options.scheduler_file = path;
  Client client{options};
  EXPECT_EQ(client.scheduler_address(), cluster.address());
  EXPECT_EQ(client.submit<app::inc>(1).result(), 2);
}

TEST(ClientConnect, a_stock_scheduler_is_sent_tasks_too) {
  FakeCluster cluster{false};
  Client client{cluster.address()};
  // The fake reads no pickles: this one stays pending. Real ones: e2e.stock_scheduler.
  const auto future = client.submit<app::inc>(1);
  EXPECT_EQ(client.scheduler_info().workers.size(), 1U);
  EXPECT_FALSE(future.done());
}

TEST(ClientClose, futures_may_outlive_their_client) {
  FakeCluster cluster;
  Future<int> future;
  Future<int> pending;
  {
    Client client{cluster.address()};
    future = client.submit<app::inc>(1);
    EXPECT_EQ(future.result(), 2);
    cluster.hold("held");
    pending = client.submit<app::held>(1);
  }
  EXPECT_TRUE(pending.cancelled());
  EXPECT_THROW(future.result(), ClientError);
  auto copy = pending;
}

TEST(ClientClose, close_may_be_called_twice_and_calls_after_it_say_so) {
  FakeCluster cluster;
  Client client{cluster.address()};
  client.close();
  client.close();
  EXPECT_TRUE(client.closed());
  EXPECT_THAT(message_of<ClientError>([&] { client.submit<app::inc>(1); }), HasSubstr("closed"));
  EXPECT_THROW(client.scheduler_info(), ClientError);
}

TEST_F(ClientTest, a_restart_of_the_scheduler_cancels_all) {
  auto future = client.submit<app::inc>(1);
  EXPECT_EQ(future.result(), 2);
  cluster.send(protocol::RestartClient{});
  while (!future.cancelled()) std::this_thread::yield();
  EXPECT_THAT(message_of<CancelledError>([&] { future.result(); }), HasSubstr("scheduler-restart"));
}

// ---- as_completed, wait, callbacks --------------------------------------------------------------

TEST_F(ClientTest, as_completed_gives_each_future_once) {
  auto futures = client.map<app::inc>(std::vector{1, 2, 3});
  std::set<int> values;
  for (Future<int>& future : as_completed(futures)) values.insert(future.result());
  EXPECT_THAT(values, UnorderedElementsAre(2, 3, 4));
  values.clear();
  for (auto& [future, value] : as_completed(futures, with_results)) values.insert(value);
  EXPECT_THAT(values, UnorderedElementsAre(2, 3, 4));
}

TEST_F(ClientTest, as_completed_gives_what_is_done_first) {
  cluster.hold("held");
  auto slow = client.submit<app::held>(1);
  auto quick = client.submit<app::inc>(1);
  auto completed = as_completed(std::vector{slow, quick});
  EXPECT_EQ(completed.next(), quick);
  EXPECT_FALSE(completed.is_empty());
  EXPECT_FALSE(completed.has_ready());
  EXPECT_EQ(completed.count(), 1U);
  cluster.release_held();
  EXPECT_EQ(completed.next(), slow);
  EXPECT_TRUE(completed.is_empty());
}

TEST_F(ClientTest, futures_may_be_added_while_as_completed_is_iterated) {
  AsCompleted<int> completed{{client.submit<app::inc>(0)}};
  std::vector<int> values;
  for (Future<int>& future : completed) {
    values.push_back(future.result());
    if (values.back() < 4) completed.add(client.submit<app::inc>(values.back()));
  }
  EXPECT_THAT(values, ElementsAre(1, 2, 3, 4));
}

TEST_F(ClientTest, as_completed_gives_batches_and_passes_over_failures) {
  auto futures = client.map<app::fails>(std::vector{1, -1, 2});
  wait(futures);
  AsCompleted<int, true> completed{futures, {.raise_errors = false}};
  std::vector<int> values;
  for (auto& batch : completed.batches())
    for (auto& [future, value] : batch) values.push_back(value);
  EXPECT_THAT(values, UnorderedElementsAre(1, 2));
  EXPECT_THROW(
      {
        for (auto& item : as_completed(futures, with_results)) static_cast<void>(item);
      },
      TaskError);
}

TEST_F(ClientTest, as_completed_waits_a_while_for_a_batch) {
  cluster.hold("held");
  AsCompleted<int> completed;
  EXPECT_TRUE(completed.wait_batch(10).empty()) << "nothing to wait for";
  completed.add(client.submit<app::held>(1));
  EXPECT_TRUE(completed.wait_batch(0.01).empty());
  cluster.release_held();
  EXPECT_EQ(completed.wait_batch(kForever).size(), 1U);
  EXPECT_TRUE(completed.is_empty());
}

TEST_F(ClientTest, as_completed_gives_up_after_its_timeout) {
  cluster.hold("held");
  auto future = client.submit<app::held>(1);
  EXPECT_THROW(as_completed(std::vector{future}, AsCompletedOptions{.timeout = 0.01}).next(),
               TimeoutError);
}

TEST_F(ClientTest, wait_tells_done_from_not_done) {
  cluster.hold("held");
  auto slow = client.submit<app::held>(1);
  auto quick = client.submit<app::inc>(1);
  const auto first = wait(std::vector{slow, quick}, kForever, ReturnWhen::first_completed);
  EXPECT_THAT(first.done, ElementsAre(quick));
  EXPECT_THAT(first.not_done, ElementsAre(slow));
  EXPECT_THROW(wait(std::vector{slow}, 0.01), TimeoutError);
  cluster.release_held();
  EXPECT_EQ(wait(std::vector{slow, quick}).done.size(), 2U);
}

TEST_F(ClientTest, a_callback_may_use_the_client) {
  std::promise<int> told;
  client.submit<app::inc>(1).add_done_callback([&](const Future<int>& future) {
    told.set_value(client.submit<app::add>(future, 10).result());
  });
  EXPECT_EQ(told.get_future().get(), 12);
}

struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Detached add_later(Client& client, std::promise<int>& told) {
  const int x = co_await client.submit<app::inc>(1);
  const int y = co_await client.submit<app::inc>(x);
  told.set_value(x + y);
}

TEST_F(ClientTest, a_coroutine_may_wait_for_a_future) {
  std::promise<int> told;
  add_later(client, told);
  EXPECT_EQ(told.get_future().get(), 5);
}

TEST_F(ClientTest, a_forgotten_task_is_held_until_its_end) {
  cluster.hold("held");
  {
    auto future = client.submit<app::held>(1);
    fire_and_forget(future);
  }
  cluster.wait_seen([](const auto& s) { return s.tasks == 1; });
  EXPECT_TRUE(cluster.seen().released.empty());
  cluster.release_held();
  cluster.wait_seen([](const auto& s) { return s.released.size() == 1; });
}

// ---- Other work ---------------------------------------------------------------------------------

TEST_F(ClientTest, a_graph_is_computed_from_what_is_wanted) {
  Graph graph;
  auto x = graph.add<app::inc>("x", 1);
  auto y = graph.add<app::inc>("y", x);
  graph.add<app::inc>("unused", 1);
  auto z = graph.add<app::add>("z", x, y);
  EXPECT_EQ(client.get(graph, z), 5);
  auto [fx, fz] = client.compute(graph, x, z);
  EXPECT_EQ(fx.result() + fz.result(), 7);
  for (const auto& task : cluster.seen().graph_tasks) EXPECT_NE(task.key, Key{"unused"});
}

TEST_F(ClientTest, scattered_values_are_futures) {
  const std::vector<double> table(10'000, 0.5);
  auto future = client.scatter(table);
  EXPECT_TRUE(future.done());
  EXPECT_EQ(future.result(), table);
  EXPECT_EQ(client.scatter(table), future);
  auto each = client.scatter_each(std::vector{1, 2, 3});
  EXPECT_EQ(client.submit<app::sum>(each).result(), 6);
  EXPECT_NE(client.scatter(1, {.hash = false}).key(), client.scatter(1, {.hash = false}).key());
}

TEST_F(ClientTest, run_calls_a_function_on_every_worker) {
  EXPECT_EQ(client.run<app::inc>(1),
            (std::map<std::string, int>{{"tcp://10.0.0.1:1", 2}, {"tcp://10.0.0.2:1", 2}}));
  EXPECT_THROW(client.run<app::fails>(-1), TaskError);
}

TEST_F(ClientTest, scheduler_info_is_typed) {
  const SchedulerInfo info = client.scheduler_info();
  EXPECT_EQ(info.total_threads, 2);
  ASSERT_NE(info.worker("0"), nullptr);
  EXPECT_EQ(info.worker("0")->status, "running");
  client.wait_for_workers(1);
  EXPECT_THROW(client.wait_for_workers(2, 0.01), TimeoutError);
}

TEST_F(ClientTest, an_error_of_the_scheduler_keeps_its_words) {
  EXPECT_THAT(message_of<ClientError>([&] { client.list_datasets(); }), HasSubstr("publish_list"));
}

TEST_F(ClientTest, get_client_gives_the_last_made_and_in_tasks_the_workers_own) {
  EXPECT_EQ(&get_client(), &client);
  EXPECT_THROW(secede(), ClientError);
  TaskContext context;
  context.scheduler_address = cluster.address();
  context.worker_address = "tcp://10.0.0.9:1";
  context.key = Key{"outer"};
  bool seceded = false;
  context.secede = [&] { seceded = true; };
  {
    const TaskScope scope{context};
    EXPECT_NE(&get_client(), &client);
    EXPECT_EQ(&get_client(), &get_client());
    EXPECT_EQ(get_client().submit<app::inc>(1).result(), 2);
    EXPECT_EQ(get_worker().address, "tcp://10.0.0.9:1");
    secede();
    get_client().close();
  }
  EXPECT_TRUE(seceded);
}

TEST_F(ClientTest, many_threads_share_a_client) {
  std::vector<std::thread> threads;
  std::atomic<int> total{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) total += client.submit<app::inc>(t * 100 + i % 50).result();
    });
  }
  for (std::thread& thread : threads) thread.join();
  int expected = 0;
  for (int t = 0; t < 4; ++t)
    for (int i = 0; i < 200; ++i) expected += t * 100 + i % 50 + 1;
  EXPECT_EQ(total, expected);
}

}  // namespace
}  // namespace rask
