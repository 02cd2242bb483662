#pragma once
// Computes a planned graph on threads of this process: the schedulers `synchronous` and `threads`.
//
// The caller's thread takes part, with as many threads of one pool for the whole process as are
// asked for and free. Each has a queue of its own, last in first out, so that what a task made
// possible runs next, and takes from others when it has nothing left. A task may compute graphs of
// its own: its thread then works on those until they are done, so nothing waits in a circle.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "rask/graph/delayed_node.h"
#include "rask/graph/failure.h"

namespace rask::executor {

struct LocalRunOptions {
  int num_workers = 0;  // Threads at work at a time, the caller's among them; 0: one for each core.
  bool stop_on_error = true;  // Else what does not depend on failed tasks goes on.
  /// In place of calling the function here. May throw what the function throws.
  using Call = std::function<void(const internal::DelayedNode&, internal::Inputs, internal::Slot&)>;
  Call call = nullptr;
  bool counted = false;  // finished() is to tell how far it is while it runs.
};

/// Why a target could not be computed.
struct TargetFailure {
  std::vector<Key> chain;  // From the task that failed to the target.
  TaskFailure failure;
};

class LocalRun {
 public:
  class State;

  LocalRun(internal::Plan plan, const LocalRunOptions& options);
  ~LocalRun();
  LocalRun(const LocalRun&) = delete;
  LocalRun& operator=(const LocalRun&) = delete;

  /// Returns when all targets are computed, have failed, or were stopped by the first failure.
  void run();

  std::size_t size() const;  // Of the plan, in tasks.
  /// How many tasks have run, failed ones among them. From any thread, also while it runs; 0 unless
  /// options.counted.
  std::size_t finished() const;
  std::size_t failed() const;  // When it has run.

  /// The result of the target of that number; null: it has none.
  void* result(std::size_t target);
  /// Of a target without result; if it was stopped, what stopped it.
  TargetFailure failure(std::size_t target) const;
  /// Of the failures that happened, the first; nothing if all went well.
  std::optional<TargetFailure> first_failure() const;

 private:
  std::shared_ptr<State> state_;
  int num_workers_ = 1;
};

}  // namespace rask::executor
