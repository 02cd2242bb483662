#include "rask/client/as_completed.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "rask/client/core.h"

namespace rask::internal {

// Guarded by the mutex of the futures' core: it is the core that reports, with that lock held.
struct CompletionQueue::State {
  explicit State(Seconds timeout) : deadline(timeout) {}

  struct Node final : Watcher {
    Node(State* the_owner, FutureRef future) : owner(the_owner), ref(std::move(future)) {}
    void on_done(FutureState&) override {
      owner->pending.erase(this);
      owner->ready.push_back(std::move(ref));
    }
    State* owner;
    FutureRef ref;
  };

  std::shared_ptr<Core> core;  // Of the first future.
  const Deadline deadline;
  std::unordered_set<Node*> pending;
  std::deque<FutureRef> ready;
};

CompletionQueue::CompletionQueue(Seconds timeout) : state_(std::make_unique<State>(timeout)) {}
CompletionQueue::~CompletionQueue() { clear(); }

void CompletionQueue::add(const FutureRef& future) {
  if (state_->core == nullptr) state_->core = future->core->shared_from_this();
  if (state_->core.get() != future->core)
    throw ClientError{"as_completed takes futures of one client"};
  auto node = std::make_unique<State::Node>(state_.get(), future);
  {
    const std::lock_guard lock{state_->core->mutex()};
    state_->pending.insert(node.get());
  }
  state_->core->watch(*future.get(), std::move(node));
}

bool CompletionQueue::is_empty() const { return count() == 0; }

bool CompletionQueue::has_ready() const {
  if (state_->core == nullptr) return false;
  const std::lock_guard lock{state_->core->mutex()};
  return !state_->ready.empty();
}

std::size_t CompletionQueue::count() const {
  if (state_->core == nullptr) return 0;
  const std::lock_guard lock{state_->core->mutex()};
  return state_->pending.size() + state_->ready.size();
}

FutureRef CompletionQueue::next() {
  if (state_->core == nullptr) return {};
  Core& core = *state_->core;
  std::unique_lock lock{core.mutex()};
  const Core::Waiting waiting{core};
  const auto ready = [&] { return !state_->ready.empty() || state_->pending.empty(); };
  if (!state_->deadline.wait(core.done(), lock, ready))
    throw TimeoutError{"as_completed timed out with " + std::to_string(state_->pending.size()) +
                       " tasks not done"};
  if (state_->ready.empty()) return {};
  FutureRef future = std::move(state_->ready.front());
  state_->ready.pop_front();
  return future;
}

std::vector<FutureRef> CompletionQueue::next_batch(bool block) {
  std::vector<FutureRef> batch;
  if (block) {
    FutureRef first = next();
    if (!first) return batch;
    batch.push_back(std::move(first));
  }
  if (state_->core == nullptr) return batch;
  const std::lock_guard lock{state_->core->mutex()};
  for (FutureRef& future : state_->ready) batch.push_back(std::move(future));
  state_->ready.clear();
  return batch;
}

std::vector<FutureRef> CompletionQueue::wait_batch(Seconds timeout) {
  if (state_->core != nullptr) {
    Core& core = *state_->core;
    std::unique_lock lock{core.mutex()};
    const Core::Waiting waiting{core};
    const Deadline deadline{std::min(timeout, state_->deadline.left())};
    deadline.wait(core.done(), lock,
                  [&] { return !state_->ready.empty() || state_->pending.empty(); });
  }
  return next_batch(false);
}

void CompletionQueue::clear() {
  if (state_->core == nullptr) return;
  std::vector<FutureRef> held;  // Released without the lock, as the nodes are.
  std::vector<std::unique_ptr<Watcher>> nodes;
  const std::lock_guard lock{state_->core->mutex()};
  for (FutureRef& future : state_->ready) held.push_back(std::move(future));
  state_->ready.clear();
  for (State::Node* node : state_->pending)
    nodes.push_back(state_->core->unwatch_locked(*node->ref.get(), node));
  state_->pending.clear();
}

std::optional<wire::Payload> fetch_one(const FutureRef& future, Errors errors) {
  auto values = future->core->fetch(std::span{&future, 1}, Deadline{kForever}, errors);
  return std::move(values[0]);
}

}  // namespace rask::internal
