#pragma once
// A running scheduler: the machine of rask/scheduler behind listening sockets.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rask/comm/comm.h"
#include "rask/http/server.h"
#include "rask/scheduler/scheduler.h"
#include "rask/scheduler_server/lowering.h"

namespace rask::scheduler_server {

struct Options {
  scheduler::Options machine;
  comm::Options comm;
  LoweringOptions lowering;
  std::vector<std::string> addresses = {"tcp://:8786"};  // To listen on; port 0: any free one.
  Seconds lease_validation_interval = 10;  // distributed.scheduler.locks.lease-validation-interval
  Seconds monitor_interval = 0.5;          // distributed.admin.system-monitor.interval
  Seconds profile_interval = 0.01;         // distributed.worker.profile.interval
  std::vector<std::string> preload;        // Python modules for the lowering process.
  std::vector<std::string> preload_argv;
  bool preload_from_config = false;   // distributed.scheduler.preload names some, too.
  std::optional<http::Options> http;  // Where to tell /health and the like; none: nowhere.
  std::string scheduler_file;         // Empty: none. JSON as Dask writes it, removed at the end.
};

class SchedulerServer {
 public:
  SchedulerServer(comm::EventLoop& loop, Options options);
  ~SchedulerServer();
  SchedulerServer(const SchedulerServer&) = delete;
  SchedulerServer& operator=(const SchedulerServer&) = delete;

  // Listens and writes the scheduler file.
  //   errors   invalid_argument: the port is in use, the address or the file cannot be used
  Result<Ok> start();
  std::string address() const;  // That peers can reach. REQUIRES start().

  // Called once when the server has ended: by close(), by a client's terminate, by idle-timeout.
  void on_closed(std::function<void(const std::string& reason)> callback);
  // Tells workers to close (their nannies too), flushes, then calls on_closed.
  void close(const std::string& reason);

  const scheduler::Scheduler& machine() const;

  struct Impl;  // For this room's own files.

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace rask::scheduler_server
