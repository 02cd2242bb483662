// Work stealing: tasks that wait at a busy worker go to an idle one, when moving their data costs
// less than waiting.
//
// A victim keeps what it may lose in lists by level, which is the logarithm of transfer time over
// compute time. Only tick() looks at the lists, and for no longer than a fixed number of looks.
// source: distributed/stealing.py
#include <algorithm>
#include <array>
#include <cmath>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

namespace {

constexpr Seconds kLatency = 0.1;            // of a steal: several messages
constexpr std::int64_t kLooksMax = 200'000;  // in one tick: tasks looked at, times thieves
constexpr int kRefusalsMax = 16;             // in a row, then the level of this victim is left
constexpr std::size_t kVictimsMax = 10;
constexpr Seconds kVictimOccupancyMin = 0.2;

constexpr std::array<std::string_view, 3> kConfirm = {"ready", "constrained", "waiting"};
constexpr std::array<std::string_view, 2> kUndefined = {"released", ""};

template <class States>
bool among(const States& states, std::string_view state) {
  return std::find(states.begin(), states.end(), state) != states.end();
}

}  // namespace

std::uint8_t State::steal_level(const Task& task) const {
  const auto& of = prefix(task);
  if (of.fast || task.actor) return kNotStealable;
  if (task.dependencies.empty()) return 0;
  const auto compute = duration(of);
  if (compute <= 0) return kNotStealable;
  std::int64_t nbytes = 0;
  for (const auto& edge : task.dependencies) nbytes += tasks[edge.task].get_nbytes();
  const auto transfer = static_cast<double>(nbytes) / options.bandwidth_bytes_per_s + kLatency;
  const auto level = std::max(1L, std::lround(std::log2(transfer / compute) + 6));
  return level < kStealLevels ? static_cast<std::uint8_t>(level) : kNotStealable;
}

void State::put_in_stealable(Task& task, std::uint32_t id) {
  if (!options.work_stealing) return;
  const auto level = steal_level(task);
  if (level == kNotStealable) return;
  auto& list = workers[task.processing_on]->stealable[level];
  task.steal_level = level;
  task.steal_place = static_cast<std::uint32_t>(list.size());
  list.push_back(id);
  // Without dependencies the level does not depend on the duration.
  auto& of = prefix(task);
  if (level != 0 && of.duration_average < 0) of.unknown.push_back(id);
}

void State::remove_from_stealable(Task& task) {
  if (task.steal_level == kNotStealable) return;
  auto& list = workers[task.processing_on]->stealable[task.steal_level];
  const auto last = list.back();
  list[task.steal_place] = last;
  tasks[last].steal_place = task.steal_place;
  list.pop_back();
  task.steal_level = kNotStealable;
  task.steal_place = kNone;
}

// The first task of a prefix has finished: what was placed by a guess is placed again.
void State::learn_unknown_durations(Prefix& of) {
  const auto ids = std::exchange(of.unknown, {});
  for (const auto id : ids) {
    auto& task = tasks[id];
    if (task.key.empty() || task.steal_level == kNotStealable) continue;
    remove_from_stealable(task);
    put_in_stealable(task, id);
  }
}

Seconds State::combined_occupancy(std::uint32_t worker) const {
  return balance_occupancy[worker] + workers[worker]->in_flight_occupancy;
}

// True while there may be something to steal and somebody to steal it.
bool State::needs_balancing() const {
  if (!options.work_stealing || idle.empty() || idle.size() == live_workers.size()) return false;
  return std::any_of(live_workers.begin(), live_workers.end(), [&](std::uint32_t number) {
    const auto& worker = *workers[number];
    return worker.processing.size() > static_cast<std::uint32_t>(worker.info.nthreads);
  });
}

std::vector<std::uint32_t> State::find_victims() const {
  const auto busier = [&](std::uint32_t a, std::uint32_t b) {
    const auto left = combined_occupancy(a);
    const auto right = combined_occupancy(b);
    return left != right ? left > right : a < b;
  };
  std::vector<std::uint32_t> victims = saturated.ids();
  if (victims.empty()) {
    victims = live_workers.ids();
    const auto count = std::min(kVictimsMax, victims.size());
    std::partial_sort(victims.begin(), victims.begin() + static_cast<std::ptrdiff_t>(count),
                      victims.end(), busier);
    victims.resize(count);
    std::erase_if(victims, [&](std::uint32_t number) {
      const auto& worker = *workers[number];
      const auto processing = std::int64_t{worker.processing.size()} + worker.in_flight_tasks;
      return worker.idle || combined_occupancy(number) <= kVictimOccupancyMin ||
             processing <= worker.info.nthreads;
    });
  }
  std::sort(victims.begin(), victims.end(), busier);
  return victims;
}

void State::balance() {
  last_balance = now;
  if (!needs_balancing()) return;
  balance_occupancy.assign(workers.size(), 0);
  for (const auto number : live_workers) balance_occupancy[number] = occupancy(*workers[number]);
  const auto victims = find_victims();
  if (victims.empty()) return;
  auto thieves = idle.ids();
  std::int64_t budget = kLooksMax;
  for (std::size_t level = 0; level < kStealLevels; ++level) {
    for (const auto victim : victims) {
      if (thieves.empty() || budget <= 0) break;
      steal_from(victim, level, thieves, budget);
    }
  }
  for (const auto victim : victims) check_idle_saturated(victim, combined_occupancy(victim));
}

