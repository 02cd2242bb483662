#pragma once
// Inside of EventLoop. Private to this room.
//
//   turn = wait, ready sockets, timers, windows, posted callbacks, ends of turn and flushes
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "rask/comm/comm.h"
#include "rask/comm/poller.h"
#include "rask/comm/socket.h"

namespace rask::comm {

// What lives on a loop and may outlive it.
class LoopObject {
 public:
  // The loop is going away: close sockets, drop callbacks without calling them, forget the loop.
  virtual void loop_ended() = 0;

 protected:
  ~LoopObject() = default;
};

// What has something to write when the turn ends.
class Flushable {
 public:
  virtual void flush() = 0;

 protected:
  ~Flushable() = default;
};

struct EventLoop::Impl {
  using Clock = std::chrono::steady_clock;

  Impl();
  ~Impl();

  void run() noexcept;  // A callback that throws ends the program.
  void stop();
  void post(std::function<void()> callback);
  TimerId call_later(Seconds delay, std::function<void()> callback);
  void cancel(TimerId timer);
  void on_signals(const std::vector<int>& signals, std::function<void(int)> callback);
  // Calls `flush` once, at the end of this turn.
  void flush_at_end_of_turn(std::shared_ptr<Flushable> flushable) {
    dirty.push_back(std::move(flushable));
  }
  // With any turn after half of `delay`, or in one of its own after `delay`: what repeats itself
  // falls into step with others.
  void call_within(Seconds delay, std::function<void()> callback);

  Poller poller;
  std::unordered_set<LoopObject*> objects;
  std::vector<std::function<void()>> ends_of_turn;
  std::uint64_t peer_number = 0;  // For addresses of peers that have no port.

 private:
  struct Signal {
    int number;
    std::uint32_t seen;  // Of signal_counts.
    std::shared_ptr<std::function<void(int)>> callback;
  };
  using TimerKey = std::pair<Clock::time_point, std::uint64_t>;

  std::optional<std::chrono::nanoseconds> time_to_wait();
  void run_timers();
  void run_windows();
  void run_signals();
  void run_posted();
  void end_turn();
  TimerId add_timer(Clock::time_point deadline, std::function<void()> callback);

  Fd bell;  // Rung by other threads.
  std::vector<std::shared_ptr<Flushable>> dirty;
  std::vector<std::shared_ptr<Flushable>> flushing;

  std::mutex mutex;  // Guards the four below.
  std::vector<std::function<void()>> posted;
  bool sleeping = false;
  bool stopping = false;
  bool ended = false;
  std::vector<std::function<void()>> running;  // Swapped with `posted`, to keep its memory.

  std::map<TimerKey, std::function<void()>> timers;
  std::unordered_map<std::uint64_t, Clock::time_point> timer_deadlines;
  std::uint64_t timer_count = 0;
  struct Window {
    std::multiset<Clock::time_point>::iterator latest;
    std::function<void()> callback;
  };
  std::multimap<Clock::time_point, Window> windows;  // By the earliest time.
  std::multiset<Clock::time_point> window_ends;
  std::vector<Signal> signals;
};

// A socket on the loop. Closing drops the callbacks that wait, without calling them.
class Descriptor {
 public:
  Descriptor() = default;
  ~Descriptor() { close(); }
  Descriptor(Descriptor&&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  //   errors   peer_lost: the system has no room for one more.
  Result<Ok> open(EventLoop::Impl& loop, Fd fd);
  bool is_open() const { return static_cast<bool>(fd_); }
  int fd() const { return fd_.get(); }
  void close() { release(); }
  Fd release();  // Takes the socket off the loop, open.

  void when_readable(Poller::Callback callback) {
    poller_->when(id_, Poller::What::read, std::move(callback));
  }
  void when_writable(Poller::Callback callback) {
    poller_->when(id_, Poller::What::write, std::move(callback));
  }
  void ignore_input() { poller_->ignore_input(id_); }  // Until when_readable().

 private:
  Poller* poller_ = nullptr;
  Poller::Id id_;
  Fd fd_;
};

}  // namespace rask::comm
