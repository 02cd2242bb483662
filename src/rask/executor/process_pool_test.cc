#include "rask/executor/process_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <numeric>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "rask/base/log.h"
#include "rask/executor/local_run.h"
#include "rask/executor/log_file.h"
#include "rask/graph/delayed_testing.h"

namespace process_pool_test {

int process_id(int) { return ::getpid(); }
int inc(int x) { return x + 1; }
int fail(const std::string& why) { throw std::out_of_range{why}; }
int die(int signal) { return ::raise(signal); }
int leave(int code) { ::_exit(code); }
std::vector<double> numbers(int count) {
  std::vector<double> made(static_cast<std::size_t>(count));
  std::iota(made.begin(), made.end(), 0.0);
  return made;
}
double total(const std::vector<double>& left, const std::vector<double>& right) {
  return std::accumulate(left.begin(), left.end(), 0.0) +
         std::accumulate(right.begin(), right.end(), 0.0);
}

// Five lines a task; one task is killed after two.
int talk(int number, bool die_early) {
  for (int line = 0; line < 5; ++line) {
    if (die_early && line == 2) ::raise(SIGKILL);
    rask::log::info("talk", "task {} line {}", number, line);
  }
  return number;
}

// Three lines to stderr and one to the log; a task is killed before the third.
int complain(int number, bool die_early) {
  std::fprintf(stderr, "task %d line 0\n", number);
  std::cerr << "task " << number << " line " << 1 << "\n";
  rask::log::warning("talk", "of task {}", number);
  if (die_early) ::raise(SIGKILL);
  std::fprintf(stderr, "task %d line 2", number);  // Without an end.
  return number;
}
int flood(int lines) {
  for (int line = 0; line < lines; ++line) std::fprintf(stderr, "%0100d\n", line);
  return lines;
}

}  // namespace process_pool_test

namespace rask::executor {
namespace {

using namespace process_pool_test;

using delayed_testing::call;
using delayed_testing::Handle;
using ::testing::HasSubstr;

template <class T>
LocalRun run_of(const std::vector<Handle<T>>& targets) {
  return LocalRun{delayed_testing::plan_of(targets),
                  {.num_workers = 3, .stop_on_error = false, .call = call_in_process}};
}

TEST(Processes, tasks_run_elsewhere) {
  std::vector<Handle<int>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(call<process_id>(i));
  calls.push_back(call<inc>(call<inc>(1)));
  auto run = run_of(calls);
  run.run();
  for (std::size_t i = 0; i < 10; ++i) {
    ASSERT_NE(run.result(i), nullptr);
    EXPECT_NE(*static_cast<int*>(run.result(i)), ::getpid());
  }
  ASSERT_NE(run.result(10), nullptr) << run.failure(10).failure.message;
  EXPECT_EQ(*static_cast<int*>(run.result(10)), 3);
}

TEST(Processes, large_values_cross) {
  constexpr int kCount = 1 << 20;
  const auto many = call<numbers>(kCount);
  auto run = run_of<double>({call<total>(many, call<numbers>(10)), call<total>(many, many)});
  run.run();
  ASSERT_NE(run.result(0), nullptr) << run.failure(0).failure.message;
  EXPECT_EQ(*static_cast<double*>(run.result(0)), (kCount - 1.0) * kCount / 2 + 45);
  EXPECT_EQ(*static_cast<double*>(run.result(1)), (kCount - 1.0) * kCount);
}

TEST(Processes, an_exception_crosses) {
  auto run = run_of<int>({call<inc>(call<fail>(std::string{"too far"})), call<inc>(1)});
  run.run();
  const auto failure = run.failure(0);
  EXPECT_EQ(failure.failure.type, "std::out_of_range");
  EXPECT_EQ(failure.failure.message, "too far");
  EXPECT_THAT(failure.failure.traceback, HasSubstr("process_pool_test::fail"));
  EXPECT_EQ(failure.chain.size(), 2U);
  EXPECT_EQ(*static_cast<int*>(run.result(1)), 2);
}

TEST(Processes, a_death_is_an_error_that_names_the_task) {
  const auto killed = call<die>(SIGKILL);
  auto run = run_of<int>({killed, call<leave>(7), call<inc>(1)});
  run.run();
  EXPECT_EQ(run.failure(0).failure.message,
            "the process that ran " + killed.key().str() + " was killed by signal 9 (Killed)");
  EXPECT_THAT(run.failure(1).failure.message, HasSubstr("exited with code 7"));
  EXPECT_EQ(*static_cast<int*>(run.result(2)), 2);
  auto again = run_of<int>({call<inc>(1)});
  again.run();
  EXPECT_EQ(*static_cast<int*>(again.result(0)), 2);
}

class OneLogFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("rask-log-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override {
    log_to_file({.path = path()});  // And no stderr.
    log::set_listener(log::Ear::file, nullptr, log::Level::critical);
    std::filesystem::remove_all(folder_);
  }
  std::string path() const { return (folder_ / "run.log").string(); }