void State::steal_from(std::uint32_t victim, std::size_t level, std::vector<std::uint32_t>& thieves,
                       std::int64_t& budget) {
  const auto& list = workers[victim]->stealable[level];
  int refusals = 0;
  // From the back: what came last would start last. A request takes its task off the list.
  for (auto place = list.size(); place-- > 0;) {
    if (thieves.empty() || refusals >= kRefusalsMax || budget <= 0) return;
    budget -= static_cast<std::int64_t>(thieves.size());
    ++work_count;
    const auto id = list[place];
    const auto thief = find_thief(tasks[id], thieves);
    if (thief == kNone || !worth_stealing(tasks[id], victim, thief)) {
      ++refusals;
      continue;
    }
    refusals = 0;
    request_steal(id, victim, thief);
    const auto& worker = *workers[thief];
    const auto processing = std::int64_t{worker.processing.size()} + worker.in_flight_tasks;
    if (!is_unoccupied(worker, combined_occupancy(thief), processing)) std::erase(thieves, thief);
  }
}

// The thief that would start it first.
std::uint32_t State::find_thief(const Task& task, std::span<const std::uint32_t> thieves) {
  const auto* valid = valid_workers(task);
  const auto& annotation = annotations[task.annotation];
  const auto is_valid = [&](std::uint32_t worker) {
    return valid == nullptr || std::binary_search(valid->begin(), valid->end(), worker);
  };
  const bool any_valid = std::any_of(thieves.begin(), thieves.end(), is_valid);
  const bool loose = annotation.source && annotation.source->allow_other_workers;
  if (!any_valid && (!loose || annotation.needs_resources() || is_limited_by(annotation.language)))
    return kNone;
  auto best = kNone;
  std::pair<double, std::int64_t> best_cost{};
  for (const auto thief : thieves) {
    if (any_valid && !is_valid(thief)) continue;
    const auto& worker = *workers[thief];
    const std::pair cost{combined_occupancy(thief) / worker.info.nthreads + comm_cost(task, thief),
                         worker.nbytes};
    if (best != kNone && !(cost < best_cost)) continue;
    best = thief;
    best_cost = cost;
  }
  return best;
}

bool State::worth_stealing(const Task& task, std::uint32_t victim, std::uint32_t thief) const {
  const auto compute = duration(prefix(task));
  return combined_occupancy(thief) + comm_cost(task, thief) + compute <=
         combined_occupancy(victim) - (comm_cost(task, victim) + compute) / 2;
}

void State::request_steal(std::uint32_t id, std::uint32_t victim, std::uint32_t thief) {
  auto& task = tasks[id];
  RASK_ASSERT(!task.stealing && task.processing_on == victim);
  remove_from_stealable(task);
  const auto compute = duration(prefix(task));
  Steal steal{victim, thief, compute + comm_cost(task, victim), compute + comm_cost(task, thief),
              "steal-" + std::to_string(steal_count++)};
  send(victim, protocol::StealRequest{task.key, steal.stimulus});
  workers[victim]->in_flight_occupancy -= steal.victim_duration;
  workers[thief]->in_flight_occupancy += steal.thief_duration;
  --workers[victim]->in_flight_tasks;
  ++workers[thief]->in_flight_tasks;
  task.stealing = true;
  in_flight.emplace(id, std::move(steal));
}

std::optional<State::Steal> State::remove_from_in_flight(std::uint32_t id) {
  const auto at = in_flight.find(id);
  if (at == in_flight.end()) return std::nullopt;
  auto steal = std::move(at->second);
  in_flight.erase(at);
  tasks[id].stealing = false;
  workers[steal.thief]->in_flight_occupancy -= steal.thief_duration;
  workers[steal.victim]->in_flight_occupancy += steal.victim_duration;
  --workers[steal.thief]->in_flight_tasks;
  ++workers[steal.victim]->in_flight_tasks;
  if (in_flight.empty()) {
    for (const auto& worker : workers) worker->in_flight_occupancy = 0;
  }
  return steal;
}

void State::steal_response(const protocol::StealResponse& message) {
  const auto id = find(message.key);
  if (id == kNone) return;
  const auto at = in_flight.find(id);
  if (at == in_flight.end() || at->second.stimulus != message.stimulus_id) return;
  const auto steal = *remove_from_in_flight(id);
  auto& task = tasks[id];
  RASK_ASSERT(task.processing_on == steal.victim);
  const bool confirmed = among(kConfirm, message.state);
  if (among(kUndefined, message.state) || (confirmed && !workers[steal.thief]->running())) {
    reschedule(id, steal.victim);
  } else if (confirmed) {
    auto& victim = *workers[steal.victim];
    auto& thief = *workers[steal.thief];
    leave_worker(task);
    change_resources(task, victim, -1);
    task.processing_on = steal.thief;
    enter_worker(task, id, thief);
    change_resources(task, thief, 1);
    put_in_stealable(task, id);
    send_compute_task(id, steal.thief);
  }
  check_idle_saturated(steal.thief);
  check_idle_saturated(steal.victim);
}

}  // namespace rask::scheduler
