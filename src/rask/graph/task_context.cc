#include "rask/graph/task_context.h"

namespace rask {
namespace {

thread_local TaskContext* t_current = nullptr;
std::atomic<void (*)()> g_task_end = nullptr;

}  // namespace

TaskContext* current_task() { return t_current; }

TaskScope::TaskScope(TaskContext& context) : outer_(t_current) { t_current = &context; }
TaskScope::~TaskScope() {
  internal::note_task_end();
  t_current = outer_;
}

void set_task_end_listener(void (*listener)()) { g_task_end = listener; }
void internal::note_task_end() {
  if (const auto listener = g_task_end.load(std::memory_order_relaxed); listener != nullptr)
    listener();
}

}  // namespace rask
