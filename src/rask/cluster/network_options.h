#pragma once
// Options that `rask scheduler` and `rask worker` share with Dask's commands.
#include <string>

#include "rask/base/result.h"

namespace CLI {
class App;
}

namespace rask::cluster {

struct NetworkOptions {
  std::string interface;  // "eth0"
  std::string protocol = "tcp";
  std::string dashboard_address;
  bool dashboard = true;
};

// Also the options for TLS, which are refused when they are given.
void add_network_options(CLI::App& app, NetworkOptions& options);

// The host to listen on: `host`, or the address of the interface, or "".
//   errors   invalid_argument: no such interface, both given, a protocol that is not there
Result<std::string> listen_host(const NetworkOptions& options, const std::string& host);

}  // namespace rask::cluster
