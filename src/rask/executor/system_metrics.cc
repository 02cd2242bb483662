#include "rask/executor/system_metrics.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <span>
#include <string_view>

namespace rask::executor {
namespace {

// A file of /proc as it is now; empty when it cannot be read.
std::string_view read_proc(const char* path, std::span<char> into) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const auto got = ::read(fd, into.data(), into.size());
  ::close(fd);
  return got > 0 ? std::string_view{into.data(), static_cast<std::size_t>(got)}
                 : std::string_view{};
}

// The next number in `text`, which it loses; 0 when there is none.
std::uint64_t next_number(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_of("0123456789"), text.size()));
  std::uint64_t number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number).ptr;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

int open_fds() {
  struct stat folder{};
  // Linux tells their number as the size since 6.2.
  if (::stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0)
    return static_cast<int>(folder.st_size);
  std::error_code ignored;
  const std::filesystem::directory_iterator entries{"/proc/self/fd", ignored};
  return static_cast<int>(std::distance(begin(entries), end(entries)));
}

void read_network(SystemSample& sample) {
  std::array<char, 16 << 10> buffer;  // A line of 120 characters for each interface.
  auto rest = read_proc("/proc/self/net/dev", buffer);
  for (auto colon = rest.find(':'); colon != std::string_view::npos; colon = rest.find(':')) {
    rest.remove_prefix(colon);
    sample.net_read_bytes += next_number(rest);
    for (int i = 0; i < 7; ++i) next_number(rest);
    sample.net_write_bytes += next_number(rest);
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
  std::array<char, 256> buffer;
  auto text = read_proc("/proc/self/statm", buffer);
  next_number(text);  // All of its addresses.
  return next_number(text) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
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
