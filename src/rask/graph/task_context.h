#pragma once
// What a task can know about itself: set by the worker around run_task, read by get_client(),
// get_worker(), secede().
#include <atomic>
#include <functional>
#include <string_view>

#include "rask/graph/key.h"

namespace rask {

class TaskValue;
struct Security;
struct TaskFunction;

struct TaskContext {
  std::string_view scheduler_address;  // The worker keeps the texts alive.
  std::string_view worker_address;
  const Security* security = nullptr;  // The worker's, for get_client().
  Key key;
  // On the thread that runs the calls of actors: those of this worker, by key.
  const std::function<TaskValue(const Key&)>* actors = nullptr;
  std::function<void()> secede;  // Leaves the worker's thread slot; its thread goes on.
  std::function<void()> rejoin;  // Waits for a slot and takes it again.
  // What run_task calls for it; null before. Read by those who look at the thread from outside.
  std::atomic<const TaskFunction*> function{nullptr};
};

// The task that runs on this thread; null outside of tasks.
TaskContext* current_task();

// Makes `context` this thread's task for as long as the scope lives.
class TaskScope {
 public:
  explicit TaskScope(TaskContext& context);
  ~TaskScope();
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;

 private:
  TaskContext* outer_;
};

// Who wants to know that a task or a lazy call ends on this thread. Called while it still is the
// current one.
void set_task_end_listener(void (*listener)());  // null: nobody
namespace internal {
void note_task_end();
}

}  // namespace rask
