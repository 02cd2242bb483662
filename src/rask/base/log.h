#pragma once
// Logging for programs that run for months: one line a record, time, level, logger, message.
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "rask/base/ids.h"
#include "rask/base/result.h"

namespace rask::log {

enum class Level { debug, info, warning, error, critical };

// Writes to stderr from `level` on, in Dask's format:
//   2026-01-31 12:00:00,123 - distributed.scheduler - INFO - text
void setup(Level level);
void setup_unless_done(Level level);  // For a library: the program may have chosen already.
Result<Level> parse_level(std::string_view name);

// What is written is also given to listeners, each from a level of its own on, on the thread that
// writes.
struct Line {
  Level level = Level::info;
  std::string_view logger;
  std::string_view message;
  std::string_view where = {};  // Of records that come from elsewhere: the worker, and its task.
  std::string_view task = {};
};
using Listener = void (*)(const Line&);
enum class Ear { file, forwarding };
void set_listener(Ear ear, Listener listener, Level level);  // null: nobody
Level threshold();    // From which level on stderr is written to.
void open_console();  // Notes stderr as it is now; else the first record does.

void write(const Line& line);
void write(Level level, std::string_view logger, std::string_view message);
bool enabled(Level level);
std::string_view to_string(Level level);  // "INFO"

// The last records that were written, oldest first: Dask's get_logs.
struct Record {
  Seconds created = 0;  // Since the Unix epoch.
  Level level = Level::info;
  std::string text;  // "distributed.scheduler - INFO - text"
};
std::vector<Record> recent();
void keep_recent(std::size_t count_max);  // 10,000 unless told: distributed.admin.log-length.

template <class... Args>
void debug(std::string_view logger, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug))
    write(Level::debug, logger, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(std::string_view logger, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info))
    write(Level::info, logger, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(std::string_view logger, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::warning, logger, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(std::string_view logger, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::error, logger, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace rask::log
