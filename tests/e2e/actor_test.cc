// Actors on a local cluster of real worker processes; also with a stock Dask scheduler in the
// middle (DASK_RASK__SCHEDULER_COMMAND).
#include <gtest/gtest.h>
#include <rask/rask.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace actors {

struct Counter {
  int n = 0;

  int increment() { return ++n; }
  int add(int by) { return n += by; }
  int add(int by, int times) { return n += by * times; }
  int value() const noexcept { return n; }
  void fail(const std::string& why) { throw std::out_of_range{why}; }
  int process_number() const { return ::getpid(); }
};

// No codec, no copy: it never leaves its worker.
class Ledger {
 public:
  Ledger(std::string owner, const std::vector<int>& first) : owner_(std::move(owner)) {
    for (const int amount : first) book(amount);
  }
  Ledger(const Ledger&) = delete;

  void book(int amount) { amounts_.push_back(amount); }
  const std::vector<int>& amounts() const { return amounts_; }
  const std::string& owner() const { return owner_; }
  std::size_t measure(const std::vector<double>& values, const std::string& text) const {
    return values.size() + text.size();
  }
  std::vector<double> large(std::int64_t size) const {
    return std::vector<double>(static_cast<std::size_t>(size), 1.5);
  }

 private:
  std::string owner_;
  std::vector<int> amounts_;
};

// Calls another actor, of its worker or of another one.
struct Chief {
  rask::Actor<Counter> counter;

  int raise(int by) {
    return counter.call<static_cast<int (Counter::*)(int)>(&Counter::add)>(by).result();
  }
};

int four(int x) { return 4 * x; }
int use(rask::Actor<Counter> counter) {
  int last = 0;
  for (int i = 0; i < 10; ++i) last = counter.call<&Counter::increment>().result();
  return last;
}
int refuse_to_be_made() { throw std::runtime_error{"never"}; }
struct Unmade {
  explicit Unmade(int) { refuse_to_be_made(); }
};

}  // namespace actors

