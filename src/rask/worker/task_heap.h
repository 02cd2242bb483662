#pragma once
// A heap of tasks by priority with lazy deletion. Internal to the room.
#include <algorithm>
#include <compare>
#include <cstdint>
#include <limits>
#include <vector>

#include "rask/base/ids.h"
#include "rask/protocol/messages.h"

namespace rask::worker {

// The scheduler's priority, and the worker's own number that breaks ties: last in, first out.
struct TaskPriority {
  protocol::Priority scheduler;
  std::int64_t generation = 0;
  auto operator<=>(const TaskPriority&) const = default;
};

// What acquire-replicas fetches: after the dependencies of all computations of default or
// explicitly high priority, before those of computations of low priority.
inline constexpr TaskPriority kReplicaPriority{
    {1, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::min()},
    std::numeric_limits<std::int64_t>::min()};

// An entry counts only while the task still carries the epoch it was pushed with: leaving the heap
// costs the task one store, and the dead entry is dropped when it reaches the top.
class TaskHeap {
 public:
  struct Entry {
    TaskPriority priority;
    TaskId task{};
    std::uint64_t epoch = 0;
  };

  void push(const Entry& entry) {
    entries_.push_back(entry);
    std::push_heap(entries_.begin(), entries_.end(), runs_later);
  }

  // The best entry for which `alive` holds; nullptr when there is none.
  template <typename Alive>
  const Entry* top(const Alive& alive) {
    while (!entries_.empty()) {
      if (alive(entries_.front())) return &entries_.front();
      pop();
    }
    return nullptr;
  }

  void pop() {
    std::pop_heap(entries_.begin(), entries_.end(), runs_later);
    entries_.pop_back();
  }

  // Drops the dead when they are most of it, so that mass releases do not leave a graveyard.
  template <typename Alive>
  void compact(std::size_t alive_count, const Alive& alive) {
    if (entries_.size() < 64 || entries_.size() < 2 * alive_count) return;
    std::erase_if(entries_, [&](const Entry& entry) { return !alive(entry); });
    std::make_heap(entries_.begin(), entries_.end(), runs_later);
  }

  std::size_t size() const { return entries_.size(); }
  const std::vector<Entry>& entries() const { return entries_; }
  void clear() { entries_.clear(); }

 private:
  static bool runs_later(const Entry& a, const Entry& b) { return b.priority < a.priority; }

  std::vector<Entry> entries_;
};

}  // namespace rask::worker
