#include <algorithm>
#include <boost/asio/post.hpp>

#include "rask/comm/loop_impl.h"

namespace rask::comm {
namespace {

// Of one turn: enough to handle a burst together, few enough that its flush is not kept waiting.
constexpr int kEventsPerTurn = 256;
constexpr Seconds kDelayMax = 1e9;  // "Never" to a timer.

}  // namespace

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;
void EventLoop::run() { impl_->run(); }
void EventLoop::stop() { impl_->stop(); }
void EventLoop::post(std::function<void()> callback) { impl_->post(std::move(callback)); }
void EventLoop::at_end_of_turn(std::function<void()> callback) {
  impl_->ends_of_turn.push_back(std::move(callback));
}
TimerId EventLoop::call_later(Seconds delay, std::function<void()> callback) {
  return impl_->call_later(delay, std::move(callback));
}
void EventLoop::cancel(TimerId timer) { impl_->cancel(timer); }
void EventLoop::on_signals(const std::vector<int>& signals, std::function<void(int)> callback) {
  impl_->on_signals(signals, std::move(callback));
}

Seconds EventLoop::now() const {
  // The steady clock, set once for the process: all loops agree, and nothing runs backwards when
  // somebody sets the clock of the machine.
  using std::chrono::duration;
  static const auto steady_start = std::chrono::steady_clock::now();
  static const Seconds epoch_start =
      duration<Seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return epoch_start + duration<Seconds>(std::chrono::steady_clock::now() - steady_start).count();
}

EventLoop::Impl::Impl() : work(context.get_executor()), clock(context) {}

EventLoop::Impl::~Impl() {
  {
    const std::lock_guard lock{mutex};
    ended = true;  // What destructors post from here on is dropped.
  }
  while (!objects.empty()) {
    auto* const object = *objects.begin();
    objects.erase(objects.begin());
    object->loop_ended();
  }
  // Destroying a callback may come back here: each container is emptied before its content dies.
  {
    const auto gone = std::exchange(posted, {});
  }
  {
    const auto gone = std::exchange(running, {});
  }
  {
    const auto gone = std::exchange(ends_of_turn, {});
  }
  {
    const auto gone = std::exchange(dirty, {});
  }
  {
    const auto gone = std::exchange(timers, {});
  }
  {
    const auto gone = std::exchange(signal_sets, {});
  }
}

void EventLoop::Impl::run() noexcept {
  while (true) {
    handle_ready();
    run_posted();
    end_turn();
    {
      const std::lock_guard lock{mutex};
      if (std::exchange(stopping, false)) return;
      if (!posted.empty()) continue;
      sleeping = true;
    }
    sleep();
  }
}

void EventLoop::Impl::handle_ready() {
  for (int events = 0; events < kEventsPerTurn; ++events) {
    if (context.poll_one() == 0) return;
  }
}

void EventLoop::Impl::run_posted() {
  {
    const std::lock_guard lock{mutex};
    running.swap(posted);
  }
  for (auto& callback : running) {
    callback();
    callback = nullptr;  // Frees what it holds before the next one runs.
  }
  running.clear();
}

void EventLoop::Impl::end_turn() {
  std::vector<std::function<void()>> callbacks;
  while (!ends_of_turn.empty() || !dirty.empty()) {
    callbacks.swap(ends_of_turn);
    for (auto& callback : callbacks) callback();
    callbacks.clear();
    if (!ends_of_turn.empty()) continue;  // They come before the flush, to be part of it.
    flushing.swap(dirty);
    for (auto& flushable : flushing) flushable->flush();
    flushing.clear();
  }
}

void EventLoop::Impl::sleep() {
  context.run_one();
  const std::lock_guard lock{mutex};
  sleeping = false;
}

void EventLoop::Impl::stop() {
  const std::lock_guard lock{mutex};
  stopping = true;
  if (std::exchange(sleeping, false)) asio::post(context, [] {});
}

void EventLoop::Impl::post(std::function<void()> callback) {
  const std::lock_guard lock{mutex};
  if (ended) return;
  posted.push_back(std::move(callback));
  // Who is awake looks at `posted` before it sleeps.
  if (std::exchange(sleeping, false)) asio::post(context, [] {});
}

TimerId EventLoop::Impl::call_later(Seconds delay, std::function<void()> callback) {
  const auto wait = std::chrono::duration<Seconds>(std::clamp(delay, 0.0, kDelayMax));
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(wait);
  const auto id = ++timer_count;
  timers.emplace(TimerKey{deadline, id}, std::move(callback));
  timer_deadlines.emplace(id, deadline);
  arm_timer();
  return TimerId{id};
}

void EventLoop::Impl::cancel(TimerId timer) {
  const auto found = timer_deadlines.find(static_cast<std::uint64_t>(timer));
  if (found == timer_deadlines.end()) return;
  const auto entry = timers.find(TimerKey{found->second, found->first});
  timer_deadlines.erase(found);
  if (entry == timers.end()) return;
  const auto gone = timers.extract(entry);  // Dies last: its destructor may come back here.
}

void EventLoop::Impl::arm_timer() {
  // Left as it is when it fires too early (the first timer was cancelled): cheaper than to set it
  // for each request that has a time limit.
  if (timers.empty() || (clock_set_to && *clock_set_to <= timers.begin()->first.first)) return;
  clock_set_to = timers.begin()->first.first;
  clock.expires_at(*clock_set_to);
  clock.async_wait([this](boost::system::error_code error) {
    if (!error) on_timer();
  });
}

void EventLoop::Impl::on_timer() {
  clock_set_to.reset();
  const auto now = Clock::now();
  const auto id_max = timer_count;  // Timers set by these callbacks wait for the next turn.
  while (!timers.empty() && timers.begin()->first.first <= now &&
         timers.begin()->first.second <= id_max) {
    auto due = timers.extract(timers.begin());
    timer_deadlines.erase(due.key().second);
    due.mapped()();
  }
  arm_timer();
}

void EventLoop::Impl::on_signals(const std::vector<int>& signals,
                                 std::function<void(int)> callback) {
  auto entry = std::make_shared<Signals>(context, std::move(callback));
  for (const int signal : signals) {
    boost::system::error_code error;
    entry->set.add(signal, error);
    RASK_ASSERT(!error);
  }
  signal_sets.push_back(entry);
  wait_signal(entry);
}

void EventLoop::Impl::wait_signal(const std::shared_ptr<Signals>& signals) {
  signals->set.async_wait([this, signals](boost::system::error_code error, int number) {
    if (error) return;
    wait_signal(signals);
    signals->callback(number);
  });
}

Result<Ok> Descriptor::open(EventLoop::Impl& loop, Fd fd) {
  boost::system::error_code error;
  stream_.emplace(loop.context);
  stream_->assign(fd.get(), error);
  if (error) {
    stream_.reset();
    return Error{ErrorCode::peer_lost, "cannot watch a socket: " + error.message()};
  }
  fd.release();
  return Ok{};
}

Fd Descriptor::release() {
  if (!stream_) return {};
  Fd fd{stream_->release()};
  stream_.reset();
  return fd;
}

}  // namespace rask::comm
