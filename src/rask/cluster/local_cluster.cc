#include "rask/cluster/local_cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "rask/base/log.h"
#include "rask/client/errors.h"
#include "rask/cluster/environment.h"
#include "rask/cluster/init_internal.h"
#include "rask/cluster/scheduler_process.h"
#include "rask/cluster/worker_command.h"
#include "rask/executor/system_metrics.h"
#include "rask/nanny/nanny.h"

namespace rask {
namespace {

// A worker in this process: a loop on a thread of its own.
struct ThreadWorker {
  comm::EventLoop loop;
  std::unique_ptr<worker_server::WorkerServer> server;
  std::thread thread;

  ~ThreadWorker() {
    loop.post([this] { server->close("local-cluster-close"); });
    if (thread.joinable()) thread.join();
  }
};

struct Shape {
  int workers = 1;
  int threads = 1;
};

// As LocalCluster of Dask divides the cores: processes of a few threads, or one of all.
Shape shape_of(const LocalClusterOptions& options) {
  const int cores = executor::machine_cores();
  Shape shape{options.n_workers, options.threads_per_worker};
  if (shape.workers <= 0 && shape.threads > 0) shape.workers = std::max(1, cores / shape.threads);
  if (shape.workers <= 0) {
    shape.workers = !options.processes ? 1
                    : cores <= 4       ? cores
                                       : static_cast<int>(std::sqrt(static_cast<double>(cores)));
  }
  if (shape.threads <= 0) shape.threads = std::max(1, cores / shape.workers);
  return shape;
}

}  // namespace

struct LocalCluster::Impl {
  LocalClusterOptions options;
  Config config;
  Security security;
  std::string protocol = "tcp";
  Shape shape;
  std::uint64_t memory_limit_bytes = 0;

  std::unique_ptr<comm::EventLoop> loop = std::make_unique<comm::EventLoop>();
  std::unique_ptr<scheduler_server::SchedulerServer> scheduler;  // Null: it is a process.
  std::unique_ptr<cluster::SchedulerProcess> scheduler_process;
  std::vector<std::unique_ptr<nanny::Nanny>> nannies;
  std::vector<std::unique_ptr<ThreadWorker>> threads;
  std::thread thread;
  std::string address;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::size_t ready = 0;
  std::optional<std::string> failed;
  bool closing = false;

  explicit Impl(LocalClusterOptions given);
  ~Impl() { close(); }
  void choose_protocol();
  std::string listen_address(int port) const {
    return fmt::format("{}://{}:{}", protocol, options.host, port);
  }
  void start();
  Result<Ok> start_scheduler();
  Result<Ok> start_scheduler_process(const std::string& command);
  Result<Ok> start_nanny(int number);
  Result<Ok> start_thread_worker(int number);
  void worker_ready();
  void fail(const std::string& why);
  void close();

