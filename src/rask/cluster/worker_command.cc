#include "rask/cluster/worker_command.h"

#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>

#include "rask/base/log.h"
#include "rask/base/units.h"
#include "rask/cluster/environment.h"
#include "rask/executor/child_process.h"
#include "rask/executor/log_file.h"
#include "rask/executor/system_metrics.h"
#include "rask/nanny/nanny.h"
#include "rask/worker_server/server.h"

namespace rask::cluster {
namespace {

constexpr std::string_view kLogger = "distributed.worker";

void add_options(CLI::App& app, WorkerArguments& a) {
  app.add_option("scheduler", a.scheduler, "Address of the scheduler: tcp://host:8786, tls://…");
  app.add_option("--scheduler-file", a.scheduler_file, "File to read the address from");
  app.add_option("--host", a.host, "Host to listen on and to be found at");
  app.add_option("--worker-port", a.worker_port, "Port to listen on, or first:last");
  app.add_option("--nanny-port", a.nanny_port, "Port of the nanny, or first:last");
  app.add_option("--listen-address", a.listen_address, "Address to listen on: tcp://0.0.0.0:9000");
  app.add_option("--contact-address", a.contact_address, "Address that others reach us at");
  app.add_option("--nthreads", a.nthreads, "Threads of each worker; 0: share the cores");
  app.add_option("--nworkers", a.nworkers, "Worker processes; auto; -1: as many as cores");
  app.add_option("--name", a.name, "Name of the worker");
  app.add_option("--memory-limit", a.memory_limit, "Of each worker: 2GB, 0.5, auto; 0: none");
  app.add_option("--resources", a.resources, "What tasks can ask for: \"GPU=2 MEM=10e9\"");
  app.add_option("--death-timeout", a.death_timeout, "How long to wait for the scheduler");
  app.add_option("--lifetime", a.lifetime, "Close after this time: 1 hour");
  app.add_option("--lifetime-stagger", a.lifetime_stagger, "Vary the lifetime by up to this");
  app.add_flag("--lifetime-restart,!--no-lifetime-restart", a.lifetime_restart,
               "Start again after the lifetime");
  app.add_option("--local-directory", a.local_directory, "Folder for the worker's files");
  app.add_option("--pid-file", a.pid_file, "File to write the process number to");
  app.add_option("--preload", a.preload, "Library with task functions: libapp.so")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(1)
      ->allow_extra_args(false);
  app.add_option("--preload-nanny", a.preload_nanny, "Library to load into the nanny")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(1)
      ->allow_extra_args(false);
  add_network_options(app, a.network);
  app.add_flag("--nanny,!--no-nanny", a.nanny, "Start the worker in a process that is watched");
  app.add_option("--nanny-address", a.nanny_address)->group("");
}

// What the arguments come to, once configuration and machine are known.
struct Resolved {
  std::string scheduler;
  std::string host;  // To listen on.
  std::string protocol;
  Security security;
  int nworkers = 1;
  int nthreads = 1;
  std::uint64_t memory_limit_bytes = 0;
  protocol::Resources resources;
  PortRange worker_ports;
  PortRange nanny_ports;
  Seconds death_timeout = 0;
  Seconds lifetime = 0;

  std::string listen_address(int port) const {
    return fmt::format("{}://{}:{}", protocol, host, port);
  }
};

Result<int> parse_count(const std::string& text, std::string_view what) {
  int number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end != text.data() + text.size()) {
    return Error{ErrorCode::invalid_argument, fmt::format("{}: '{}' is no number", what, text)};
  }
  return number;
}

Result<std::string> address_in_file(const std::string& path, Seconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout);
  for (;;) {
    std::ifstream file{path};
    std::stringstream text;
    text << file.rdbuf();
    boost::system::error_code failed;
    const auto json = boost::json::parse(text.str(), failed);
    if (file && !failed && json.is_object() && json.as_object().contains("address")) {
      return std::string{json.at("address").as_string()};
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("no address in the scheduler file {}; is the scheduler running with "
                               "--scheduler-file {}?",
                               path, path)};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
  }
}

Result<Ok> resolve_counts(const WorkerArguments& a, Resolved& out) {
  const int cores = executor::machine_cores();
  RASK_TRY(out.nthreads, parse_count(a.nthreads, "--nthreads"));
  if (a.nworkers == "auto") {
    // A few processes of a few threads each, as dask.distributed's nprocesses_nthreads chooses.
    out.nworkers = cores <= 4 ? cores : std::max(1, static_cast<int>(std::sqrt(cores)));
  } else {
    RASK_TRY(out.nworkers, parse_count(a.nworkers, "--nworkers"));
    if (out.nworkers < 0) out.nworkers += cores + 1;
  }
  if (out.nworkers < 1 || out.nthreads < 0) {
    return Error{ErrorCode::invalid_argument, "--nworkers and --nthreads must be at least 1"};
  }
  if (out.nworkers > 1 && !a.nanny) {
    return Error{ErrorCode::invalid_argument,
                 "--nworkers above 1 needs nannies: leave --no-nanny out, or start more workers"};
  }
  if (out.nworkers > 1 && !a.contact_address.empty()) {
    return Error{ErrorCode::invalid_argument,
                 "--contact-address names one worker; use --nworkers 1 with it"};
  }
  if (out.nthreads == 0) out.nthreads = std::max(1, cores / out.nworkers);
  return Ok{};
}

