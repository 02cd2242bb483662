#include <gmock/gmock.h>

#include <csignal>
#include <thread>

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
