#pragma once
// What the last tasks did and when, for get_task_stream. Nothing is kept until somebody asks.
// Source: distributed/diagnostics/task_stream.py (TaskStreamPlugin).
#include <deque>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "rask/protocol/messages.h"
#include "rask/scheduler/scheduler.h"
#include "rask/wire/value.h"

namespace rask::scheduler_server {

class TaskStream {
 public:
  struct Record {
    std::string worker;
    std::variant<protocol::TaskFinished, protocol::TaskErred> what;
    Seconds stop = 0;
  };

  bool recording() const { return recording_; }
  // Looks at a batch of a worker before the machine handles it.
  void record(const scheduler::Scheduler& machine, WorkerId worker,
              const std::vector<protocol::FromWorker>& batch);

  // Both start the recording.
  std::int64_t index();  // Of the next record, counted from the first that was ever made.
  // `question`: start, stop (a time, or text: that long ago), count, start_index; each may be nil.
  wire::Value collect(const wire::Value& question, Seconds now);

  // Those that ended at that time or later. Shared, so that another thread may draw them.
  using RecordPtr = std::shared_ptr<const Record>;
  std::vector<RecordPtr> since(Seconds start) const;

 private:
  static constexpr std::size_t kLength = 100'000;  // …dashboard.status.task-stream-length
  static Seconds stop_of(const RecordPtr& record) { return record->stop; }
  std::size_t place_of(const wire::Value& time, std::size_t fallback, Seconds now) const;

  bool recording_ = false;
  std::int64_t index_ = 0;
  std::deque<RecordPtr> records_;
};

}  // namespace rask::scheduler_server
