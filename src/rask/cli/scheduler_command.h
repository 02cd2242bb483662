#pragma once
// `rask scheduler`: `dask scheduler`'s options. Source: distributed/cli/dask_scheduler.py.
#include <CLI/CLI.hpp>
#include <functional>

namespace rask::cli {

// Adds the subcommand; `run` becomes what it does when it is chosen, and gives the exit code.
void add_scheduler_command(CLI::App& app, std::function<int()>& run);

}  // namespace rask::cli
