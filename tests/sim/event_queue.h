#pragma once
// The virtual clock: what happens next, and when. Equal times happen in the order of their making.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "rask/base/ids.h"

namespace rask::sim {

// A timer alone does not keep the cluster busy: when only timers are left, it is at rest.
enum class Kind : std::uint8_t { work, timer };

class EventQueue {
 public:
  explicit EventQueue(Seconds start) : now_(start) {}

  Seconds now() const { return now_; }
  bool empty() const { return items_.empty(); }
  std::size_t work_count() const { return work_count_; }

  void at(Seconds time, std::function<void()> run, Kind kind = Kind::work) {
    items_.push_back({std::max(time, now_), number_++, kind, std::move(run)});
    std::push_heap(items_.begin(), items_.end(), later);
    work_count_ += kind == Kind::work;
  }
  void after(Seconds delay, std::function<void()> run, Kind kind = Kind::work) {
    at(now_ + delay, std::move(run), kind);
  }

  Seconds next_time() const { return items_.front().time; }  // REQUIRES !empty()
  void step() {                                              // REQUIRES !empty()
    std::pop_heap(items_.begin(), items_.end(), later);
    Item item = std::move(items_.back());
    items_.pop_back();
    work_count_ -= item.kind == Kind::work;
    now_ = item.time;
    item.run();
  }
  void advance_to(Seconds time) { now_ = std::max(now_, time); }

 private:
  struct Item {
    Seconds time;
    std::uint64_t number;
    Kind kind;
    std::function<void()> run;
  };
  static bool later(const Item& a, const Item& b) {
    return a.time != b.time ? a.time > b.time : a.number > b.number;
  }

  std::vector<Item> items_;
  std::uint64_t number_ = 0;
  std::size_t work_count_ = 0;
  Seconds now_;
};

// One direction of a connection: what is sent first arrives first, however long it takes.
class Channel {
 public:
  Seconds arrival(Seconds now, Seconds latency) {
    last_ = std::max(last_, now + latency);
    return last_;
  }

 private:
  Seconds last_ = 0;
};

}  // namespace rask::sim
