// Everything that must hold between two events. O(everything).
#include <algorithm>
#include <cmath>
#include <map>

#include "rask/worker/state.h"

namespace rask::worker {

using enum TaskState;

namespace {

bool runs(const Task& task) { return is_running(task.state) || is_running(task.previous); }
bool flies(const Task& task) { return task.state == flight || task.previous == flight; }

class Checker {
 public:
  explicit Checker(const State& state) : state_(state) {}

  void check() {
    std::array<std::size_t, kStateCount> counts{};
    state_.for_each_task([&](TaskId id, const Task& task) {
      ++counts[static_cast<std::size_t>(task.state)];
      RASK_ASSERT(*state_.find(task.key) == id);
      check_links(id, task);
      check_counters(task);
      check_life(task);
      check_place(id, task);
      tally(task);
    });
    for (std::size_t i = 0; i < kStateCount; ++i)
      RASK_ASSERT(counts[i] == state_.count(TaskState{static_cast<std::uint8_t>(i)}));
    check_totals();
    check_resources();
  }

 private:
  void check_links(TaskId id, const Task& task) const {
    for (const TaskId other : task.dependencies) {
      RASK_ASSERT(!state_.at(other).key.empty());
      RASK_ASSERT(std::ranges::count(state_.at(other).dependents, id) == 1);
    }
    for (const TaskId other : task.dependents) {
      RASK_ASSERT(!state_.at(other).key.empty());
      RASK_ASSERT(std::ranges::count(state_.at(other).dependencies, id) == 1);
    }
    for (const Replica& replica : task.who_has) {
      const Peer& peer = state_.peer(replica.peer);
      RASK_ASSERT(peer.address != state_.options.address);
      RASK_ASSERT(peer.has_what.at(replica.place) == id);
    }
  }

  // waiting_for_count and waiter_count are what they count.
  void check_counters(const Task& task) const {
    std::size_t waiting_for = 0, waiters = 0;
    for (const TaskId other : task.dependencies) waiting_for += state_.at(other).state != memory;
    for (const TaskId other : task.dependents) waiters += state_.at(other).state == waiting;
    RASK_ASSERT(task.waiting_for_count == (task.state == waiting ? waiting_for : 0));
    RASK_ASSERT(task.waiter_count == (task.state == memory ? 0 : waiters));
    if (is_ready(task.state)) RASK_ASSERT(waiting_for == 0);
    if (task.state == waiting) RASK_ASSERT(waiting_for > 0);
  }

  void check_life(const Task& task) const {
    RASK_ASSERT(!is_one_of(task.state, {rescheduled, forgotten}));
    RASK_ASSERT(task.wanted == kNone && !task.done);
    RASK_ASSERT(is_one_of(task.state, {cancelled, resumed}) == (task.previous != kNone));
    RASK_ASSERT((task.state == resumed) == (task.next != kNone));
    if (task.state == resumed)
      RASK_ASSERT(task.next == (task.previous == flight ? waiting : fetch));
    if (task.state == released) RASK_ASSERT(!task.dependents.empty());
    if (task.state == memory) RASK_ASSERT(task.nbytes >= 0);
    if (task.state == fetch) RASK_ASSERT(!task.who_has.empty());
    if (task.state == missing) RASK_ASSERT(task.who_has.empty());
    if (task.scattered) RASK_ASSERT(runs(task) || flies(task));
    RASK_ASSERT(flies(task) == (task.coming_from != kNoPeer));
    RASK_ASSERT(is_one_of(task.state, {ready, constrained, fetch}) == (task.epoch != 0));
    if (is_ready(task.state)) RASK_ASSERT((task.state == ready) == task.resources.empty());
  }

  void check_place(TaskId id, const Task& task) const {
    if (runs(task)) {
      RASK_ASSERT(state_.running_tasks.at(task.place) == id);
    } else if (task.state == missing) {
      RASK_ASSERT(state_.missing_tasks.at(task.place) == id);
    } else {
      RASK_ASSERT(task.place == kNowhere);
    }
    if (!flies(task)) return;
    const Peer& peer = state_.peer(task.coming_from);
    RASK_ASSERT(peer.in_flight && std::ranges::count(peer.gathering, id) == 1);
  }

  void tally(const Task& task) {
    nbytes_ += task.state == memory ? task.nbytes : 0;
    running_ += runs(task);
    executing_ += task.state == executing || task.previous == executing;
    flying_ += flies(task);
    if (task.state != fetch) return;
    for (const Replica& replica : task.who_has) ++needed_[replica.peer];
  }

  void check_totals() const {
    RASK_ASSERT(nbytes_ == state_.nbytes);
    RASK_ASSERT(running_ == state_.running_tasks.size());
    RASK_ASSERT(executing_ == state_.executing_count);
    RASK_ASSERT(flying_ == state_.in_flight_count);
    RASK_ASSERT(state_.missing_tasks.size() == state_.count(missing));
    for (const auto& [peer, count] : needed_) {
      RASK_ASSERT(state_.peer(peer).needed_count == count);
      RASK_ASSERT(state_.peer(peer).in_needed_list);
    }
    check_progress();
  }

  // Nothing lies still that could move.
  void check_progress() const {
    if (!state_.running_enabled) return;
    const auto nthreads = static_cast<std::size_t>(std::max(state_.options.nthreads, 0));
    if (state_.executing_count < nthreads) RASK_ASSERT(state_.count(ready) == 0);
    if (state_.incoming_count > 0) return;
    for (const auto& [peer, count] : needed_) RASK_ASSERT(count == 0 || state_.peer(peer).busy);
  }

  void check_resources() const {
    auto free = state_.available_resources;
    state_.for_each_task([&](TaskId, const Task& task) {
      if (!runs(task)) return;
      for (const ResourceNeed& need : task.resources) {
        for (const auto& [name, amount] : state_.available_resources) {
          if (&amount == need.available) free[name] += need.amount;
        }
      }
    });
    for (const auto& [name, total] : state_.total_resources)
      RASK_ASSERT(std::abs(free.at(name) - total) < 1e-9);
  }

  const State& state_;
  std::int64_t nbytes_ = 0;
  std::size_t running_ = 0;
  std::size_t executing_ = 0;
  std::size_t flying_ = 0;
  std::map<WorkerId, std::uint32_t> needed_;
};

}  // namespace

void State::check_invariants() const { Checker{*this}.check(); }

}  // namespace rask::worker