Result<Resolved> resolve(const WorkerArguments& a, const Config& config) {
  Resolved out;
  RASK_TRY([[maybe_unused]] auto counts, resolve_counts(a, out));
  RASK_TRY(out.memory_limit_bytes,
           parse_memory_limit(a.memory_limit, out.nthreads, executor::machine_cores(),
                              executor::machine_memory_bytes()));
  RASK_TRY(out.resources, parse_resources(a.resources));
  RASK_TRY(out.worker_ports, parse_ports(a.worker_port));
  RASK_TRY(out.nanny_ports, parse_ports(a.nanny_port));
  if (!a.death_timeout.empty()) {
    RASK_TRY(out.death_timeout, parse_timedelta(a.death_timeout));
  }
  if (!a.lifetime.empty()) {
    RASK_TRY(out.lifetime, parse_timedelta(a.lifetime));
    RASK_TRY(const auto stagger, parse_timedelta(a.lifetime_stagger));
    std::random_device random;
    out.lifetime += stagger * std::uniform_real_distribution<>{-1, 1}(random);
  }
  out.scheduler = a.scheduler;
  if (out.scheduler.empty() && !a.scheduler_file.empty()) {
    RASK_TRY(out.scheduler,
             address_in_file(a.scheduler_file, out.death_timeout > 0 ? out.death_timeout : 30));
  }
  if (out.scheduler.empty()) out.scheduler = config.text("scheduler-address").value_or("");
  if (out.scheduler.empty()) {
    return Error{ErrorCode::invalid_argument,
                 "which scheduler? Give its address (tcp://host:8786) or --scheduler-file"};
  }
  out.scheduler = comm::normalize_address(out.scheduler);
  RASK_TRY(const auto address, comm::parse_tcp_address(out.scheduler));
  RASK_TRY(out.host, listen_host(a.network, a.host));
  RASK_TRY(out.protocol, protocol_of(a.network.protocol, address.tls ? "tls" : "tcp"));
  out.security = security_of(a.network, comm::Role::worker);
  // A scheduler on this machine is reached, and reaches us, by loopback.
  const bool is_local = address.host == "127.0.0.1" || address.host == "localhost";
  if (out.host.empty() && is_local) out.host = "127.0.0.1";
  return out;
}

// Tries the ports of a range until one is free.
template <class Start>
Result<Ok> start_in_range(const PortRange& ports, Start&& start) {
  for (int port = ports.first;; ++port) {
    auto started = start(port);
    if (started.ok() || port >= ports.last) return started;
  }
}

// ---- One worker in this process
// -------------------------------------------------------------------

void write_pid_file(const std::string& path) {
  if (!path.empty()) std::ofstream{path} << ::getpid() << '\n';
}

// Says "ready" to the nanny, and ends the worker when the nanny has gone, however it went.
void talk_to_nanny(comm::EventLoop& loop, worker_server::WorkerServer& server) {
  server.on_registered([&server] {
    const auto text = "ready " + server.address() + "\n";
    [[maybe_unused]] const auto written = ::write(executor::kChildFd, text.data(), text.size());
  });
  std::thread{[&loop, &server] {
    char byte = 0;
    while (::read(executor::kChildFd, &byte, 1) > 0) {
    }
    loop.post([&server] { server.close("nanny-gone", false); });
  }}.detach();
}

int run_worker(const WorkerArguments& a, const Resolved& resolved, const Config& config) {
  comm::EventLoop loop;
  auto base = worker_options(config, resolved.security);
  if (!base.ok()) return complain("worker", base.error());
  const auto transfer = config.number("distributed.worker.memory.transfer", 0.1);
  if (!transfer.ok()) return complain("worker", transfer.error());
  std::unique_ptr<worker_server::WorkerServer> server;
  const auto started = start_in_range(resolved.worker_ports, [&](int port) {
    auto options = base.value();
    options.scheduler = resolved.scheduler;
    options.listen = !a.listen_address.empty() ? a.listen_address : resolved.listen_address(port);
    options.contact_address = a.contact_address;
    options.name = a.name;
    options.nanny = a.nanny_address;
    options.local_directory = a.local_directory;
    options.memory_limit_bytes = resolved.memory_limit_bytes;
    if (resolved.memory_limit_bytes > 0 && transfer.value() > 0)
      options.machine.transfer_incoming_bytes_limit = static_cast<std::int64_t>(
          transfer.value() * static_cast<double>(resolved.memory_limit_bytes));
    options.machine.nthreads = resolved.nthreads;
    options.machine.resources = resolved.resources;
    options.death_timeout = resolved.death_timeout;
    options.lifetime = resolved.lifetime;
    options.lifetime_restart = a.lifetime_restart;
    server = std::make_unique<worker_server::WorkerServer>(loop, std::move(options));
    return server->start();
  });
  if (!started.ok()) return complain("worker", started.error());
  write_pid_file(a.pid_file);
  int exit_code = 0;
  server->on_closed([&](const std::string& reason, bool failure) {
    log::info(kLogger, "Worker closed: {}", reason);
    exit_code = failure ? 1 : 0;
    loop.stop();
  });
  loop.on_signals({SIGINT, SIGTERM}, [&](int) { server->close("signal"); });
  if (!a.nanny_address.empty()) talk_to_nanny(loop, *server);
  loop.run();
  std::_Exit(exit_code);  // A task that still runs does not keep a closed worker alive.
}

