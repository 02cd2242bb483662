#pragma once
// The last transitions, in a ring of small records; texts are made only when somebody asks.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rask/scheduler/scheduler.h"

namespace rask::scheduler {

class StoryLog {
 public:
  explicit StoryLog(std::size_t length) : length_(length) {}

  // A place for a stimulus whose text comes later. Each stimulus logged has at least one line, so
  // a ring of the same length always still has the text.
  std::uint64_t open_stimulus();
  void set_stimulus(std::uint64_t number, std::string_view text);

  // Steps of one task in a row share a line: most come so.
  void add(const Key& key, TaskState start, TaskState finish, std::uint64_t stimulus, Seconds now);
  std::vector<Scheduler::StoryLine> find(std::span<const Key> keys,
                                         std::span<const std::string> stimuli) const;
  std::size_t size() const { return lines_.size(); }

 private:
  static constexpr std::uint64_t kStatesMax = 6;
  struct Line {
    Key key;
    Seconds time;
    std::uint64_t states : 24;  // Four bits each, the first lowest.
    std::uint64_t state_count : 4;
    std::uint64_t stimulus : 36;  // The number's low bits: more than a ring is long.

    TaskState state(std::uint64_t index) const {
      return static_cast<TaskState>((states >> (4 * index)) & 15);
    }
  };
  const std::string& text(std::uint64_t stimulus) const { return stimuli_[stimulus]; }

  std::size_t length_;
  std::vector<Line> lines_;
  std::size_t next_ = 0;  // Where the next line goes once the ring is full.
  Line* last_ = nullptr;
  std::vector<std::string> stimuli_;
  std::uint64_t stimulus_count_ = 0;
};

}  // namespace rask::scheduler
