#pragma once
// The last transitions, for story(). Internal to the room.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rask/base/ids.h"
#include "rask/graph/key.h"
#include "rask/worker/worker.h"

namespace rask::worker {

// Why the machine moves: a stimulus id that came in a message, or one named after the shell's event
// and the time, which is written out only when somebody reads it.
struct StimulusRecord {
  std::string text;        // Empty: named by the next two.
  std::string_view event;  // A literal: "task-finished".
  Seconds time = 0;        // When it was handled.

  std::string id() const;
};

class LogRing {
 public:
  explicit LogRing(std::size_t length) : lines_(length), stimuli_(length), forgotten_(length) {}

  // Opens the record of an event. It takes a place only when a transition follows.
  void begin(StimulusRecord stimulus) {
    pending_ = std::move(stimulus);
    stimulus_at_ = kPending;
  }
  const StimulusRecord& stimulus() const {
    return stimulus_at_ == kPending ? pending_ : stimuli_[stimulus_at_ % stimuli_.size()];
  }

  // Writes a line, and gives its number so that its finish can be told afterwards.
  std::uint64_t add(const Key& key, TaskState start) {
    if (lines_.empty()) return 0;
    if (stimulus_at_ == kPending) keep_stimulus();
    lines_[line_count_ % lines_.size()] = {key.hash(), stimulus_at_, start, start};
    return line_count_++;
  }
  void finish(std::uint64_t number, TaskState state) {
    if (!lines_.empty()) lines_[number % lines_.size()].finish = state;
  }
  // A task is forgotten: its lines remember it by the hash alone, so its key is kept here.
  void keep(Key key) {
    if (!forgotten_.empty()) forgotten_[forgotten_count_++ % forgotten_.size()] = std::move(key);
  }

  // `known` are the keys of all living tasks.
  std::vector<Worker::StoryLine> story(std::span<const Key> keys,
                                       std::span<const std::string> stimuli,
                                       std::vector<Key> known) const;

 private:
  void keep_stimulus();
  static constexpr std::uint64_t kPending = ~std::uint64_t{0};

  struct Line {
    std::uint64_t key_hash = 0;  // A key here would cost two atomic counts a transition.
    std::uint64_t stimulus = 0;
    TaskState start{};
    TaskState finish{};
  };

  std::vector<Line> lines_;              // Line n lies at n % length.
  std::vector<StimulusRecord> stimuli_;  // As long: each one here has a line of its own.
  std::vector<Key> forgotten_;           // As long, for the same reason.
  std::uint64_t line_count_ = 0;
  std::uint64_t forgotten_count_ = 0;
  std::uint64_t stimulus_count_ = 0;
  StimulusRecord pending_;
  std::uint64_t stimulus_at_ = kPending;
};

}  // namespace rask::worker
