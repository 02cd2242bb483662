#include "rask/executor/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "rask/base/assert.h"

namespace rask::executor {

struct ThreadPool::State : std::enable_shared_from_this<State> {
  std::string name;
  std::size_t places = 0;  // Threads that may run jobs at a time.
  std::mutex mutex;
  std::condition_variable work;         // Jobs came, or the pool ends.
  std::condition_variable places_free;  // A thread went idle or ended.
  std::deque<Job> jobs;
  std::atomic<std::size_t> queued{0};
  std::size_t idle = 0;
  std::size_t in_place = 0;  // Threads that hold a place, idle ones included.
  std::size_t rejoining = 0;
  bool ending = false;
  std::size_t alive = 0;  // Threads that have not ended, seceded ones included.

  void start_thread();
  void loop();
};

namespace {

// Which pool's thread this is, and whether it holds a place there.
struct Membership {
  const void* pool = nullptr;
  bool in_place = false;
};
thread_local Membership membership;

}  // namespace

// REQUIRES the mutex.
void ThreadPool::State::start_thread() {
  ++in_place;
  ++alive;
  // Not joined: a worker lives for months and its tasks may secede a million times.
  std::thread{[self = shared_from_this()] {
    pthread_setname_np(pthread_self(), self->name.substr(0, 15).c_str());
    self->loop();
  }}.detach();
}

void ThreadPool::State::loop() {
  membership = {this, true};
  std::unique_lock lock{mutex};
  for (;;) {
    // A job that wants its place back goes before those that have not begun.
    const bool too_many = in_place > places || rejoining > 0;
    if (ending || (too_many && membership.in_place)) break;
    if (jobs.empty()) {
      ++idle;
      work.wait(lock);
      --idle;
      continue;
    }
    Job job = std::move(jobs.front());
    jobs.pop_front();
    queued.store(jobs.size(), std::memory_order_relaxed);
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
    if (!membership.in_place) break;  // It seceded and another thread has its place.
  }
  if (membership.in_place) --in_place;
  --alive;
  places_free.notify_all();
}

ThreadPool::ThreadPool(std::string name, int nthreads) : state_(std::make_shared<State>()) {
  RASK_ASSERT(nthreads > 0);
  state_->name = std::move(name);
  state_->places = static_cast<std::size_t>(nthreads);
  const std::lock_guard lock{state_->mutex};
  for (int i = 0; i < nthreads; ++i) state_->start_thread();
}

ThreadPool::~ThreadPool() {
  std::unique_lock lock{state_->mutex};
  state_->ending = true;
  state_->jobs.clear();
  state_->queued = 0;
  state_->work.notify_all();
  state_->places_free.notify_all();
  state_->places_free.wait(lock, [this] { return state_->alive == 0; });
}

void ThreadPool::submit(std::vector<Job>& jobs) {
  if (jobs.empty()) return;
  std::size_t wake = 0;
  {
    const std::lock_guard lock{state_->mutex};
    for (auto& job : jobs) state_->jobs.push_back(std::move(job));
    state_->queued.store(state_->jobs.size(), std::memory_order_relaxed);
    wake = std::min(state_->idle, jobs.size());
  }
  jobs.clear();
  for (std::size_t i = 0; i < wake; ++i) state_->work.notify_one();
}

std::size_t ThreadPool::queued() const { return state_->queued.load(std::memory_order_relaxed); }

bool ThreadPool::secede() {
  if (membership.pool != state_.get() || !membership.in_place) return false;
  const std::lock_guard lock{state_->mutex};
  membership.in_place = false;
  --state_->in_place;
  if (state_->rejoining > 0)
    state_->places_free.notify_all();
  else if (!state_->ending)
    state_->start_thread();
  return true;
}

void ThreadPool::rejoin() {
  if (membership.pool != state_.get() || membership.in_place) return;
  std::unique_lock lock{state_->mutex};
  ++state_->rejoining;
  state_->work.notify_all();  // An idle thread gives up its place.
  state_->places_free.wait(lock,
                           [this] { return state_->in_place < state_->places || state_->ending; });
  --state_->rejoining;
  ++state_->in_place;
  membership.in_place = true;
  // Places that more threads gave up than were asked for are filled again.
  while (!state_->ending && state_->rejoining == 0 && state_->in_place < state_->places) {
    state_->start_thread();
  }
}

}  // namespace rask::executor
