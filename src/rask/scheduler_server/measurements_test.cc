#include "rask/scheduler_server/measurements.h"

#include <gmock/gmock.h>

namespace rask::scheduler_server {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using wire::Value;

executor::SystemSample sample(Seconds time, Seconds cpu, std::uint64_t read) {
  return {.time = time, .cpu_seconds = cpu, .memory_bytes = 100, .net_read_bytes = read};
}

TEST(SystemMonitor, gives_rates_between_samples_from_a_number_on) {
  SystemMonitor monitor;
  monitor.update(sample(1, 0, 0));
  monitor.update(sample(2, 0.5, 10));
  monitor.update(sample(4, 2.5, 5));  // A counter that began again.
  EXPECT_EQ(monitor.count(), 3);
  const auto all = monitor.since(0, 0);
  EXPECT_THAT(all.cpu_percent, ElementsAre(Pair(2, 50), Pair(4, 100)));
  EXPECT_THAT(all.read_bytes_per_s, ElementsAre(Pair(2, 10), Pair(4, 0)));
  EXPECT_THAT(monitor.since(2, 0).cpu_percent, ElementsAre(Pair(4, 100)));
  EXPECT_THAT(monitor.since(3, 0).cpu_percent, IsEmpty());
  EXPECT_THAT(monitor.since(0, 3).cpu_percent, ElementsAre(Pair(4, 100)));
}

TEST(SystemMonitor, keeps_an_hour) {
  SystemMonitor monitor;
  for (int i = 0; i < 10'000; ++i) monitor.update(sample(i, 0, 0));
  EXPECT_EQ(monitor.since(0, 0).memory_bytes.size(), 7200u);
  EXPECT_EQ(monitor.since(9'990, 0).memory_bytes.size(), 10u);
}

Value measured(const char* from, double sum, int count) {
  return Value::object({{"workers", Value::object({{from, Value::Array{sum, count}}})},
                        {"types", Value::object({{"list", Value::Array{sum, count}}})}});
}

// source: Scheduler.heartbeat_worker, with two workers: each transfer counts one half.
TEST(Bandwidths, are_means_in_which_what_is_old_counts_less) {
  Bandwidths bandwidths;
  bandwidths.heartbeat("b", measured("a", 300, 3), 2);
  ASSERT_EQ(bandwidths.by_worker().size(), 1u);
  EXPECT_EQ(bandwidths.by_worker()[0].from, "a");
  EXPECT_EQ(bandwidths.by_worker()[0].to, "b");
  EXPECT_THAT(bandwidths.by_worker()[0].bytes_per_s, DoubleNear(100, 1e-9));
  bandwidths.heartbeat("b", measured("a", 200, 1), 2);
  EXPECT_THAT(bandwidths.by_worker()[0].bytes_per_s, DoubleNear(150, 1e-9));
  EXPECT_THAT(bandwidths.by_type()[0].bytes_per_s, DoubleNear(150, 1e-9));
}

TEST(Bandwidths, of_a_worker_that_has_left_are_forgotten) {
  Bandwidths bandwidths;
  bandwidths.heartbeat("b", measured("a", 1, 1), 2);
  bandwidths.heartbeat("c", measured("d", 1, 1), 2);
  bandwidths.forget("a");
  EXPECT_EQ(bandwidths.by_worker().size(), 1u);
  bandwidths.heartbeat("b", Value::object({{"workers", "nonsense"}}), 2);
  EXPECT_EQ(bandwidths.by_worker().size(), 1u);
}

}  // namespace
}  // namespace rask::scheduler_server
