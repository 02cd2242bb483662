// Looking at a run: how far it is, what it did when, and a report of all of it. Prints:
//   [########################################] | 100% Completed |  0.1 s
//   stream: 41 tasks, 0 failed
//   report: number of tasks: 41
//   [########################################] | 100% Completed |  0.0 s
//   locally: 285
#include <rask/rask.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

double analyze(int number) {
  double sum = 0;
  for (int i = 1; i < 100'000; ++i) sum += std::sqrt(number * i);
  return sum;
}
double summarize(const std::vector<double>& parts) {
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}
int square(int x) { return x * x; }
int add_up(const std::vector<int>& items) { return std::accumulate(items.begin(), items.end(), 0); }

std::string line_with(const std::string& path, const std::string& part) {
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) {
    const auto at = line.find(part);
    if (at != std::string::npos) return line.substr(at, line.find('<', at) - at);
  }
  return "nothing of that in " + path;
}

void on_a_cluster() {
  rask::Client client{{.n_workers = 2, .threads_per_worker = 2}};
  const std::string path = "/tmp/rask-160-" + std::to_string(::getpid()) + ".html";
  rask::get_task_stream stream;
  rask::performance_report report{path};

  const auto parts = client.map<analyze>(std::views::iota(0, 40));
  const auto sum = client.submit<summarize>(parts);
  rask::progress(sum, parts);

  const auto failed = std::ranges::count(stream.data(), "error", &rask::TaskStreamRecord::status);
  std::cout << "stream: " << stream.data().size() << " tasks, " << failed << " failed\n";
  try {
    report.close();
    std::cout << "report: " << line_with(path, "number of tasks") << "\n";
    std::filesystem::remove(path);
  } catch (const rask::ClientError& error) {
    std::cout << "report: " << error.what() << "\n";  // A stock scheduler without bokeh.
  }
}

int main(int argc, char** argv) {
  rask::init(argc, argv);
  on_a_cluster();

  const rask::ProgressBar bar;
  std::vector<rask::Delayed<int>> squares;
  for (int i = 0; i < 10; ++i) squares.push_back(rask::delayed<square>(i));
  const int sum = rask::delayed<add_up>(squares).compute(rask::threads);
  std::cout << "locally: " << sum << "\n";
}
