#pragma once
// What a worker's tasks did, sample by sample: a tree for each cycle of time, of all tasks and of
// those of each key prefix.    source: distributed/worker.py, cycle_profile, get_profile
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rask/base/ids.h"
#include "rask/diagnostics/profile.h"

namespace rask::worker_server {

// Of the samples between two times; unset: from the beginning, up to now.
struct ProfileRange {
  std::optional<Seconds> start;
  std::optional<Seconds> stop;
};

class ProfileHistory {
 public:
  explicit ProfileHistory(std::size_t cycles_max) : cycles_max_(cycles_max) {}

  // One sample: functions from the task's on inwards.
  void add(const std::string& prefix, const std::vector<const ProfileNode*>& stack);
  // Ends a cycle. The oldest is forgotten when there are too many.
  void cycle(Seconds now);

  // Of all tasks, or of those with that key prefix. Cycles count as a whole.
  ProfileNode profile(const ProfileRange& range, const std::optional<std::string>& prefix,
                      Seconds now) const;
  // {"counts": [[time, samples]…], "keys": [[time, {prefix: samples}]…]} of the cycles in between.
  wire::Value metadata(const ProfileRange& range, Seconds now) const;

 private:
  struct Cycle {
    Seconds end = 0;
    ProfileNode all;
    std::map<std::string, ProfileNode> prefixes;

    const ProfileNode* of(const std::optional<std::string>& prefix) const;  // null: none
    wire::Value counts() const;
  };

  std::size_t cycles_max_;
  std::deque<Cycle> cycles_;
  Cycle recent_;
};

}  // namespace rask::worker_server
