#include "rask/base/config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace rask {
namespace {

namespace fs = std::filesystem;

// A folder of configuration files that is gone after the test.
class ConfigTest : public testing::Test {
 protected:
  ConfigTest() : folder_(fs::path{testing::TempDir()} / ("rask-config-" + unique())) {
    fs::create_directories(folder_);
  }
  ~ConfigTest() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream{folder_ / name} << text;
  }
  std::vector<std::string> environment(std::vector<std::string> more = {}) const {
    more.push_back("DASK_ROOT_CONFIG=" + (folder_ / "absent").string());
    more.push_back("DASK_CONFIG=" + folder_.string());
    return more;
  }

 private:
  static std::string unique() {
    return testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  fs::path folder_;
};

TEST_F(ConfigTest, files_are_read_in_order_and_variables_win) {
  write("a.yaml", "distributed:\n  scheduler:\n    worker-ttl: 5s\n    allowed_failures: 3\n");
  write("b.yaml", "distributed:\n  scheduler:\n    allowed-failures: 7\n");
  const auto config =
      Config::load(environment({"DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING=False"})).value();
  EXPECT_EQ(config.seconds("distributed.scheduler.worker-ttl", 0).value(), 5);
  EXPECT_EQ(config.number("distributed.scheduler.allowed-failures", 0).value(), 7);
  EXPECT_FALSE(config.boolean("distributed.scheduler.work-stealing", true).value());
}

TEST_F(ConfigTest, absent_and_null_give_the_fallback) {
  write("a.yaml", "x:\n  y: null\n  z: ~\n");
  const auto config = Config::load(environment()).value();
  EXPECT_EQ(config.number("x.y", 4).value(), 4);
  EXPECT_EQ(config.bytes("x.z", 9).value(), 9u);
  EXPECT_EQ(config.text("nothing"), std::nullopt);
}

TEST_F(ConfigTest, errors_name_the_file_or_the_key) {
  write("a.yaml", "x: [1,\n");
  EXPECT_NE(Config::load(environment()).error().message.find("a.yaml"), std::string::npos);
  write("a.yaml", "x: soon\n");
  const auto config = Config::load(environment()).value();
  EXPECT_EQ(config.seconds("x", 1).error().message,
            "configuration x: 'soon' is no length of time; write it like 30s, 5 minutes or 100ms");
  EXPECT_FALSE(config.boolean("x", true).ok());
  EXPECT_FALSE(config.number("x", 1).ok());
}

TEST_F(ConfigTest, numbers_are_read_as_yaml_reads_them) {
  write("a.yaml", "x: .inf\ny: 1e6\n");
  const auto config = Config::load(environment()).value();
  EXPECT_GT(config.number("x", 0).value(), 1e300);
  EXPECT_EQ(config.number("y", 0).value(), 1e6);
}

}  // namespace
}  // namespace rask
