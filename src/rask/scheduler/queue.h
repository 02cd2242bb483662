#pragma once
// Root-ish tasks that wait on the scheduler for a free slot, best priority first.
//
// A graph's tasks arrive in the order of their priorities, so most of the queue is one sorted run:
// add and take cost O(1). What comes out of order goes to a heap. Tasks that left the queue by
// another way stay as stale entries until they come up; the caller says which are live.
#include <cstdint>
#include <vector>

#include "rask/protocol/messages.h"
#include "rask/scheduler/containers.h"

namespace rask::scheduler {

class TaskQueue {
 public:
  struct Entry {
    protocol::Priority priority;
    std::uint32_t task;
    bool operator>(const Entry& other) const {
      return priority != other.priority ? priority > other.priority : task > other.task;
    }
  };

  void add(const protocol::Priority& priority, std::uint32_t task);
  void left() { --live_; }                    // A task left the queue, by pop or by another way.
  std::size_t size() const { return live_; }  // Live entries only.
  bool empty() const { return live_ == 0; }
  std::size_t stored() const { return run_.size() - run_begin_ + heap_.size(); }

  // The best entry for which `live` holds; stale ones before it are dropped. kNone: no task.
  template <class Live>
  std::uint32_t peek(Live&& live) {
    while (const auto* entry = first()) {
      if (live(*entry)) return entry->task;
      drop_first();
    }
    return kNone;
  }
  void drop_first();
  // The task that comes up after `ahead` others, if that is known; for the cache.
  std::uint32_t upcoming(std::size_t ahead) const {
    return run_begin_ + ahead < run_.size() ? run_[run_begin_ + ahead].task : kNone;
  }
  // Throws away stale entries when they outnumber the live ones.
  template <class Live>
  void trim(Live&& live) {
    if (stored() < 1024 || stored() < 2 * live_) return;
    std::vector<Entry> kept;
    for (auto i = run_begin_; i < run_.size(); ++i) {
      if (live(run_[i])) kept.push_back(run_[i]);
    }
    for (const auto& entry : heap_) {
      if (live(entry)) kept.push_back(entry);
    }
    rebuild(std::move(kept));
  }
  // Every live task, best first. O(n log n): for queries and time-outs.
  template <class Live>
  std::vector<std::uint32_t> tasks(Live&& live) const {
    std::vector<Entry> all(run_.begin() + static_cast<std::ptrdiff_t>(run_begin_), run_.end());
    all.insert(all.end(), heap_.begin(), heap_.end());
    return sorted_live(std::move(all), live);
  }
  // Calls `visit` with live tasks in no particular order until it says false.
  template <class Live, class Visit>
  void sample(Live&& live, Visit&& visit) const {
    for (auto i = run_begin_; i < run_.size(); ++i) {
      if (live(run_[i]) && !visit(run_[i].task)) return;
    }
    for (const auto& entry : heap_) {
      if (live(entry) && !visit(entry.task)) return;
    }
  }
  void clear();

 private:
  const Entry* first() const;
  void rebuild(std::vector<Entry>&& entries);
  static void sort_and_unique(std::vector<Entry>& entries);
  template <class Live>
  static std::vector<std::uint32_t> sorted_live(std::vector<Entry>&& entries, Live& live) {
    sort_and_unique(entries);
    std::vector<std::uint32_t> out;
    for (const auto& entry : entries) {
      if (live(entry)) out.push_back(entry.task);
    }
    return out;
  }

  std::vector<Entry> run_;  // Sorted; what stands before run_begin_ is gone.
  std::size_t run_begin_ = 0;
  std::vector<Entry> heap_;
  std::size_t live_ = 0;
};

}  // namespace rask::scheduler
