#include "rask/worker_server/task_stacks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "rask/graph/function.h"

namespace rask::worker_server {
namespace {

constexpr std::string_view kLowLevel = "<low-level>";  // source: distributed/profile.py, llprocess

// Between the thread and the task's function: finding it, and reading its arguments.
bool calls_tasks(const std::string& name) {
  constexpr std::array<std::string_view, 4> kParts = {
      "rask::run_task(", "rask::internal::call", "rask::Function<", "rask::register_function<"};
  return std::ranges::any_of(kParts,
                             [&](auto part) { return name.find(part) != std::string::npos; });
}

std::string identifier(const ProfileNode& node) {
  return fmt::format("{};{};{}", node.name, node.filename, node.line_number);
}

std::string line_of(const ProfileNode& node) {
  const std::string& file = node.filename == kLowLevel ? node.line : node.filename;
  return fmt::format("  File \"{}\", in {}", file, node.name);
}

}  // namespace

const ProfileNode& TaskStacks::node_of(const TaskFunction& function) {
  ProfileNode& node = nodes_[&function];
  if (node.name.empty()) {
    node.name = function.name;
    // A callable object's code is where it is called from.
    const auto* code = function.callable == nullptr
                           ? function.address
                           : reinterpret_cast<const void*>(function.invoke);
    node.filename = symbols_.at(code).file;
    node.identifier = identifier(node);
  }
  return node;
}

const ProfileNode& TaskStacks::node_of(const executor::Symbol& symbol) {
  ProfileNode& node = nodes_[&symbol];
  if (node.name.empty()) {
    node.name = symbol.name;
    node.filename = symbol.is_runtime ? std::string{kLowLevel} : symbol.file;
    if (symbol.is_runtime) node.line = symbol.file;
    node.identifier = symbol.is_runtime
                          ? fmt::format("{};{};{}", node.name, kLowLevel, fmt::ptr(symbol.begin))
                          : identifier(node);
  }
  return node;
}

std::vector<const ProfileNode*> TaskStacks::functions(const executor::StackSample& sample,
                                                      bool low_level) {
  std::vector<const executor::Symbol*> stack;  // The outermost first.
  for (auto address = sample.addresses.rbegin(); address != sample.addresses.rend(); ++address)
    stack.push_back(&symbols_.at(*address));
  auto next = std::ranges::find_if_not(stack, calls_tasks, &executor::Symbol::name);
  std::vector<const ProfileNode*> functions;
  if (sample.function != nullptr) {
    functions.push_back(&node_of(*sample.function));
    // Its own frame, unless the compiler put it into its caller.
    if (next != stack.end() && (*next)->begin == sample.function->address) ++next;
  }
  for (; next != stack.end(); ++next)
    if (low_level || !(*next)->is_runtime) functions.push_back(&node_of(**next));
  return functions;
}

std::vector<std::string> TaskStacks::lines(const executor::StackSample& sample) {
  std::vector<std::string> lines;
  for (const ProfileNode* function : functions(sample, true)) lines.push_back(line_of(*function));
  if (sample.waits && !lines.empty())
    lines.back() += "\n\twaits; what lies between is not known: a look would end the wait";
  return lines;
}

}  // namespace rask::worker_server