  // By task, the numbers of its lines in the order of the files; every line must be whole.
  std::map<int, std::vector<int>> lines_of(const std::vector<std::string>& files) {
    static const std::regex kLine{R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - INFO - talk - )"
                                  R"(\S+ - talk-\w+ - task (\d+) line (\d))"};
    std::map<int, std::vector<int>> lines;
    for (const auto& name : files) {
      std::ifstream file{name};
      for (std::string line; std::getline(file, line);) {
        std::smatch match;
        if (!std::regex_match(line, match, kLine)) {
          ADD_FAILURE() << "cut or mixed: " << line;
          continue;
        }
        lines[std::stoi(match[1])].push_back(std::stoi(match[2]));
      }
    }
    return lines;
  }

  // Calls of `complain`, and what the file has of them: by task, its lines of stderr in their
  // order, and how often it has logged. Nothing else may be there.
  struct Complaints {
    std::vector<Handle<int>> calls;
    std::map<std::string, int> number_of;
    std::map<int, std::vector<int>> lines;
    std::map<int, int> records;

    void add(int number, bool die_early) {
      calls.push_back(call<complain>(number, die_early));
      number_of[calls.back().key().str()] = number;
    }
    void read(const std::string& path) {
      static const std::regex kLine{R"(\S+ \S+ - WARNING - (stderr|talk) - \S+ - )"
                                    R"((complain-\w+) - (?:of )?task (\d+)(?: line (\d))?)"};
      std::ifstream file{path};
      for (std::string line; std::getline(file, line);) {
        std::smatch match;
        ASSERT_TRUE(std::regex_match(line, match, kLine)) << line;
        const int number = std::stoi(match[3]);
        EXPECT_EQ(number_of.at(match[2]), number) << line;
        if (match[1] == "talk")
          ++records[number];
        else
          lines[number].push_back(std::stoi(match[4]));
      }
    }
    void expect_all(std::size_t lines_of, std::size_t records_of) const {
      EXPECT_EQ(lines.size(), lines_of);
      for (const auto& [task, numbers] : lines) ASSERT_EQ(numbers, (std::vector{0, 1, 2}));
      EXPECT_EQ(records.size(), records_of);
      for (const auto& [task, count] : records) ASSERT_EQ(count, 1);
    }
  };

  std::filesystem::path folder_;
};

TEST_F(OneLogFile, has_every_line_of_four_processes_of_which_one_is_killed) {
  constexpr int kTasks = 10'000;
  constexpr int kKilled = 5'000;
  log_to_file({.path = path(), .max_bytes = 0, .backup_count = 5, .level = log::Level::info});
  std::vector<Handle<int>> calls;
  for (int i = 0; i < kTasks; ++i) calls.push_back(call<talk>(i, i == kKilled));
  std::vector<const internal::DelayedNode*> nodes;
  for (const auto& one : calls) nodes.push_back(one.ref.get());
  LocalRun run{internal::plan_of(nodes),
               {.num_workers = 4, .stop_on_error = false, .call = call_in_process}};
  run.run();
  auto lines = lines_of({path()});
  EXPECT_EQ(lines[kKilled], (std::vector{0, 1}));
  lines.erase(kKilled);
  EXPECT_EQ(lines.size(), kTasks - 1U);
  for (const auto& [task, numbers] : lines) ASSERT_EQ(numbers, (std::vector{0, 1, 2, 3, 4}));
}

