#include "rask/executor/local_run.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "rask/base/assert.h"

namespace rask::executor {

using internal::DelayedNode;
using internal::Inputs;
using internal::Plan;
using internal::Slot;

namespace {

using Place = std::uint32_t;
constexpr Place kNone = 0xffff'ffff;
constexpr Place kRootsAtOnceMax = 64;

/// Tasks that could run, of one thread. Its owner takes the last, others the first half.
class alignas(64) Queue {
 public:
  void push(std::span<const Place> places) {
    const Lock lock{*this};
    items_.insert(items_.end(), places.begin(), places.end());
    count_.store(static_cast<Place>(items_.size() - first_), std::memory_order_seq_cst);
  }
  Place pop() {
    if (empty()) return kNone;
    const Lock lock{*this};
    if (first_ == items_.size()) return kNone;
    const Place place = items_.back();
    items_.pop_back();
    shrink();
    return place;
  }
  void steal_into(std::vector<Place>& stolen) {
    if (empty()) return;
    const Lock lock{*this};
    const auto count = (items_.size() - first_ + 1) / 2;
    const auto begin = items_.begin() + static_cast<std::ptrdiff_t>(first_);
    stolen.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
    first_ += count;
    shrink();
  }
  bool empty() const { return count_.load(std::memory_order_seq_cst) == 0; }

 private:
  class Lock {
   public:
    explicit Lock(Queue& queue) : flag_(queue.flag_) {
      while (flag_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
    }
    ~Lock() { flag_.clear(std::memory_order_release); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    std::atomic_flag& flag_;
  };
  void shrink() {
    if (first_ == items_.size()) {
      items_.clear();
      first_ = 0;
    }
    count_.store(static_cast<Place>(items_.size() - first_), std::memory_order_seq_cst);
  }

  std::atomic_flag flag_;
  std::atomic<Place> count_ = 0;
  std::size_t first_ = 0;
  std::vector<Place> items_;
};

/// How many tasks a thread has run. It alone writes.
struct alignas(64) Counter {
  std::atomic<Place> ran = 0;
};

struct Failed {
  Place place;
  TaskFailure failure;
};

}  // namespace

// ---- One run ------------------------------------------------------------------------------------

class LocalRun::State {
 public:
  State(Plan plan, LocalRunOptions options);

  /// Frees the results. A thread of the pool may keep the rest a little longer.
  void clear();

  /// Works as thread number `worker` of this run until it finds nothing to do.
  void work(unsigned worker);
  bool has_work() const;
  bool is_over() const {
    return stopped_.load(std::memory_order_acquire) ||
           tasks_left_.load(std::memory_order_acquire) == 0;
  }

  /// Wakes who could help with what was put into a queue.
  void tell_of_work();

  std::atomic<unsigned> idle;  // How many of its threads are not at work here.
  // Of the pool, under its mutex.
  std::vector<unsigned> free_workers;  // Numbers that nobody works under; never 0, the caller's.
  std::size_t helpers = 0;

  std::size_t finished() const;

  Plan plan;
  std::vector<Failed> failures;  // In the order in which they happened.
  std::vector<Place> chain_from(Place failed, Place target) const;
  Place blamed(Place place) const { return blame_[place].load(std::memory_order_relaxed); }
  void* value(Place place) {
    return live_[place] != 0 ? plan.nodes[place]->object(slots_[place]) : nullptr;
  }

 private:
  Place next(unsigned worker);
  Place take_roots(unsigned worker);
  Place steal(unsigned worker);
  Place execute(unsigned worker, Place place);
  bool call(Place place);
  void fail(Place place, TaskFailure failure);
  void release_inputs(Place place);
  std::span<const Place> dependents_of(Place place) const {
    return std::span(dependents_)
        .subspan(dependent_offsets_[place],
                 dependent_offsets_[place + 1] - dependent_offsets_[place]);
  }

  const LocalRunOptions options_;
  std::vector<Place> dependent_offsets_;
  std::vector<Place> dependents_;
  std::vector<Place> roots_;
  std::unique_ptr<Slot[]> slots_;
  std::unique_ptr<std::atomic<Place>[]> missing_;
  std::unique_ptr<std::atomic<Place>[]> users_;
  std::unique_ptr<std::atomic<Place>[]> blame_;  // The failed task that a task depends on, or is.
  std::vector<std::uint8_t> live_;               // Has a value in its slot.
  std::vector<Queue> queues_;
  std::vector<Counter> counters_;  // By worker; none unless somebody wants to know.
  std::atomic<Place> next_root_ = 0;
  std::atomic<std::size_t> tasks_left_;
  std::atomic<bool> stopped_ = false;
  std::mutex failures_mutex_;
};

// ---- The pool -----------------------------------------------------------------------------------

namespace {

/// The threads of this process that help with runs. Never destroyed: tasks may run until the end.
class Pool {
 public:
  using Run = LocalRun::State;

