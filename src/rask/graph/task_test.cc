#include "rask/graph/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "rask/graph/call.h"
#include "rask/graph/graph.h"

namespace app {

int inc(int x) { return x + 1; }
double mean(const std::vector<double>& items) {
  double total = 0;
  for (double item : items) total += item;
  return total / static_cast<double>(items.size());
}
int sum(const std::vector<int>& items) {
  int total = 0;
  for (int item : items) total += item;
  return total;
}
int sum_of_map(const std::map<std::string, int>& items) {
  int total = 0;
  for (const auto& [name, item] : items) total += item;
  return total;
}
void nothing() {}
int fails(int x) { throw std::out_of_range{"no item " + std::to_string(x)}; }
int fails_oddly() { throw 42; }
int goes_elsewhere() { throw rask::Reschedule{}; }

const std::vector<double>* g_seen = nullptr;
bool sees(const std::vector<double>& items) {
  g_seen = &items;
  return true;
}
const int* g_first = nullptr;
int shared_sum(const std::vector<std::shared_ptr<const int>>& items) {
  g_first = items.at(0).get();
  int total = 0;
  for (const auto& item : items) total += *item;
  return total;
}
std::vector<double> grown(std::vector<double> items) {
  items.push_back(1);
  return items;
}

}  // namespace app

