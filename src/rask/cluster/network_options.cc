#include "rask/cluster/network_options.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <CLI/CLI.hpp>
#include <memory>

namespace rask::cluster {
namespace {

// The first IPv4 address of the interface.    source: distributed.utils.get_ip_interface
Result<std::string> address_of_interface(const std::string& name) {
  ifaddrs* found = nullptr;
  if (::getifaddrs(&found) != 0) {
    return Error{ErrorCode::invalid_argument, "--interface: this machine's interfaces are hidden"};
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner{found, &::freeifaddrs};
  std::string names;
  for (const ifaddrs* at = found; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET) continue;
    if (at->ifa_name != name) {
      names += (names.empty() ? "" : ", ") + std::string{at->ifa_name};
      continue;
    }
    char text[INET_ADDRSTRLEN] = {};
    const auto* address = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
    return std::string{::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text)};
  }
  return Error{ErrorCode::invalid_argument,
               fmt::format("--interface: no interface '{}' with an IPv4 address; there are: {}",
                           name, names)};
}

}  // namespace

void add_network_options(CLI::App& app, NetworkOptions& options) {
  app.add_option("--interface", options.interface, "Network interface to listen on: eth0");
  app.add_option("--protocol", options.protocol, "tcp or tls");
  // There is no dashboard yet: scripts that say how they want it keep working.
  app.add_option("--dashboard-address", options.dashboard_address)->group("");
  app.add_flag("--dashboard,!--no-dashboard", options.dashboard)->group("");
  app.add_option("--tls-ca-file", options.tls_ca_file, "CA that signed everybody, in PEM form");
  app.add_option("--tls-cert", options.tls_cert, "Own certificate, in PEM form");
  app.add_option("--tls-key", options.tls_key, "Its key; may stand in the file of --tls-cert");
}

Result<std::string> listen_host(const NetworkOptions& options, const std::string& host) {
  if (options.interface.empty()) return host;
  if (!host.empty()) {
    return Error{ErrorCode::invalid_argument, "--host and --interface: give only one of them"};
  }
  return address_of_interface(options.interface);
}

Result<std::string> protocol_of(const std::string& given, const std::string& otherwise) {
  auto protocol = given.empty() ? otherwise : given;
  if (protocol.ends_with("://")) protocol.resize(protocol.size() - 3);
  if (protocol == "tcp" || protocol == "tls") return protocol;
  return Error{ErrorCode::invalid_argument,
               fmt::format("--protocol {} is not supported; use tcp or tls", protocol)};
}

Security security_of(const NetworkOptions& options, comm::Role role) {
  Security security;
  security.tls_ca_file = options.tls_ca_file;
  const bool scheduler = role == comm::Role::scheduler;
  (scheduler ? security.tls_scheduler_cert : security.tls_worker_cert) = options.tls_cert;
  (scheduler ? security.tls_scheduler_key : security.tls_worker_key) = options.tls_key;
  return security;
}

}  // namespace rask::cluster