TEST_F(OneLogFile, is_put_aside_when_it_is_full) {
  log_to_file(
      {.path = path(), .max_bytes = 20'000, .backup_count = 100, .level = log::Level::info});
  std::vector<Handle<int>> calls;
  for (int i = 0; i < 400; ++i) calls.push_back(call<talk>(i, false));
  std::vector<const internal::DelayedNode*> nodes;
  for (const auto& one : calls) nodes.push_back(one.ref.get());
  for (const bool in_processes : {true, false}) {
    LocalRun run{internal::plan_of(nodes),
                 {.num_workers = 3,
                  .stop_on_error = true,
                  .call = in_processes ? call_in_process : LocalRunOptions::Call{}}};
    run.run();
  }
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator{folder_}) {
    if (entry.path().extension() == ".lock") continue;
    files.push_back(entry.path().string());
    EXPECT_LE(entry.file_size(), 21'000U);  // Who writes at the same time may add a line.
  }
  EXPECT_GT(files.size(), 5U);
  const auto lines = lines_of(files);
  EXPECT_EQ(lines.size(), 400U);
  for (const auto& [task, numbers] : lines) ASSERT_EQ(numbers.size(), 10U);
}

TEST_F(OneLogFile, has_the_stderr_of_tasks_if_asked) {
  constexpr int kTasks = 1'000;
  constexpr int kKilled = 500;
  log_to_file({.path = path(), .capture_stderr = true});
  Complaints all;
  for (int i = 0; i < kTasks; ++i) all.add(i, i == kKilled);
  auto run = run_of(all.calls);
  run.run();
  EXPECT_THAT(run.failure(kKilled).failure.message, HasSubstr("killed by signal 9"));
  all.read(path());
  EXPECT_EQ(all.lines[kKilled], (std::vector{0, 1}));
  all.lines.erase(kKilled);
  all.expect_all(kTasks - 1, kTasks);
}

TEST_F(OneLogFile, has_the_stderr_of_tasks_on_threads_and_of_nobody_else) {
  constexpr int kTasks = 1'000;
  log_to_file({.path = path(), .capture_stderr = true});
  Complaints all;
  for (int i = 0; i < kTasks; ++i) all.add(i, false);
  LocalRun run{delayed_testing::plan_of(all.calls), {.num_workers = 3}};
  run.run();
  std::cerr << "of the test itself\n";
  all.read(path());
  all.expect_all(kTasks, kTasks);
}

TEST_F(OneLogFile, has_more_stderr_than_a_pipe_holds) {
  constexpr int kLines = 20'000;
  log_to_file({.path = path(), .capture_stderr = true});
  auto run = run_of<int>({call<flood>(kLines)});
  run.run();
  ASSERT_NE(run.result(0), nullptr);
  std::ifstream file{path()};
  int next = 0;
  for (std::string line; std::getline(file, line); ++next)
    ASSERT_EQ(std::stoi(line.substr(line.rfind(' '))), next);
  EXPECT_EQ(next, kLines);
}

TEST_F(OneLogFile, that_cannot_be_opened_is_an_error) {
  EXPECT_THROW(log_to_file({.path = (folder_ / "no/such/run.log").string()}), std::runtime_error);
}

}  // namespace
}  // namespace rask::executor

// The children of these tests are this program.
int main(int argc, char** argv) {
  rask::log::setup(rask::log::Level::error);  // What is logged is for files.
  if (argc == 2 && std::string_view{argv[1]} == "--rask-process")
    return rask::executor::process_main();
  rask::executor::set_process_command(
      {std::filesystem::read_symlink("/proc/self/exe").string(), "--rask-process"});
  testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
