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
  const std::string_view first = argc > 1 ? argv[1] : "--help";
  const auto named_first = [first](const CLI::App* known) { return known->get_name() == first; };
  if (!first.starts_with('-') && app.get_subcommands(named_first).empty()) {
    std::cerr << "rask: there is no command '" << first << "'; use scheduler, worker or crawl\n";
    return 2;
  }
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
