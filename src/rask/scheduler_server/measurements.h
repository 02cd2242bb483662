#pragma once
// What the scheduler measures of itself, and what its workers say of transfers: for reports.
// Source: distributed/system_monitor.py; distributed/scheduler.py, heartbeat_worker.
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rask/diagnostics/performance_page.h"
#include "rask/executor/system_metrics.h"
#include "rask/wire/value.h"

namespace rask::scheduler_server {

class SystemMonitor {
 public:
  void update(const executor::SystemSample& sample);
  std::int64_t count() const { return count_; }  // How often that was.
  // What was measured from the update of that number on, and from that time on.
  diagnostics::PerformanceReport::System since(std::int64_t first, Seconds start) const;

 private:
  static constexpr std::size_t kLength = 7200;  // distributed.admin.system-monitor.log-length
  std::int64_t count_ = 0;
  std::deque<executor::SystemSample> samples_;
};

// Bytes a second of transfers between workers, as averages that forget.
class Bandwidths {
 public:
  using Row = diagnostics::PerformanceReport::Bandwidth;

  // `measured`: the field `bandwidth` of a heartbeat's metrics.   worker_count: of the cluster
  void heartbeat(const std::string& worker, const wire::Value& measured, std::size_t worker_count);
  void forget(std::string_view worker);
  std::vector<Row> by_worker() const;
  std::vector<Row> by_type() const;

 private:
  std::map<std::pair<std::string, std::string>, double> workers_;
  std::map<std::string, double> types_;
};

}  // namespace rask::scheduler_server
