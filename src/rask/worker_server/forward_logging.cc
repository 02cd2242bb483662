// Records of this process's loggers on their way to clients that asked for them: the native form of
// Dask's ForwardLoggingPlugin.
#include "rask/protocol/forward_logging.h"

#include <chrono>

#include "rask/base/log.h"
#include "rask/graph/task_context.h"
#include "rask/protocol/payloads.h"
#include "rask/worker_server/impl_internal.h"

namespace rask::worker_server {

using protocol::kForwardLoggingPlugin;

/// What threads that log may know of a worker, as long as it lives.
struct WorkerServer::Impl::Forwarding {
  std::mutex mutex;
  Impl* impl = nullptr;  // Null once it has gone.
  std::string address;
  std::vector<std::string> plugins;
};

namespace {

using Forwarding = WorkerServer::Impl::Forwarding;

struct All {
  std::mutex mutex;
  std::vector<std::weak_ptr<Forwarding>> workers;
};
// Never destroyed: threads may log while the process ends.
All& all() {
  static auto& workers = *new All;
  return workers;
}

bool concerns(std::string_view plugin, std::string_view logger) {
  const auto wanted = plugin.substr(kForwardLoggingPlugin.size());
  // Dask's own loggers do not hand their records on to the root.
  if (wanted == protocol::kRootLogger) return !logger.starts_with("distributed");
  return logger == wanted ||
         (logger.starts_with(wanted) && logger.substr(wanted.size()).starts_with('.'));
}

/// In the shape of Python's LogRecord, since Python's clients make one of it.
Value record_of(const log::Line& line, const std::string& worker) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  const TaskContext* task = current_task();
  return Value::object({{"name", line.logger},
                        {"msg", line.message},
                        {"levelno", (static_cast<int>(line.level) + 1) * protocol::kLevelStep},
                        {"levelname", log::to_string(line.level)},
                        {"created", now.count()},
                        {"worker", worker},
                        {"task", task == nullptr ? std::string{} : task->key.str()}});
}

/// The worker whose task logs; outside of tasks the only one, if it is.
std::shared_ptr<Forwarding> concerned_worker() {
  const TaskContext* task = current_task();
  const std::lock_guard lock{all().mutex};
  std::erase_if(all().workers, [](const auto& worker) { return worker.expired(); });
  for (const auto& each : all().workers) {
    auto worker = each.lock();
    if (worker == nullptr) continue;
    const bool is_own =
        task == nullptr ? all().workers.size() == 1 : worker->address == task->worker_address;
    if (is_own) return worker;
  }
  return nullptr;
}

}  // namespace

void WorkerServer::Impl::forward_line(const log::Line& line) {
  if (!line.where.empty()) return;  // It comes from a worker already.
  const auto worker = concerned_worker();
  if (worker == nullptr) return;
  const std::lock_guard lock{worker->mutex};
  if (worker->impl == nullptr) return;
  for (const auto& plugin : worker->plugins) {
    if (!concerns(plugin, line.logger)) continue;
    worker->impl->loop.post([worker, topic = protocol::forward_logging_topic(plugin),
                             record = record_of(line, worker->address)] {
      Impl* impl = worker->impl;  // It ends on this thread.
      if (impl == nullptr) return;
      impl->send(protocol::LogEvent{{topic}, protocol::inlined(record)});
    });
  }
}

void WorkerServer::Impl::set_forwarding(std::string_view plugin, bool on) {
  if (!plugin.starts_with(kForwardLoggingPlugin)) return;
  if (forwarding == nullptr) {
    forwarding = std::make_shared<Forwarding>();
    forwarding->impl = this;
    forwarding->address = address;
    const std::lock_guard lock{all().mutex};
    all().workers.push_back(forwarding);
  }
  {
    const std::lock_guard lock{forwarding->mutex};
    std::erase(forwarding->plugins, plugin);
    if (on) forwarding->plugins.emplace_back(plugin);
  }
  log::set_listener(log::Ear::forwarding, forward_line, log::threshold());
}

void WorkerServer::Impl::end_forwarding() {
  if (forwarding == nullptr) return;
  const std::lock_guard lock{forwarding->mutex};
  forwarding->impl = nullptr;
}

}  // namespace rask::worker_server
