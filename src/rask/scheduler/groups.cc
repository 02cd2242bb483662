// Prefixes, groups and durations.    source: distributed/scheduler.py, TaskPrefix, TaskGroup
#include <algorithm>

#include "rask/scheduler/state.h"
#include "rask/wire/msgpack.h"

namespace rask::scheduler {

namespace {

constexpr std::size_t kGroupDependenciesMax = 8;  // Root-ish groups have fewer than five.
constexpr int kOccupancyChangesMax = 4096;

// The text that names the group: a tuple's first item is taken as it is, a text is split.
struct GroupText {
  std::string_view text;
  bool whole = false;
};

GroupText group_text(const Key& key) {
  wire::Reader reader{key.msgpack()};
  if (reader.peek() == wire::Type::array) {
    reader.array();
    if (reader.peek() == wire::Type::text) return {reader.text(), true};
    return {};
  }
  if (reader.peek() == wire::Type::text || reader.peek() == wire::Type::binary)
    return {reader.text_or_binary(), false};
  return {};
}

// What a text must share with another to be of the same group for sure: all before the last
// dash, when a digit behind it shows that the name has ended.
std::string_view cacheable_part(const GroupText& name) {
  if (name.whole) return name.text;
  const auto dash = name.text.rfind('-');
  if (dash == std::string_view::npos || dash == 0 || name.text.front() == '(') return {};
  const auto tail = name.text.substr(dash + 1);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  // "x-abc-deadbee1": a tail may end the name only where the words before it do not already.
  return std::any_of(tail.begin(), tail.end(), digit) ? name.text.substr(0, dash + 1)
                                                      : std::string_view{};
}

std::string group_name(const GroupText& name, const std::string& prefix) {
  if (name.whole) return std::string{name.text};
  if (name.text.empty() || name.text.front() != '(') return prefix;
  auto text = name.text.substr(0, name.text.find(','));
  constexpr std::string_view kPunctuation = "()\"'";
  const auto begin = text.find_first_not_of(kPunctuation);
  if (begin == std::string_view::npos) return prefix;
  return std::string{text.substr(begin, text.find_last_not_of(kPunctuation) - begin + 1)};
}

}  // namespace

std::uint32_t State::prefix_of(const std::string& name) {
  const auto [at, fresh] =
      prefix_by_name.try_emplace(name, static_cast<std::uint32_t>(prefixes.size()));
  if (!fresh) return at->second;
  auto& prefix = prefixes.emplace_back();
  prefix.name = name;
  const auto given = options.default_task_durations.find(name);
  if (given != options.default_task_durations.end()) {
    prefix.duration_average = given->second;
    prefix.fast = given->second <= 0.001;
  }
  return at->second;
}

std::uint32_t State::group_of(const Key& key) {
  const auto name = group_text(key);
  const auto cached = cacheable_part(name);
  auto& known = known_groups[hash_bytes(cached) % known_groups.size()];
  if (known.group != kNone && cached == known.text) return known.group;
  const auto prefix_name = key_split(key);
  const auto text = group_name(name, prefix_name);
  const auto [at, fresh] = group_by_name.try_emplace(text, 0);
  if (fresh) {
    if (free_groups.empty()) {
      at->second = static_cast<std::uint32_t>(groups.size());
      groups.emplace_back();
    } else {
      at->second = free_groups.back();
      free_groups.pop_back();
    }
    auto& group = groups[at->second];
    group.name = text;
    group.prefix = prefix_of(prefix_name);
    group.named = true;
  }
  if (!cached.empty()) {
    known.text = cached;
    known.group = at->second;
  }
  return at->second;
}

// A group whose tasks are all forgotten ends; a new task of its name begins a new one.
void State::drop_group_if_done(std::uint32_t id) {
  auto& group = groups[id];
  for (const auto count : group.states) {
    if (count != 0) return;
  }
  if (group.named) {
    spans.group_ends(id);
    group_by_name.erase(group.name);
    group.named = false;
    for (auto& known : known_groups) {
      if (known.group == id) known.group = kNone;
    }
  }
  release_group(id);
}

// Its record stays while other groups depend on it: they ask for its size.
void State::release_group(std::uint32_t id) {
  std::vector<std::uint32_t> ended{id};
  while (!ended.empty()) {
    const auto next = ended.back();
    ended.pop_back();
    if (groups[next].named || groups[next].uses != 0) continue;
    for (const auto dependency : groups[next].dependencies) {
      if (dependency != next && --groups[dependency].uses == 0) ended.push_back(dependency);
    }
    groups[next] = Group{};
    free_groups.push_back(next);
  }
}

void State::add_group_dependency(std::uint32_t id, std::uint32_t dependency) {
  auto& known = groups[id].dependencies;
  if (id == dependency) {
    // As in Dask a group may depend on itself; it needs no count to stay.
    if (std::find(known.begin(), known.end(), id) != known.end()) return;
    if (known.size() < kGroupDependenciesMax) known.push_back(id);
    return;
  }
  if (!known.empty() && known.back() == dependency) return;
  if (known.size() >= kGroupDependenciesMax) return;
  if (std::find(known.begin(), known.end(), dependency) != known.end()) return;
  known.push_back(dependency);
  ++groups[dependency].uses;
}

// ---- Durations ----------------------------------------------------------------------------------

Seconds State::duration(const Prefix& prefix) const {
  if (prefix.duration_average >= 0) return prefix.duration_average;
  if (prefix.max_exec_time > 0) return 2 * prefix.max_exec_time;
  return options.unknown_task_duration;
}

namespace {

// Of a worker's choice: anything, or no number at all.
Seconds bounded(Seconds seconds) { return seconds < kDurationMax ? seconds : kDurationMax; }

}  // namespace

void State::set_duration(Prefix& prefix, Seconds average) {
  const auto before = duration(prefix);
  prefix.duration_average = bounded(average);
  compute_occupancy += (duration(prefix) - before) * prefix.processing;
  if (++occupancy_changes > kOccupancyChangesMax) recount_occupancy();
}

void State::set_max_exec_time(Prefix& prefix, Seconds seconds) {
  seconds = bounded(seconds);
  if (seconds > prefix.max_exec_time) {
    const auto before = duration(prefix);
    prefix.max_exec_time = seconds;
    compute_occupancy += (duration(prefix) - before) * prefix.processing;
  }
  if (prefix.duration_average >= 0 && seconds > 2 * prefix.duration_average)
    set_duration(prefix, -1);
}

void State::add_duration(Prefix& prefix, Seconds seconds) {
  const auto before = prefix.duration_average;
  set_duration(prefix, before < 0 ? seconds : 0.5 * seconds + 0.5 * before);
}

// Floating point forgets a little with every change; now and then the sum is made anew.
void State::recount_occupancy() {
  compute_occupancy = 0;
  for (const auto& prefix : prefixes) compute_occupancy += duration(prefix) * prefix.processing;
  occupancy_changes = 0;
}

void State::count_processing(Worker& worker, const Task& task, int change) {
  const auto prefix = groups[task.group].prefix;
  auto at = std::find_if(worker.prefixes.begin(), worker.prefixes.end(),
                         [&](const auto& entry) { return entry.first == prefix; });
  if (at == worker.prefixes.end()) {
    RASK_ASSERT(change == 1);
    at = worker.prefixes.insert(at, {prefix, 0});
  }
  RASK_ASSERT(change == 1 || at->second > 0);
  at->second += static_cast<std::uint32_t>(change);
  if (at->second == 0) {
    *at = worker.prefixes.back();
    worker.prefixes.pop_back();
  }
  prefixes[prefix].processing += static_cast<std::uint32_t>(change);
  compute_occupancy += change * duration(prefixes[prefix]);
  if (++occupancy_changes > kOccupancyChangesMax) recount_occupancy();
}

Seconds State::occupancy(const Worker& worker) const {
  Seconds sum = 0;
  for (const auto& [prefix, count] : worker.prefixes) sum += duration(prefixes[prefix]) * count;
  return sum + static_cast<double>(worker.network_bytes) / options.bandwidth_bytes_per_s;
}

Seconds State::total_occupancy() const {
  return std::max(0.0, compute_occupancy) +
         static_cast<double>(network_bytes) / options.bandwidth_bytes_per_s;
}

std::uint32_t State::intern_typename(Task& task, std::string&& name) {
  auto& last = groups[task.group].last_typename;
  if (typenames[last] == name) return last;
  const auto [at, fresh] =
      typename_by_text.try_emplace(name, static_cast<std::uint32_t>(typenames.size()));
  if (fresh) typenames.push_back(std::move(name));
  last = at->second;
  return last;
}

}  // namespace rask::scheduler
