// Copies of results: replicate, rebalance, and the moves that are under way.
//
// A worker that shall hold a value gets AcquireReplicas and says AddKeys when it has it. Only then
// the copy that shall go is dropped, so that no value is ever without a holder.
// source: distributed/scheduler.py, Scheduler.replicate, rebalance, _rebalance_find_msgs,
// request_acquire_replicas, request_remove_replicas
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

namespace {
constexpr std::size_t kBranching = 2;  // New copies for each copy there is, in one round.
constexpr Seconds kMoveTimeout = 30;
}  // namespace

std::int64_t State::memory_of(const Worker& worker) const {
  if (options.rebalance.managed) return worker.arriving_nbytes + worker.nbytes;
  return worker.arriving_nbytes +
         std::max<std::int64_t>(worker.nbytes,
                                static_cast<std::int64_t>(worker.metrics.memory_bytes));
}

void State::acquire_replicas(const ByWorker& acquire) {
  for (const auto& [worker, ids] : acquire) {
    protocol::AcquireReplicas message{{}, stimulus()};
    for (const auto id : ids)
      message.keys.push_back({tasks[id].key, addresses(tasks[id]), tasks[id].nbytes});
    send(worker, std::move(message));
  }
}

// The copies are gone from who_has at once; a worker that still needs one says AddKeys.
void State::remove_replicas(const ByWorker& drop) {
  for (const auto& [worker, ids] : drop) {
    protocol::RemoveReplicas message{{}, stimulus()};
    for (const auto id : ids) {
      RASK_ASSERT(tasks[id].who_has.size() > 1);
      remove_replica(id, worker);
      message.keys.push_back(tasks[id].key);
    }
    send(worker, std::move(message));
  }
}

void State::add_move(std::uint32_t id, std::uint32_t to, std::uint32_t from) {
  const auto nbytes = tasks[id].get_nbytes();
  moves.insert_or_assign({id, to}, Move{from, now, nbytes});
  workers[to]->arriving_nbytes += nbytes;
}

std::map<State::MoveId, State::Move>::iterator State::end_move(
    std::map<MoveId, Move>::iterator move) {
  workers[move->first.second]->arriving_nbytes -= move->second.nbytes;
  return moves.erase(move);
}

bool State::moving(std::uint32_t id, std::uint32_t to) const { return moves.contains({id, to}); }

void State::forget_moves_of(std::uint32_t id) {
  for (auto at = moves.lower_bound({id, 0}); at != moves.end() && at->first.first == id;)
    at = end_move(at);
}

void State::forget_moves_of_worker(std::uint32_t worker) {
  for (auto at = moves.begin(); at != moves.end();)
    at = at->first.second == worker || at->second.from == worker ? end_move(at) : std::next(at);
}

void State::expire_moves() {
  for (auto at = moves.begin(); at != moves.end();)
    at = at->second.since + kMoveTimeout < now ? end_move(at) : std::next(at);
}

void State::replica_arrived(std::uint32_t worker, std::uint32_t id) {
  const auto at = moves.find({id, worker});
  if (at == moves.end()) return;
  const auto from = at->second.from;
  end_move(at);
  if (from == kNone || !holds(tasks[id], from) || !can_leave(tasks[id], from)) return;
  remove_replicas({{from, {id}}});
}

void State::run_active_memory_manager(bool on) {
  if (on && !options.active_memory_manager) {  // Copies that came meanwhile were not noted.
    for (std::uint32_t id = 0; id < tasks.end(); ++id) {
      if (tasks[id].who_has.size() > 1) with_copies.push_back(id);
    }
  }
  options.active_memory_manager = on;
}

// source: distributed/active_memory_manager.py, ReduceReplicas
void State::reduce_replicas() {
  ByWorker drop;
  if (marks.size() < tasks.end()) marks.resize(tasks.end());
  ++mark;
  for (const auto id : std::exchange(with_copies, {})) {
    if (marks[id] == mark || tasks[id].who_has.size() < 2) continue;
    marks[id] = mark;
    if (options.active_memory_manager && !tasks[id].replicated && !tasks[id].actor)
      reduce_replicas_of(id, drop);
    with_copies.push_back(id);
  }
  remove_replicas(drop);
  std::erase_if(with_copies, [&](std::uint32_t id) {
    return tasks[id].who_has.size() < 2 || tasks[id].replicated || !options.active_memory_manager;
  });
}

