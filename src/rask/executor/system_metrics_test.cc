#include "rask/executor/system_metrics.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <vector>

namespace rask::executor {
namespace {

TEST(SystemMetrics, memory_that_is_touched_shows_up) {
  const auto before = sample_system(1);
  std::vector<char> block(std::size_t{64} << 20, 'x');
  const auto after = sample_system(2);
  EXPECT_GT(after.memory_bytes, before.memory_bytes + (std::size_t{48} << 20));
  EXPECT_GE(after.cpu_seconds, before.cpu_seconds);
  EXPECT_EQ(block[1000], 'x');
}

TEST(SystemMetrics, an_open_file_is_counted) {
  const auto before = sample_system(1).num_fds;
  const std::ifstream file{"/proc/self/stat"};
  EXPECT_EQ(sample_system(1).num_fds, before + 1);
}

TEST(SystemMetrics, the_machine_has_cores_and_memory) {
  EXPECT_GE(machine_cores(), 1);
  EXPECT_GT(machine_memory_bytes(), std::uint64_t{1} << 26);
}

}  // namespace
}  // namespace rask::executor
