#include "rask/graph/task_context.h"

namespace rask {
namespace {

thread_local TaskContext* t_current = nullptr;

}  // namespace

TaskContext* current_task() { return t_current; }

TaskScope::TaskScope(TaskContext& context) : outer_(t_current) { t_current = &context; }
TaskScope::~TaskScope() { t_current = outer_; }

}  // namespace rask
