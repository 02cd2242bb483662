#pragma once
// How a local cluster is to be. Names are those of dask.distributed.LocalCluster.
#include <map>
#include <string>
#include <vector>

#include "rask/base/ids.h"
#include "rask/comm/security.h"

namespace rask {

struct LocalClusterOptions {
  int n_workers = 0;                  // 0: from the number of cores, as Dask chooses
  int threads_per_worker = 0;         // 0: the cores shared among the workers
  std::string memory_limit = "auto";  // of each worker: "2GB", "0.5", "auto"; "0": none
  bool processes = true;              // false: workers are threads of this process
  std::string host = "127.0.0.1";
  int scheduler_port = 0;                        // 0: any free one
  std::string protocol = {};                     // "tls"; empty: when encryption is required
  Security security = {};                        // Security::temporary() is made for this.
  std::map<std::string, double> resources = {};  // of each worker
  std::vector<std::string> preload = {};         // libraries with task functions
  bool silence_logs = true;                      // only warnings and worse
  Seconds timeout = 30;                          // for all workers to be there
};

}  // namespace rask
