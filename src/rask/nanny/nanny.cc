#include "rask/nanny/nanny.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "rask/base/log.h"
#include "rask/base/units.h"
#include "rask/comm/rpc_server.h"
#include "rask/executor/child_process.h"

namespace rask::nanny {

constexpr std::string_view kLogger = "distributed.nanny";
constexpr Seconds kMemoryInterval = 0.1;  // distributed.worker.memory.monitor-interval

struct Nanny::Impl : std::enable_shared_from_this<Nanny::Impl> {
  comm::EventLoop& loop;
  Options options;
  comm::RpcServer server{"distributed.nanny"};
  std::unique_ptr<comm::Listener> listener;
  std::string address;
  std::unique_ptr<executor::ChildProcess> child;
  std::uint64_t life = 0;  // Counts processes: what a dead one still says is not heard.
  bool ready = false;      // This process has registered.
  bool ever_ready = false;
  bool ending = false;  // The worker goes for good.
  bool closed = false;
  std::string reason;
  Seconds pause = 0;                      // Before the next start.
  std::vector<comm::Request> killing;     // To be answered when the process has ended.
  std::vector<comm::Request> restarting;  // To be answered when the new process is ready.
  std::function<void()> ready_callback;
  std::function<void(const std::string&, bool)> closed_callback;

  Impl(comm::EventLoop& event_loop, Options given) : loop(event_loop), options(std::move(given)) {}

