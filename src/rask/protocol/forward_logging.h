#pragma once
// How the records of workers' loggers come to a client: a worker plugin of this name, and a topic
// that is named after it. Source: distributed/client.py, forward_logging.
#include <string>
#include <string_view>

namespace rask::protocol {

inline constexpr std::string_view kForwardLoggingPlugin = "forward-logging-";
inline constexpr std::string_view kRootLogger = "<root>";

inline constexpr int kLevelStep = 10;  // Python's levels: debug is 10, critical 50.

inline std::string forward_logging_topic(std::string_view plugin) {
  return "forwarded-log-record-" + std::string{plugin};
}

}  // namespace rask::protocol
