// How much work a worker holds, and who gets the next task of the queue.
//
// Dask's rule counts tasks: worker-saturation times threads. It bounds the results that pile up on
// workers, but makes a task of microseconds wait for a round trip. Without the option set, rask
// keeps some milliseconds of expected work at a worker when tasks are known to be short and small.
// source: distributed/scheduler.py, check_idle_saturated, is_unoccupied, _task_slots_available,
// stimulus_queue_slots_maybe_opened
#include <algorithm>
#include <cmath>

#include "rask/scheduler/state.h"

namespace rask::scheduler {

namespace {
constexpr double kDefaultSaturation = 1.1;
constexpr Seconds kExpectedWork = 0.005;      // for each thread
constexpr std::int64_t kTinyTasksMax = 2000;  // for each thread
constexpr double kTinyNbytesMax = 64 * 1024;
constexpr double kSure = 0.85;  // Of what its pace promises.
constexpr Seconds kWaitMax = 0.050;
constexpr Seconds kWaitShort = 0.005;  // While another is idle, or a client waits.
constexpr std::uint32_t kFewWanted = 16;
constexpr std::size_t kLooks = 64;  // at what a worker has to do
constexpr Seconds kAroundTaskMax = 0.005;
constexpr int kPaceTasks = 4;              // To tell it from,
constexpr Seconds kPaceSpan = 0.004;       // in so long a time at least: messages come in heaps.
constexpr std::int64_t kStickyTasks = 16;  // for each thread: at most this many in a row
constexpr Seconds kStickyWork = 0.0005;    // and no more expected work than this
}  // namespace

bool State::queuing() const {
  return !options.worker_saturation || !std::isinf(*options.worker_saturation);
}

std::int64_t State::slots_available(const Worker& worker) const {
  const auto saturation = options.worker_saturation.value_or(kDefaultSaturation);
  const auto slots = std::max(1.0, std::ceil(saturation * worker.info.nthreads));
  return static_cast<std::int64_t>(slots) - worker.wanting_threads();
}

bool State::is_tiny(const Prefix& prefix) const {
  return !options.worker_saturation && prefix.duration_average >= 0 &&
         prefix.duration_average < kExpectedWork && prefix.nbytes_average <= kTinyNbytesMax;
}

bool State::has_room_for_tiny(const Worker& worker) const {
  if (options.worker_saturation) return false;
  const auto nthreads = worker.info.nthreads;
  // One that is full gets the next ones when half has been done: many in one message.
  const int share = worker.open ? 1 : 2;
  if (share * worker.wanting_threads() >= kTinyTasksMax * nthreads) return false;
  return share * occupancy(worker) < kExpectedWork * nthreads ||
         (worker.info.runs_python && share * time_held(worker) < 2 * kWaitMax * nthreads);
}

// What it has to do. Python needs more time around a short task than for it, and is left alone
// meanwhile (can_wait).
Seconds State::time_held(const Worker& worker) const {
  const auto around = worker.info.runs_python ? worker.pace.around_task : 0;
  return occupancy(worker) + around * static_cast<double>(worker.wanting_threads());
}

// As much is left in the queue for each thread of the others as one here would have. So the last
// tasks are dealt out fewer and fewer at a time, and the workers end together. What is done in less
// time than a message takes does not count.
// source: guided self-scheduling, Polychronopoulos and Kuck 1987
bool State::leaves_enough_for_others(const Worker& worker) const {
  const auto others = total_nthreads - worker.info.nthreads;
  const auto left = static_cast<std::int64_t>(queued_count());
  return worker.wanting_threads() * others < left * worker.info.nthreads ||
         time_held(worker) < kStickyWork * worker.info.nthreads;
}

// Most of the time for which all its threads have something to do, the first of them being half way
// through what they run; less while another worker has not, or a client waits for one of its tasks.
Seconds State::can_wait(const Worker& worker) const {
  const auto nthreads = std::int64_t{worker.info.nthreads};
  const auto processing = worker.wanting_threads();
  if (processing <= nthreads) return 0;
  Seconds known = 0;
  for (const auto& [prefix, count] : worker.prefixes)
    known += std::max(0.0, prefixes[prefix].duration_average) * count;
  const auto each = (known / static_cast<double>(processing) + worker.pace.around_task) /
                    static_cast<double>(nthreads);
  const auto enough = kSure * (static_cast<double>(processing - nthreads) + 0.5) * each;
  const auto has_nothing_to_do = [this](std::uint32_t number) {
    const auto& other = *workers[number];
    return other.info.runs_python && std::int64_t{other.processing.size()} < other.info.nthreads;
  };
  const bool others_idle = std::ranges::any_of(idle, has_nothing_to_do);
  if (others_idle && has_news_for_others(worker)) return 0;
  if (enough <= kWaitShort) return enough;
  return others_idle || has_awaited(worker) ? kWaitShort : std::min(enough, kWaitMax);
}

// Whether what it says next may give others work, as far as a short look tells.
bool State::has_news_for_others(const Worker& worker) const {
  const auto places = worker.processing.with_holes();
  return worker.in_flight_tasks < 0 ||
         std::ranges::any_of(
             places.first(std::min(places.size(), kLooks)),
             [this](std::uint32_t id) { return id != kNone && tasks[id].waiters > 0; });
}

// Whether it has lately been given one of the few tasks that a client holds. Who holds many, as of
// a map, does not wait for one in particular.
bool State::has_awaited(const Worker& worker) const {
  const auto is_awaited = [this](const Want& want) {
    return want.client != 0 && clients[want.client]->wants_what.size() <= kFewWanted;
  };
  const auto places = worker.processing.with_holes();
  return std::ranges::any_of(places.last(std::min(places.size(), kLooks)), [&](std::uint32_t id) {
    return id != kNone && std::ranges::any_of(tasks[id].who_wants, is_awaited);
  });
}

// What the worker needed for a task beside running it since the last look. Who may have been idle
// (see enter_worker) is looked at anew.
void State::measure_pace(Worker& worker) {
  auto& pace = worker.pace;
  if (pace.finished < kPaceTasks || now - pace.since < kPaceSpan) return;
  const auto spent = (now - pace.since) * worker.info.nthreads - pace.ran;
  const auto each = std::clamp(spent / pace.finished, kAroundTask, kAroundTaskMax);
  pace = {.since = now, .around_task = (pace.around_task + each) / 2};
}

bool State::is_unoccupied(const Worker& worker, Seconds occupancy, std::int64_t processing) const {
  const auto nthreads = worker.info.nthreads;
  return processing < nthreads ||
         occupancy < nthreads * (total_occupancy() / static_cast<double>(total_nthreads)) / 2;
}

void State::check_idle_saturated(std::uint32_t worker) {
  if (workers[worker]->alive) check_idle_saturated(worker, occupancy(*workers[worker]));
}

void State::check_idle_saturated(std::uint32_t number, Seconds occupied) {
  auto& worker = *workers[number];
  if (total_nthreads == 0 || !worker.alive) return;
  const auto update = [number](bool& flag, SortedIds& set, bool value) {
    if (flag == value) return;
    flag = value;
    value ? set.insert(number) : set.erase(number);
  };
  const auto processing = std::int64_t{worker.processing.size()};
  const auto nthreads = std::int64_t{worker.info.nthreads};
  bool is_saturated = false;
  const bool is_idle = worker.running() && is_unoccupied(worker, occupied, processing);
  if (worker.running() && !is_idle && processing > nthreads) {
    const auto pending = occupied * static_cast<double>(processing - nthreads) /
                         static_cast<double>(processing * nthreads);
    is_saturated =
        pending > 0.4 && pending > 1.9 * (total_occupancy() / static_cast<double>(total_nthreads));
  }
  update(worker.idle, idle, is_idle);
  update(worker.saturated, saturated, is_saturated);
  update(
      worker.open, open,
      worker.running() && queuing() && (slots_available(worker) > 0 || has_room_for_tiny(worker)));
}

// The least busy worker with room, or kNone. Tiny tasks go to one worker a few at a time: looking
// at all workers for each would cost more than the task.
std::uint32_t State::decide_worker_rootish_queuing_enabled(const Task& task) {
  const auto& of = prefix(task);
  const bool tiny = is_tiny(of);
  const auto language = annotations[task.annotation].language;
  const auto has_room = [&](const Worker& worker) {
    return worker.open && speaks(worker, language) &&
           (slots_available(worker) > 0 || (tiny && leaves_enough_for_others(worker)));
  };
  if (tiny && sticky_left > 0 && sticky_worker != kNone && has_room(*workers[sticky_worker])) {
    --sticky_left;
    return sticky_worker;
  }
  auto best = kNone;
  for (const auto number : open) {
    ++work_count;
    if (!has_room(*workers[number])) continue;
    if (best == kNone) {
      best = number;
      continue;
    }
    const auto load = [&](std::uint32_t a, std::uint32_t b) {
      return std::uint64_t{workers[a]->processing.size()} *
             static_cast<std::uint64_t>(workers[b]->info.nthreads);
    };
    if (load(number, best) < load(best, number)) best = number;
  }
  sticky_worker = kNone;
  if (!tiny || best == kNone) return best;
  const auto by_work = kStickyWork / std::max(of.duration_average, 1e-9);
  // No more than its share of a small group.
  const auto share =
      static_cast<double>(groups[task.group].size) / static_cast<double>(total_nthreads);
  const auto in_a_row = std::min({static_cast<double>(kStickyTasks), by_work, share});
  sticky_worker = best;
  sticky_left = static_cast<std::int64_t>(in_a_row * workers[best]->info.nthreads) - 1;
  return best;
}

bool State::queued_is_live(const TaskQueue::Entry& entry) const {
  const auto& task = tasks[entry.task];
  return task.state == TaskState::queued && task.priority == entry.priority;
}

std::size_t State::queued_count() const {
  std::size_t count = 0;
  for (const auto& queue : queues) count += queue.size();
  return count;
}

std::vector<std::uint32_t> State::queued_tasks() const {
  std::vector<std::uint32_t> all;
  for (const auto& queue : queues) {
    const auto ids = queue.tasks([this](const auto& entry) { return queued_is_live(entry); });
    all.insert(all.end(), ids.begin(), ids.end());
  }
  return all;
}

// The best of the first tasks of each language, as long as somebody has room for it.
void State::fill_queue_slots() {
  const auto live = [this](const TaskQueue::Entry& entry) { return queued_is_live(entry); };
  std::array<bool, kLanguages> full{};
  while (!open.empty()) {
    auto best = kNone;
    std::size_t from = 0;
    for (std::size_t language = 0; language < kLanguages; ++language) {
      if (full[language] || queues[language].empty()) continue;
      const auto id = queues[language].peek(live);
      if (id == kNone || (best != kNone && tasks[best].priority <= tasks[id].priority)) continue;
      best = id;
      from = language;
    }
    if (best == kNone) break;
    auto& queue = queues[from];
    if (const auto soon = queue.upcoming(4); soon != kNone) prefetch(soon);
    transition(best, TaskState::processing);
    if (tasks[best].state == TaskState::queued) {
      full[from] = true;
      continue;
    }
    queue.drop_first();
    drain();
  }
  for (auto& queue : queues) queue.trim(live);
}

}  // namespace rask::scheduler