namespace rask {
namespace {

using actors::Chief;
using actors::Counter;
using actors::Ledger;
constexpr auto kAdd = static_cast<int (Counter::*)(int)>(&Counter::add);
constexpr auto kAddTimes = static_cast<int (Counter::*)(int, int)>(&Counter::add);

class ActorTest : public testing::Test {
 protected:
  LocalCluster cluster{{.n_workers = 2, .threads_per_worker = 2, .memory_limit = "0"}};
  Client client{cluster.scheduler_address()};
};

TEST_F(ActorTest, keeps_its_state_between_calls) {
  const Actor<Counter> counter = client.submit_actor<Counter>().result();
  EXPECT_TRUE(counter.key().str().starts_with("Counter-")) << counter.key().str();
  EXPECT_EQ(counter.call<&Counter::increment>().result(), 1);
  EXPECT_EQ(counter.call<kAdd>(4).result(), 5);
  EXPECT_EQ(counter.call<kAddTimes>(5, 2).result(), 15);
  EXPECT_EQ(counter.call<&Counter::value>().result(), 15);
  EXPECT_EQ(counter.get<&Counter::n>(), 15);
  EXPECT_NE(counter.call<&Counter::process_number>().result(), ::getpid());
}

TEST_F(ActorTest, two_of_the_same_call_are_two) {
  const auto one = client.submit_actor<Counter>().result();
  const auto other = client.submit_actor<Counter>().result();
  EXPECT_NE(one.key(), other.key());
  one.call<&Counter::increment>().result();
  EXPECT_EQ(other.get<&Counter::n>(), 0);
}

TEST_F(ActorTest, is_made_of_arguments_and_futures_and_never_copied) {
  const auto sums = client.map<actors::four>(std::views::iota(1, 4));
  const auto ledger = client.submit_actor<Ledger>({.workers = {"0"}}, "Ann", sums).result();
  EXPECT_EQ(ledger.call<&Ledger::owner>().result(), "Ann");
  ledger.call<&Ledger::book>(3).result();
  EXPECT_EQ(ledger.call<&Ledger::amounts>().result(), (std::vector{4, 8, 12, 3}));
  EXPECT_EQ(ledger.call<&Ledger::large>(1'000'000).result().size(), 1'000'000U);
  const std::vector<double> values(100'000, 2.5);
  EXPECT_EQ(ledger.call<&Ledger::measure>(values, std::string(9'999, 'x')).result(), 109'999U);
}

TEST_F(ActorTest, calls_of_one_client_run_in_their_order) {
  const auto ledger = client.submit_actor<Ledger>("Bob", std::vector<int>{}).result();
  std::vector<ActorFuture<void>> booked;
  for (int i = 0; i < 1000; ++i) booked.push_back(ledger.call<&Ledger::book>(i));
  const auto amounts = ledger.call<&Ledger::amounts>().result();
  ASSERT_EQ(amounts.size(), 1000U);
  EXPECT_TRUE(std::ranges::is_sorted(amounts));
  EXPECT_TRUE(booked.back().done());
}

TEST_F(ActorTest, many_threads_may_call_it) {
  const auto counter = client.submit_actor<Counter>().result();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([counter] {
      for (int i = 0; i < 250; ++i) counter.call<&Counter::increment>().result();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(counter.get<&Counter::n>(), 1000);
}

TEST_F(ActorTest, tasks_take_it_as_an_argument) {
  const auto future = client.submit_actor<Counter>();
  const auto by_future = client.submit<actors::use>({.pure = false}, future);
  EXPECT_EQ(by_future.result(), 10);
  const auto counter = future.result();
  EXPECT_EQ(client.submit<actors::use>({.pure = false}, counter).result(), 20);
  EXPECT_EQ(counter.get<&Counter::n>(), 20);
}

TEST_F(ActorTest, actors_hold_and_call_each_other) {
  for (const std::string where : {"0", "1"}) {  // The counter's own worker, and another.
    auto counter = client.submit_actor<Counter>({.workers = {"0"}});
    const auto chief = client.submit_actor<Chief>({.workers = {where}}, counter).result();
    counter = {};  // The chief has it.
    EXPECT_EQ(chief.call<&Chief::raise>(5).result(), 5);
    EXPECT_EQ(chief.call<&Chief::raise>(5).result(), 10);
  }
}

TEST_F(ActorTest, what_a_method_throws_comes_to_the_caller) {
  const auto counter = client.submit_actor<Counter>().result();
  const auto failed = counter.call<&Counter::fail>("too far");
  try {
    failed.result();
    FAIL() << "should have thrown";
  } catch (const TaskError& error) {
    EXPECT_EQ(error.type, "std::out_of_range");
    EXPECT_EQ(error.message, "too far");
    EXPECT_EQ(error.key, counter.key().str());
    EXPECT_EQ(error.worker, counter.worker());
  }
  EXPECT_EQ(counter.call<&Counter::increment>().result(), 1);
  EXPECT_THROW(client.submit_actor<actors::Unmade>(1).result(), TaskError);
}

TEST_F(ActorTest, ends_with_the_last_that_holds_it) {
  auto counter = client.submit_actor<Counter>().result();
  const std::string key = counter.key().str();
  const auto is_known = [&] {
    const auto holders = client.who_has();
    return holders.contains(key) && !holders.at(key).empty();
  };
  EXPECT_TRUE(is_known());
  auto copy = counter;
  counter = {};
  EXPECT_EQ(copy.call<&Counter::increment>().result(), 1);
  copy = {};
  while (is_known()) std::this_thread::yield();  // The test's own time limit ends it.
}

TEST_F(ActorTest, is_lost_with_its_worker_and_says_so) {
  const auto future = client.submit_actor<Counter>();
  const auto counter = future.result();
  const int pid = counter.call<&Counter::process_number>().result();
  ::kill(pid, SIGKILL);
  while (future.status() != Status::error && future.status() != Status::cancelled)
    std::this_thread::yield();
  try {
    counter.call<&Counter::increment>().result();
    FAIL() << "should have thrown";
  } catch (const ClientError& error) {
    EXPECT_NE(std::string{error.what()}.find("Worker holding Actor was lost"), std::string::npos)
        << error.what();
  }
}

TEST_F(ActorTest, a_call_on_its_way_to_a_lost_worker_ends) {
  const auto counter = client.submit_actor<Counter>().result();
  const int pid = counter.call<&Counter::process_number>().result();
  ::kill(pid, SIGSTOP);
  const auto open = counter.call<&Counter::increment>();
  EXPECT_THROW(open.result(0.05), TimeoutError);
  ::kill(pid, SIGKILL);
  EXPECT_THROW(open.result(60), ClientError);
}

TEST_F(ActorTest, an_empty_one_says_what_to_do) {
  EXPECT_THROW(Actor<Counter>{}.call<&Counter::increment>(), ClientError);
  EXPECT_THROW(client.submit<actors::use>(Actor<Counter>{}), ClientError);
}

}  // namespace
}  // namespace rask
