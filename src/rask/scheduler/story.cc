#include "rask/scheduler/story.h"

#include <algorithm>

namespace rask::scheduler {

namespace {
constexpr std::uint64_t kStimulusMask = (std::uint64_t{1} << 36) - 1;
constexpr std::size_t kTextKeptMax = 64;
}  // namespace

std::uint64_t StoryLog::open_stimulus() {
  last_ = nullptr;
  if (length_ == 0) return 0;
  if (stimuli_.size() < length_) stimuli_.emplace_back();
  return stimulus_count_++ % length_;
}

void StoryLog::set_stimulus(std::uint64_t number, std::string_view text) {
  if (length_ == 0) return;
  auto& place = stimuli_[number];
  // The place keeps its memory, which nobody has touched for long: freed, it would be handed out
  // next, to whatever is made while the next message is read. That of a long text does not stay.
  if (text.size() <= place.capacity() && place.capacity() <= kTextKeptMax)
    place.assign(text);
  else
    std::string{text}.swap(place);
  __builtin_prefetch(stimuli_[number + 1 == stimuli_.size() ? 0 : number + 1].data(), 1);
}

void StoryLog::add(const Key& key, TaskState start, TaskState finish, std::uint64_t stimulus,
                   Seconds now) {
  if (length_ == 0) return;
  if (last_ != nullptr && last_->state_count < kStatesMax && last_->key == key &&
      last_->state(last_->state_count - 1) == start) {
    const auto states = last_->states | static_cast<std::uint64_t>(finish)
                                            << (4 * last_->state_count);
    last_->states = states & 0xff'ffff;
    last_->state_count = (last_->state_count + 1) & 15;
    return;
  }
  const auto states = static_cast<std::uint64_t>(start) | static_cast<std::uint64_t>(finish) << 4;
  Line line{key, now, states & 0xff'ffff, 2, stimulus & kStimulusMask};
  if (lines_.size() < length_) {
    last_ = &lines_.emplace_back(std::move(line));
    return;
  }
  last_ = &lines_[next_];
  *last_ = std::move(line);
  next_ = next_ + 1 == length_ ? 0 : next_ + 1;
  lines_[next_].key.prefetch();  // It goes next, and nobody has touched it for long.
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
    for (std::uint64_t step = 0; step + 1 < line.state_count; ++step)
      out.push_back({line.key, line.state(step), line.state(step + 1), stimulus, line.time});
  }
  return out;
}

}  // namespace rask::scheduler
