#include "rask/scheduler_server/versions.h"

#include <gmock/gmock.h>

namespace rask::scheduler_server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using wire::Value;

Value packages(std::string_view dask, std::string_view numpy = "2.1.0") {
  return Value::object({{"dask", dask}, {"distributed", dask}, {"numpy", numpy}});
}

TEST(VersionWarning, IsSilentWhenAllAreTheSame) {
  const auto same = packages("2026.8.0");
  EXPECT_EQ(version_warning("Client", same, same, {same, same}), "");
}

// The text of distributed 2026.8.0 for the same versions.
TEST(VersionWarning, IsDasksTable) {
  EXPECT_EQ(version_warning("Client", packages("2026.8.0"), packages("2026.7.1"),
                            {packages("2026.8.0"), packages("2026.8.0")}),
            "Mismatched versions found\n\n"
            "+-------------+----------+-----------+----------+\n"
            "| Package     | Client   | Scheduler | Workers  |\n"
            "+-------------+----------+-----------+----------+\n"
            "| dask        | 2026.8.0 | 2026.7.1  | 2026.8.0 |\n"
            "| distributed | 2026.8.0 | 2026.7.1  | 2026.8.0 |\n"
            "+-------------+----------+-----------+----------+");
}

TEST(VersionWarning, TakesNoNoticeOfPackagesThatTheSchedulerDoesNotUse) {
  const auto source = packages("2026.8.0");
  EXPECT_EQ(version_warning("Client", source, packages("2026.8.0", "1.9"), {source}), "");
  EXPECT_THAT(version_warning("Client", source, source, {packages("2026.8.0", "1.9")}),
              HasSubstr("| numpy   | 2.1.0  | 2.1.0     | 1.9     |"));
}

TEST(VersionWarning, NamesWhatIsMissing) {
  const auto warning = version_warning("Client", packages("2026.8.0"), packages("2026.8.0"),
                                       {Value::object({{"dask", "2026.8.0"}, {"numpy", Value{}}})});
  EXPECT_THAT(warning, HasSubstr("MISSING"));
  EXPECT_THAT(warning, HasSubstr("None"));
}

TEST(VersionWarning, SaysNothingOfNativePeers) {
  const auto source = packages("2026.8.0");
  EXPECT_EQ(version_warning("Client", source, Value::Map{}, {Value::Map{}}), "");
  EXPECT_EQ(version_warning("Client", Value::Map{}, source, {source}), "");
}

TEST(VersionWarning, NamesAReleaseThatWasNotTried) {
  const auto future = packages("2031.1.0");
  EXPECT_THAT(version_warning("Worker", future, Value::Map{}, {future}),
              testing::AllOf(StartsWith("This is a rask scheduler"), HasSubstr("2031.1.0"),
                             HasSubstr("the worker has"), Not(HasSubstr("Mismatched"))));
}

}  // namespace
}  // namespace rask::scheduler_server
