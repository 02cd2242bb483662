#pragma once
// Looks at the call stacks of threads that run tasks, from outside and while they run.
//
//   task's thread    SampledTask: tells that it runs a task, for as long as it lives
//   sampler          request() --signal--> handler on the task's thread: unwinds into its slot
//                    take()    <---------- what handlers have left there
//
// Nothing is done to a thread that runs no task, and nothing for one that nobody asks about. The
// signal is SIGURG: programs ignore it unless they ask for it (a handler that was there is called
// too), and debuggers pass it on in silence.
//
// A handler ends some system calls early, with EINTR, whatever SA_RESTART says: sleep, poll, timed
// waits (man 7 signal). So a thread that waits in such a call gets no signal: the sample has the
// place where it waits, and not what lies between that and the task's function.
#include <cstddef>
#include <memory>
#include <vector>

#include "rask/graph/task_context.h"

namespace rask::executor {

// Where a task was when it was looked at.
struct StackSample {
  Key key;
  const TaskFunction* function = nullptr;  // What the task calls; null: not begun.
  // Addresses within instructions, the innermost first; nothing outside of the task.
  std::vector<const void*> addresses;
  bool waits = false;  // In a system call that must not be disturbed: only the place is known.
};

class StackSampler {
 public:
  StackSampler();
  ~StackSampler();
  StackSampler(const StackSampler&) = delete;
  StackSampler& operator=(const StackSampler&) = delete;

  // Asks each thread that runs a task where it is, unless it has been asked and has not answered.
  void request();
  // What has come since the last time, each request's answer once.
  std::vector<StackSample> take();
  // Whether an answer is still to come. It may never, where a task blocks all signals.
  bool awaits() const;
  // Whether a thread runs a task.
  bool busy() const;

  struct Registry;  // For stack_sampler.cc.

 private:
  friend class SampledTask;
  std::shared_ptr<Registry> registry_;
};

// From here on this thread runs a task. `frame` is __builtin_frame_address(0) of the function that
// makes this: what it is called by is none of the task's. One at a time on a thread.
class SampledTask {
 public:
  SampledTask(const StackSampler& sampler, const TaskContext& context, const void* frame);
  ~SampledTask();
  SampledTask(const SampledTask&) = delete;
  SampledTask& operator=(const SampledTask&) = delete;
};

}  // namespace rask::executor
