#pragma once
// What tasks on threads of this process write to std::cerr, std::clog and C's stderr, as records of
// the log. Internal to this room.

namespace rask::executor {

// From now on, or no more: each line that a task writes becomes a WARNING of the logger "stderr",
// with the task's key. What threads write outside of tasks goes to stderr as ever, and so does what
// goes to file descriptor 2 directly (programs that a task starts, the words of a crash).
void catch_stderr_of_tasks(bool on);

}  // namespace rask::executor
