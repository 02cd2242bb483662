#include "tasks.h"

#include <rask/rask.h>

#include <algorithm>
#include <stdexcept>

namespace app {

std::vector<Reading> read_station(const std::string& station, std::int64_t count) {
  std::vector<Reading> readings;
  for (std::int64_t i = 0; i < count; ++i) {
    readings.push_back({station, static_cast<double>(station.size()) + static_cast<double>(i)});
  }
  return readings;
}

double warmest(const std::vector<Reading>& readings) {
  double most = -273.15;
  for (const Reading& reading : readings) most = std::max(most, reading.celsius);
  return most;
}

std::map<std::string, double> summarize(const std::vector<std::string>& stations,
                                        const std::vector<double>& maxima) {
  std::map<std::string, double> summary;
  for (std::size_t i = 0; i < stations.size(); ++i) summary[stations[i]] = maxima.at(i);
  return summary;
}

double broken(double value) { throw std::domain_error("no such value: " + std::to_string(value)); }

}  // namespace app

// Workers load this library without the program: name what they shall find in it.
template struct rask::Function<app::read_station>;
template struct rask::Function<app::warmest>;
template struct rask::Function<app::summarize>;
template struct rask::Function<app::broken>;
