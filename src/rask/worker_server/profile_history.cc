#include "rask/worker_server/profile_history.h"

#include <utility>

namespace rask::worker_server {

using wire::Value;

const ProfileNode* ProfileHistory::Cycle::of(const std::optional<std::string>& prefix) const {
  if (!prefix) return &all;
  const auto found = prefixes.find(*prefix);
  return found == prefixes.end() ? nullptr : &found->second;
}

Value ProfileHistory::Cycle::counts() const {
  Value::Map counts;
  for (const auto& [prefix, tree] : prefixes) counts.emplace_back(prefix, tree.count);
  return counts;
}

void ProfileHistory::add(const std::string& prefix, const std::vector<const ProfileNode*>& stack) {
  add_sample(recent_.all, stack);
  add_sample(recent_.prefixes[prefix], stack);
}

void ProfileHistory::cycle(Seconds now) {
  recent_.end = now;
  cycles_.push_back(std::exchange(recent_, {}));
  if (cycles_.size() > cycles_max_) cycles_.pop_front();
}

ProfileNode ProfileHistory::profile(const ProfileRange& range,
                                    const std::optional<std::string>& prefix, Seconds now) const {
  ProfileNode whole;
  bool reaches_now = !range.start || *range.start < now;
  for (const Cycle& cycle : cycles_) {
    if (range.start && cycle.end < *range.start) continue;
    if (const ProfileNode* tree = cycle.of(prefix)) merge_profile(whole, *tree);
    // The cycle that `stop` lies in is the last, unless nothing came after it.
    if (range.stop && cycle.end >= *range.stop) {
      reaches_now = reaches_now && &cycle == &cycles_.back();
      break;
    }
  }
  const ProfileNode* const tree = recent_.of(prefix);
  if (reaches_now && tree != nullptr) merge_profile(whole, *tree);
  return whole;
}

Value ProfileHistory::metadata(const ProfileRange& range, Seconds now) const {
  Value::Array counts;
  Value::Array keys;
  const auto add = [&](Seconds time, const Cycle& cycle) {
    counts.emplace_back(Value::Array{Value{time}, Value{cycle.all.count}});
    keys.emplace_back(Value::Array{Value{time}, cycle.counts()});
  };
  for (const Cycle& cycle : cycles_)
    if (range.start.value_or(0) < cycle.end && cycle.end < range.stop.value_or(now))
      add(cycle.end, cycle);
  if (!range.stop) add(now, recent_);
  return Value::object({{"counts", std::move(counts)}, {"keys", std::move(keys)}});
}

}  // namespace rask::worker_server
