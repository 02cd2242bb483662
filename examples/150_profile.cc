// Where the time goes: workers look at their tasks every few milliseconds, and the client draws it.
// Prints:
//   analyze -> parse: most of the time
//   analyze -> smooth: some of it
//   a task that waits is in: wait_for_go
//   /tmp/rask-150-….svg: a flame graph
#include <rask/rask.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

namespace {

// A compiler may put functions into their callers; then the time is the callers'.
[[gnu::noinline]] double parse(int file) {
  double value = file;
  for (int i = 0; i < 9'000'000; ++i) value = std::sqrt(value + i);
  return value;
}

[[gnu::noinline]] double smooth(double value) {
  for (int i = 0; i < 3'000'000; ++i) value = std::sqrt(value + i);
  return value;
}

[[gnu::noinline]] void wait_for_go() { rask::Event{"go"}.wait(); }

}  // namespace

double analyze(int file) { return smooth(parse(file)); }
int wait_and_go() {
  wait_for_go();
  return 1;
}

// Of the running tasks' call stacks the function that `part` is in the name of; empty: none yet.
std::string line_with(rask::Client& client, const std::string& part) {
  for (const auto& [worker, tasks] : client.call_stack())
    for (const auto& [key, lines] : tasks)
      for (const std::string& line : lines)
        if (line.find(part) != std::string::npos) return line;
  return {};
}

int main(int argc, char** argv) {
  rask::log::setup(rask::log::Level::warning);
  rask::init(argc, argv);
  rask::Client client =
      argc > 1 ? rask::Client{argv[1]} : rask::Client{{.n_workers = 2, .threads_per_worker = 1}};

  std::vector<int> files;
  for (int file = 0; file < 40; ++file) files.push_back(file);
  client.gather(client.map<analyze>(files));

  const std::string picture = "/tmp/rask-150-" + std::to_string(::getpid()) + ".svg";
  const auto profile = client.profile({.key = "analyze", .filename = picture});
  const double parsing = rask::profile_share(profile, "parse(");
  const double smoothing = rask::profile_share(profile, "smooth(");
  if (parsing > 0.5) std::cout << "analyze -> parse: most of the time\n";
  if (smoothing > 0.05 && smoothing < parsing) std::cout << "analyze -> smooth: some of it\n";

  auto waiting = client.submit<wait_and_go>();
  std::string line;
  while (line.empty()) line = line_with(client, "wait_for_go");
  std::cout << "a task that waits is in: wait_for_go\n";
  rask::Event{"go"}.set();
  waiting.result();

  if (std::filesystem::file_size(picture) > 0) std::cout << picture << ": a flame graph\n";
  std::filesystem::remove(picture);
}
