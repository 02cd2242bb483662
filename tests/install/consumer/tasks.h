#pragma once
// Task functions of an application outside rask's tree, in a library of their own so that workers
// can load it.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace app {

struct Reading {
  std::string station;
  double celsius = 0;
};

std::vector<Reading> read_station(const std::string& station, std::int64_t count);
double warmest(const std::vector<Reading>& readings);
std::map<std::string, double> summarize(const std::vector<std::string>& stations,
                                        const std::vector<double>& maxima);
double broken(double value);

}  // namespace app
