#include "rask/client/info.h"

#include "rask/client/keys.h"

namespace rask {
namespace {

WorkerSummary worker_summary(std::string address, const wire::Value& raw) {
  WorkerSummary worker;
  worker.address = std::move(address);
  worker.name = internal::text_of(raw["name"]);
  worker.host = raw["host"].as_text();
  worker.status = raw["status"].as_text();
  worker.nthreads = static_cast<int>(raw["nthreads"].as_int());
  worker.memory_limit_bytes = static_cast<std::uint64_t>(raw["memory_limit"].as_int());
  worker.local_directory = raw["local_directory"].as_text();
  worker.nanny = raw["nanny"].as_text();
  for (const auto& [name, amount] : raw["resources"].as_map())
    worker.resources[std::string{name.as_text()}] = amount.as_real();
  worker.last_seen = raw["last_seen"].as_real();
  worker.metrics = raw["metrics"];
  return worker;
}

}  // namespace

const WorkerSummary* SchedulerInfo::worker(std::string_view address_or_name) const {
  for (const WorkerSummary& one : workers)
    if (one.address == address_or_name || one.name == address_or_name) return &one;
  return nullptr;
}

SchedulerInfo parse_scheduler_info(wire::Value identity) {
  SchedulerInfo info;
  info.id = identity["id"].as_text();
  info.address = identity["address"].as_text();
  info.started = identity["started"].as_real();
  for (const auto& [address, worker] : identity["workers"].as_map()) {
    info.workers.push_back(worker_summary(std::string{address.as_text()}, worker));
    info.total_threads += info.workers.back().nthreads;
    info.total_memory_bytes += info.workers.back().memory_limit_bytes;
  }
  info.raw = std::move(identity);
  return info;
}

}  // namespace rask
