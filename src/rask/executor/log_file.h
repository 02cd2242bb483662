#pragma once
// One log file for a program and all processes that it starts: tasks on threads, in processes, and
// of workers on this machine.
//
//   rask::log_to_file({.path = "run.log", .max_bytes = 10 << 20});
//   rask::log::info("pipeline", "loaded {}", path);      // anywhere, also in tasks
//
//   2026-01-31 12:00:00,123 - INFO - pipeline - rask-0 - load-5b1f… - loaded north.csv
//   time, level, logger, thread (or process, or worker), key of the task (or -), message
//
// What tasks write to stderr comes too if that is asked for, a line as a WARNING of the logger
// "stderr" with the task's key: of tasks in processes all of it, up to the last before a crash; of
// tasks on threads and workers what goes through std::cerr, std::clog and C's stderr.
//
// A file may be larger than max_bytes by what others write at the same time. Each record is one
// write at the end of the file: none is cut by another, those of one thread are in their order, and
// whoever is killed has written what it had logged. Source: Python's
// logging.handlers.RotatingFileHandler, for the options.
#include <cstdint>
#include <string>

#include "rask/base/config.h"
#include "rask/base/log.h"

namespace rask {

struct LogFileOptions {
  std::string path;
  std::uint64_t max_bytes = 0;  // Larger files become path.1, the one before path.2 …; 0: never.
  int backup_count = 5;         // So many of them are kept.
  log::Level level = log::Level::info;
  bool capture_stderr = false;  // Of tasks.
};

/// From now on; processes that are started later write there too (by their environment).
///   throws  std::runtime_error: the file cannot be opened
void log_to_file(const LogFileOptions& options);

/// As the settings rask.log.file, .max-bytes, .backup-count, .level and .stderr say, if they name a
/// file.
Result<Ok> log_to_file_of(const Config& config);

namespace internal {

/// Whether the stderr of tasks goes to the log.
bool captures_stderr();

bool is_in_task();  // This thread.

}  // namespace internal

}  // namespace rask
