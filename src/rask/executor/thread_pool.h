#pragma once
// A pool of threads that run jobs in the order they come, and that a running job can leave.
//
// Source of secede and rejoin: distributed/threadpoolexecutor.py.
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace rask::executor {

class ThreadPool {
 public:
  using Job = std::function<void()>;  // Must not throw.

  // `name` is what tools show for the threads (15 characters of it).
  ThreadPool(std::string name, int nthreads);
  // Waits for running jobs, drops those not begun. Seceded jobs are waited for too.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Any thread. The vector is emptied. Wakes no more threads than there are jobs and idle threads.
  void submit(std::vector<Job>& jobs);
  std::size_t queued() const;  // Jobs not begun.

  // Called by a job of this pool: its thread leaves the pool and another takes its place.
  // False when the calling thread is none of this pool's, or has seceded already.
  bool secede();
  // Called by a seceded job: waits for a place in the pool. At most `nthreads` jobs run in places.
  void rejoin();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace rask::executor
