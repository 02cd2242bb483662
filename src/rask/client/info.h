#pragma once
// What a scheduler tells of itself and of what happened, as structs.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rask/base/ids.h"
#include "rask/base/log.h"
#include "rask/diagnostics/task_stream.h"
#include "rask/wire/value.h"

namespace rask {

struct WorkerSummary {
  std::string address;
  std::string name;
  std::string host;
  std::string status;  // "running", "paused" …
  int nthreads = 0;
  std::uint64_t memory_limit_bytes = 0;  // 0: none
  std::string local_directory;
  std::string nanny;  // Empty: none
  std::map<std::string, double> resources;
  Seconds last_seen = 0;
  wire::Value metrics;
};

struct SchedulerInfo {
  std::string id;
  std::string address;
  Seconds started = 0;
  int total_threads = 0;
  std::uint64_t total_memory_bytes = 0;
  std::vector<WorkerSummary> workers;
  wire::Value raw;  // All of it, as the scheduler said it.

  const WorkerSummary* worker(std::string_view address_or_name) const;  // null: not there
};
SchedulerInfo parse_scheduler_info(wire::Value identity);

// One transition of a task.
struct StoryLine {
  std::string source;  // "scheduler" or a worker's address
  std::string key;
  std::string start;
  std::string finish;
  std::string stimulus_id;
  Seconds time = 0;
  wire::Value raw;
};

// Which records Client::get_task_stream gives. Source: Client.get_task_stream.
struct TaskStreamOptions {
  wire::Value start = {};  // A time since the Unix epoch, or text: so long ago ("60s"). nil: any.
  wire::Value stop = {};
  std::optional<std::int64_t> count = {};     // Not heeded when both start and stop are given.
  bool plot = false;                          // Draws them too, into the file:
  std::string filename = "task-stream.html";  // or .svg.
};
std::vector<TaskStreamRecord> parse_task_stream(const wire::Value& records);
// Draws them into a file, as SVG if its name ends so, else as HTML.   throws  ClientError
void write_task_stream(const std::string& path, const std::vector<TaskStreamRecord>& records);
/// What a scheduler or worker has logged.
struct LogRecord {
  log::Level level = log::Level::info;
  std::string text;  // "distributed.worker - INFO - text", as its formatter made it.
};

struct TopicEvent {
  Seconds time = 0;
  wire::Value content;
};

}  // namespace rask
