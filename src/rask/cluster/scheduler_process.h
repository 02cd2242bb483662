#pragma once
// Another program as the scheduler of a local cluster: `dask scheduler`, say, in place of ours.
#include <memory>
#include <string>

#include "rask/base/ids.h"
#include "rask/base/result.h"
#include "rask/executor/child_process.h"

namespace rask::cluster {

struct SchedulerCommand {
  std::string command;  // As a shell reads it; options of `dask scheduler` are added.
  std::string host;
  int port = 0;
  bool silence_logs = true;
  Seconds timeout = 30;
};

class SchedulerProcess {
 public:
  // Starts it and waits until it has written its address.
  //   errors   invalid_argument: it ended, or said no address within the time
  static Result<std::unique_ptr<SchedulerProcess>> start(const SchedulerCommand& command);
  ~SchedulerProcess();  // Asks it to end, and kills it after a moment.
  SchedulerProcess(const SchedulerProcess&) = delete;
  SchedulerProcess& operator=(const SchedulerProcess&) = delete;

  const std::string& address() const { return address_; }

 private:
  struct Ended;

  SchedulerProcess() = default;
  std::string address_;
  std::shared_ptr<Ended> ended_;
  std::unique_ptr<executor::ChildProcess> child_;
};

}  // namespace rask::cluster
