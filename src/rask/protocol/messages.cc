#include "rask/protocol/messages.h"

#include <algorithm>
#include <array>

namespace rask::protocol {

namespace {

constexpr std::array<std::string_view, 13> kStatusNames = {
    "undefined", "created",  "init",      "starting", "running",
    "paused",    "stopping", "stopped",   "closing",  "closing_gracefully",
    "closed",    "failed",   "dont_reply"};

}  // namespace

std::string_view to_string(WorkerStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}

std::optional<WorkerStatus> parse_worker_status(std::string_view name) {
  const auto found = std::find(kStatusNames.begin(), kStatusNames.end(), name);
  if (found == kStatusNames.end()) return std::nullopt;
  return static_cast<WorkerStatus>(found - kStatusNames.begin());
}

}  // namespace rask::protocol
