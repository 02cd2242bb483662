#include <gtest/gtest.h>

#include "rask/cluster/environment.h"
#include "rask/cluster/worker_command.h"

namespace rask::cluster {
namespace {

constexpr std::uint64_t kMachine = 8'000'000'000;

TEST(MemoryLimit, takes_what_dask_worker_takes) {
  EXPECT_EQ(parse_memory_limit("auto", 2, 4, kMachine).value(), kMachine / 2);
  EXPECT_EQ(parse_memory_limit("auto", 8, 4, kMachine).value(), kMachine);
  EXPECT_EQ(parse_memory_limit("0.25", 1, 4, kMachine).value(), kMachine / 4);
  EXPECT_EQ(parse_memory_limit("2GB", 1, 4, kMachine).value(), 2'000'000'000u);
  EXPECT_EQ(parse_memory_limit("100GB", 1, 4, kMachine).value(), kMachine);
  EXPECT_EQ(parse_memory_limit("0", 1, 4, kMachine).value(), 0u);
  EXPECT_EQ(parse_memory_limit("lots", 1, 4, kMachine).error().message,
            "memory limit: 'lots' is no size; write it like 2GB, 500 MiB or 1e9");
}

TEST(Resources, are_names_and_numbers) {
  EXPECT_EQ(parse_resources("GPU=2 MEM=10e9").value(),
            (protocol::Resources{{"GPU", 2}, {"MEM", 10e9}}));
  EXPECT_EQ(parse_resources("GPU=2,FOO=1.5").value(),
            (protocol::Resources{{"FOO", 1.5}, {"GPU", 2}}));
  EXPECT_TRUE(parse_resources("").value().empty());
  for (const char* bad : {"GPU", "=2", "GPU=two", "GPU="}) {
    EXPECT_FALSE(parse_resources(bad).ok()) << bad;
  }
}

TEST(Ports, are_one_or_a_range) {
  EXPECT_EQ(parse_ports("8000").value().last, 8000);
  EXPECT_EQ(parse_ports("8000:8100").value().last, 8100);
  for (const char* bad : {"", "x", "8100:8000", "70000", "1:2:3", "-1"}) {
    EXPECT_FALSE(parse_ports(bad).ok()) << bad;
  }
}

TEST(Profile, is_configured_as_in_dask) {
  Config config;
  const auto usual = worker_options(config).value().profile;
  EXPECT_TRUE(usual.enabled);
  EXPECT_DOUBLE_EQ(usual.interval, 0.01);
  EXPECT_DOUBLE_EQ(usual.cycle, 1);
  EXPECT_FALSE(usual.low_level);
  config.set("distributed.worker.profile.enabled", "False");
  config.set("distributed.worker.profile.interval", "50");  // Milliseconds.
  config.set("distributed.worker.profile.cycle", "2s");
  config.set("distributed.worker.profile.low-level", "True");
  const auto other = worker_options(config).value().profile;
  EXPECT_FALSE(other.enabled);
  EXPECT_DOUBLE_EQ(other.interval, 0.05);
  EXPECT_DOUBLE_EQ(other.cycle, 2);
  EXPECT_TRUE(other.low_level);
  config.set("distributed.worker.profile.interval", "0ms");
  EXPECT_EQ(worker_options(config).error().message,
            "distributed.worker.profile.interval: must be above zero");
}

TEST(Preload, an_absent_library_is_an_error_with_its_name) {
  const auto loaded = preload("./no-such-library.so");
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.error().message.find("cannot preload ./no-such-library.so"), std::string::npos);
}

}  // namespace
}  // namespace rask::cluster