  template <class Function>
  auto on_loop(Function function) const {
    using R = decltype(function());
    std::mutex done_mutex;
    std::condition_variable done;
    std::optional<R> result;
    loop->post([&] {
      auto value = function();
      const std::lock_guard lock{done_mutex};
      result.emplace(std::move(value));
      done.notify_one();
    });
    std::unique_lock lock{done_mutex};
    done.wait(lock, [&] { return result.has_value(); });
    return std::move(*result);
  }
};

LocalCluster::Impl::Impl(LocalClusterOptions given)
    : options(std::move(given)), shape(shape_of(options)) {
  auto loaded = Config::load(environment());
  if (!loaded.ok()) throw ClientError{loaded.error().message};
  config = std::move(loaded).value();
  log::setup_unless_done(options.silence_logs ? log::Level::warning
                                              : cluster::log_level(config, "distributed"));
  log::keep_recent(cluster::log_length(config));
  const auto limit =
      cluster::parse_memory_limit(options.memory_limit, shape.threads, executor::machine_cores(),
                                  executor::machine_memory_bytes());
  if (!limit.ok()) throw ClientError{limit.error().message};
  memory_limit_bytes = limit.value();
  choose_protocol();
  if (options.processes && !cluster::initialised()) {
    throw ClientError{
        "a LocalCluster of processes starts this program again for each worker: call "
        "rask::init(argc, argv) at the beginning of main, or use processes = false"};
  }
}

void LocalCluster::Impl::choose_protocol() {
  const auto resolved = comm::with_configuration(options.security, config);
  if (!resolved.ok()) throw ClientError{resolved.error().message};
  security = resolved.value();
  const auto chosen =
      cluster::protocol_of(options.protocol, *security.require_encryption ? "tls" : "tcp");
  if (!chosen.ok()) throw ClientError{chosen.error().message};
  protocol = chosen.value();
}

void LocalCluster::Impl::start() {
  thread = std::thread{[this] { loop->run(); }};
  const auto command = config.text("rask.scheduler-command");
  const auto started = on_loop([&]() -> Result<Ok> {
    RASK_TRY([[maybe_unused]] auto scheduler_started,
             command ? start_scheduler_process(*command) : start_scheduler());
    for (int i = 0; i < shape.workers; ++i) {
      RASK_TRY([[maybe_unused]] auto worker_started,
               options.processes ? start_nanny(i) : start_thread_worker(i));
    }
    return Ok{};
  });
  if (!started.ok()) throw ClientError{started.error().message};
  std::unique_lock lock{mutex};
  const bool there = changed.wait_for(lock, std::chrono::duration<double>(options.timeout), [this] {
    return failed || ready >= static_cast<std::size_t>(shape.workers);
  });
  if (failed) throw ClientError{"local cluster: " + *failed};
  if (!there) {
    throw ClientError{fmt::format("local cluster: {} of {} workers started within {} s", ready,
                                  shape.workers, options.timeout)};
  }
}

Result<Ok> LocalCluster::Impl::start_scheduler() {
  RASK_TRY(auto scheduler_options, cluster::scheduler_options(config, security));
  scheduler_options.addresses = {listen_address(options.scheduler_port)};
  scheduler =
      std::make_unique<scheduler_server::SchedulerServer>(*loop, std::move(scheduler_options));
  RASK_TRY([[maybe_unused]] auto started, scheduler->start());
  address = scheduler->address();
  return Ok{};
}

Result<Ok> LocalCluster::Impl::start_scheduler_process(const std::string& command) {
  RASK_TRY(scheduler_process,
           cluster::SchedulerProcess::start({.command = command,
                                             .host = options.host,
                                             .port = options.scheduler_port,
                                             .silence_logs = options.silence_logs,
                                             .timeout = options.timeout}));
  address = scheduler_process->address();
  return Ok{};
}

Result<Ok> LocalCluster::Impl::start_nanny(int number) {
  nanny::Options nanny_options;
  nanny_options.command = {cluster::program_path(),
                           "--rask-worker",
                           address,
                           "--no-nanny",
                           "--host=" + options.host,
                           fmt::format("--name={}", number),
                           fmt::format("--nthreads={}", shape.threads),
                           fmt::format("--memory-limit={}", memory_limit_bytes),
                           "--death-timeout=60"};
  if (!options.resources.empty()) {
    std::string resources;
    for (const auto& [name, amount] : options.resources) {
      resources += fmt::format("{}{}={}", resources.empty() ? "" : " ", name, amount);
    }
    nanny_options.command.push_back("--resources=" + resources);
  }
  for (const auto& library : options.preload) {
    nanny_options.command.push_back("--preload=" + library);
  }
  if (options.silence_logs) nanny_options.environment = {"DASK_LOGGING__DISTRIBUTED=warning"};
  nanny_options.name = fmt::format("{}", number);
  for (auto& variable : comm::configuration_variables(security))
    nanny_options.environment.push_back(std::move(variable));
  RASK_TRY(nanny_options.comm, cluster::comm_options(config, security, comm::Role::worker));
  nanny_options.listen = listen_address(0);
  nanny_options.memory_limit_bytes = memory_limit_bytes;
  auto nanny = std::make_unique<nanny::Nanny>(*loop, std::move(nanny_options));
  bool* const first = new bool{true};
  nanny->on_ready([this, first = std::shared_ptr<bool>{first}] {
    if (std::exchange(*first, false)) worker_ready();
  });
  nanny->on_closed([this](const std::string& reason, bool failure) {
    if (failure) fail("a worker process could not be kept running: " + reason);
  });
  RASK_TRY([[maybe_unused]] auto started, nanny->start());
  nannies.push_back(std::move(nanny));
  return Ok{};
}

Result<Ok> LocalCluster::Impl::start_thread_worker(int number) {
  RASK_TRY(auto worker_options, cluster::worker_options(config, security));
  worker_options.scheduler = address;
  worker_options.listen = listen_address(0);
  worker_options.name = fmt::format("{}", number);
  worker_options.machine.nthreads = shape.threads;
  worker_options.machine.resources = options.resources;
  worker_options.memory_limit_bytes = memory_limit_bytes;
  worker_options.death_timeout = options.timeout;
  auto worker = std::make_unique<ThreadWorker>();
  auto* const raw = worker.get();
  worker->server =
      std::make_unique<worker_server::WorkerServer>(raw->loop, std::move(worker_options));
  worker->server->on_registered([this] { worker_ready(); });
  worker->server->on_closed([this, raw](const std::string& reason, bool failure) {
    if (failure) fail("a worker ended: " + reason);
    raw->loop.stop();
  });
  RASK_TRY([[maybe_unused]] auto started, worker->server->start());
  worker->thread = std::thread{[raw] { raw->loop.run(); }};
  threads.push_back(std::move(worker));
  return Ok{};
}

void LocalCluster::Impl::worker_ready() {
  const std::lock_guard lock{mutex};
  ++ready;
  changed.notify_all();
}

void LocalCluster::Impl::fail(const std::string& why) {
  const std::lock_guard lock{mutex};
  if (!closing && !failed) failed = why;
  changed.notify_all();
}

void LocalCluster::Impl::close() {
  {
    const std::lock_guard lock{mutex};
    if (closing) return;
    closing = true;
  }
  if (!thread.joinable()) return;
  threads.clear();
  std::size_t open = 0;
  std::mutex done_mutex;
  std::condition_variable done;
  bool scheduler_closed = scheduler == nullptr;
  loop->post([&] {
    const std::lock_guard lock{done_mutex};
    const auto nanny_closed = [&](const std::string&, bool) {
      const std::lock_guard inner{done_mutex};
      --open;
      done.notify_one();
    };
    open = nannies.size();
    for (auto& nanny : nannies) nanny->on_closed(nanny_closed);
    for (auto& nanny : nannies) loop->post([&nanny] { nanny->close("local-cluster-close", 2); });
    if (scheduler != nullptr) {
      scheduler->on_closed([&](const std::string&) {
        const std::lock_guard inner{done_mutex};
        scheduler_closed = true;
        done.notify_one();
      });
      loop->post([this] { scheduler->close("local-cluster-close"); });
    } else {
      done.notify_one();
    }
  });
  {
    std::unique_lock lock{done_mutex};
    // Nannies that had ended before answer nobody; the processes of the others are killed below.
    done.wait_for(lock, std::chrono::seconds{4}, [&] { return scheduler_closed && open == 0; });
  }
  loop->post([this] {
    nannies.clear();
    scheduler.reset();
    loop->stop();
  });
  thread.join();
  scheduler_process.reset();
}

LocalCluster::LocalCluster(LocalClusterOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {
  impl_->start();
}
LocalCluster::~LocalCluster() = default;
std::string LocalCluster::scheduler_address() const { return impl_->address; }
Security LocalCluster::security() const { return impl_->security; }
std::vector<int> LocalCluster::worker_pids() const {
  return impl_->on_loop([this] {
    std::vector<int> pids;
    for (const auto& nanny : impl_->nannies) {
      if (const int pid = nanny->worker_pid(); pid != 0) pids.push_back(pid);
    }
    return pids;
  });
}
void LocalCluster::close() { impl_->close(); }

}  // namespace rask