// Workers that leave give theirs up first, then those with most in memory. Where tasks at a leaving
// worker hold on to its copy, the last copy on a worker that stays is kept too: its retirement
// would have to make a new one.
void State::reduce_replicas_of(std::uint32_t id, ByWorker& drop) {
  const auto& task = tasks[id];
  auto left = std::size_t{task.who_has.size()};
  const auto needed = copies_needed(task);
  std::vector<std::uint32_t> holders;
  for (const auto& replica : task.who_has) holders.push_back(replica.worker);
  const auto rank = [&](std::uint32_t number) {
    return std::tuple{workers[number]->running(), -memory_of(*workers[number]), number};
  };
  std::sort(holders.begin(), holders.end(),
            [&](std::uint32_t a, std::uint32_t b) { return rank(a) < rank(b); });
  auto staying = std::count_if(holders.begin(), holders.end(),
                               [&](std::uint32_t number) { return workers[number]->running(); });
  for (const auto holder : holders) {
    if (left <= needed) return;
    if (!can_leave(task, holder)) continue;
    if (workers[holder]->running() && staying-- == 1) return;
    drop[holder].push_back(id);
    --left;
  }
}

// One, or one for each worker that is to use it, as far as that is known.
std::size_t State::copies_needed(const Task& task) const {
  constexpr std::uint32_t kWaitersMax = 20;  // Beyond that they are not looked at one by one.
  if (task.waiters <= 1 || task.waiters >= kWaitersMax)
    return std::max<std::size_t>(1, task.waiters);
  std::vector<std::uint32_t> users;
  std::size_t unplaced = 0;
  for (const auto& edge : task.dependents) {
    const auto& dependent = tasks[edge.task];
    if (!dependent.in_play) continue;
    if (dependent.processing_on == kNone)
      ++unplaced;
    else
      users.push_back(dependent.processing_on);
  }
  std::sort(users.begin(), users.end());
  users.erase(std::unique(users.begin(), users.end()), users.end());
  return users.size() + unplaced;
}

// False while a task that runs or waits there needs the copy.
bool State::can_leave(const Task& task, std::uint32_t worker) const {
  if (task.who_has.size() < 2 || task.actor) return false;
  if (task.waiters == 0) return true;
  return std::none_of(task.dependents.begin(), task.dependents.end(),
                      [&](const Edge& edge) { return tasks[edge.task].processing_on == worker; });
}

// ---- replicate
// ------------------------------------------------------------------------------------

void State::replicate(std::span<const Key> asked, int copies, std::span<const WorkerId> among) {
  std::vector<std::uint32_t> places;
  for (const auto worker : among) places.push_back(static_cast<std::uint32_t>(worker));
  if (places.empty()) places = running.ids();
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  std::erase_if(places, [&](std::uint32_t worker) { return !workers[worker]->running(); });
  if (places.empty()) return;
  const auto count =
      copies <= 0 ? places.size() : std::min(places.size(), static_cast<std::size_t>(copies));
  if (marks.size() < tasks.end()) marks.resize(tasks.end());
  ++mark;
  ByWorker drop;
  for (const auto& key : asked) {
    const auto id = find(key);
    if (id == kNone || !tasks[id].has_data() || marks[id] == mark) continue;
    marks[id] = mark;  // Asked for twice, it is looked at once.
    std::vector<std::uint32_t> holders;
    for (const auto worker : places) {
      if (holds(tasks[id], worker)) holders.push_back(worker);
    }
    std::stable_sort(holders.begin(), holders.end(), [&](std::uint32_t a, std::uint32_t b) {
      return memory_of(*workers[a]) > memory_of(*workers[b]);
    });
    auto left = holders.size();
    for (const auto worker : holders) {
      if (left <= count || !can_leave(tasks[id], worker)) continue;
      drop[worker].push_back(id);
      --left;
    }
    tasks[id].replicated = count > 1;
    goals.push_back({key, count, places});
  }
  remove_replicas(drop);
  advance_goals();
}

void State::advance_goals() {
  ByWorker acquire;
  std::erase_if(goals, [&](const Goal& goal) { return !advance_goal(goal, acquire); });
  acquire_replicas(acquire);
}

