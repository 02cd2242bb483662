#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

#include "rask/comm/loop_impl.h"

namespace rask::comm {
namespace {

constexpr Seconds kDelayMax = 1e9;  // "Never" to a timer.

std::chrono::steady_clock::duration to_duration(Seconds delay) {
  const auto wait = std::chrono::duration<Seconds>(std::clamp(delay, 0.0, kDelayMax));
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(wait);
}

Fd make_bell() {
  Fd bell{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  RASK_ASSERT(bell);
  return bell;
}

void ring(int bell) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(bell, &one, sizeof one);
}

// ---- Signals: the process counts them, so that no handler meets a loop that is going away
// --------

std::array<std::atomic<std::uint32_t>, NSIG> signal_counts;
std::atomic<int> signal_bell{-1};
std::mutex signal_mutex;  // Guards signal_users.
std::array<int, NSIG> signal_users{};

void on_signal(int number) {
  const int error = errno;
  signal_counts[static_cast<std::size_t>(number)].fetch_add(1);
  ring(signal_bell.load());
  errno = error;
}

// From the first user on it is ours, behind the last one it does what it does by default.
void count_user(int number, int change) {
  const std::lock_guard lock{signal_mutex};
  if (signal_bell.load() < 0) signal_bell.store(make_bell().release());
  auto& users = signal_users[static_cast<std::size_t>(number)];
  const bool was_used = users > 0;
  users += change;
  if (was_used == (users > 0)) return;
  struct sigaction action{};
  action.sa_handler = users > 0 ? on_signal : SIG_DFL;
  action.sa_flags = SA_RESTART;
  ::sigfillset(&action.sa_mask);
  const int result = ::sigaction(number, &action, nullptr);
  RASK_ASSERT(result == 0);
}

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

EventLoop::Impl::Impl() : bell(make_bell()) { poller.add_bell(bell.get()); }

EventLoop::Impl::~Impl() {
  for (const auto& signal : signals) count_user(signal.number, -1);
  {
    const std::lock_guard lock{mutex};
    ended = true;  // What destructors post from here on is dropped.
  }
  while (!objects.empty()) {
    auto* const object = *objects.begin();
    objects.erase(objects.begin());
    object->loop_ended();
  }
  poller.let_go();
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
    const auto gone = std::exchange(windows, {});
  }
  {
    const auto gone = std::exchange(signals, {});
  }
}

void EventLoop::Impl::run() noexcept {
  while (true) {
    poller.wait(time_to_wait());
    {
      const std::lock_guard lock{mutex};
      sleeping = false;
    }
    poller.call_back();
    run_timers();
    run_windows();
    if (!signals.empty()) run_signals();
    run_posted();
    end_turn();
    const std::lock_guard lock{mutex};
    if (std::exchange(stopping, false)) return;
  }
}

// Until there is something to do; nullopt: for ever. Who posts from now on rings the bell.
std::optional<std::chrono::nanoseconds> EventLoop::Impl::time_to_wait() {
  using std::chrono::nanoseconds;
  if (!ends_of_turn.empty() || !dirty.empty()) return nanoseconds{0};  // From before run().
  auto next = Clock::time_point::max();
  if (!timers.empty()) next = timers.begin()->first.first;
  if (!window_ends.empty()) next = std::min(next, *window_ends.begin());
  std::optional<nanoseconds> wait;
  if (next != Clock::time_point::max()) {
    wait = next - Clock::now();
    if (*wait <= nanoseconds{0}) return nanoseconds{0};
  }
  const std::lock_guard lock{mutex};
  if (stopping || !posted.empty()) return nanoseconds{0};
  sleeping = true;
  return wait;
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

void EventLoop::Impl::stop() {
  const std::lock_guard lock{mutex};
  stopping = true;
  if (std::exchange(sleeping, false)) ring(bell.get());
}

void EventLoop::Impl::post(std::function<void()> callback) {
  const std::lock_guard lock{mutex};
  if (ended) return;
  posted.push_back(std::move(callback));
  // Who is awake looks at `posted` before it sleeps.
  if (std::exchange(sleeping, false)) ring(bell.get());
}

TimerId EventLoop::Impl::call_later(Seconds delay, std::function<void()> callback) {
  return add_timer(Clock::now() + to_duration(delay), std::move(callback));
}

void EventLoop::Impl::call_within(Seconds delay, std::function<void()> callback) {
  const auto now = Clock::now();
  const auto latest = window_ends.insert(now + to_duration(delay));
  windows.emplace(now + to_duration(delay / 2), Window{latest, std::move(callback)});
}

void EventLoop::Impl::run_windows() {
  if (windows.empty()) return;
  const auto now = Clock::now();
  while (!windows.empty() && windows.begin()->first <= now) {
    const auto due = windows.extract(windows.begin());
    window_ends.erase(due.mapped().latest);
    due.mapped().callback();
  }
}

TimerId EventLoop::Impl::add_timer(Clock::time_point deadline, std::function<void()> callback) {
  const auto id = ++timer_count;
  timers.emplace(TimerKey{deadline, id}, std::move(callback));
  timer_deadlines.emplace(id, deadline);
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

void EventLoop::Impl::run_timers() {
  if (timers.empty()) return;
  const auto now = Clock::now();
  const auto id_max = timer_count;  // Timers set by these callbacks wait for the next turn.
  while (!timers.empty() && timers.begin()->first.first <= now &&
         timers.begin()->first.second <= id_max) {
    auto due = timers.extract(timers.begin());
    timer_deadlines.erase(due.key().second);
    due.mapped()();
  }
}

void EventLoop::Impl::on_signals(const std::vector<int>& numbers,
                                 std::function<void(int)> callback) {
  const auto shared = std::make_shared<std::function<void(int)>>(std::move(callback));
  for (const int number : numbers) {
    const auto seen = signal_counts[static_cast<std::size_t>(number)].load();
    signals.push_back({.number = number, .seen = seen, .callback = shared});
    count_user(number, 1);
  }
  poller.add_bell(signal_bell.load());
}

void EventLoop::Impl::run_signals() {
  for (std::size_t i = 0; i < signals.size(); ++i) {  // A callback may add some.
    const auto number = signals[i].number;
    while (signals[i].seen != signal_counts[static_cast<std::size_t>(number)].load()) {
      ++signals[i].seen;
      const auto callback = signals[i].callback;
      (*callback)(number);
    }
  }
}

Result<Ok> Descriptor::open(EventLoop::Impl& loop, Fd fd) {
  RASK_TRY(id_, loop.poller.add(fd.get()));
  poller_ = &loop.poller;
  fd_ = std::move(fd);
  return Ok{};
}

Fd Descriptor::release() {
  if (fd_) poller_->remove(id_);
  return std::exchange(fd_, Fd{});
}

}  // namespace rask::comm
