#include "bench_tasks.h"

#include <string>

namespace bench {

std::int64_t inc(std::int64_t x) { return x + 1; }
std::int64_t add(std::int64_t x, std::int64_t y) { return x + y; }

rask::Bytes blob(std::int64_t nbytes, std::int64_t salt) {
  std::string bytes(static_cast<std::size_t>(nbytes), '\1');
  bytes[0] = static_cast<char>(salt);
  return rask::Bytes(std::move(bytes));
}

std::int64_t size(const rask::Bytes& value) { return static_cast<std::int64_t>(value.size()); }

}  // namespace bench

// Nothing in this library calls them: name them, so that it brings them along.
template struct rask::Function<bench::inc>;
template struct rask::Function<bench::add>;
template struct rask::Function<bench::blob>;
template struct rask::Function<bench::size>;
