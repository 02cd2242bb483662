#include "rask/worker_server/task_stacks.h"

#include <gmock/gmock.h>
#include <time.h>

#include "rask/graph/function.h"
#include "rask/graph/task.h"

namespace app {

[[gnu::noinline]] double summed(double x) { return x + 1; }
[[gnu::noinline]] double analyzed(double x) { return summed(x) * 2; }
[[gnu::noinline]] double elsewhere(double x) { return x - 1; }

}  // namespace app

namespace rask::worker_server {
namespace {

using executor::StackSample;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

template <class F>
const void* code(F* function) {
  return reinterpret_cast<const char*>(function) + 1;
}

const TaskFunction& analyzed_function() {
  static const TaskFunction function{.name = "app::analyzed(double)",
                                     .address = reinterpret_cast<const void*>(&app::analyzed),
                                     .callable = nullptr,
                                     .invoke = nullptr,
                                     .ambiguous = false,
                                     .next = nullptr};
  return function;
}

std::vector<std::string> names(TaskStacks& stacks, const StackSample& sample, bool low_level) {
  std::vector<std::string> names;
  for (const auto* function : stacks.functions(sample, low_level)) names.push_back(function->name);
  return names;
}

TEST(TaskStacks, begin_at_the_tasks_function) {
  TaskStacks stacks;
  const StackSample sample{
      .key = Key{"x"},
      .function = &analyzed_function(),
      .addresses = {code(&app::summed), code(&app::analyzed), code(&run_task), code(&run_task)},
      .waits = false};
  EXPECT_THAT(names(stacks, sample, false),
              ElementsAre("app::analyzed(double)", "app::summed(double)"));
  const auto* first = stacks.functions(sample, false).front();
  EXPECT_THAT(first->filename, EndsWith("rask_worker_server_test"));
  EXPECT_EQ(first->identifier, "app::analyzed(double);" + first->filename + ";0");
}

TEST(TaskStacks, name_the_tasks_function_where_the_compiler_put_it_into_its_caller) {
  TaskStacks stacks;
  const StackSample sample{.key = Key{"x"},
                           .function = &analyzed_function(),
                           .addresses = {code(&app::summed), code(&run_task)},
                           .waits = false};
  EXPECT_THAT(names(stacks, sample, false),
              ElementsAre("app::analyzed(double)", "app::summed(double)"));
}

TEST(TaskStacks, leave_the_languages_libraries_out_unless_asked_for) {
  TaskStacks stacks;
  const StackSample sample{.key = Key{"x"},
                           .function = &analyzed_function(),
                           .addresses = {code(&::clock), code(&app::summed)},
                           .waits = false};
  EXPECT_EQ(stacks.functions(sample, false).back()->name, "app::summed(double)");
  const auto* last = stacks.functions(sample, true).back();
  EXPECT_EQ(last->filename, "<low-level>");
  EXPECT_THAT(last->identifier, HasSubstr(";<low-level>;0x"));
}

TEST(TaskStacks, as_text_go_from_the_outermost_function_to_the_innermost) {
  TaskStacks stacks;
  StackSample sample{.key = Key{"x"},
                     .function = &analyzed_function(),
                     .addresses = {code(&app::elsewhere), code(&app::analyzed)},
                     .waits = false};
  EXPECT_THAT(stacks.lines(sample),
              ElementsAre(EndsWith("rask_worker_server_test\", in app::analyzed(double)"),
                          EndsWith("rask_worker_server_test\", in app::elsewhere(double)")));
  sample.waits = true;
  EXPECT_THAT(stacks.lines(sample).back(), HasSubstr("in app::elsewhere(double)\n\twaits"));
}

}  // namespace
}  // namespace rask::worker_server