namespace rask {
namespace {

using testing::HasSubstr;

template <auto F, class... A>
wire::Payload call_of(const A&... arguments) {
  TaskWriter writer;
  write_call<typename Function<F>::Parameters>(writer, Function<F>::name(), arguments...);
  return writer.take();
}

TaskValue no_values(const Key&) { return {}; }

template <class T>
T result_of(const TaskOutcome& outcome) {
  if (const auto* failure = std::get_if<TaskFailure>(&outcome))
    throw std::runtime_error{failure->type + ": " + failure->message};
  return *std::get<TaskValue>(outcome).as<T>().value();
}

TEST(RunTask, calls_the_function_with_its_arguments) {
  EXPECT_EQ(result_of<int>(run_task(call_of<app::inc>(41), no_values)), 42);
  EXPECT_EQ(result_of<double>(run_task(call_of<app::mean>(std::vector{1.0, 2.0}), no_values)), 1.5);
}

TEST(RunTask, a_function_without_result_gives_nil) {
  const auto outcome = run_task(call_of<app::nothing>(), no_values);
  EXPECT_EQ(std::get<TaskValue>(outcome).to_payload().frames[0].view(), "\xc0");
}

TEST(RunTask, a_dependency_reaches_the_function_without_a_copy) {
  const auto table = std::make_shared<const std::vector<double>>(1000, 1.5);
  const auto lookup = [&](const Key& key) {
    EXPECT_EQ(key, Key{"table"});
    return TaskValue::share(table);
  };
  Node<std::vector<double>> node{Key{"table"}};
  EXPECT_TRUE(result_of<bool>(run_task(call_of<app::sees>(node), lookup)));
  EXPECT_EQ(app::g_seen, table.get());
}

TEST(RunTask, a_dependency_by_value_is_the_functions_own_copy) {
  const auto table = std::make_shared<const std::vector<double>>(2, 1.5);
  const auto lookup = [&](const Key&) { return TaskValue::share(table); };
  Node<std::vector<double>> node{Key{"table"}};
  const auto outcome = run_task(call_of<app::grown>(node), lookup);
  EXPECT_EQ(result_of<std::vector<double>>(outcome).size(), 3U);
  EXPECT_EQ(table->size(), 2U);
}

TEST(RunTask, lists_and_maps_of_dependencies_are_one_argument) {
  const auto lookup = [](const Key& key) { return TaskValue::of(key == Key{"x"} ? 1 : 20); };
  const Node<int> x{Key{"x"}};
  const Node<int> y{Key{"y"}};
  EXPECT_EQ(result_of<int>(run_task(call_of<app::sum>(std::vector{x, y, y}), lookup)), 41);
  const std::map<std::string, Node<int>> named{{"a", x}, {"b", y}};
  EXPECT_EQ(result_of<int>(run_task(call_of<app::sum_of_map>(named), lookup)), 21);
}

TEST(RunTask, a_list_of_shared_pointers_takes_the_objects_themselves) {
  const auto seven = std::make_shared<const int>(7);
  const auto lookup = [&](const Key&) { return TaskValue::share(seven); };
  const std::vector<Node<int>> nodes(3, Node<int>{Key{"x"}});
  EXPECT_EQ(result_of<int>(run_task(call_of<app::shared_sum>(nodes), lookup)), 21);
  EXPECT_EQ(app::g_first, seven.get());
}

TEST(RunTask, dependencies_that_came_as_frames_are_read) {
  const auto lookup = [](const Key&) {
    return TaskValue::from_payload(TaskValue::of(std::vector<double>(5000, 2.0)).to_payload());
  };
  Node<std::vector<double>> node{Key{"table"}};
  EXPECT_EQ(result_of<double>(run_task(call_of<app::mean>(node), lookup)), 2.0);
}

TEST(RunTask, large_arguments_lie_in_frames) {
  const std::vector<double> items(100'000, 3.0);
  const wire::Payload run_spec = call_of<app::mean>(items);
  EXPECT_EQ(run_spec.frames.size(), 2U);
  EXPECT_TRUE(is_native_task(run_spec));
  EXPECT_EQ(task_function_name(run_spec), Function<app::mean>::name());
  EXPECT_EQ(result_of<double>(run_task(run_spec, no_values)), 3.0);
}

TEST(RunTask, an_exception_becomes_a_failure_with_its_type_and_place) {
  const TaskFailure failure = failure_of(run_task(call_of<app::fails>(3), no_values));
  EXPECT_EQ(failure.type, "std::out_of_range");
  EXPECT_EQ(failure.message, "no item 3");
  EXPECT_THAT(failure.traceback, HasSubstr("in function app::fails(int)"));
  EXPECT_EQ(failure_of(run_task(call_of<app::fails_oddly>(), no_values)).type, "int");
}

TEST(RunTask, a_task_can_ask_to_run_elsewhere) {
  EXPECT_TRUE(std::holds_alternative<RescheduleRequest>(
      run_task(call_of<app::goes_elsewhere>(), no_values)));
}

TEST(RunTask, an_unknown_function_is_named_with_the_way_to_load_it) {
  TaskWriter writer;
  writer.begin("other::f(int)", 0);
  const TaskFailure failure = failure_of(run_task(writer.take(), no_values));
  EXPECT_THAT(failure.message, HasSubstr("other::f(int)"));
  EXPECT_THAT(failure.message, HasSubstr("--preload"));
}

TEST(RunTask, a_dependency_of_another_type_is_a_failure_that_names_both) {
  const auto lookup = [](const Key&) { return TaskValue::of(std::string{"text"}); };
  TaskWriter writer;
  writer.begin(Function<app::inc>::name(), 1);
  writer.dependency(Key{"x"});
  const TaskFailure failure = failure_of(run_task(writer.take(), lookup));
  EXPECT_EQ(failure.type, "rask::ArgumentError");
  EXPECT_THAT(failure.message, HasSubstr("expected int, found a value of type std::string"));
  EXPECT_THAT(failure.message, HasSubstr("argument 1 of app::inc(int)"));
}

TEST(RunTask, a_dependency_that_is_not_there_is_named) {
  TaskWriter writer;
  writer.begin(Function<app::inc>::name(), 1);
  writer.dependency(Key{"x-1"});
  EXPECT_THAT(failure_of(run_task(writer.take(), no_values)).message,
              HasSubstr("dependency x-1 is not in memory"));
}

TEST(RunTask, a_wrong_count_of_arguments_is_a_failure) {
  TaskWriter writer;
  writer.begin(Function<app::inc>::name(), 0);
  EXPECT_THAT(failure_of(run_task(writer.take(), no_values)).message,
              HasSubstr("takes 1 arguments, but 0 were given"));
}

TEST(RunTask, damaged_run_specs_are_failures) {
  const wire::Payload good = call_of<app::sum>(std::vector{1, 2, 3});
  const std::string whole{good.frames[0].view()};
  for (std::size_t size = 0; size < whole.size(); ++size) {
    wire::Payload cut = good;
    cut.frames[0] = wire::Buffer::copy_of(std::string_view{whole}.substr(0, size));
    EXPECT_TRUE(std::holds_alternative<TaskFailure>(run_task(cut, no_values))) << size;
  }
  EXPECT_FALSE(is_native_task(wire::Payload{}));
}

TEST(PureKey, is_equal_for_equal_calls_and_else_differs) {
  const auto key = [](int x) {
    TaskWriter writer;
    write_call<std::tuple<int>>(writer, "app::inc(int)", x);
    return pure_key("app::inc(int)", writer);
  };
  EXPECT_EQ(key(1), key(1));
  EXPECT_NE(key(1), key(2));
  EXPECT_EQ(key(1).str().size(), std::string{"inc-"}.size() + 32);
  EXPECT_TRUE(key(1).str().starts_with("inc-"));
}

TEST(PureKey, content_of_frames_counts) {
  const auto key = [](double x) {
    TaskWriter writer;
    std::vector<double> items(10'000, 1.0);
    items.back() = x;
    write_call<std::tuple<const std::vector<double>&>>(writer, "f", items);
    return pure_key("f", writer);
  };
  EXPECT_EQ(key(1), key(1));
  EXPECT_NE(key(1), key(2));
}

}  // namespace
}  // namespace rask
