#include "rask/graph/function.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "rask/graph/task.h"

namespace rask {
namespace {

int triple(int x) { return 3 * x; }

TEST(FunctionTable, use_of_the_template_enters_the_function) {
  const TaskFunction* found = find_task_function("rask::(anonymous namespace)::triple(int)");
  ASSERT_NE(found, nullptr);
  EXPECT_FALSE(found->ambiguous);
  EXPECT_EQ(Function<triple>::name(), found->name);
}

TEST(FunctionTable, the_same_function_again_changes_nothing) {
  const TaskFunction* before = find_task_function(Function<triple>::name());
  TaskFunction again = *before;
  add_task_function(std::move(again));
  EXPECT_EQ(find_task_function(Function<triple>::name()), before);
}

TEST(FunctionTable, two_functions_of_one_name_in_one_program_are_ambiguous) {
  TaskFunction first;
  first.name = "test::twin()";
  first.address = reinterpret_cast<const void*>(&triple);
  TaskFunction second = first;
  second.address = reinterpret_cast<const void*>(&find_task_function);
  add_task_function(std::move(first));
  EXPECT_FALSE(find_task_function("test::twin()")->ambiguous);
  add_task_function(std::move(second));
  EXPECT_TRUE(find_task_function("test::twin()")->ambiguous);
}

TEST(FunctionTable, a_lambda_runs_under_the_name_it_was_given) {
  const auto scale = register_function("test::scale", [factor = 3](int x) { return factor * x; });
  EXPECT_EQ(scale.name(), "test::scale");
  TaskWriter writer;
  writer.begin(scale.name(), 1);
  encode(writer.encoder(), 14);
  const TaskOutcome outcome = run_task(writer.take(), [](const Key&) { return TaskValue{}; });
  EXPECT_EQ(*std::get<TaskValue>(outcome).as<int>().value(), 42);
}

int overloaded(int x) { return x; }
double overloaded(double x) { return x; }

TEST(FunctionTable, is_searched_without_parameters_too) {
  register_function("test::spaces::plain(int)", [](int x) { return x; });
  const auto names = [](std::string_view called) {
    std::vector<std::string> found;
    for (const auto* one : task_functions_called(called)) found.push_back(one->name);
    return found;
  };
  const std::vector<std::string> one{"test::spaces::plain(int)"};
  EXPECT_EQ(names("test::spaces::plain"), one);
  EXPECT_EQ(names("test:spaces:plain"), one);
  EXPECT_EQ(names("plain"), std::vector<std::string>{});
  // Whoever names the parameters means them: another overload is another function.
  EXPECT_EQ(names("test::spaces::plain(double)"), std::vector<std::string>{});
  const auto run = [](std::string_view name) {
    TaskWriter writer;
    writer.begin(name, 1);
    encode(writer.encoder(), 7);
    return run_task(writer.take(), [](const Key&) { return TaskValue{}; });
  };
  EXPECT_EQ(*std::get<TaskValue>(run("test:spaces:plain")).as<int>().value(), 7);
  Function<static_cast<int (*)(int)>(overloaded)>::name();
  Function<static_cast<double (*)(double)>(overloaded)>::name();
  const auto failure = std::get<TaskFailure>(run("rask::(anonymous namespace)::overloaded"));
  EXPECT_NE(failure.message.find("overloaded(double)"), std::string::npos) << failure.message;
  EXPECT_NE(failure.message.find("overloaded(int)"), std::string::npos) << failure.message;
}

TEST(FunctionTable, many_threads_may_enter_and_find) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 500; ++i) {
        const std::string name = "test::many" + std::to_string(t) + "_" + std::to_string(i);
        register_function(name, [i] { return i; });
        ASSERT_NE(find_task_function(name), nullptr);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_NE(find_task_function("test::many0_0"), nullptr);
}

}  // namespace
}  // namespace rask
