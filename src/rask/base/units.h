#pragma once
// Sizes and lengths of time as people write them.
#include <cstdint>
#include <string>
#include <string_view>

#include "rask/base/ids.h"
#include "rask/base/result.h"

namespace rask {

// "8GB", "4 MiB", "1e6", "128": bytes. Without a unit: bytes.
//   errors   invalid_argument: not a number, negative, or a unit that Dask does not know.
//   source   dask.utils.parse_bytes
Result<std::uint64_t> parse_bytes(std::string_view text);

// "5s", "300 ms", "2 hours", "1.5": seconds. Without a unit: `default_unit`.
//   errors   invalid_argument, as above.
//   source   dask.utils.parse_timedelta
Result<Seconds> parse_timedelta(std::string_view text, std::string_view default_unit = "s");

// 3.25 GiB, 12.00 kiB, 17 B.     source: dask.utils.format_bytes
std::string format_bytes(std::uint64_t bytes);

// 12.3 ms, 1.20 s, 3m 4s.     source: dask.utils.format_time
std::string format_time(Seconds seconds);

}  // namespace rask
