// Workers that leave on purpose: their data goes elsewhere first.
//
// A retiring worker is closing_gracefully: it gets no new task. Every value of which it has the
// only copy is fetched by another running worker. It is done when nothing would be lost with it,
// and has failed when nobody could take a value. source: distributed/active_memory_manager.py,
// RetireWorker; Scheduler.retire_workers
#include <fmt/format.h>

#include <algorithm>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

std::uint64_t State::retire_workers(std::span<const WorkerId> asked) {
  Retirement retirement{++retirement_count, {}};
  for (const auto id : asked) {
    const auto number = static_cast<std::uint32_t>(id);
    auto& worker = *workers[number];
    if (!worker.alive) continue;
    // Asked twice: the first call knows what the worker was before.
    auto before = worker.status;
    for (const auto& other : retirements) {
      for (const auto& member : other.members) {
        if (member.worker == number && !member.done) before = member.before;
      }
    }
    retirement.members.push_back({number, worker.info.address, before});
    worker.retirement = retirement.id;
    set_worker_status(number, protocol::WorkerStatus::closing_gracefully);
    send(number, protocol::ChangeWorkerStatus{worker.status, stimulus()});
  }
  retirements.push_back(std::move(retirement));
  drain();
  advance_retirements(true);
  return retirement_count;
}

// `ask`: also request copies. Between rounds arriving copies only bring the end nearer.
void State::advance_retirements(bool ask) {
  if (ask) {
    last_replica_round = now;
    expire_moves();
  }
  for (auto& retirement : retirements) {
    for (auto& member : retirement.members) {
      if (!member.done) advance_member(member, ask);
    }
  }
  finish_retirements();
}

void State::advance_member(Retirement::Member& member, bool ask) {
  const auto& worker = *workers[member.worker];
  if (!worker.alive) {
    member.done = true;
    return;
  }
  member.failed = !worker.actors.empty();  // They cannot be moved.
  bool unique = false;
  ByWorker acquire;
  ByWorker drop;
  for (const auto id : worker.has_what.ids()) {
    if (member.failed) break;
    const auto& task = tasks[id];
    const auto elsewhere = [&](const Replica& replica) {
      return replica.worker != member.worker && workers[replica.worker]->running();
    };
    if (std::any_of(task.who_has.begin(), task.who_has.end(), elsewhere)) {
      if (ask && can_leave(task, member.worker)) drop[member.worker].push_back(id);
      continue;
    }
    unique = true;
    if (!ask) break;
    const auto recipient = find_recipient(task, id);
    if (recipient == kNone) {
      member.failed = true;
    } else if (!moving(id, recipient)) {
      add_move(id, recipient, kNone);
      acquire[recipient].push_back(id);
    }
  }
  if (!member.failed) acquire_replicas(acquire);
  remove_replicas(drop);
  member.done = member.failed || !unique;
}

// The running worker with least in memory; the one that is asked already, if there is one.
std::uint32_t State::find_recipient(const Task& task, std::uint32_t id) const {
  for (auto at = moves.lower_bound({id, 0}); at != moves.end() && at->first.first == id; ++at) {
    if (workers[at->first.second]->running()) return at->first.second;
  }
  auto best = kNone;
  for (const auto number : running) {
    if (holds(task, number)) continue;
    if (best == kNone || memory_of(*workers[number]) < memory_of(*workers[best])) best = number;
  }
  return best;
}

void State::finish_retirements() {
  const auto over = [](const Retirement& retirement) {
    return std::all_of(retirement.members.begin(), retirement.members.end(),
                       [](const auto& member) { return member.done; });
  };
  for (std::size_t i = 0; i < retirements.size();) {
    if (!over(retirements[i])) {
      ++i;
      continue;
    }
    const auto ended = std::move(retirements[i]);
    retirements.erase(retirements.begin() + static_cast<std::ptrdiff_t>(i));
    RetirementDone done{ended.id, {}};
    for (const auto& member : ended.members) {
      auto& worker = *workers[member.worker];
      if (!member.failed) {
        done.retired.push_back(member.address);
        log(20, fmt::format("Retired worker '{}' ({})", member.address, stimulus()));
      } else if (worker.alive) {
        // The worker answers with its status, and that brings it back here.
        send(member.worker, protocol::ChangeWorkerStatus{member.before, stimulus()});
        log(30, fmt::format("Could not retire worker '{}': unique data could not be moved to any "
                            "other worker ({})",
                            member.address, stimulus()));
      }
      if (worker.retirement == ended.id) worker.retirement = 0;
    }
    out->push_back(std::move(done));
  }
}

}  // namespace rask::scheduler