  Result<Ok> start();
  Result<Ok> spawn();
  void add_handlers();
  void on_text(std::uint64_t of_life, const std::string& text);
  void on_exit(std::uint64_t of_life, int status);
  void watch_memory();
  void restart_worker();
  void stop_worker(Seconds timeout);
  void close(const std::string& why, Seconds timeout);
  void finish(bool failure);
};

Result<Ok> Nanny::Impl::start() {
  add_handlers();
  RASK_TRY(listener, comm::listen(loop, options.listen, options.comm, [this](auto connection) {
             server.serve(std::move(connection));
           }));
  address = listener->contact_address();
  log::info(kLogger, "        Start Nanny at: '{}'", address);
  RASK_TRY([[maybe_unused]] auto spawned, spawn());
  if (options.memory_limit_bytes > 0 && options.memory_terminate_fraction > 0) watch_memory();
  return Ok{};
}

Result<Ok> Nanny::Impl::spawn() {
  auto command = options.command;
  command.push_back("--nanny-address");
  command.push_back(address);
  const auto this_life = ++life;
  ready = false;
  const std::weak_ptr<Impl> weak = weak_from_this();
  auto* const target = &loop;
  const auto on_loop = [weak, target](auto callback) {
    target->post([weak, callback] {
      if (const auto self = weak.lock()) callback(*self);
    });
  };
  auto started = executor::ChildProcess::start(
      command, options.environment,
      {.on_text =
           [on_loop, this_life](std::string text) {
             on_loop([this_life, text](Impl& self) { self.on_text(this_life, text); });
           },
       .on_exit =
           [on_loop, this_life](int status) {
             on_loop([this_life, status](Impl& self) { self.on_exit(this_life, status); });
           }});
  if (!started.ok()) return started.error();
  child = std::move(started).value();
  return Ok{};
}

void Nanny::Impl::add_handlers() {
  server.on("identity", [this](const comm::Request& r) {
    r.reply(wire::Value::object({{"type", "Nanny"}, {"id", options.name}, {"address", address}}));
  });
  server.on("ping", [](const comm::Request& r) { r.reply("pong"); });
  server.on("get_logs", [](const comm::Request& r) { r.reply(comm::recent_logs(r)); });
  server.on("close_gracefully", [this](const comm::Request& r) {
    ending = true;
    reason = r["reason"].as_text("nanny-close-gracefully");
    r.reply("OK");
  });
  server.on("terminate", [this](const comm::Request& r) {
    r.reply("OK");
    close(std::string{r["reason"].as_text("nanny-close")}, r["timeout"].as_real(5));
  });
  server.on("kill", [this](const comm::Request& r) {
    // As in Dask: the process is started again, like any that ends without being asked to. Asked to
    // end, a worker would tell its nanny that it leaves for good.
    if (child == nullptr) return r.reply(wire::Value{});
    killing.push_back(r);
    restart_worker();
  });
  server.on("restart", [this](const comm::Request& r) {
    restarting.push_back(r);
    restart_worker();
  });
}

// The worker writes "ready <address>" when the scheduler has let it in.
void Nanny::Impl::on_text(std::uint64_t of_life, const std::string& text) {
  if (of_life != life || !text.starts_with("ready")) return;
  ready = ever_ready = true;
  pause = 0;
  for (const auto& request : std::exchange(restarting, {})) request.reply("OK");
  if (ready_callback) ready_callback();
}

void Nanny::Impl::on_exit(std::uint64_t of_life, int status) {
  if (of_life != life || closed) return;
  const int pid = child->pid();
  child.reset();
  for (const auto& request : std::exchange(killing, {})) request.reply(wire::Value{});
  if (ending) {
    log::info(kLogger, "Worker process {} {}", pid, executor::describe_exit(status));
    return finish(false);
  }
  if (!options.auto_restart || !ever_ready) {
    log::error(kLogger, "Worker process {} {}", pid, executor::describe_exit(status));
    reason = ever_ready ? "worker-died" : "worker-failed-to-start";
    return finish(true);
  }
  log::warning(kLogger, "Worker process {} {}. Restarting worker", pid,
               executor::describe_exit(status));
  const std::weak_ptr<Impl> weak = weak_from_this();
  // A worker that dies at once again and again is started more and more slowly.
  loop.call_later(pause, [weak] {
    const auto self = weak.lock();
    if (!self || self->ending || self->closed) return;
    const auto spawned = self->spawn();
    if (!spawned.ok()) {
      log::error(kLogger, "{}", spawned.error().message);
      self->reason = "worker-failed-to-start";
      self->finish(true);
    }
  });
  pause = std::min(5.0, pause == 0 ? 0.05 : pause * 2);
}

namespace {

std::uint64_t resident_bytes(int pid) {
  std::ifstream file{fmt::format("/proc/{}/statm", pid)};
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

void Nanny::Impl::watch_memory() {
  const std::weak_ptr<Impl> weak = weak_from_this();
  loop.call_later(kMemoryInterval, [weak] {
    const auto self = weak.lock();
    if (!self || self->closed) return;
    const auto limit = static_cast<double>(self->options.memory_limit_bytes) *
                       self->options.memory_terminate_fraction;
    if (self->child != nullptr) {
      const auto bytes = resident_bytes(self->child->pid());
      if (static_cast<double>(bytes) > limit) {
        log::warning(
            kLogger, "Worker {} (pid={}) exceeded {:.0f}% memory budget: {} of {}. Restarting...",
            self->options.name, self->child->pid(), self->options.memory_terminate_fraction * 100,
            format_bytes(bytes), format_bytes(self->options.memory_limit_bytes));
        self->child->signal(SIGKILL);
      }
    }
    self->watch_memory();
  });
}

void Nanny::Impl::restart_worker() {
  if (child != nullptr) child->signal(SIGKILL);
}

void Nanny::Impl::stop_worker(Seconds timeout) {
  if (child == nullptr) return;
  child->signal(SIGTERM);
  const std::weak_ptr<Impl> weak = weak_from_this();
  loop.call_later(timeout, [weak, of_life = life] {
    const auto self = weak.lock();
    if (!self || self->child == nullptr || self->life != of_life) return;
    log::warning(kLogger, "Worker process still alive, killing it: {}", self->child->pid());
    self->child->signal(SIGKILL);
  });
}

void Nanny::Impl::close(const std::string& why, Seconds timeout) {
  if (closed) {  // Who waits for the end is told though it is long past.
    if (closed_callback) closed_callback(reason, false);
    return;
  }
  ending = true;
  reason = why;
  if (child == nullptr) return finish(false);
  log::info(kLogger, "Closing Nanny at '{}'. Reason: {}", address, why);
  stop_worker(timeout);
}

void Nanny::Impl::finish(bool failure) {
  if (closed) return;
  closed = true;
  for (const auto& request : std::exchange(restarting, {})) {
    request.reply_error({ErrorCode::peer_lost, "the worker could not be started again"});
  }
  server.close();
  listener.reset();
  if (closed_callback) closed_callback(reason, failure);
}

Nanny::Nanny(comm::EventLoop& loop, Options options)
    : impl_(std::make_shared<Impl>(loop, std::move(options))) {}
Nanny::~Nanny() {
  impl_->closed_callback = nullptr;
  impl_->closed = true;
  impl_->child.reset();
}
Result<Ok> Nanny::start() { return impl_->start(); }
std::string Nanny::address() const { return impl_->address; }
int Nanny::worker_pid() const { return impl_->child ? impl_->child->pid() : 0; }
void Nanny::on_ready(std::function<void()> callback) {
  impl_->ready_callback = std::move(callback);
}
void Nanny::on_closed(std::function<void(const std::string&, bool)> callback) {
  impl_->closed_callback = std::move(callback);
}
void Nanny::close(const std::string& reason, Seconds timeout) { impl_->close(reason, timeout); }

}  // namespace rask::nanny
