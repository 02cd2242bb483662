#include "rask/cluster/environment.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>

#include "rask/base/units.h"

namespace rask::cluster {

namespace {

// A length of time above zero; a number alone is milliseconds.
Result<Seconds> milliseconds(const Config& config, std::string_view key, Seconds fallback) {
  const auto text = config.text(key);
  if (!text) return fallback;
  const auto length = parse_timedelta(*text, "ms");
  if (!length.ok()) return Error{length.error()}.with_context(key);
  if (length.value() <= 0)
    return Error{ErrorCode::invalid_argument, fmt::format("{}: must be above zero", key)};
  return length;
}

}  // namespace

std::string program_path() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

Result<comm::Options> comm_options(const Config& config, const Security& security,
                                   comm::Role role) {
  comm::Options options;
  RASK_TRY(const auto resolved, comm::with_configuration(security, config));
  RASK_TRY([[maybe_unused]] const auto secured, comm::secure(options, resolved, role));
  RASK_TRY(options.connect_timeout, config.seconds("distributed.comm.timeouts.connect", 30));
  RASK_TRY(options.tcp_timeout, config.seconds("distributed.comm.timeouts.tcp", 30));
  const auto compression = config.text("distributed.comm.compression");
  options.handshake.compress = compression && *compression != "False" && *compression != "false";
  if (options.handshake.compress && *compression != "auto" && *compression != "True") {
    if (!wire::parse_compression(*compression)) {
      return Error{ErrorCode::invalid_argument,
                   fmt::format("configuration distributed.comm.compression: '{}' is not known; use "
                               "lz4, zstd, zlib, auto or false",
                               *compression)};
    }
    options.handshake.compressions = {*compression};
  }
  RASK_TRY(options.handshake.dense, config.boolean("rask.comm.dense", true));
  return options;
}

Result<scheduler_server::Options> scheduler_options(const Config& config,
                                                    const Security& security) {
  scheduler_server::Options options;
  RASK_TRY(options.comm, comm_options(config, security, comm::Role::scheduler));
  RASK_TRY(const auto pickle, config.boolean("distributed.scheduler.pickle", true));
  if (!pickle) {
    return Error{ErrorCode::invalid_argument,
                 "Pickling can no longer be disabled with the `distributed.scheduler.pickle` "
                 "option. Please remove this configuration to start the scheduler."};
  }
  auto& machine = options.machine;
  if (config.text("distributed.scheduler.worker-saturation")) {
    RASK_TRY(machine.worker_saturation,
             config.number("distributed.scheduler.worker-saturation", 1.1));
    if (*machine.worker_saturation <= 0 || std::isnan(*machine.worker_saturation)) {
      return Error{ErrorCode::invalid_argument,
                   "configuration distributed.scheduler.worker-saturation must be above 0; 'inf' "
                   "turns queuing off"};
    }
  }
  RASK_TRY(const auto failures, config.number("distributed.scheduler.allowed-failures", 3));
  machine.allowed_failures = static_cast<int>(failures);
  RASK_TRY(machine.work_stealing, config.boolean("distributed.scheduler.work-stealing", true));
  RASK_TRY(machine.work_stealing_interval,
           config.seconds("distributed.scheduler.work-stealing-interval", 0.1));
  RASK_TRY(machine.worker_ttl, config.seconds("distributed.scheduler.worker-ttl", 300));
  RASK_TRY(machine.idle_timeout, config.seconds("distributed.scheduler.idle-timeout", 0));
  RASK_TRY(machine.no_workers_timeout,
           config.seconds("distributed.scheduler.no-workers-timeout", 0));
  RASK_TRY(machine.unknown_task_duration,
           config.seconds("distributed.scheduler.unknown-task-duration", 0.5));
  RASK_TRY(options.lease_validation_interval,
           config.seconds("distributed.scheduler.locks.lease-validation-interval", 10));
  RASK_TRY(options.monitor_interval,
           config.seconds("distributed.admin.system-monitor.interval", 0.5));
  RASK_TRY(options.profile_interval,
           milliseconds(config, "distributed.worker.profile.interval", options.profile_interval));
  RASK_TRY(const auto bandwidth, config.bytes("distributed.scheduler.bandwidth", 100'000'000));
  machine.bandwidth_bytes_per_s = static_cast<double>(bandwidth);
  const std::string rebalance = "distributed.worker.memory.rebalance.";
  machine.rebalance.managed = config.text(rebalance + "measure") == "managed";
  RASK_TRY(machine.rebalance.sender_min, config.number(rebalance + "sender-min", 0.30));
  RASK_TRY(machine.rebalance.recipient_max, config.number(rebalance + "recipient-max", 0.60));
  RASK_TRY(machine.rebalance.gap, config.number(rebalance + "sender-recipient-gap", 0.10));
  RASK_TRY(machine.active_memory_manager,
           config.boolean("distributed.scheduler.active-memory-manager.start", true));
  const auto preload = config.text("distributed.scheduler.preload");
  options.preload_from_config = preload && *preload != "[]";
  machine.refuse_huge_tasks =
      config.number("distributed.worker.memory.terminate", 0.95).ok();  // Else it is "false".
  RASK_TRY(machine.validate, config.boolean("distributed.scheduler.validate", false));
  RASK_TRY(const auto log_length, config.number("distributed.admin.low-level-log-length", 1000));
  machine.transition_log_length = static_cast<std::size_t>(log_length);
  RASK_TRY(const auto computations,
           config.number("distributed.diagnostics.computations.max-history", 100));
  machine.computations_max = static_cast<std::size_t>(std::max(0.0, computations));
  options.lowering.python = config.text("rask.python").value_or("");
  RASK_TRY(options.lowering.timeout,
           config.seconds("rask.scheduler.lowering-timeout", options.lowering.timeout));
  return options;
}

namespace {

Result<worker_server::ProfileOptions> profile_options(const Config& config) {
  worker_server::ProfileOptions options;
  RASK_TRY(options.enabled, config.boolean("distributed.worker.profile.enabled", options.enabled));
  RASK_TRY(options.interval,
           milliseconds(config, "distributed.worker.profile.interval", options.interval));
  RASK_TRY(options.cycle, milliseconds(config, "distributed.worker.profile.cycle", options.cycle));
  RASK_TRY(options.low_level,
           config.boolean("distributed.worker.profile.low-level", options.low_level));
  RASK_TRY(const auto cycles, config.number("distributed.admin.low-level-log-length",
                                            static_cast<double>(options.cycles_max)));
  options.cycles_max = static_cast<std::size_t>(std::max(1.0, cycles));
  return options;
}

}  // namespace

Result<worker_server::Options> worker_options(const Config& config, const Security& security) {
  worker_server::Options options;
  RASK_TRY(options.comm, comm_options(config, security, comm::Role::worker));
  RASK_TRY(options.security, comm::with_configuration(security, config));
  RASK_TRY(const auto incoming, config.number("distributed.worker.connections.incoming", 10));
  options.machine.transfer_incoming_count_limit = static_cast<int>(incoming);
  RASK_TRY(const auto outgoing, config.number("distributed.worker.connections.outgoing", 50));
  options.transfer_outgoing_count_limit = static_cast<int>(outgoing);
  RASK_TRY(const auto message_bytes,
           config.bytes("distributed.worker.transfer.message-bytes-limit", 50'000'000));
  options.machine.transfer_message_bytes_limit = static_cast<std::int64_t>(message_bytes);
  RASK_TRY(options.machine.validate, config.boolean("distributed.worker.validate", false));
  RASK_TRY(options.memory_pause, config.number("distributed.worker.memory.pause", 0.8));
  RASK_TRY(options.memory_monitor_interval,
           config.seconds("distributed.worker.memory.monitor-interval", 0.1));
  RASK_TRY(options.profile, profile_options(config));
  return options;
}

log::Level log_level(const Config& config, std::string_view logger) {
  for (const std::string& key :
       {fmt::format("logging.{}", logger), std::string{"logging.distributed"}}) {
    const auto name = config.text(key);
    if (!name) continue;
    const auto level = log::parse_level(*name);
    if (level.ok()) return level.value();
  }
  return log::Level::info;
}

std::size_t log_length(const Config& config) {
  constexpr double kUsual = 10'000;
  const auto given = config.number("distributed.admin.log-length", kUsual);
  return static_cast<std::size_t>(given.ok() && given.value() >= 0 ? given.value() : kUsual);
}

int complain(std::string_view command, const Error& error) {
  std::cerr << "rask " << command << ": " << error.message << '\n';
  return 2;
}

}  // namespace rask::cluster
