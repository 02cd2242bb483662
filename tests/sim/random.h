#pragma once
// Chance from a seed: the same on every platform and with every standard library.
#include <cmath>
#include <cstdint>
#include <vector>

namespace rask::sim {

inline std::uint64_t mix(std::uint64_t z) {  // splitmix64's finaliser
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(mix(seed + 0x9e3779b97f4a7c15)) {}

  std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15); }
  // In [0, count).  REQUIRES count > 0
  std::size_t below(std::size_t count) { return next() % count; }
  // In [low, high].
  int between(int low, int high) {
    return low + static_cast<int>(below(static_cast<std::size_t>(high - low + 1)));
  }
  double real() { return static_cast<double>(next() >> 11) * 0x1p-53; }  // In [0, 1).
  double between(double low, double high) { return low + (high - low) * real(); }
  // As often between 1 and 2 as between 100 and 200.
  double spread(double low, double high) { return low * std::pow(high / low, real()); }
  bool chance(double probability) { return real() < probability; }

  template <typename T>
  const T& of(const std::vector<T>& items) {
    return items[below(items.size())];
  }
  // An independent stream, so that more draws in one part do not shift all others.
  Random fork() { return Random{next()}; }

 private:
  std::uint64_t state_;
};

}  // namespace rask::sim
