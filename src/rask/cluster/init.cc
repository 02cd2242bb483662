#include "rask/init.h"

#include <cstdlib>
#include <string_view>

#include "rask/cluster/environment.h"
#include "rask/cluster/init_internal.h"
#include "rask/cluster/worker_command.h"
#include "rask/executor/process_pool.h"

namespace rask {
namespace {

bool init_called = false;

}  // namespace

bool cluster::initialised() { return init_called; }

void init(int argc, char** argv) {
  init_called = true;
  executor::set_process_command({cluster::program_path(), "--rask-process"});
  if (argc == 2 && std::string_view{argv[1]} == "--rask-process")
    std::exit(executor::process_main());
  for (int i = 1; i < argc; ++i) {
    if (std::string_view{argv[i]} != "--rask-worker") continue;
    const std::vector<std::string> words{argv + i + 1, argv + argc};
    std::exit(cluster::worker_command(words, {cluster::program_path(), "--rask-worker"}));
  }
}

}  // namespace rask
