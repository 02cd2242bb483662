#include "rask/base/units.h"

#include <gtest/gtest.h>

namespace rask {
namespace {

TEST(ParseBytes, takes_what_dask_takes) {
  EXPECT_EQ(parse_bytes("100").value(), 100u);
  EXPECT_EQ(parse_bytes("100 MB").value(), 100'000'000u);
  EXPECT_EQ(parse_bytes("5kB").value(), 5'000u);
  EXPECT_EQ(parse_bytes("5.4 kB").value(), 5'400u);
  EXPECT_EQ(parse_bytes("1kiB").value(), 1'024u);
  EXPECT_EQ(parse_bytes("1e6").value(), 1'000'000u);
  EXPECT_EQ(parse_bytes("1e6 kB").value(), 1'000'000'000u);
  EXPECT_EQ(parse_bytes("MB").value(), 1'000'000u);
  EXPECT_EQ(parse_bytes("2Gi").value(), std::uint64_t{2} << 30);
}

TEST(ParseBytes, refuses_what_is_no_size) {
  for (const char* bad : {"5 foos", "", "-1", "1.2.3", "nan", "1e30", "GB5"}) {
    EXPECT_FALSE(parse_bytes(bad).ok()) << bad;
  }
  EXPECT_EQ(parse_bytes("5 foos").error().message,
            "'5 foos' is no size; write it like 2GB, 500 MiB or 1e9");
}

TEST(ParseTimedelta, takes_what_dask_takes) {
  EXPECT_DOUBLE_EQ(parse_timedelta("3s").value(), 3);
  EXPECT_DOUBLE_EQ(parse_timedelta("3.5 seconds").value(), 3.5);
  EXPECT_DOUBLE_EQ(parse_timedelta("300ms").value(), 0.3);
  EXPECT_DOUBLE_EQ(parse_timedelta("2 hours").value(), 7200);
  EXPECT_DOUBLE_EQ(parse_timedelta("7").value(), 7);
  EXPECT_DOUBLE_EQ(parse_timedelta("7", "ms").value(), 0.007);
  EXPECT_FALSE(parse_timedelta("5 parsecs").ok());
  EXPECT_FALSE(parse_timedelta("").ok());
}

TEST(Format, reads_as_dask_writes) {
  EXPECT_EQ(format_bytes(1), "1 B");
  EXPECT_EQ(format_bytes(1234), "1.21 kiB");
  EXPECT_EQ(format_bytes(12345678), "11.77 MiB");
  EXPECT_EQ(format_time(0.00012345), "123.45 us");
  EXPECT_EQ(format_time(123.456), "123.46 s");
  EXPECT_EQ(format_time(1234.567), "20m 34s");
  EXPECT_EQ(format_time(12345.67), "3hr 25m");
  EXPECT_EQ(format_time(1234567.8), "14d 6hr");
}

}  // namespace
}  // namespace rask
