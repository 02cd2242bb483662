#include <gmock/gmock.h>

#include <csignal>
#include <thread>
#include <utility>

#include "rask/comm/poller.h"
#include "rask/comm/test_rig.h"

namespace rask::comm {
namespace {

using testing::ElementsAre;

TEST(EventLoop, posts_run_in_order_and_ends_of_turn_behind_them) {
  Rig rig;
  std::vector<std::string> log;
  rig.loop.post([&] {
    log.emplace_back("first");
    rig.loop.at_end_of_turn([&] {
      log.emplace_back("end of turn");
      rig.loop.at_end_of_turn([&] { log.emplace_back("end of the same turn"); });
      rig.loop.post([&] {
        log.emplace_back("next turn");
        rig.loop.stop();
      });
    });
  });
  rig.loop.post([&] { log.emplace_back("second"); });
  rig.run();
  EXPECT_THAT(log,
              ElementsAre("first", "second", "end of turn", "end of the same turn", "next turn"));
}

TEST(EventLoop, posts_of_many_threads_all_arrive_each_thread_in_its_order) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  Rig rig;
  std::vector<int> next(kThreads, 0);
  int arrived = 0;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        rig.loop.post([&, t, i] {
          EXPECT_EQ(next[t]++, i);
          if (++arrived == kThreads * kPosts) rig.loop.stop();
        });
      }
    });
  }
  rig.run();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(arrived, kThreads * kPosts);
}

TEST(EventLoop, timers_fire_in_the_order_of_their_deadlines_and_cancelled_ones_never) {
  Rig rig;
  std::vector<int> log;
  rig.loop.call_later(0.03, [&] {
    log.push_back(3);
    rig.loop.stop();
  });
  const auto cancelled = rig.loop.call_later(0.01, [&] { log.push_back(1); });
  const auto cancelled_by_timer = rig.loop.call_later(0.02, [&] { log.push_back(2); });
  rig.loop.call_later(0, [&] {
    log.push_back(0);
    rig.loop.cancel(cancelled_by_timer);
  });
  rig.loop.cancel(cancelled);
  rig.loop.cancel(cancelled);
  rig.run();
  EXPECT_THAT(log, ElementsAre(0, 3));
}

TEST(EventLoop, a_timer_that_sets_itself_again_lets_others_run) {
  Rig rig;
  int ticks = 0;
  std::function<void()> tick = [&] {
    if (++ticks < 100) rig.loop.call_later(0, tick);
  };
  tick();
  rig.loop.call_later(0.005, [&] { rig.loop.stop(); });
  rig.run();
  EXPECT_GT(ticks, 1);
}

TEST(EventLoop, stop_before_run_is_not_forgotten) {
  Rig rig;
  rig.loop.stop();
  rig.run();
  bool ran = false;
  rig.loop.post([&] {
    ran = true;
    rig.loop.stop();
  });
  rig.run();
  EXPECT_TRUE(ran);
}

TEST(EventLoop, signals_reach_the_callback_more_than_once) {
  Rig rig;
  std::vector<int> log;
  rig.loop.on_signals({SIGUSR1, SIGUSR2}, [&](int signal) {
    log.push_back(signal);
    if (log.size() == 2) return rig.loop.stop();
    ::raise(SIGUSR2);
  });
  rig.loop.post([] { ::raise(SIGUSR1); });
  rig.run();
  EXPECT_THAT(log, ElementsAre(SIGUSR1, SIGUSR2));
}

TEST(EventLoop, a_signal_reaches_every_loop_that_asked_and_the_default_comes_back_with_the_last) {
  int heard = 0;
  struct sigaction action{};
  {
    Rig one;
    Rig other;
    for (auto* rig : {&one, &other}) {
      rig->loop.on_signals({SIGUSR1}, [&heard, rig](int) {
        ++heard;
        rig->loop.stop();
      });
    }
    ::raise(SIGUSR1);
    one.run();
    other.run();
    ::sigaction(SIGUSR1, nullptr, &action);
    EXPECT_NE(action.sa_handler, SIG_DFL);
  }
  EXPECT_EQ(heard, 2);
  ::sigaction(SIGUSR1, nullptr, &action);
  EXPECT_EQ(action.sa_handler, SIG_DFL);
}

// Ready for both at once, and with nobody who waits for what is ready.
TEST(Poller, tells_who_waits_and_is_silent_for_others) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  const Fd mine{ends[0]};
  Fd theirs{ends[1]};
  Poller poller;
  const auto id = poller.add(mine.get()).value();
  std::string log;
  const auto turn = [&] {
    poller.wait(std::chrono::milliseconds{0});
    poller.call_back();
    return std::exchange(log, {});
  };
  ASSERT_EQ(::send(theirs.get(), "x", 1, 0), 1);
  EXPECT_EQ(turn(), "");
  poller.when(id, Poller::What::read, [&] { log += 'r'; });
  poller.when(id, Poller::What::write, [&] { log += 'w'; });
  EXPECT_EQ(turn(), "rw");
  EXPECT_EQ(turn(), "");
  poller.when(id, Poller::What::read, [&] { log += 'r'; });
  poller.ignore_input(id);
  EXPECT_EQ(turn(), "");
  poller.when(id, Poller::What::read, [&] { log += 'r'; });
  EXPECT_EQ(turn(), "r");
  theirs = Fd{};  // The end is there to be read, once asked for.
  EXPECT_EQ(turn(), "");
  EXPECT_EQ(turn(), "");
  poller.when(id, Poller::What::read, [&] { log += 'e'; });
  EXPECT_EQ(turn(), "e");
  poller.when(id, Poller::What::read, [&] { log += 'e'; });
  poller.remove(id);
  EXPECT_EQ(turn(), "");
}

TEST(Poller, who_was_removed_by_another_callback_of_the_turn_is_not_called) {
  int ends[4];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends + 2), 0);
  const Fd held[] = {Fd{ends[0]}, Fd{ends[1]}, Fd{ends[2]}, Fd{ends[3]}};
  Poller poller;
  Poller::Id ids[2] = {poller.add(ends[0]).value(), poller.add(ends[2]).value()};
  int calls = 0;
  for (int i : {0, 1}) {
    poller.when(ids[i], Poller::What::write, [&, i] {
      ++calls;
      poller.remove(ids[1 - i]);
      // The same number as the other one had, which this is not.
      const auto fresh = poller.add(ends[1 + 2 * (1 - i)]).value();
      EXPECT_EQ(fresh.index, ids[1 - i].index);
      EXPECT_NE(fresh.generation, ids[1 - i].generation);
    });
  }
  poller.wait(std::chrono::milliseconds{0});
  poller.call_back();
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, now_is_the_time_of_day_and_never_goes_back) {
  EventLoop one;
  EventLoop other;
  const auto start = one.now();
  EXPECT_GT(start, 1.6e9);
  EXPECT_GE(other.now(), start);
}

TEST(EventLoop, callbacks_that_never_ran_are_destroyed_with_the_loop) {
  const auto token = std::make_shared<int>();
  {
    EventLoop loop;
    struct PostsOnDeath {
      EventLoop& loop;
      std::shared_ptr<int> token;
      ~PostsOnDeath() {
        if (token) loop.post([token = token] {});
      }
    };
    auto late = std::make_shared<PostsOnDeath>(PostsOnDeath{loop, token});
    loop.post([late] {});
    loop.call_later(5, [late, token] {});
    loop.at_end_of_turn([late, token] {});
    loop.on_signals({SIGUSR1}, [token](int) {});
  }
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace rask::comm
