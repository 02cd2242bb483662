#include "rask/graph/type_name.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rask/graph/function.h"

namespace app {
namespace {
int hidden(int x) { return x; }
}  // namespace
int over(int x) { return x; }
int over(double x) { return static_cast<int>(x); }
template <class T>
T twice(T x) {
  return x + x;
}
}  // namespace app

namespace rask {
namespace {

TEST(TypeName, standard_types_read_as_people_write_them) {
  EXPECT_EQ(type_name<int>(), "int");
  EXPECT_EQ(type_name<std::string>(), "std::string");
  EXPECT_EQ(type_name<std::vector<std::string>>(), "std::vector<std::string>");
  EXPECT_EQ((type_name<std::map<std::string, std::vector<double>>>()),
            "std::map<std::string, std::vector<double>>");
  EXPECT_EQ(type_name<std::optional<std::string>>(), "std::optional<std::string>");
}

TEST(TypeName, symbols_of_programs_are_readable) {
  EXPECT_EQ(readable_symbol_name("_ZN3app3incEi"), "app::inc(int)");
  EXPECT_EQ(readable_symbol_name("_ZN3app3incEi.constprop.0.part.1"), "app::inc(int)");
  EXPECT_EQ(readable_symbol_name("clock_nanosleep"), "clock_nanosleep");
  EXPECT_EQ(readable_symbol_name("_Znonsense"), "_Znonsense");
}

TEST(TypeName, functions_are_told_apart_by_namespace_overload_and_template_argument) {
  constexpr auto kInt = static_cast<int (*)(int)>(app::over);
  constexpr auto kDouble = static_cast<int (*)(double)>(app::over);
  EXPECT_EQ(function_name<kInt>(), "app::over(int)");
  EXPECT_EQ(function_name<kDouble>(), "app::over(double)");
  EXPECT_EQ(function_name<app::hidden>(), "app::(anonymous namespace)::hidden(int)");
  EXPECT_NE(function_name<app::twice<int>>(), function_name<app::twice<long>>());
}

TEST(TypeName, short_name_is_the_functions_own) {
  EXPECT_EQ(short_function_name("app::inc(int)"), "inc");
  EXPECT_EQ(short_function_name("inc"), "inc");
  EXPECT_EQ(short_function_name("std::string app::twice<std::string>(std::string)"), "twice");
  EXPECT_EQ(short_function_name("app::(anonymous namespace)::hidden(int)"), "hidden");
}

TEST(TypeName, hidden_functions_can_be_entered) {
  EXPECT_NE(find_task_function(Function<app::hidden>::name()), nullptr);
}

}  // namespace
}  // namespace rask
