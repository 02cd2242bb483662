// The C++ client on a local cluster of real worker processes, with workers killed under it. Also
// run with a stock Dask scheduler in the middle (DASK_RASK__SCHEDULER_COMMAND).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rask/rask.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numeric>
#include <ranges>
#include <set>
#include <sstream>
#include <thread>

#include "rask/client/delayed.h"
#include "rask/cluster/local_cluster.h"
#include "rask/executor/log_file.h"

namespace tasks {

std::int64_t inc(std::int64_t x) { return x + 1; }
std::int64_t add(std::int64_t x, std::int64_t y) { return x + y; }
std::int64_t sum(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}
// Works long enough for a kill to come in its middle.
std::int64_t busy(std::int64_t x) {
  volatile std::int64_t spin = 0;
  for (int i = 0; i < 2'000'000; ++i) spin = spin + i;
  return x;
}
int fail(const std::string& what) { throw std::invalid_argument{what}; }
std::vector<double> block(std::int64_t size, double value) {
  return std::vector<double>(static_cast<std::size_t>(size), value);
}
double total(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}
int process_number() { return ::getpid(); }
int fibonacci(int n) {
  if (n < 2) return n;
  auto& client = rask::get_client();
  auto a = client.submit<fibonacci>(n - 1);
  auto b = client.submit<fibonacci>(n - 2);
  rask::secede();
  return a.result() + b.result();
}
int die(int) { std::abort(); }
int length(const std::string& text) { return static_cast<int>(text.size()); }
int plus(int a, int b) { return a + b; }
int complain(int number) {
  std::cerr << "task " << number << " by C++\n";
  std::fprintf(stderr, "task %d by C", number);  // Without an end.
  return number;
}
int speak(int number) {
  rask::log::warning("app.module", "hello {}", number);
  rask::log::warning("other", "not for {}", number);
  return number;
}

// No table of dynamic symbols has these: the program is linked without -rdynamic.
[[gnu::noinline]] static double long_part(int turns) {
  double value = turns;
  for (int i = 0; i < 3 * turns; ++i) value = std::sqrt(value + i);
  return value;
}
[[gnu::noinline]] static double short_part(int turns) {
  double value = turns;
  for (int i = 0; i < turns; ++i) value = std::sqrt(value + i);
  return value;
}
double two_parts(int turns) { return long_part(turns) + short_part(turns); }
[[gnu::noinline]] static void wait_for(const std::string& event) { rask::Event{event}.wait(); }
int waits(const std::string& event) {
  wait_for(event);
  return 1;
}
// Computes on its own cluster: one call for each level, all of which wait at a time.
int computed(int depth) {
  if (depth == 0) return 1;
  return rask::delayed<plus>(rask::delayed<computed>(depth - 1), 1).compute();
}

}  // namespace tasks

namespace rask {
namespace {

// A stock scheduler is slower by as much.
const bool is_stock = std::getenv("DASK_RASK__SCHEDULER_COMMAND") != nullptr;
const std::int64_t kMany = is_stock ? 10'000 : 100'000;

class ClientTest : public testing::Test {
 protected:
  LocalCluster cluster{{.n_workers = 4, .threads_per_worker = 1, .memory_limit = "0"}};
  Client client{cluster.scheduler_address()};