  static Pool& instance() {
    static auto& pool = *new Pool;
    return pool;
  }

  /// Works on a run, with others, until it is over and all others have left it.
  void run(const std::shared_ptr<Run>& run, int num_workers);

  /// Somebody may have something to do.
  void wake_waiting() {
    if (waiting_.fetch_add(0, std::memory_order_seq_cst) == 0) return;
    {
      const std::lock_guard lock{mutex_};
    }
    changed_.notify_all();
  }

 private:
  void help();
  std::shared_ptr<Run> find_work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<int> waiting_ = 0;
  std::vector<std::shared_ptr<Run>> runs_;
  std::size_t threads_ = 0;
};

}  // namespace

LocalRun::State::State(Plan the_plan, LocalRunOptions options)
    : idle(static_cast<unsigned>(options.num_workers - 1)),
      plan(std::move(the_plan)),
      options_(std::move(options)),
      dependent_offsets_(plan.nodes.size() + 1),
      dependents_(plan.dependencies.size()),
      slots_(new Slot[plan.nodes.size()]),
      missing_(new std::atomic<Place>[plan.nodes.size()]),
      users_(new std::atomic<Place>[plan.nodes.size()]),
      blame_(new std::atomic<Place>[plan.nodes.size()]),
      live_(plan.nodes.size()),
      queues_(static_cast<std::size_t>(options_.num_workers)),
      counters_(options_.counted ? queues_.size() : 0),
      tasks_left_(0) {
  const auto count = static_cast<Place>(plan.nodes.size());
  for (const Place dependency : plan.dependencies) ++dependent_offsets_[dependency + 1];
  for (Place place = 0; place < count; ++place) {
    users_[place].store(dependent_offsets_[place + 1], std::memory_order_relaxed);
    dependent_offsets_[place + 1] += dependent_offsets_[place];
    blame_[place].store(kNone, std::memory_order_relaxed);
  }
  std::vector<Place> fill(dependent_offsets_.begin(), dependent_offsets_.end() - 1);
  for (Place place = 0; place < count; ++place) {
    const auto dependencies = plan.dependencies_of(place);
    missing_[place].store(static_cast<Place>(dependencies.size()), std::memory_order_relaxed);
    if (dependencies.empty()) roots_.push_back(place);
    for (const Place dependency : dependencies) dependents_[fill[dependency]++] = place;
  }
  // A target has one user more, who does not go.
  std::vector<Place> targets = plan.targets;
  std::ranges::sort(targets);
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  for (const Place target : targets) users_[target].fetch_add(1, std::memory_order_relaxed);
  tasks_left_ = count;
  for (unsigned worker = 1; worker < queues_.size(); ++worker) free_workers.push_back(worker);
}

void LocalRun::State::clear() {
  for (Place place = 0; place < plan.nodes.size(); ++place)
    if (std::exchange(live_[place], 0) != 0) plan.nodes[place]->destroy(slots_[place]);
  plan.held.clear();
}

bool LocalRun::State::has_work() const {
  if (stopped_.load(std::memory_order_relaxed)) return false;
  if (next_root_.load(std::memory_order_seq_cst) < roots_.size()) return true;
  return std::ranges::any_of(queues_, [](const Queue& queue) { return !queue.empty(); });
}

void LocalRun::State::tell_of_work() {
  if (idle.load(std::memory_order_seq_cst) > 0) Pool::instance().wake_waiting();
}

std::size_t LocalRun::State::finished() const {
  std::size_t count = 0;
  for (const Counter& counter : counters_) count += counter.ran.load(std::memory_order_relaxed);
  return count;
}

void LocalRun::State::work(unsigned worker) {
  std::size_t ran = 0;
  auto* const counter = counters_.empty() ? nullptr : &counters_[worker].ran;
  const auto count_off = [&] {
    if (ran > 0 && tasks_left_.fetch_sub(ran, std::memory_order_acq_rel) == ran)
      Pool::instance().wake_waiting();
    ran = 0;
  };
  while (true) {
    Place place = queues_[worker].pop();
    if (place == kNone) {
      count_off();
      place = next(worker);
      if (place == kNone) return;
    }
    while (place != kNone && !stopped_.load(std::memory_order_relaxed)) {
      place = execute(worker, place);
      ++ran;
      if (counter != nullptr)
        counter->store(counter->load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
  }
}

Place LocalRun::State::next(unsigned worker) {
  if (stopped_.load(std::memory_order_relaxed)) return kNone;
  const Place root = take_roots(worker);
  return root != kNone ? root : steal(worker);
}

// The first of some that nobody has begun; the others wait in the queue, where they can be taken.
Place LocalRun::State::take_roots(unsigned worker) {
  const auto count = static_cast<Place>(roots_.size());
  const Place begun = next_root_.load(std::memory_order_relaxed);
  if (begun >= count) return kNone;
  const Place share = (count - begun) / (8 * static_cast<Place>(queues_.size()));
  const Place first = next_root_.fetch_add(std::clamp<Place>(share, 1, kRootsAtOnceMax));
  if (first >= count) return kNone;
  const Place end = std::min(count, first + std::clamp<Place>(share, 1, kRootsAtOnceMax));
  if (end - first > 1) {
    Place others[kRootsAtOnceMax];
    std::reverse_copy(roots_.begin() + first + 1, roots_.begin() + end, others);
    queues_[worker].push({others, end - first - 1});
    tell_of_work();
  }
  return roots_[first];
}

Place LocalRun::State::steal(unsigned worker) {
  std::vector<Place> stolen;
  for (std::size_t i = 1; i < queues_.size() && stolen.empty(); ++i)
    queues_[(worker + i) % queues_.size()].steal_into(stolen);
  if (stolen.empty()) return kNone;
  const Place place = stolen.back();
  stolen.pop_back();
  if (!stolen.empty()) queues_[worker].push(stolen);
  return place;
}

// Runs one task, and gives one that it made possible, or none.
Place LocalRun::State::execute(unsigned worker, Place place) {
  if (blame_[place].load(std::memory_order_relaxed) == kNone) live_[place] = call(place) ? 1 : 0;
  release_inputs(place);
  const Place blame = blame_[place].load(std::memory_order_relaxed);
  Place first = kNone;
  bool pushed = false;
  for (const Place dependent : dependents_of(place)) {
    if (blame != kNone) blame_[dependent].store(blame, std::memory_order_relaxed);
    // Whoever sees that it is the last needs no atomic step.
    if (missing_[dependent].load(std::memory_order_acquire) != 1 &&
        missing_[dependent].fetch_sub(1, std::memory_order_acq_rel) != 1)
      continue;
    if (first == kNone) {
      first = dependent;
    } else {
      queues_[worker].push({&dependent, 1});
      pushed = true;
    }
  }
  if (pushed) tell_of_work();
  return first;
}

bool LocalRun::State::call(Place place) {
  const DelayedNode& node = *plan.nodes[place];
  const Inputs inputs{slots_.get(), plan.dependencies.data() + plan.dependency_offsets[place]};
  const internal::CallScope scope{node};
  try {
    if (options_.call)
      options_.call(node, inputs, slots_[place]);
    else
      node.run(inputs, slots_[place]);
    return true;
  } catch (internal::ForeignFailure& foreign) {
    fail(place, std::move(foreign.failure));
  } catch (...) {
    TaskFailure failure = failure_of_current_exception();
    failure.traceback = "Traceback (most recent call last):\n  in function " + node.function() +
                        "\n  of task " + node.key().str() + "\n" + failure.type + ": " +
                        failure.message + "\n";
    fail(place, std::move(failure));
  }
  return false;
}

void LocalRun::State::fail(Place place, TaskFailure failure) {
  blame_[place].store(place, std::memory_order_relaxed);
  {
    const std::lock_guard lock{failures_mutex_};
    failures.push_back({place, std::move(failure)});
  }
  if (!options_.stop_on_error) return;
  stopped_.store(true, std::memory_order_release);
  Pool::instance().wake_waiting();
}

void LocalRun::State::release_inputs(Place place) {
  for (const Place dependency : plan.dependencies_of(place)) {
    if (users_[dependency].load(std::memory_order_acquire) != 1 &&
        users_[dependency].fetch_sub(1, std::memory_order_acq_rel) != 1)
      continue;
    if (live_[dependency] == 0) continue;
    plan.nodes[dependency]->destroy(slots_[dependency]);
    live_[dependency] = 0;
  }
}

std::vector<Place> LocalRun::State::chain_from(Place failed, Place target) const {
  std::vector<Place> reached_from(plan.nodes.size(), kNone);
  std::vector<Place> reached{failed};
  for (std::size_t i = 0; i < reached.size() && reached_from[target] == kNone; ++i) {
    for (const Place dependent : dependents_of(reached[i])) {
      if (reached_from[dependent] != kNone) continue;
      reached_from[dependent] = reached[i];
      reached.push_back(dependent);
    }
  }
  std::vector<Place> chain{target};
  while (chain.back() != failed && reached_from[chain.back()] != kNone)
    chain.push_back(reached_from[chain.back()]);
  std::ranges::reverse(chain);
  return chain;
}

void Pool::run(const std::shared_ptr<Run>& run, int num_workers) {
  {
    const std::lock_guard lock{mutex_};
    runs_.push_back(run);
    for (; threads_ + 1 < static_cast<std::size_t>(num_workers); ++threads_) {
      std::thread thread{[this] { help(); }};
      pthread_setname_np(thread.native_handle(), ("rask-" + std::to_string(threads_)).c_str());
      thread.detach();
    }
  }
  if (num_workers > 1) wake_waiting();
  while (true) {
    run->work(0);
    std::unique_lock lock{mutex_};
    run->idle.fetch_add(1);
    waiting_.fetch_add(1);
    changed_.wait(lock, [&] { return run->is_over() ? run->helpers == 0 : run->has_work(); });
    waiting_.fetch_sub(1);
    run->idle.fetch_sub(1);
    if (!run->is_over() || run->helpers > 0) continue;
    std::erase(runs_, run);
    return;
  }
}

// The newest first: the others may wait for it.
std::shared_ptr<LocalRun::State> Pool::find_work() {
  for (auto at = runs_.rbegin(); at != runs_.rend(); ++at)
    if (!(*at)->free_workers.empty() && !(*at)->is_over() && (*at)->has_work()) return *at;
  return nullptr;
}

void Pool::help() {
  std::unique_lock lock{mutex_};
  while (true) {
    std::shared_ptr<Run> run;
    waiting_.fetch_add(1);
    changed_.wait(lock, [&] { return (run = find_work()) != nullptr; });
    waiting_.fetch_sub(1);
    const unsigned worker = run->free_workers.back();
    run->free_workers.pop_back();
    ++run->helpers;
    run->idle.fetch_sub(1);
    lock.unlock();
    run->work(worker);
    lock.lock();
    run->free_workers.push_back(worker);
    run->idle.fetch_add(1);
    if (--run->helpers == 0 && run->is_over()) changed_.notify_all();
  }
}

// ---- The face -----------------------------------------------------------------------------------

LocalRun::LocalRun(Plan plan, const LocalRunOptions& options) {
  LocalRunOptions own = options;
  if (own.num_workers <= 0)
    own.num_workers = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  state_ = std::make_shared<State>(std::move(plan), own);
  num_workers_ = own.num_workers;
}

LocalRun::~LocalRun() { state_->clear(); }

void LocalRun::run() { Pool::instance().run(state_, num_workers_); }

std::size_t LocalRun::size() const { return state_->plan.nodes.size(); }
std::size_t LocalRun::finished() const { return state_->finished(); }
std::size_t LocalRun::failed() const { return state_->failures.size(); }

void* LocalRun::result(std::size_t target) { return state_->value(state_->plan.targets[target]); }

TargetFailure LocalRun::failure(std::size_t target) const {
  RASK_ASSERT(!state_->failures.empty());
  const Place place = state_->plan.targets[target];
  const Place blamed = state_->blamed(place);
  const auto found = std::ranges::find(state_->failures, blamed, &Failed::place);
  const Failed& failed = found != state_->failures.end() ? *found : state_->failures.front();
  TargetFailure failure{.chain = {}, .failure = failed.failure};
  for (const Place link : state_->chain_from(failed.place, place))
    failure.chain.push_back(state_->plan.nodes[link]->key());
  return failure;
}

std::optional<TargetFailure> LocalRun::first_failure() const {
  if (state_->failures.empty()) return std::nullopt;
  const Place failed = state_->failures.front().place;
  // The first target that it keeps from being computed.
  for (const Place target : state_->plan.targets) {
    const auto chain = state_->chain_from(failed, target);
    if (chain.front() != failed) continue;
    TargetFailure failure{.chain = {}, .failure = state_->failures.front().failure};
    for (const Place link : chain) failure.chain.push_back(state_->plan.nodes[link]->key());
    return failure;
  }
  return std::nullopt;
}

}  // namespace rask::executor
