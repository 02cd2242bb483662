#include "rask/base/log.h"

#include <gtest/gtest.h>

namespace rask::log {
namespace {

TEST(Log, keeps_the_last_records_as_many_as_it_is_told) {
  setup(Level::info);
  keep_recent(2);
  for (int number = 1; number <= 3; ++number) info("app", "record {}", number);
  debug("app", "not shown, not kept");
  const auto records = recent();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].text, "app - INFO - record 2");
  EXPECT_EQ(records[1].text, "app - INFO - record 3");
  EXPECT_EQ(records[1].level, Level::info);
  EXPECT_LE(records[0].created, records[1].created);
  keep_recent(1);
  EXPECT_EQ(recent().size(), 1U);
}

}  // namespace
}  // namespace rask::log
