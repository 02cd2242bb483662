#pragma once
// The tasks of the benchmark. They live in a library that `rask worker --preload` loads, and that
// the client links: so both know them by the same names.
#include <cstdint>

#include "rask/rask.h"

namespace bench {

std::int64_t inc(std::int64_t x);
std::int64_t add(std::int64_t x, std::int64_t y);
rask::Bytes blob(std::int64_t nbytes, std::int64_t salt);
std::int64_t size(const rask::Bytes& value);

}  // namespace bench