// False when the goal is reached, or nobody needs it any more.
bool State::advance_goal(const Goal& goal, ByWorker& acquire) {
  const auto id = find(goal.key);
  if (id == kNone || !tasks[id].has_data()) return false;
  std::vector<std::uint32_t> without;
  std::size_t holders = 0;
  std::size_t under_way = 0;
  for (const auto worker : goal.workers) {
    if (!workers[worker]->running()) continue;
    if (holds(tasks[id], worker))
      ++holders;
    else if (moving(id, worker))
      ++under_way;
    else
      without.push_back(worker);
  }
  if (holders >= goal.copies || (without.empty() && under_way == 0)) return false;
  std::stable_sort(without.begin(), without.end(), [&](std::uint32_t a, std::uint32_t b) {
    return memory_of(*workers[a]) < memory_of(*workers[b]);
  });
  const auto missing = goal.copies - std::min(goal.copies, holders + under_way);
  const auto at_once = kBranching * tasks[id].who_has.size();
  const auto count = std::min({missing, without.size(), at_once - std::min(at_once, under_way)});
  for (std::size_t i = 0; i < count; ++i) {
    add_move(id, without[i], kNone);
    acquire[without[i]].push_back(id);
  }
  return true;
}

// ---- rebalance
// ------------------------------------------------------------------------------------

namespace {

struct Side {  // One worker that has too much, or too little.
  std::uint32_t worker;
  std::int64_t most;    // bytes to send or receive until the mean
  std::int64_t enough;  // bytes after which it is near enough to the mean
  std::vector<std::uint32_t> tasks;
  std::size_t next = 0;
};

// The one farthest from the mean; of equals the one that joined first.
std::size_t farthest(const std::vector<Side>& sides) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < sides.size(); ++i) {
    if (sides[i].most > sides[best].most) best = i;
  }
  return best;
}

}  // namespace

void State::rebalance(std::span<const Key> asked, std::span<const WorkerId> among) {
  std::vector<std::uint32_t> places;
  for (const auto worker : among) places.push_back(static_cast<std::uint32_t>(worker));
  if (places.empty()) places = live_workers.ids();
  std::erase_if(places, [&](std::uint32_t worker) { return !workers[worker]->alive; });
  if (places.empty()) return;
  if (marks.size() < tasks.end()) marks.resize(tasks.end());
  ++mark;
  for (const auto& key : asked) {
    if (const auto id = find(key); id != kNone) marks[id] = mark;
  }
  std::int64_t mean = 0;
  for (const auto worker : places) mean += memory_of(*workers[worker]);
  mean /= static_cast<std::int64_t>(places.size());
  std::vector<Side> senders;
  std::vector<Side> recipients;
  for (const auto number : places) {
    const auto& worker = *workers[number];
    const auto memory = memory_of(worker);
    const auto limit = static_cast<double>(worker.info.memory_limit_bytes);
    const auto half_gap = static_cast<std::int64_t>(options.rebalance.gap / 2 * limit);
    if (!worker.has_what.empty() && memory >= mean + half_gap && memory > mean &&
        static_cast<double>(memory) >= options.rebalance.sender_min * limit) {
      senders.push_back({number, memory - mean, memory - mean - half_gap, worker.has_what.ids()});
    } else if (worker.running() && memory < mean - half_gap &&
               (limit == 0 ||
                static_cast<double>(memory) < options.rebalance.recipient_max * limit)) {
      recipients.push_back({number, mean - memory, mean - memory - half_gap, {}});
    }
  }
  const bool all = asked.empty();
  ByWorker acquire;
  while (!senders.empty() && !recipients.empty()) {
    const auto from = farthest(senders);
    auto& sender = senders[from];
    if (sender.next == sender.tasks.size() || sender.enough < 0 || sender.most <= 0) {
      senders.erase(senders.begin() + static_cast<std::ptrdiff_t>(from));
      continue;
    }
    const auto id = sender.tasks[sender.next++];
    const auto& task = tasks[id];
    const auto nbytes = task.get_nbytes();
    if ((!all && marks[id] != mark) || nbytes > sender.most || task.actor) continue;
    auto to = recipients.end();
    for (auto at = recipients.begin(); at != recipients.end(); ++at) {
      if (nbytes > at->most || holds(task, at->worker) || moving(id, at->worker)) continue;
      if (to == recipients.end() || at->most > to->most) to = at;
    }
    if (to == recipients.end()) continue;
    add_move(id, to->worker, sender.worker);
    acquire[to->worker].push_back(id);
    sender.most -= nbytes;
    sender.enough -= nbytes;
    to->most -= nbytes;
    to->enough -= nbytes;
    if (to->enough <= 0) recipients.erase(to);
    if (sender.enough <= 0) senders.erase(senders.begin() + static_cast<std::ptrdiff_t>(from));
  }
  acquire_replicas(acquire);
}

}  // namespace rask::scheduler
