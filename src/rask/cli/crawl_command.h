#pragma once
// `rask crawl URL`: reads the pages of a site with the workers of a cluster.
#include <CLI/CLI.hpp>

namespace rask {

// Adds the subcommand. When it is chosen it runs while `app` parses, and sets `exit_code`: 0 pages
// were read, 1 the first page or the cluster failed, 2 bad arguments, 130 stopped by Ctrl-C.
void add_crawl_command(CLI::App& app, int& exit_code);

}  // namespace rask
