#include "rask/scheduler/story.h"

#include <algorithm>

namespace rask::scheduler {

namespace {
constexpr std::uint64_t kStimulusMask = (std::uint64_t{1} << 56) - 1;
}

std::uint64_t StoryLog::open_stimulus() {
  const auto number = stimulus_count_++;
  if (length_ != 0 && stimuli_.size() < length_) stimuli_.emplace_back();
  return number;
}

void StoryLog::set_stimulus(std::uint64_t number, std::string&& text) {
  if (length_ != 0) stimuli_[number % length_] = std::move(text);
}

void StoryLog::add(Key&& key, TaskState start, TaskState finish, std::uint64_t stimulus,
                   Seconds now) {
  if (length_ == 0) return;
  Line line{std::move(key), now, static_cast<std::uint8_t>(start) & 15u,
            static_cast<std::uint8_t>(finish) & 15u, stimulus & kStimulusMask};
  if (lines_.size() < length_) {
    lines_.push_back(std::move(line));
    return;
  }
  lines_[next_] = std::move(line);
  next_ = (next_ + 1) % length_;
}

std::vector<Scheduler::StoryLine> StoryLog::find(std::span<const Key> keys,
                                                 std::span<const std::string> stimuli) const {
  std::vector<Scheduler::StoryLine> out;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    const auto& line = lines_[(next_ + i) % lines_.size()];
    const auto& stimulus = text(line.stimulus);
    if (std::find(keys.begin(), keys.end(), line.key) == keys.end() &&
        std::find(stimuli.begin(), stimuli.end(), stimulus) == stimuli.end())
      continue;
    out.push_back({line.key, static_cast<TaskState>(line.start),
                   static_cast<TaskState>(line.finish), stimulus, line.time});
  }
  return out;
}

}  // namespace rask::scheduler
