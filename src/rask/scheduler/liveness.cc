// What time alone brings about: silent workers, an idle cluster, tasks that nobody can run.
// source: distributed/scheduler.py, check_worker_ttl, check_idle, _check_no_workers
#include <fmt/format.h>

#include <algorithm>

#include "rask/base/units.h"
#include "rask/scheduler/state.h"

namespace rask::scheduler {

namespace {

constexpr Seconds kAfter = 0.001;     // A worker that reports at the limit is in time.
constexpr Seconds kReplicaRound = 2;  // distributed.scheduler.active-memory-manager.interval

// How often Dask's workers report, by their number.    source: heartbeat_interval
Seconds heartbeat_interval(std::size_t workers) {
  if (workers <= 10) return 0.5;
  if (workers < 50) return 1;
  if (workers < 200) return 2;
  return static_cast<double>(workers) / 200 + 1;
}

}  // namespace

void State::tick() {
  forget_more();
  check_worker_ttl();
  drain();
  check_no_workers();
  drain();
  if (now >= last_balance + options.work_stealing_interval) balance();
  if (now >= last_replica_round + kReplicaRound) {
    expire_moves();
    advance_retirements(true);
    advance_goals();
    reduce_replicas();
    last_replica_round = now;
  }
  check_idle();
}

std::optional<Seconds> State::next_deadline() const {
  std::optional<Seconds> next;
  const auto at = [&](Seconds time) { next = next ? std::min(*next, time) : time; };
  if (options.worker_ttl > 0) {
    const auto ttl = std::max(options.worker_ttl, 10 * heartbeat_interval(live_workers.size()));
    for (const auto worker : live_workers) at(workers[worker]->last_seen + ttl + kAfter);
  }
  if (needs_balancing()) at(last_balance + options.work_stealing_interval);
  if (!retirements.empty() || !goals.empty() || !moves.empty() || !with_copies.empty())
    at(last_replica_round + kReplicaRound);
  if (options.no_workers_timeout > 0) {
    if (no_workers_since) at(*no_workers_since + options.no_workers_timeout + kAfter);
    for (const auto id : unrunnable.with_holes()) {
      if (id == kNone) continue;
      at(unrunnable_since.at(id) + options.no_workers_timeout + kAfter);
      break;  // The others came later.
    }
  }
  if (options.idle_timeout > 0 && idle_since) at(*idle_since + options.idle_timeout);
  return next;
}

void State::check_worker_ttl() {
  if (options.worker_ttl <= 0) return;
  const auto ttl = std::max(options.worker_ttl, 10 * heartbeat_interval(live_workers.size()));
  for (const auto number : live_workers.ids()) {
    const auto silent = now - workers[number]->last_seen;
    if (silent <= ttl) continue;
    log(30, fmt::format("Worker failed to heartbeat for {:.0f}s; removing: {}", silent,
                        workers[number]->info.address));
    remove_worker(number, false, true);
  }
}

bool State::has_work() const {
  return processing_count != 0 || queued_count() != 0 || !unrunnable.empty();
}

// At the end of every call: idle since the last one that changed a task.
void State::refresh_idle_since() {
  if (has_work()) {
    idle_since.reset();
  } else if (!idle_since || transition_count != idle_transition_count) {
    idle_since = now;
  }
  idle_transition_count = transition_count;
}

void State::check_idle() {
  if (options.idle_timeout <= 0 || has_work() || !idle_since) return;
  if (now < *idle_since + options.idle_timeout) return;
  log(20,
      fmt::format("Scheduler closing after being idle for {}", format_time(options.idle_timeout)));
  out->push_back(ShutDown{"idle-timeout-exceeded"});
  idle_since = now;  // Said once for each time-out.
}

void State::check_no_workers() {
  if (options.no_workers_timeout <= 0) return;
  for (const auto id : unrunnable.ids()) {
    const auto since = unrunnable_since.at(id);
    if (now <= since + options.no_workers_timeout) break;
    const bool workers_came = !no_workers_since || *no_workers_since >= since;
    fail_unrunnable(id, !workers_came);
  }
  if (!no_workers_since || now <= *no_workers_since + options.no_workers_timeout) return;
  for (const auto id : queued_tasks()) fail_unrunnable(id, true);
}

void State::fail_unrunnable(std::uint32_t id, bool no_worker) {
  auto& task = tasks[id];
  Failure failure;
  failure.blame = task.key;
  failure.exception =
      no_worker ? no_worker_error(task.key, options.no_workers_timeout, failure.exception_text)
                : no_valid_worker_error(task.key, annotations[task.annotation],
                                        options.no_workers_timeout, failure.exception_text);
  failure.traceback = explanation(failure.exception_text);
  log(40, fmt::format("Task {} marked as failed because it timed out waiting {}", task.key.str(),
                      no_worker ? "without any running workers."
                                : "for its restrictions to become satisfied."));
  set_failure(task, add_failure(std::move(failure)));
  transition(id, TaskState::erred);
}

void State::refresh_no_workers_since(Seconds since) {
  if (!running.empty() || (queued_count() == 0 && unrunnable.empty())) {
    no_workers_since.reset();
  } else if (!no_workers_since) {
    no_workers_since = since;
  }
}

}  // namespace rask::scheduler
