#include "rask/scheduler_server/measurements.h"

#include <algorithm>
#include <cmath>

namespace rask::scheduler_server {

// ---- Of this process ----------------------------------------------------------------------------

void SystemMonitor::update(const executor::SystemSample& sample) {
  samples_.push_back(sample);
  ++count_;
  // One more than is told: the first of them is what rates are counted from.
  if (samples_.size() > kLength + 1) samples_.pop_front();
}

diagnostics::PerformanceReport::System SystemMonitor::since(std::int64_t first,
                                                            Seconds start) const {
  diagnostics::PerformanceReport::System system;
  const auto gone = count_ - static_cast<std::int64_t>(samples_.size());
  const auto begin = static_cast<std::size_t>(std::max<std::int64_t>(1, first - gone));
  for (auto i = begin; i < samples_.size(); ++i) {
    const auto& before = samples_[i - 1];
    const auto& now = samples_[i];
    if (now.time < start) continue;
    const auto span = std::max(1e-3, now.time - before.time);
    const auto rate = [&](std::uint64_t bytes, std::uint64_t bytes_before) {
      return bytes < bytes_before ? 0.0 : static_cast<double>(bytes - bytes_before) / span;
    };
    system.cpu_percent.emplace_back(now.time, 100 * (now.cpu_seconds - before.cpu_seconds) / span);
    system.memory_bytes.emplace_back(now.time, static_cast<double>(now.memory_bytes));
    system.read_bytes_per_s.emplace_back(now.time, rate(now.net_read_bytes, before.net_read_bytes));
    system.write_bytes_per_s.emplace_back(now.time,
                                          rate(now.net_write_bytes, before.net_write_bytes));
  }
  return system;
}

// ---- Of transfers -------------------------------------------------------------------------------

namespace {

// `measured`: the sum of some transfers' bandwidths, and how many they are.
template <class Name>
void average(std::map<Name, double>& averages, const Name& name, const wire::Value& measured,
             std::size_t worker_count) {
  const auto& pair = measured.as_array();
  if (pair.size() != 2 || pair[1].as_int() <= 0) return;
  const auto count = static_cast<double>(pair[1].as_int());
  const auto mean = pair[0].as_real() / count;
  const auto [found, fresh] = averages.try_emplace(name, mean);
  if (fresh) return;
  const auto kept =
      std::pow(1 - 1 / static_cast<double>(std::max<std::size_t>(1, worker_count)), count);
  found->second = found->second * kept + mean * (1 - kept);
}

}  // namespace

void Bandwidths::heartbeat(const std::string& worker, const wire::Value& measured,
                           std::size_t worker_count) {
  for (const auto& [from, pair] : measured["workers"].as_map())
    average(workers_, {std::string{from.as_text()}, worker}, pair, worker_count);
  for (const auto& [type, pair] : measured["types"].as_map())
    average(types_, std::string{type.as_text()}, pair, worker_count);
}

void Bandwidths::forget(std::string_view worker) {
  std::erase_if(workers_, [&](const auto& one) {
    return one.first.first == worker || one.first.second == worker;
  });
}

std::vector<Bandwidths::Row> Bandwidths::by_worker() const {
  std::vector<Row> rows;
  for (const auto& [pair, rate] : workers_) rows.push_back({pair.first, pair.second, rate});
  return rows;
}

std::vector<Bandwidths::Row> Bandwidths::by_type() const {
  std::vector<Row> rows;
  for (const auto& [type, rate] : types_) rows.push_back({type, {}, rate});
  return rows;
}

}  // namespace rask::scheduler_server
