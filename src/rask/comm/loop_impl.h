#pragma once
// Inside of EventLoop: the one header that knows Asio. Private to this room.
//
//   turn = ready events (a bounded number), posted callbacks, ends of turn and flushes; then sleep
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "rask/comm/comm.h"
#include "rask/comm/socket.h"

namespace rask::comm {

namespace asio = boost::asio;

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

  asio::io_context context{1};  // One thread runs it.
  std::unordered_set<LoopObject*> objects;
  std::vector<std::function<void()>> ends_of_turn;
  std::uint64_t peer_number = 0;  // For addresses of peers that have no port.

 private:
  struct Signals {
    Signals(asio::io_context& on, std::function<void(int)> call)
        : set(on), callback(std::move(call)) {}
    asio::signal_set set;
    std::function<void(int)> callback;
  };
  using TimerKey = std::pair<Clock::time_point, std::uint64_t>;

  void handle_ready();
  void run_posted();
  void end_turn();
  void sleep();
  void arm_timer();
  void on_timer();
  void wait_signal(const std::shared_ptr<Signals>& signals);

  asio::executor_work_guard<asio::io_context::executor_type> work;
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
  asio::steady_timer clock;
  std::optional<Clock::time_point> clock_set_to;
  std::vector<std::shared_ptr<Signals>> signal_sets;
};

// A socket on the loop. Closing drops the callbacks that wait, without calling them.
class Descriptor {
 public:
  Descriptor() = default;
  //   errors   peer_lost: the system has no room for one more.
  Result<Ok> open(EventLoop::Impl& loop, Fd fd);
  bool is_open() const { return stream_.has_value(); }
  int fd() { return stream_ ? stream_->native_handle() : -1; }
  void close() { stream_.reset(); }
  Fd release();  // Takes the socket off the loop, open.

  template <class Callback>
  void when_readable(Callback callback) {
    wait(asio::posix::descriptor_base::wait_read, std::move(callback));
  }
  template <class Callback>
  void when_writable(Callback callback) {
    wait(asio::posix::descriptor_base::wait_write, std::move(callback));
  }

 private:
  template <class Callback>
  void wait(asio::posix::descriptor_base::wait_type what, Callback callback) {
    stream_->async_wait(what, [callback = std::move(callback)](boost::system::error_code error) {
      if (!error) callback();
    });
  }

  std::optional<asio::posix::stream_descriptor> stream_;
};

}  // namespace rask::comm
