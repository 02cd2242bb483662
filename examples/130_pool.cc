// Fifty independent calls, five at a time, as a ProcessPoolExecutor has it; with one log file.
// Prints:
//   on threads: 50 results, 50 lines in the log
//   in processes: 50 results, 100 lines in the log
#include <rask/rask.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

double work(int number) {
  rask::log::info("pool", "call {}", number);
  return std::sqrt(number);
}

std::size_t lines_in(const std::string& path) {
  std::size_t count = 0;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) ++count;
  return count;
}

int main(int argc, char** argv) {
  rask::log::setup(rask::log::Level::warning);  // What is shown; the file has more.
  rask::init(argc, argv);
  const std::string path = "/tmp/rask-130-" + std::to_string(::getpid()) + ".log";
  rask::log_to_file({.path = path});

  std::vector<rask::Delayed<double>> calls;
  for (int number = 0; number < 50; ++number) calls.push_back(rask::delayed<work>(number));
  const auto report = [&](const std::string& where, std::size_t results) {
    std::cout << where << ": " << results << " results, " << lines_in(path)
              << " lines in the log\n";
  };
  report("on threads", rask::compute(rask::Threads{.num_workers = 5}, calls).size());
  report("in processes", rask::compute(rask::Processes{.num_workers = 5}, calls).size());
  std::filesystem::remove(path);
}
