#pragma once
// The page of a performance report: what a stock scheduler has Bokeh draw.
// Source: distributed/scheduler.py, Scheduler.performance_report.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "rask/base/ids.h"
#include "rask/diagnostics/task_stream.h"

namespace rask::diagnostics {

struct PerformanceReport {
  Seconds duration = 0;
  std::string code = {};  // That was measured, as its author wrote it.
  std::string scheduler = {};
  std::string version = {};
  std::size_t workers = 0;
  std::int64_t threads = 0;
  std::uint64_t memory_bytes = 0;  // Of the workers' limits.
  TaskStreamPicture stream = {};

  struct Failure {
    std::string key;
    std::string worker;
    std::string exception;
    std::string traceback;
  };
  std::vector<Failure> failures = {};  // The first of them; the stream counts all.

  struct Profile {
    std::string title;
    std::string svg;  // Mark-up. Empty: nothing was sampled.
  };
  std::vector<Profile> profiles = {};

  struct Bandwidth {
    std::string from;
    std::string to;  // Empty where it is measured by type.
    double bytes_per_s = 0;
  };
  std::vector<Bandwidth> bandwidth_workers = {};
  std::vector<Bandwidth> bandwidth_types = {};

  using Series = std::vector<std::pair<Seconds, double>>;
  struct System {  // Of the scheduler's process; the network's is of its machine.
    Series cpu_percent = {};
    Series memory_bytes = {};
    Series read_bytes_per_s = {};
    Series write_bytes_per_s = {};
  };
  System system = {};
  std::vector<std::string> logs = {};  // Of the scheduler.
};

// One HTML page that stands for itself.
std::string performance_page(const PerformanceReport& report);

}  // namespace rask::diagnostics
