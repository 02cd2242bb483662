// The Core's tasks: submitted, wanted, waited for, released.
#include <algorithm>
#include <unordered_set>

#include "rask/base/assert.h"
#include "rask/client/core.h"
#include "rask/client/keys.h"
#include "rask/graph/task.h"
#include "rask/graph/task_context.h"

namespace rask::internal {

void release(FutureState* state) { state->core->release(state); }

// ---- Asked by users -----------------------------------------------------------------------------

void Core::require_open() const {
  if (link_ == Link::closed) throw ClientError{closed_why_};
}

FutureRef Core::submit(NewTask&& task, const protocol::AnnotationsPtr& annotations) {
  const std::lock_guard lock{mutex_};
  require_open();
  bool fresh = false;
  FutureState* state = add_locked(task.key, fresh);
  if (fresh) queue_graph_task(std::move(task), true, annotations);
  return FutureRef{state};
}

FutureRef Core::submit_actor(NewTask&& task, const protocol::AnnotationsPtr& annotations) {
  const std::lock_guard lock{mutex_};
  require_open();
  bool fresh = false;
  FutureState* state = add_locked(task.key, fresh);
  if (fresh) {
    graph_open_ = false;  // A graph of its own: it says of all its keys that they are actors.
    open_graph().actors = true;
    queue_graph_task(std::move(task), true, annotations);
    graph_open_ = false;
  }
  return FutureRef{state};
}

std::vector<FutureRef> Core::submit_all(std::vector<NewTask>&& tasks,
                                        const protocol::AnnotationsPtr& annotations) {
  std::vector<FutureRef> futures;
  futures.reserve(tasks.size());
  const std::lock_guard lock{mutex_};
  require_open();
  for (NewTask& task : tasks) {
    bool fresh = false;
    futures.emplace_back(add_locked(task.key, fresh));
    if (fresh) queue_graph_task(std::move(task), true, annotations);
  }
  return futures;
}

std::vector<FutureRef> Core::submit_graph(std::vector<NewTask>&& tasks, std::span<const Key> wanted,
                                          const protocol::AnnotationsPtr& annotations) {
  std::vector<FutureRef> futures;
  futures.reserve(wanted.size());
  const std::lock_guard lock{mutex_};
  require_open();
  // First: the end of a failed future of the same key must come before the graph.
  std::vector<Key> fresh_keys;
  for (const Key& key : wanted) {
    bool fresh = false;
    futures.emplace_back(add_locked(key, fresh));
    if (fresh) fresh_keys.push_back(key);
  }
  graph_open_ = false;  // A graph of its own: its order means something.
  protocol::UpdateGraph& graph = open_graph();
  graph.keys = std::move(fresh_keys);
  for (NewTask& task : tasks) {
    const auto order = static_cast<std::int64_t>(graph.tasks.size());
    graph.tasks.push_back({std::move(task.key), std::move(task.dependencies),
                           std::move(task.run_spec),
                           task.annotations ? std::move(task.annotations) : annotations, order});
  }
  graph_open_ = false;
  wake_locked();
  return futures;
}

FutureRef Core::desire(const Key& key) {
  const std::lock_guard lock{mutex_};
  require_open();
  bool fresh = false;
  FutureRef future{add_locked(key, fresh)};
  if (fresh) {
    graph_open_ = false;
    outgoing_.emplace_back(protocol::FromClient{protocol::ClientDesiresKeys{{key}}});
    wake_locked();
  }
  return future;
}

FutureRef Core::hold_scattered(const Key& key) {
  const std::lock_guard lock{mutex_};
  require_open();
  bool fresh = false;
  FutureState* state = add_locked(key, fresh);
  if (fresh) finish_locked(*state, Status::finished);
  return FutureRef{state};
}

Key Core::unique_key(std::string_view function) {
  std::uint64_t low = 0;
  {
    const std::lock_guard lock{mutex_};
    low = ++unique_low_;
  }
  return numbered_key(function, unique_high_, low);
}

void Core::cancel(std::span<const FutureRef> futures, const CancelOptions& options) {
  protocol::CancelKeys message{{}, options.force, options.reason, options.msg};
  std::vector<std::unique_ptr<Watcher>> spent;
  const std::lock_guard lock{mutex_};
  require_open();
  const std::string reason = options.reason.empty() ? "unknown" : options.reason;
  for (const FutureRef& future : futures) {
    if (future->core != this || !future->in_table) continue;
    message.keys.push_back(future->key);
    cancel_locked(*future.get(), reason, options.msg);
  }
  if (message.keys.empty()) return;
  graph_open_ = false;
  outgoing_.emplace_back(protocol::FromClient{std::move(message)});
  spent.swap(spent_);
  notify_locked();
  wake_locked();
}

void Core::set_pending(const Key& key) {
  const std::lock_guard lock{mutex_};
  FutureState* state = table_.find(key);
  if (state == nullptr) return;
  state->failure = nullptr;
  state->status.store(Status::pending, std::memory_order_release);
}

// The stream may tell how it went before the answer comes, so the futures are pending from the
// start; those that the scheduler did not run again fail as before.
void Core::retry(std::span<const FutureRef> futures) {
  std::vector<std::pair<FutureRef, std::shared_ptr<const Failure>>> asked;
  std::vector<Key> keys;
  {
    const std::lock_guard lock{mutex_};
    require_open();
    for (const FutureRef& future : futures) {
      if (future->status != Status::error) continue;
      asked.emplace_back(future, std::exchange(future->failure, nullptr));
      keys.push_back(future->key);
      future->status.store(Status::pending, std::memory_order_release);
    }
  }
  if (asked.empty()) return;
  std::unordered_set<Key> retried;
  const auto restore = [&] {
    std::vector<std::unique_ptr<Watcher>> spent;
    const std::lock_guard lock{mutex_};
    for (auto& [future, failure] : asked) {
      if (retried.contains(future->key) || future->status != Status::pending) continue;
      future->failure = failure;
      finish_locked(*future.get(), Status::error);
    }
    notify_locked();
    spent.swap(spent_);
  };
  try {
    const wire::Value answer = call(
        wire::Value::object({{"op", "retry"}, {"keys", list_of(keys)}, {"client", id_}}), kForever);
    for (const wire::Value& key : answer.as_array()) retried.insert(key_of(key));
  } catch (...) {
    restore();
    throw;
  }
  restore();
}

// ---- The table ----------------------------------------------------------------------------------

// A state with one more reference; `fresh` when the scheduler must be told of it.
FutureState* Core::add_locked(const Key& key, bool& fresh) {
  FutureState* state = table_.find(key);
  fresh = state == nullptr;
  if (state != nullptr) {
    // Nobody held it any more: a failed one is run again, as if the release had gone out already.
    const bool unheld = state->count.load(std::memory_order_relaxed) == 0;
    fresh = unheld && state->status.load(std::memory_order_relaxed) == Status::error;
    if (fresh) {
      queue_releases();
    } else {
      state->count.fetch_add(1, std::memory_order_relaxed);
      return state;
    }
  }
  state = slab_.take();
  ++states_;
  state->core = this;
  state->key = key;
  state->count.store(1, std::memory_order_relaxed);
  table_.insert(state);
  return state;
}

protocol::UpdateGraph& Core::open_graph() {
  const TaskContext* context = current_task();
  const Key submitting = context == nullptr ? Key{} : context->key;
  if (graph_open_) {
    auto& graph = std::get<protocol::UpdateGraph>(std::get<protocol::FromClient>(outgoing_.back()));
    if (graph.submitting_task == submitting) return graph;
  }
  protocol::UpdateGraph graph;
  graph.submitting_task = submitting;
  outgoing_.emplace_back(protocol::FromClient{std::move(graph)});
  graph_open_ = true;
  return std::get<protocol::UpdateGraph>(std::get<protocol::FromClient>(outgoing_.back()));
}

void Core::queue_graph_task(NewTask&& task, bool wanted,
                            const protocol::AnnotationsPtr& annotations) {
  protocol::UpdateGraph& graph = open_graph();
  if (wanted) graph.keys.push_back(task.key);
  const auto order = static_cast<std::int64_t>(graph.tasks.size());
  graph.tasks.push_back({std::move(task.key), std::move(task.dependencies),
                         std::move(task.run_spec), annotations, order});
  wake_locked();
}

// Puts what was released into the line of messages, at its end.
void Core::queue_releases() {
  protocol::ClientReleasesKeys message;
  for (FutureState* state : std::exchange(releases_, {})) {
    state->release_queued = false;
    if (state->count.load(std::memory_order_relaxed) > 0) continue;  // Wanted again.
    message.keys.push_back(state->key);
    forget_locked(*state);
  }
  if (message.keys.empty()) return;
  graph_open_ = false;
  outgoing_.emplace_back(protocol::FromClient{std::move(message)});
}

std::unordered_map<Key, Status> Core::statuses() const {
  std::unordered_map<Key, Status> found;
  const std::lock_guard lock{mutex_};
  slab_.for_each([&](const FutureState& state) {
    if (state.count.load(std::memory_order_relaxed) == 0) return;
    const auto [at, fresh] = found.try_emplace(state.key, state.status.load());
    if (!fresh && state.in_table) at->second = state.status.load();  // The others are cancelled.
  });
  return found;
}

void Core::forget_locked(FutureState& state) {
  if (state.in_table) table_.erase(&state);
  while (state.watchers != nullptr) {
    spent_.emplace_back(state.watchers);
    state.watchers = state.watchers->next;
  }
  slab_.give_back(&state);
  --states_;
}

void Core::release(FutureState* state) {
  std::uint32_t count = state->count.load(std::memory_order_relaxed);
  while (count > 1) {
    if (state->count.compare_exchange_weak(count, count - 1, std::memory_order_acq_rel)) return;
  }
  std::shared_ptr<Core> last;  // Perhaps this core's last owner: freed after the lock.
  const std::lock_guard lock{mutex_};
  if (state->count.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (link_ == Link::closed || !state->in_table) {
    forget_locked(*state);
    if (link_ == Link::closed && states_ == 0) last.swap(self_);
    return;
  }
  if (std::exchange(state->release_queued, true)) return;
  releases_.push_back(state);
  wake_locked();
}

void Core::wake_locked() {
  if (wake_posted_ || link_ != Link::running) return;
  wake_posted_ = true;
  loop_.post([this] { flush(); });
}

// ---- Done ---------------------------------------------------------------------------------------

void Core::notify_locked() {
  if (waiting_ > 0) done_.notify_all();
}

void Core::finish_locked(FutureState& state, Status status) {
  state.status.store(status, std::memory_order_release);
  if (status != Status::finished) ++failures_;
  while (Watcher* watcher = state.watchers) {
    state.watchers = watcher->next;
    watcher->on_done(state);
    spent_.emplace_back(watcher);
  }
}

// The state stays with those who hold it; the key is free for another task.
void Core::cancel_locked(FutureState& state, const std::string& reason,
                         const std::string& message) {
  if (state.done() && state.status == Status::cancelled) return;
  auto failure = std::make_shared<Failure>();
  failure->reason = reason;
  failure->message = message;
  state.failure = std::move(failure);
  table_.erase(&state);
  if (state.count.load(std::memory_order_relaxed) == 0) {
    std::erase(releases_, &state);
    forget_locked(state);
    return;
  }
  finish_locked(state, Status::cancelled);
}

void Core::cancel_all_locked(const std::string& reason, const std::string& message) {
  std::vector<FutureState*> all;
  all.reserve(table_.size());
  table_.for_each([&](FutureState& state) { all.push_back(&state); });
  // Those that nobody holds go first, all at once.
  for (FutureState* state : std::exchange(releases_, {})) state->release_queued = false;
  for (FutureState* state : all) {
    if (state->count.load(std::memory_order_relaxed) == 0)
      forget_locked(*state);
    else
      cancel_locked(*state, reason, message);
  }
  notify_locked();
}

std::uint32_t Core::number_of_worker(const std::string& address) {
  const auto [entry, added] =
      worker_numbers_.emplace(address, static_cast<std::uint32_t>(workers_.size()));
  if (added) workers_.push_back(address);
  return entry->second;
}

void Core::watch(FutureState& state, std::unique_ptr<Watcher> watcher) {
  std::vector<std::unique_ptr<Watcher>> spent;  // Destroyed after the lock.
  const std::lock_guard lock{mutex_};
  if (state.done()) {
    watcher->on_done(state);
    spent.push_back(std::move(watcher));
    notify_locked();
    return;
  }
  watcher->next = state.watchers;
  state.watchers = watcher.release();
}

std::unique_ptr<Watcher> Core::unwatch_locked(FutureState& state, Watcher* watcher) {
  for (Watcher** at = &state.watchers; *at != nullptr; at = &(*at)->next) {
    if (*at != watcher) continue;
    *at = watcher->next;
    return std::unique_ptr<Watcher>{watcher};
  }
  return nullptr;
}

// ---- Waiting ------------------------------------------------------------------------------------

namespace {

bool has_failed(const FutureRef& future) {
  const Status status = future->status.load(std::memory_order_acquire);
  return status == Status::error || status == Status::cancelled;
}

}  // namespace

void Core::wait_all(std::span<const FutureRef> futures, const Deadline& deadline,
                    bool stop_at_failure) {
  std::size_t at = 0;
  const auto skip_done = [&] {
    while (at < futures.size() && futures[at]->done()) ++at;
    return at == futures.size();
  };
  if (skip_done()) return;
  std::unique_lock lock{mutex_};
  RASK_ASSERT(std::this_thread::get_id() != loop_id_);
  const Waiting waiting{*this};
  std::uint64_t failures = failures_ + 1;  // Not equal: look at all once.
  const auto ready = [&] {
    if (skip_done() || !stop_at_failure || failures == failures_) return at == futures.size();
    failures = failures_;
    return std::any_of(futures.begin(), futures.end(), has_failed);
  };
  if (!deadline.wait(done_, lock, ready))
    throw TimeoutError{"timed out while waiting for task " + futures[at]->key.str()};
}

void Core::wait_any(std::span<const FutureRef> futures, const Deadline& deadline) {
  if (futures.empty()) return;
  std::unique_lock lock{mutex_};
  const Waiting waiting{*this};
  const auto ready = [&] {
    return std::any_of(futures.begin(), futures.end(),
                       [](const FutureRef& future) { return future->done(); });
  };
  if (!deadline.wait(done_, lock, ready))
    throw TimeoutError{"timed out while waiting for the first of " +
                       std::to_string(futures.size()) + " tasks"};
}

std::shared_ptr<const Failure> Core::failure_of(FutureState& state) {
  const std::lock_guard lock{mutex_};
  return state.failure;
}

void Core::throw_failure(FutureState& state) {
  const auto failure = failure_of(state);
  const std::string key = state.key.str();
  if (failure == nullptr) throw ClientError{"task " + key + " has no result"};
  if (state.status == Status::error)
    throw TaskError{key, failure->failure.type, failure->failure.message, failure->failure.worker,
                    failure->failure.traceback};
  std::string text = key + " cancelled for reason: " + failure->reason;
  if (!failure->message.empty()) text += ". " + failure->message;
  throw CancelledError{key, failure->reason, text};
}

}  // namespace rask::internal