  // The n-th of the worker processes that live now.
  void kill_worker(std::size_t n) {
    const auto pids = cluster.worker_pids();
    ASSERT_FALSE(pids.empty());
    ::kill(pids[n % pids.size()], SIGKILL);
  }
};

TEST_F(ClientTest, submits_chains_and_gathers) {
  auto x = client.submit<tasks::inc>(10);
  auto y = client.submit<tasks::add>(x, 5);
  EXPECT_EQ(y.result(), 16);
  auto all = client.map<tasks::inc>(std::views::iota(0, 1000));
  EXPECT_EQ(client.submit<tasks::sum>(all).result(), 500'500);
  EXPECT_EQ(client.gather(all)[999], 1000);
}

TEST_F(ClientTest, an_error_carries_type_message_and_key_and_spares_the_others) {
  auto bad = client.submit<tasks::fail>("no such file");
  auto good = client.submit<tasks::inc>(1);
  try {
    bad.result();
    FAIL() << "should have thrown";
  } catch (const TaskError& error) {
    EXPECT_EQ(error.type, "std::invalid_argument");
    EXPECT_EQ(error.message, "no such file");
    EXPECT_EQ(error.key, bad.key().str());
  }
  EXPECT_EQ(good.result(), 2);
}

TEST_F(ClientTest, a_profile_shows_where_the_time_of_tasks_goes) {
  constexpr int kTurns = 3'000'000;
  client.gather(client.map<tasks::two_parts>(std::views::iota(kTurns, kTurns + 40)));
  const auto filename = testing::TempDir() + "rask-profile-" + std::to_string(::getpid()) + ".svg";
  const auto profile = client.profile({.key = "two_parts", .filename = filename});
  EXPECT_GT(profile.count, 20);
  ASSERT_EQ(profile.children.size(), 1u);
  EXPECT_EQ(profile.children[0].name, "tasks::two_parts(int)");
  EXPECT_NEAR(profile_share(profile, "tasks::long_part(int)"), 0.75, 0.15);
  EXPECT_NEAR(profile_share(profile, "tasks::short_part(int)"), 0.25, 0.15);
  const auto* part = profile.children[0].child("tasks::long_part(int)");
  ASSERT_NE(part, nullptr);
  EXPECT_THAT(part->filename, testing::EndsWith("client_e2e_test"));
  std::stringstream drawn;
  drawn << std::ifstream{filename}.rdbuf();
  EXPECT_THAT(drawn.str(), testing::HasSubstr("<title>tasks::long_part(int)"));
  std::filesystem::remove(filename);

  EXPECT_EQ(client.profile({.key = "two_parts", .start = 1e11}).count, 0);
  EXPECT_EQ(client.profile({.key = "nothing"}).count, 0);
  // The last sample may come between two questions.
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  std::int64_t of_first = 0;
  std::int64_t of_first_alone = -1;
  while (of_first != of_first_alone && std::chrono::steady_clock::now() < limit) {
    const auto apart = client.profile({.key = "two_parts", .merge_workers = false});
    ASSERT_EQ(apart.children.size(), 4u);
    of_first = apart.children[0].count;
    of_first_alone =
        client.profile({.key = "two_parts", .workers = {apart.children[0].name}}).count;
  }
  EXPECT_EQ(of_first, of_first_alone);
}

TEST_F(ClientTest, a_call_stack_shows_where_a_task_waits) {
  auto waiting = client.submit<tasks::waits>("may-go");
  auto after = client.submit<tasks::inc>(waiting);
  auto done = client.submit<tasks::inc>(1);
  done.result();
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  std::vector<std::string> lines;
  while (lines.size() < 3 && std::chrono::steady_clock::now() < limit)
    for (const auto& [worker, tasks] : client.call_stack(after))
      if (const auto found = tasks.find(waiting.key().str()); found != tasks.end())
        lines = found->second;
  ASSERT_GE(lines.size(), 3u);
  EXPECT_THAT(lines[0], testing::HasSubstr("in tasks::waits(std::string const&)"));
  EXPECT_THAT(lines[1], testing::HasSubstr("in tasks::wait_for(std::string const&)"));
  EXPECT_EQ(client.call_stack().size(), 1u);
  EXPECT_TRUE(client.call_stack(done).empty());
  Event{"may-go"}.set();
  EXPECT_EQ(after.result(), 2);
  EXPECT_TRUE(client.call_stack().empty());
}

TEST_F(ClientTest, two_killed_workers_cost_a_map_of_many_tasks_nothing) {
  auto futures = client.map<tasks::inc>(std::views::iota(std::int64_t{0}, kMany));
  futures[static_cast<std::size_t>(kMany / 10)].result();
  kill_worker(0);
  futures[static_cast<std::size_t>(kMany / 2)].result();
  kill_worker(1);
  const auto values = client.gather(futures);
  ASSERT_EQ(values.size(), static_cast<std::size_t>(kMany));
  for (std::int64_t i = 0; i < kMany; ++i) ASSERT_EQ(values[static_cast<std::size_t>(i)], i + 1);
}

TEST_F(ClientTest, two_killed_workers_cost_a_tree_over_spread_data_nothing) {
  constexpr std::int64_t kLeaves = 256;
  auto level = client.map<tasks::busy>(std::views::iota(std::int64_t{0}, kLeaves));
  wait(level);  // The data lies on all four.
  kill_worker(0);
  bool killed_again = false;
  while (level.size() > 1) {
    std::vector<Future<std::int64_t>> next;
    for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
      next.push_back(client.submit<tasks::add>(level[i], level[i + 1]));
    }
    level = std::move(next);
    if (level.size() == 16 && !std::exchange(killed_again, true)) {
      wait(level);
      kill_worker(2);
    }
  }
  EXPECT_EQ(level[0].result(), kLeaves * (kLeaves - 1) / 2);
}

TEST_F(ClientTest, a_task_that_kills_its_worker_ends_as_killed_worker) {
  auto future = client.submit<tasks::die>(1);
  try {
    future.result();
    FAIL() << "should have thrown";
  } catch (const TaskError& error) {
    EXPECT_EQ(error.type, "distributed.scheduler.KilledWorker");
    EXPECT_NE(error.message.find("4 different workers"), std::string::npos) << error.what();
  }
  EXPECT_EQ(client.submit<tasks::inc>(1).result(), 2);
}

TEST_F(ClientTest, large_values_go_from_worker_to_worker) {
  const auto names = client.nthreads();
  std::vector<std::string> workers;
  for (const auto& [worker, threads] : names) workers.push_back(worker);
  ASSERT_EQ(workers.size(), 4u);
  auto block = client.submit<tasks::block>({.workers = {workers[0]}}, 1'000'000, 0.5);
  auto total = client.submit<tasks::total>({.workers = {workers[1]}}, block);
  EXPECT_EQ(total.result(), 500'000.0);
  EXPECT_EQ(client.who_has(std::vector{block}).begin()->second.size(), 2u);
}

// Worker processes, nannies, transfers and clients in tasks: all with certificates that exist only
// in memory, and nobody without them gets in.
TEST(LocalClusterTls, temporary_certificates_protect_a_whole_cluster) {
  LocalCluster cluster{{.n_workers = 2,
                        .threads_per_worker = 2,
                        .memory_limit = "0",
                        .security = Security::temporary()}};
  EXPECT_TRUE(cluster.scheduler_address().starts_with("tls://"));
  Client client{{.address = cluster.scheduler_address(), .security = cluster.security()}};
  std::vector<std::string> workers;
  for (const auto& [worker, threads] : client.nthreads()) workers.push_back(worker);
  ASSERT_EQ(workers.size(), 2u);
  EXPECT_TRUE(workers[0].starts_with("tls://"));
  auto block = client.submit<tasks::block>({.workers = {workers[0]}}, 1'000'000, 0.5);
  auto total = client.submit<tasks::total>({.workers = {workers[1]}}, block);
  EXPECT_EQ(total.result(), 500'000.0);
  EXPECT_EQ(block.result().size(), 1'000'000u);
  EXPECT_EQ(client.submit<tasks::fibonacci>(6).result(), 8);
  EXPECT_THROW(Client({.address = cluster.scheduler_address(), .timeout = 5}), ClientError);
  EXPECT_THROW(Client({.address = cluster.scheduler_address(),
                       .timeout = 5,
                       .security = Security::temporary()}),
               ClientError);
}

TEST(LocalClusterTls, thread_workers_and_an_own_client_too) {
  Client client{{.n_workers = 2, .processes = false, .security = Security::temporary()}};
  EXPECT_TRUE(client.scheduler_address().starts_with("tls://"));
  EXPECT_EQ(client.submit<tasks::fibonacci>(6).result(), 8);
}

TEST_F(ClientTest, scattered_values_are_inputs) {
  auto table = client.scatter(std::vector<double>(1000, 2.0), {.broadcast = true});
  EXPECT_EQ(client.submit<tasks::total>(table).result(), 2000.0);
}

TEST_F(ClientTest, tasks_submit_tasks) {
  EXPECT_EQ(client.submit<tasks::fibonacci>(8).result(), 21);
}

TEST_F(ClientTest, lazy_calls_run_once_each_and_can_stay) {
  const auto x = delayed<tasks::inc>(std::int64_t{1});
  const auto y = delayed<tasks::sum>(std::vector{x, x, delayed<tasks::add>(x, x)});
  EXPECT_EQ(y.compute(client), 8);
  const auto [a, b] = compute(client, x, y);
  EXPECT_EQ(a + b, 10);
  const auto held = client.persist(y);
  EXPECT_EQ(client.submit<tasks::inc>(held).result(), 9);
  EXPECT_EQ(delayed<tasks::add>(held, x).compute(client), 10);
}

TEST_F(ClientTest, a_failed_lazy_call_names_the_keys_on_its_way) {
  const auto bad = delayed<tasks::fail>({.name = "bad"}, std::string{"no"});
  const auto middle = delayed<tasks::plus>({.name = "middle"}, bad, 1);
  const auto end = delayed<tasks::plus>({.name = "end"}, 1, middle);
  const auto good = delayed<tasks::length>(std::string{"four"});
  try {
    end.compute(client);
    FAIL() << "should have thrown";
  } catch (const TaskError& error) {
    EXPECT_EQ(error.type, "std::invalid_argument");
    EXPECT_EQ(error.key, "bad");
    EXPECT_THAT(error.chain, testing::ElementsAre("bad", "middle", "end"));
  }
  // Again, with the same keys.
  const auto [first, second] = compute(client, collect_errors, end, good);
  EXPECT_EQ(first.error->chain.size(), 3U);
  EXPECT_EQ(second.value, 4);
}

TEST_F(ClientTest, tasks_compute_graphs_deeper_than_there_are_threads) {
  EXPECT_EQ(delayed<tasks::computed>(8).compute(client), 9);
}

TEST_F(ClientTest, records_of_workers_come_to_the_client) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("rask-forwarded-" + std::to_string(::getpid()) + ".log");
  log_to_file({.path = path.string(), .level = log::Level::warning});
  client.forward_logging("app");
  for (int number = 0; number < 8; ++number) client.submit<tasks::speak>(number).result();
  std::string text;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  const auto count = [&] {
    std::ostringstream all;
    all << std::ifstream{path}.rdbuf();
    text = all.str();
    return std::ranges::count(text, '\n');
  };
  while (count() < 8 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  client.unforward_logging("app");
  log::set_listener(log::Ear::file, nullptr, log::Level::critical);
  std::filesystem::remove(path);
  EXPECT_EQ(std::ranges::count(text, '\n'), 8) << text;
  EXPECT_THAT(text, testing::HasSubstr(" - WARNING - app.module - tcp://"));
  EXPECT_THAT(text, testing::HasSubstr(" - hello 7\n"));
  EXPECT_THAT(text, testing::HasSubstr(" - speak-"));
}

TEST_F(ClientTest, stderr_of_tasks_on_workers_comes_into_the_log_file) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("rask-stderr-" + std::to_string(::getpid()) + ".log");
  log_to_file({.path = path.string(), .level = log::Level::warning, .capture_stderr = true});
  {
    LocalCluster logging{{.n_workers = 2, .threads_per_worker = 2}};
    Client its_client{logging.scheduler_address()};
    its_client.gather(its_client.map<tasks::complain>(std::views::iota(0, 20)));
  }
  log_to_file({.path = path.string()});  // And no stderr.
  log::set_listener(log::Ear::file, nullptr, log::Level::critical);
  for (const char* name : {"FILE", "MAX_BYTES", "BACKUP_COUNT", "LEVEL", "STDERR"})
    ::unsetenv((std::string{"DASK_RASK__LOG__"} + name).c_str());
  std::multiset<std::string> lines;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) {
    if (line.find(" - WARNING - stderr - tcp://") == std::string::npos) continue;
    EXPECT_NE(line.find(" - complain-"), std::string::npos) << line;
    lines.insert(line.substr(line.rfind(" - ") + 3));
  }
  std::filesystem::remove(path);
  for (int number = 0; number < 20; ++number)
    for (const char* way : {"C++", "C"})
      EXPECT_EQ(lines.count("task " + std::to_string(number) + " by " + way), 1U);
}

TEST_F(ClientTest, what_was_logged_can_be_asked_for) {
  client.submit<tasks::speak>(100).result();
  client.submit<tasks::speak>(101).result();
  int heard = 0;
  for (const auto& [worker, records] : client.get_worker_logs()) {
    std::vector<std::string> own;
    for (const LogRecord& record : records) {
      if (!record.text.starts_with("app.module - ")) continue;
      EXPECT_EQ(record.level, log::Level::warning);
      own.push_back(record.text);
    }
    heard += static_cast<int>(std::ranges::count_if(
        own, [](const auto& text) { return text.ends_with("100") || text.ends_with("101"); }));
    const auto last = client.get_worker_logs(1, {worker});
    ASSERT_EQ(last.size(), 1U);
    ASSERT_EQ(last.at(worker).size(), std::min<std::size_t>(records.size(), 1));
    if (!records.empty()) {
      EXPECT_EQ(last.at(worker).front().text, records.front().text);
    }
  }
  EXPECT_EQ(heard, 2);
  log::warning("app.module", "in this process, as the scheduler is unless it is Dask's");
  const auto scheduler = client.get_scheduler_logs(1);
  if (is_stock) return;  // It logs what it likes, at a level of its own: often nothing.
  ASSERT_EQ(scheduler.size(), 1U);
  EXPECT_THAT(scheduler.front().text, testing::HasSubstr(" - "));
}

TEST_F(ClientTest, run_calls_every_worker) {
  const auto numbers = client.run<tasks::process_number>();
  std::vector<int> pids;
  for (const auto& [worker, pid] : numbers) pids.push_back(pid);
  EXPECT_THAT(pids, testing::UnorderedElementsAreArray(cluster.worker_pids()));
}

TEST_F(ClientTest, retired_workers_leave_their_data_to_others) {
  auto futures = client.map<tasks::inc>(std::views::iota(0, 100));
  wait(futures);
  std::vector<std::string> workers;
  for (const auto& [worker, threads] : client.nthreads()) workers.push_back(worker);
  EXPECT_EQ(client.retire_workers({workers[0]}), (std::vector<std::string>{workers[0]}));
  EXPECT_EQ(client.nthreads().count(workers[0]), 0u);
  EXPECT_EQ(client.gather(futures)[99], 100);
}

TEST_F(ClientTest, restart_brings_new_workers_and_cancels_what_was) {
  auto before = client.run<tasks::process_number>();
  auto future = client.submit<tasks::inc>(1);
  future.result();
  client.restart(60);
  EXPECT_TRUE(future.cancelled());
  client.wait_for_workers(4, 60);
  for (const auto& [worker, pid] : client.run<tasks::process_number>()) {
    for (const auto& [old_worker, old_pid] : before) EXPECT_NE(pid, old_pid);
  }
  EXPECT_EQ(client.submit<tasks::inc>(2).result(), 3);
}

TEST_F(ClientTest, a_published_dataset_outlives_its_client) {
  {
    Client publisher{cluster.scheduler_address()};
    publisher.publish_dataset("numbers", publisher.map<tasks::inc>(std::views::iota(0, 10)));
  }
  EXPECT_EQ(client.list_datasets(), std::vector<std::string>{"numbers"});
  const auto futures = client.get_dataset<std::int64_t>("numbers");
  EXPECT_EQ(client.gather(futures)[9], 10);
  client.unpublish_dataset("numbers");
  EXPECT_TRUE(client.list_datasets().empty());
}

TEST_F(ClientTest, annotations_are_obeyed) {
  std::vector<std::string> workers;
  for (const auto& [worker, threads] : client.nthreads()) workers.push_back(worker);
  auto here = client.submit<tasks::inc>({.workers = {workers[2]}, .retries = 1, .priority = 5}, 1);
  EXPECT_EQ(here.result(), 2);
  EXPECT_EQ(client.who_has(std::vector{here}).begin()->second, std::vector{workers[2]});
  // Nobody has that: it waits, also beside what a stock scheduler finds native workers by.
  auto nowhere = client.submit<tasks::inc>({.resources = {{"GPU", 1}}}, 2);
  EXPECT_THROW(nowhere.result(0.5), TimeoutError);
}

TEST_F(ClientTest, replicated_and_rebalanced_values_stay_whole) {
  auto table = client.submit<tasks::block>(1000, 1.0);
  client.replicate(std::vector{table});
  const auto copies = [&] { return client.who_has(std::vector{table}).begin()->second.size(); };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (copies() < 4 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(copies(), 4u);
  std::vector<std::int64_t> numbers(100);
  std::iota(numbers.begin(), numbers.end(), 0);
  auto spread = client.scatter_each(numbers);
  client.rebalance(spread);
  EXPECT_EQ(client.gather(spread), numbers);
}

TEST_F(ClientTest, many_arguments_and_large_ones_arrive) {
  const std::vector<double> values(100'000, 0.25);  // In a frame beside the arguments.
  EXPECT_EQ(client.submit<tasks::total>(values).result(), 25'000.0);
  auto leaves = client.map<tasks::inc>(std::views::iota(0, 2000));
  EXPECT_EQ(client.submit<tasks::sum>(leaves).result(), 2'001'000);
}

TEST_F(ClientTest, the_cluster_answers_questions) {
  auto future = client.submit<tasks::inc>({.key = "named"}, 1);
  future.result();
  EXPECT_EQ(client.scheduler_info().workers.size(), 4u);
  EXPECT_EQ(client.who_has().count("named"), 1u);
  EXPECT_EQ(client.has_what().size(), 4u);
  EXPECT_EQ(client.processing().size(), 4u);
  EXPECT_EQ(client.nbytes(false).count("named"), 1u);
  EXPECT_FALSE(client.story({"named"}).empty());
  EXPECT_TRUE(client.call_stack().empty());  // Nothing runs.
  client.set_metadata({"a", "b"}, 7);
  EXPECT_EQ(client.get_metadata({"a", "b"}).as_int(), 7);
  EXPECT_THROW(client.get_metadata({"c"}), ClientError);
  client.log_event("topic", "news");
  EXPECT_EQ(client.get_events("topic").at(0).content.as_text(), "news");
}

TEST_F(ClientTest, a_failed_task_can_be_retried_and_a_running_one_cancelled) {
  auto bad = client.submit<tasks::fail>("again");
  EXPECT_THROW(bad.result(), TaskError);
  client.retry(std::vector{bad});
  EXPECT_THROW(bad.result(), TaskError);
  auto slow = client.map<tasks::busy>(std::views::iota(0, 1000));
  client.cancel(slow);
  EXPECT_TRUE(slow[0].cancelled());
  EXPECT_EQ(client.submit<tasks::inc>(1).result(), 2);
}

TEST_F(ClientTest, losing_the_scheduler_gives_waiting_calls_an_error) {
  auto slow = client.map<tasks::busy>(std::views::iota(0, 1000));
  cluster.close();
  EXPECT_THROW(client.gather(slow), ClientError);
}

TEST(LocalClusterTest, of_threads_runs_tasks_of_this_process) {
  Client client{{.n_workers = 2, .threads_per_worker = 2, .processes = false}};
  EXPECT_EQ(client.submit<tasks::process_number>().result(), ::getpid());
  EXPECT_EQ(client.submit<tasks::sum>(client.map<tasks::inc>(std::views::iota(0, 10))).result(),
            55);
}

TEST(LocalClusterTest, a_bad_memory_limit_is_an_error) {
  EXPECT_THROW(LocalCluster({.n_workers = 1, .memory_limit = "lots"}), ClientError);
}

TEST(LocalClusterTest, a_wrong_address_is_an_error_in_time) {
  EXPECT_THROW(Client({.address = "tcp://127.0.0.1:1", .timeout = 0.5}), ClientError);
}

}  // namespace
}  // namespace rask

int main(int argc, char** argv) {
  rask::init(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
