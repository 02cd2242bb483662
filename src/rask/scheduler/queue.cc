#include "rask/scheduler/queue.h"

#include <algorithm>
#include <functional>

namespace rask::scheduler {

void TaskQueue::add(const protocol::Priority& priority, std::uint32_t task) {
  ++live_;
  Entry entry{priority, task};
  if (run_begin_ == run_.size()) {
    run_.clear();
    run_begin_ = 0;
  }
  if (run_.empty() || !(run_.back() > entry)) {
    run_.push_back(entry);
    return;
  }
  heap_.push_back(entry);
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>{});
}

const TaskQueue::Entry* TaskQueue::first() const {
  const Entry* of_run = run_begin_ < run_.size() ? &run_[run_begin_] : nullptr;
  const Entry* of_heap = heap_.empty() ? nullptr : &heap_.front();
  if (of_run == nullptr || of_heap == nullptr) return of_run != nullptr ? of_run : of_heap;
  return *of_run > *of_heap ? of_heap : of_run;
}

void TaskQueue::drop_first() {
  const auto* entry = first();
  RASK_ASSERT(entry != nullptr);
  if (!heap_.empty() && entry == &heap_.front()) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>{});
    heap_.pop_back();
    return;
  }
  ++run_begin_;
  // Give memory back now and then; each entry is moved at most once for each that left.
  if (run_begin_ >= 4096 && run_begin_ * 2 >= run_.size()) {
    run_.erase(run_.begin(), run_.begin() + static_cast<std::ptrdiff_t>(run_begin_));
    run_begin_ = 0;
  }
}

void TaskQueue::sort_and_unique(std::vector<Entry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return b > a; });
  const auto same = [](const Entry& a, const Entry& b) {
    return a.task == b.task && a.priority == b.priority;
  };
  entries.erase(std::unique(entries.begin(), entries.end(), same), entries.end());
}

void TaskQueue::rebuild(std::vector<Entry>&& entries) {
  sort_and_unique(entries);
  run_ = std::move(entries);
  run_begin_ = 0;
  heap_.clear();
}

void TaskQueue::clear() { *this = TaskQueue{}; }

}  // namespace rask::scheduler
