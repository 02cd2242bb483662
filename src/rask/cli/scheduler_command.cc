#include "rask/cli/scheduler_command.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <tuple>

#include "rask/base/log.h"
#include "rask/base/units.h"
#include "rask/cluster/environment.h"
#include "rask/cluster/network_options.h"
#include "rask/executor/log_file.h"
#include "rask/http/server.h"
#include "rask/scheduler_server/server.h"

namespace rask::cli {
namespace {

constexpr int kDefaultPort = 8786;
constexpr std::uint16_t kDefaultHttpPort = 8787;

struct Arguments {
  std::string host;
  int port = -1;  // Not given.
  std::string scheduler_file;
  std::string pid_file;
  std::string idle_timeout;
  std::vector<std::string> preload;
  std::vector<std::string> preload_argv;
  cluster::NetworkOptions network;
};

// "--host host:port" and "--host tls://host" are taken as in Dask.
Result<std::string> listen_address(const Arguments& a, bool encrypted) {
  RASK_TRY(auto host, cluster::listen_host(a.network, a.host));
  std::string given = encrypted ? "tls" : "tcp";
  if (const auto scheme = host.find("://"); scheme != std::string::npos) {
    given = host.substr(0, scheme);
    host.erase(0, scheme + 3);
  }
  RASK_TRY(const auto protocol, cluster::protocol_of(a.network.protocol, given));
  const bool with_port = host.find(':') != std::string::npos && !host.ends_with(']');
  if (with_port && a.port < 0) return fmt::format("{}://{}", protocol, host);
  return fmt::format("{}://{}:{}", protocol, host, a.port >= 0 ? a.port : kDefaultPort);
}

// Where the scheduler listens if nothing else is said; what Dask's --dashboard-address takes.
Result<http::Options> http_options(const Arguments& a, const std::string& listens_at) {
  http::Options options;
  if (a.network.dashboard) options.port = kDefaultHttpPort;  // Else any: others may want that one.
  options.any_port_if_taken = true;
  if (!a.network.dashboard_address.empty()) {
    RASK_TRY(const auto given, http::parse_host_port(a.network.dashboard_address));
    std::tie(options.host, options.port) = given;
    return options;
  }
  const auto at = comm::parse_tcp_address(listens_at);
  if (at.ok() && at.value().host.find_first_not_of("0123456789.") == std::string::npos)
    options.host = at.value().host;
  return options;
}

Result<scheduler_server::Options> resolve(const Arguments& a, const Config& config) {
  const auto security = cluster::security_of(a.network, comm::Role::scheduler);
  RASK_TRY(auto options, cluster::scheduler_options(config, security));
  if (!a.idle_timeout.empty()) {
    RASK_TRY(options.machine.idle_timeout, parse_timedelta(a.idle_timeout));
  }
  RASK_TRY(const auto address, listen_address(a, options.comm.require_encryption));
  options.addresses = {address};
  RASK_TRY(options.http, http_options(a, address));
  options.scheduler_file = a.scheduler_file;
  options.preload = a.preload;
  options.preload_argv = a.preload_argv;
  return options;
}

int run_scheduler(const Arguments& a) {
  const auto config = Config::load(environment());
  if (!config.ok()) return cluster::complain("scheduler", config.error());
  log::setup(cluster::log_level(config.value(), "distributed.scheduler"));
  log::keep_recent(cluster::log_length(config.value()));
  const auto logged = log_to_file_of(config.value());
  if (!logged.ok()) return cluster::complain("scheduler", logged.error());
  auto options = resolve(a, config.value());
  if (!options.ok()) return cluster::complain("scheduler", options.error());
  comm::EventLoop loop;
  scheduler_server::SchedulerServer server{loop, std::move(options).value()};
  log::info("distributed.scheduler", "-----------------------------------------------");
  const auto started = server.start();
  if (!started.ok()) return cluster::complain("scheduler", started.error());
  if (!a.pid_file.empty()) std::ofstream{a.pid_file} << ::getpid() << '\n';
  server.on_closed([&](const std::string&) { loop.stop(); });
  loop.on_signals({SIGINT, SIGTERM},
                  [&](int number) { server.close(fmt::format("signal {}", number)); });
  loop.run();
  log::info("distributed.scheduler", "End scheduler");
  if (!a.pid_file.empty()) std::remove(a.pid_file.c_str());
  return 0;
}

}  // namespace

void add_scheduler_command(CLI::App& app, std::function<int()>& run) {
  auto* const command = app.add_subcommand("scheduler", "Run a scheduler");
  const auto arguments = std::make_shared<Arguments>();
  command->add_option("--host", arguments->host, "Host or address to listen on");
  command->add_option("--port", arguments->port, "Port to listen on (8786; 0: any free one)")
      ->check(CLI::Range(0, 65535));
  command->add_option("--scheduler-file", arguments->scheduler_file,
                      "File to write the address to, for workers and clients");
  command->add_option("--pid-file", arguments->pid_file, "File to write the process number to");
  command->add_option("--idle-timeout", arguments->idle_timeout,
                      "Close after this time without work: 1 hour");
  command->add_option("--preload", arguments->preload,
                      "Python module, file or web address to load into the process that lowers "
                      "graphs");
  cluster::add_network_options(*command, arguments->network);
  command->allow_extras();  // They are for what is preloaded.
  command->callback([command, arguments, &run] {
    arguments->preload_argv = command->remaining();
    if (!arguments->preload_argv.empty() && arguments->preload.empty())
      throw CLI::ExtrasError{command->get_name(), arguments->preload_argv};
    run = [arguments] { return run_scheduler(*arguments); };
  });
}

}  // namespace rask::cli
