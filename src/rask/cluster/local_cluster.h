#pragma once
// A scheduler and workers on this machine, for as long as the object lives.
//
//   rask::LocalCluster cluster{{.n_workers = 4, .threads_per_worker = 2, .memory_limit = "2GB"}};
//   rask::Client client{cluster.scheduler_address()};
//
// The scheduler runs on a thread of this process; or, when the configuration names a command
// (rask.scheduler-command: "dask scheduler"), it is that program. The workers are
// processes of this same program, each watched by a nanny here (processes = true: main must begin
// with rask::init), or threads. Source: distributed/deploy/local.py.
#include <memory>
#include <string>
#include <vector>

#include "rask/client/local_options.h"

namespace rask {

class LocalCluster {
 public:
  // Returns when every worker has registered.
  //   throws   ClientError: a bad option, a worker that cannot be started, or workers that are not
  //            there after options.timeout
  explicit LocalCluster(LocalClusterOptions options = {});
  ~LocalCluster();  // close()
  LocalCluster(const LocalCluster&) = delete;
  LocalCluster& operator=(const LocalCluster&) = delete;

  std::string scheduler_address() const;
  // What a client of this cluster needs, with what came from the configuration.
  Security security() const;
  // The processes of the workers, as they are now; empty for threads.
  std::vector<int> worker_pids() const;
  // Ends workers and scheduler. May be called more than once.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rask
