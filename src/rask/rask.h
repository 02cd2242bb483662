#pragma once
// All that a program needs to use rask:
//
//   #include <rask/rask.h>
//
//   int inc(int x) { return x + 1; }
//
//   int main(int argc, char** argv) {
//     rask::init(argc, argv);
//     rask::Client client{{.n_workers = 4}};
//     std::cout << client.submit<inc>(10).result() << "\n";
//   }

#include "rask/client/actor.h"           // IWYU pragma: export
#include "rask/client/as_completed.h"    // IWYU pragma: export
#include "rask/client/client.h"          // IWYU pragma: export
#include "rask/client/coordination.h"    // IWYU pragma: export
#include "rask/client/delayed.h"         // IWYU pragma: export
#include "rask/client/progress.h"        // IWYU pragma: export
#include "rask/client/report.h"          // IWYU pragma: export
#include "rask/cluster/local_cluster.h"  // IWYU pragma: export
#include "rask/executor/log_file.h"      // IWYU pragma: export
#include "rask/graph/graph.h"            // IWYU pragma: export
#include "rask/graph/python_task.h"      // IWYU pragma: export
#include "rask/init.h"                   // IWYU pragma: export
