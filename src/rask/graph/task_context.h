#pragma once
// What a task can know about itself: set by the worker around run_task, read by get_client(),
// get_worker(), secede().
#include <functional>
#include <string_view>

#include "rask/graph/key.h"

namespace rask {

class TaskValue;
struct Security;

struct TaskContext {
  std::string_view scheduler_address;  // The worker keeps the texts alive.
  std::string_view worker_address;
  const Security* security = nullptr;  // The worker's, for get_client().
  Key key;
  // On the thread that runs the calls of actors: those of this worker, by key.
  const std::function<TaskValue(const Key&)>* actors = nullptr;
  std::function<void()> secede;  // Leaves the worker's thread slot; its thread goes on.
  std::function<void()> rejoin;  // Waits for a slot and takes it again.
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

}  // namespace rask
