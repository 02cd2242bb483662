#pragma once
// What this process and machine are doing, from /proc.
#include <cstdint>

#include "rask/base/ids.h"

namespace rask::executor {

struct SystemSample {
  Seconds time = 0;
  Seconds cpu_seconds = 0;         // of this process, user and system
  std::uint64_t memory_bytes = 0;  // resident
  int num_fds = 0;
  std::uint64_t net_read_bytes = 0;  // of the machine, all interfaces
  std::uint64_t net_write_bytes = 0;
};

SystemSample sample_system(Seconds now);
std::uint64_t resident_bytes();  // Of this process.

std::uint64_t machine_memory_bytes();  // Respects the cgroup's limit.
int machine_cores();                   // That this process may use.

}  // namespace rask::executor
