// The command `rask`.
#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>

#include "rask/cli/crawl_command.h"
#include "rask/cli/scheduler_command.h"
#include "rask/cluster/environment.h"
#include "rask/cluster/worker_command.h"
#include "rask/init.h"

namespace {

int run(int argc, char** argv) {
  rask::init(argc, argv);
  // The worker's options are its own to parse: it passes them on to the processes that it starts.
  if (argc > 1 && std::string_view{argv[1]} == "worker") {
    const std::vector<std::string> words{argv + 2, argv + argc};
    return rask::cluster::worker_command(words, {rask::cluster::program_path(), "worker"});
  }
  CLI::App app{"rask: Dask, natively.", "rask"};
  app.set_version_flag("--version", RASK_VERSION);
  app.require_subcommand(1);
  std::function<int()> command;
  int crawl_exit_code = 0;
  rask::cli::add_scheduler_command(app, command);
  app.add_subcommand("worker", "Run a worker (rask worker --help)");
  rask::add_crawl_command(app, crawl_exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return command ? command() : crawl_exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "rask: " << error.what() << '\n';
    return 1;
  }
}
