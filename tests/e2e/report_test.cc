// What tells of a run, on a local cluster of real processes: reports, task streams, progress. Also
// run with a stock Dask scheduler in the middle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rask/rask.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ranges>
#include <set>
#include <sstream>
#include <stdexcept>

namespace reported {

std::int64_t square(std::int64_t x) { return x * x; }
std::int64_t total(const std::vector<std::int64_t>& values) {
  std::int64_t sum = 0;
  for (const auto value : values) sum += value;
  return sum;
}
int refuse(const std::string& what) { throw std::invalid_argument{what}; }

}  // namespace reported

namespace rask {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const bool is_stock = std::getenv("DASK_RASK__SCHEDULER_COMMAND") != nullptr;

class ReportTest : public testing::Test {
 protected:
  ~ReportTest() override { std::filesystem::remove(path); }
  std::string written() const {
    std::ifstream file{path};
    std::stringstream content;
    content << file.rdbuf();
    return content.str();
  }
  LocalCluster cluster{{.n_workers = 2, .threads_per_worker = 2, .memory_limit = "0"}};
  Client client{cluster.scheduler_address()};
  std::string path = testing::TempDir() + "rask-report-" + std::to_string(::getpid()) + ".html";
};

TEST_F(ReportTest, performance_report_writes_a_page_of_what_ran_in_its_scope) {
  client.gather(client.map<reported::square>(std::views::iota(1000, 1050)));
  try {
    performance_report report{path};
    client.gather(client.map<reported::square>(std::views::iota(0, 100)));
    auto bad = client.submit<reported::refuse>({.key = "<script>alert(1)</script>"}, "<b>no</b>");
    EXPECT_TRUE(bad.exception());
    report.close();
    report.close();  // Nothing more.
  } catch (const ClientError& error) {
    ASSERT_TRUE(is_stock) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("bokeh"));
    return;
  }
  const auto page = written();
  EXPECT_THAT(page, HasSubstr("Dask Performance Report"));
  if (is_stock) return;  // Bokeh's page.
  EXPECT_THAT(page, HasSubstr("number of tasks: 101<"));
  EXPECT_THAT(page, HasSubstr("failed tasks: 1<"));
  EXPECT_THAT(page, HasSubstr("Workers: 2<"));
  EXPECT_THAT(page, HasSubstr("Threads: 4<"));
  EXPECT_THAT(page, HasSubstr("<title>erred: "));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<b>no")));
  EXPECT_THAT(page, HasSubstr("report_test.cc:"));
  EXPECT_THAT(page, HasSubstr("client.map&lt;reported::square&gt;(std::views::iota(0, 100))"));
  EXPECT_THAT(page, Not(HasSubstr("ASSERT_TRUE")));  // Behind the block.
}

TEST_F(ReportTest, a_report_that_cannot_be_written_says_so) {
  performance_report report{"/nowhere/at/all.html"};
  try {
    report.close();
    FAIL() << "should have thrown";
  } catch (const ClientError& error) {
    EXPECT_THAT(error.what(), AnyOf(HasSubstr("cannot write /nowhere/at/all.html"),
                                    HasSubstr(is_stock ? "bokeh" : "cannot write")));
  }
}

TEST_F(ReportTest, get_task_stream_gives_the_records_of_its_time) {
  client.get_task_stream();
  client.gather(client.map<reported::square>(std::views::iota(500, 505)));
  get_task_stream stream{client, {.plot = true, .filename = path}};
  const auto squares = client.map<reported::square>(std::views::iota(0, 20));
  EXPECT_EQ(client.submit<reported::total>(squares).result(), 2470);
  stream.close();
  ASSERT_EQ(stream.data().size(), 21u);
  std::set<Key> keys;
  std::set<std::string> workers;
  for (const auto& record : stream.data()) {
    keys.insert(record.key);
    workers.insert(record.worker);
    EXPECT_EQ(record.status, "OK");
    EXPECT_GT(record.nbytes, 0);
    ASSERT_FALSE(record.startstops.empty());
    EXPECT_EQ(record.startstops.back().action, "compute");
    EXPECT_LE(record.startstops.back().start, record.startstops.back().stop);
  }
  for (const auto& future : squares) EXPECT_TRUE(keys.contains(future.key()));
  for (const auto& worker : workers) EXPECT_NE(client.scheduler_info().worker(worker), nullptr);
  EXPECT_THAT(written(), HasSubstr("21 tasks on "));
  // All of the recording, a part of it, and nothing.
  EXPECT_EQ(client.get_task_stream().size(), 26u);
  EXPECT_EQ(client.get_task_stream({.count = 3}).size(), 3u);
  EXPECT_EQ(client.get_task_stream({.start = "1 hour"}).size(), 26u);
  EXPECT_EQ(client.get_task_stream({.start = "0 s"}).size(), 0u);
}

TEST_F(ReportTest, progress_counts_what_a_future_needs) {
  std::vector<Delayed<std::int64_t>> squares;
  for (int i = 0; i < 50; ++i) squares.push_back(delayed<reported::square>(i));
  const auto total = client.persist(delayed<reported::total>(squares));
  std::ostringstream out;
  progress({.out = &out}, total);
  EXPECT_TRUE(total.done());
  EXPECT_THAT(out.str(),
              AllOf(StartsWith("[######"), HasSubstr("] | 100% Completed | "), EndsWith(" s\n")));
  out.str({});
  progress({.multi = true, .out = &out}, total);
  const auto text = out.str();
  // A stock scheduler does not tell what a task needs.
  EXPECT_EQ(std::ranges::count(text, '\n'), is_stock ? 1 : 2);
}

TEST_F(ReportTest, progress_of_failed_tasks_ends_and_tells_of_them) {
  const auto good = client.map<reported::square>(std::views::iota(0, 3));
  const auto bad = client.submit<reported::refuse>("not today");
  std::ostringstream out;
  progress({.width = 4, .out = &out}, good, bad);
  EXPECT_THAT(out.str(), AllOf(StartsWith("[### ] | 75% Completed"),
                               EndsWith("1 of 4 failed: std::invalid_argument: not today\n")));
}

}  // namespace
}  // namespace rask
