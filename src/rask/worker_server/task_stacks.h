#pragma once
// What a sample of a task's stack says to people: functions by name, from the task's own inwards.
#include <string>
#include <unordered_map>
#include <vector>

#include "rask/diagnostics/profile.h"
#include "rask/executor/stack_sampler.h"
#include "rask/executor/symbols.h"

namespace rask::worker_server {

class TaskStacks {
 public:
  // The task's function, what it called, and so on; valid as long as this is. Functions of the C
  // and C++ libraries and those without a name only when `low_level`: else their time is their
  // caller's. What rask did to call the function is left out.
  std::vector<const ProfileNode*> functions(const executor::StackSample& sample, bool low_level);
  // All of them as text, a line or two each, as Dask's call stacks have them.
  std::vector<std::string> lines(const executor::StackSample& sample);

 private:
  const ProfileNode& node_of(const TaskFunction& function);
  const ProfileNode& node_of(const executor::Symbol& symbol);

  executor::Symbols symbols_;
  std::unordered_map<const void*, ProfileNode> nodes_;  // By TaskFunction, or by Symbol.
};

}  // namespace rask::worker_server
