#pragma once
// Options that `rask scheduler` and `rask worker` share with Dask's commands.
#include <string>

#include "rask/base/result.h"
#include "rask/comm/tls.h"

namespace CLI {
class App;
}

namespace rask::cluster {

struct NetworkOptions {
  std::string interface;  // "eth0"
  std::string protocol;   // "tcp", "tls", "tls://"; empty: as it comes to
  std::string tls_ca_file;
  std::string tls_cert;
  std::string tls_key;
  std::string dashboard_address;
  bool dashboard = true;
};

void add_network_options(CLI::App& app, NetworkOptions& options);

// The host to listen on: `host`, or the address of the interface, or "".
//   errors   invalid_argument: no such interface, both given
Result<std::string> listen_host(const NetworkOptions& options, const std::string& host);

// "tcp" or "tls": what was given ("tls", "tls://"), or `otherwise`.
//   errors   invalid_argument: a protocol that is not there
Result<std::string> protocol_of(const std::string& given, const std::string& otherwise);

// The certificates that were given, for whoever plays `role`.
Security security_of(const NetworkOptions& options, comm::Role role);

}  // namespace rask::cluster
