#include "rask/graph/python_task.h"

#include <gmock/gmock.h>

#include "rask/graph/call.h"
#include "rask/graph/graph.h"
#include "rask/graph/task.h"
#include "rask/wire/pickle.h"

namespace rask {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string pickle_in(const wire::Payload& payload) {
  EXPECT_EQ(payload.kind, wire::Payload::Kind::pickled);
  return std::string{wire::pickle_of(payload)};
}

template <class Signature, class... A>
std::string pickled_call(const FunctionHandle<Signature>& function, const A&... arguments) {
  TaskWriter call;
  write_call<typename FunctionHandle<Signature>::Parameters>(call, function.name(), arguments...);
  return pickle_in(call.take(Key{"k"}));
}

TEST(PythonTask, is_a_task_of_dask) {
  const auto task = wire::read_object(
      pickled_call(python<double(int, std::string, std::vector<bool>)>("math:hypot"), -3, "ä",
                   std::vector{true, false}));
  ASSERT_TRUE(task.ok()) << task.error().message;
  EXPECT_EQ(task.value().type, "dask._task_spec.Task");
  using wire::Value;
  EXPECT_THAT(task.value().arguments, ElementsAre(Value{"k"}, Value{"<math.hypot>"}, Value{-3},
                                                  Value{"ä"}, Value{Value::Array{true, false}}));
}

// Large runs of numbers stand in frames of their own for C++; Python gets them as lists.
TEST(PythonTask, numbers_are_a_list) {
  const std::vector<double> many(5000, 0.5);
  const auto task =
      wire::read_object(pickled_call(python<double(std::vector<double>)>("builtins:sum"), many));
  ASSERT_TRUE(task.ok());
  EXPECT_EQ(task.value().arguments[2].as_array().size(), 5000U);
}

// Of these Dask takes a task's dependencies.
TEST(PythonTask, results_are_references_wherever_they_stand) {
  Graph graph;
  const auto one = python<int(int)>("operator:neg");
  const auto x = graph.add(one, "x", 1);
  const auto lists = python<int(std::vector<int>)>("builtins:sum");
  const auto of_list = graph.add(lists, "list", std::vector{x, x});
  const auto maps = python<int(std::map<std::string, int>)>("builtins:len");
  graph.add(maps, "map", std::map<std::string, Node<int>>{{"a", x}});
  graph.add(one, "both", of_list);
  const auto pickle = [&](const char* key) { return pickle_in(graph.find(Key{key})->run_spec); };
  EXPECT_THAT(pickle("both"), HasSubstr("TaskRef\x93\x8c\x04list\x85R"));
  EXPECT_THAT(pickle("list"), HasSubstr("\x8c\x04List\x93("));
  EXPECT_THAT(pickle("map"), HasSubstr("\x8c\x04"
                                       "Dict\x93}(\x8c\x01"
                                       "a"));
  EXPECT_THAT(graph.find(Key{"list"})->dependencies, ElementsAre(Key{"x"}));
}

TEST(PythonTask, has_a_key_like_dasks) {
  TaskWriter call;
  const auto join = python<std::string(std::string)>("os.path:basename");
  write_call<std::tuple<std::string>>(call, join.name(), "a");
  EXPECT_THAT(pure_key(join.name(), call).str(), StartsWith("basename-"));
}

TEST(PythonTask, a_name_is_a_module_and_a_function) {
  for (const char* bad : {"", "math", "math:", ":sqrt", "math:sq rt", "a..b:c", "1a:b", "a:b:c"})
    EXPECT_THROW(python<int()>(bad), std::invalid_argument) << bad;
  for (const char* good : {"math:sqrt", "os.path:join", "_m:Class.method", "m2:f_3"})
    EXPECT_NO_THROW(python<int()>(good)) << good;
}

}  // namespace
}  // namespace rask
