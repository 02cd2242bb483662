#pragma once
// Strong ids and the units of time that all rooms share.
#include <cstdint>

namespace rask {

enum class TaskId : std::uint32_t {};
enum class WorkerId : std::uint32_t {};
enum class ClientId : std::uint32_t {};

// Seconds, as Dask's messages carry them: a length of time, or a point in it since the Unix epoch.
using Seconds = double;

}  // namespace rask
