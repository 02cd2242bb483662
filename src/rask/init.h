#pragma once
// The first line of a main that uses a LocalCluster of processes.

namespace rask {

// Lets this program be started as a worker: with `--rask-worker ADDRESS [options of rask worker]`
// among its arguments it becomes one and this call does not return. Otherwise it returns at once.
void init(int argc, char** argv);

}  // namespace rask
