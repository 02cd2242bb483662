#include "rask/executor/system_metrics.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace rask::executor {
namespace {

int open_fds() {
  std::error_code ignored;
  const std::filesystem::directory_iterator entries{"/proc/self/fd", ignored};
  return static_cast<int>(std::distance(begin(entries), end(entries)));
}

void read_network(SystemSample& sample) {
  std::ifstream file{"/proc/self/net/dev"};
  std::string line;
  while (std::getline(file, line)) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::istringstream fields{line.substr(colon + 1)};
    std::uint64_t number[9] = {};
    for (auto& value : number) fields >> value;
    sample.net_read_bytes += number[0];
    sample.net_write_bytes += number[8];
  }
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

// The number in a file of one number; 0 when there is none ("max").
std::uint64_t number_in(const char* path) {
  std::ifstream file{path};
  std::uint64_t number = 0;
  return file >> number ? number : 0;
}

}  // namespace

std::uint64_t resident_bytes() {
  std::ifstream file{"/proc/self/statm"};
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

SystemSample sample_system(Seconds now) {
  SystemSample sample;
  sample.time = now;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  sample.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  sample.memory_bytes = resident_bytes();
  sample.num_fds = open_fds();
  read_network(sample);
  return sample;
}

std::uint64_t machine_memory_bytes() {
  auto bytes = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
               static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    if (const auto limit = number_in(path); limit > 0) bytes = std::min(bytes, limit);
  }
  return bytes;
}

int machine_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace rask::executor