// ---- Nannies, each with a worker process
// ------------------------------------------------------------

std::vector<std::string> child_command(const std::vector<std::string>& program,
                                       const std::vector<std::string>& words,
                                       const std::string& name, const Resolved& resolved) {
  std::vector<std::string> command = program;
  command.insert(command.end(), words.begin(), words.end());
  // Later options win; what was shared between processes is said exactly.
  for (const std::string& more : {std::string{"--no-nanny"}, std::string{"--nworkers=1"},
                                  fmt::format("--nthreads={}", resolved.nthreads),
                                  fmt::format("--memory-limit={}", resolved.memory_limit_bytes)}) {
    command.push_back(more);
  }
  if (!name.empty()) command.push_back("--name=" + name);
  return command;
}

int run_nannies(const WorkerArguments& a, const std::vector<std::string>& words,
                const std::vector<std::string>& program, const Resolved& resolved,
                const Config& config) {
  comm::EventLoop loop;
  auto base = worker_options(config, resolved.security);
  if (!base.ok()) return complain("worker", base.error());
  const auto terminate = config.number("distributed.worker.memory.terminate", 0.95);
  if (!terminate.ok()) return complain("worker", terminate.error());
  std::vector<std::unique_ptr<nanny::Nanny>> nannies;
  std::size_t open = 0;
  int exit_code = 0;
  for (int i = 0; i < resolved.nworkers; ++i) {
    const std::string name = a.name.empty()           ? ""
                             : resolved.nworkers == 1 ? a.name
                                                      : fmt::format("{}-{}", a.name, i);
    const auto started = start_in_range(resolved.nanny_ports, [&](int port) {
      nanny::Options options;
      options.command = child_command(program, words, name, resolved);
      options.name = name.empty() ? fmt::format("{}", i) : name;
      options.listen = resolved.listen_address(port);
      options.comm = base.value().comm;
      options.memory_limit_bytes = resolved.memory_limit_bytes;
      options.memory_terminate_fraction = terminate.value();
      nannies.push_back(std::make_unique<nanny::Nanny>(loop, std::move(options)));
      auto result = nannies.back()->start();
      if (!result.ok()) nannies.pop_back();
      return result;
    });
    if (!started.ok()) return complain("worker", started.error());
    ++open;
    nannies.back()->on_closed([&](const std::string&, bool failure) {
      if (failure) exit_code = 1;
      if (--open == 0) loop.stop();
    });
  }
  write_pid_file(a.pid_file);
  loop.on_signals({SIGINT, SIGTERM}, [&](int) {
    for (auto& nanny : nannies) nanny->close("signal");
  });
  loop.run();
  return exit_code;
}

}  // namespace

int worker_command(const std::vector<std::string>& words, const std::vector<std::string>& program) {
  CLI::App app{"A worker: runs tasks, keeps their results and gives them to others.",
               "rask worker"};
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  WorkerArguments arguments;
  add_options(app, arguments);
  app.set_version_flag("--version", RASK_VERSION);
  std::vector<std::string> reversed{words.rbegin(), words.rend()};
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto config = Config::load(environment());
  if (!config.ok()) return complain("worker", config.error());
  log::setup(log_level(config.value(), kLogger));
  log::keep_recent(log_length(config.value()));
  const auto logged = log_to_file_of(config.value());
  if (!logged.ok()) return complain("worker", logged.error());
  auto libraries = arguments.preload;
  if (arguments.nanny)
    libraries.insert(libraries.end(), arguments.preload_nanny.begin(),
                     arguments.preload_nanny.end());
  for (const auto& library : libraries) {
    const auto loaded = preload(library);
    if (!loaded.ok()) return complain("worker", loaded.error());
  }
  const auto resolved = resolve(arguments, config.value());
  if (!resolved.ok()) return complain("worker", resolved.error());
  return arguments.nanny ? run_nannies(arguments, words, program, resolved.value(), config.value())
                         : run_worker(arguments, resolved.value(), config.value());
}

}  // namespace rask::cluster
