#include "rask/worker/log_ring.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

namespace rask::worker {

namespace {

// "task-finished-1731000000.123456": microseconds tell two events of one worker apart.
std::string name_with_time(std::string_view event, Seconds time) {
  const auto micros = static_cast<std::int64_t>(time * 1e6);
  char digits[48];
  char* const point = std::to_chars(digits, digits + 24, micros / 1'000'000).ptr;
  // The fraction keeps its leading noughts behind a one, which the point then takes the place of.
  const auto end = std::to_chars(point, digits + 48, 1'000'000 + micros % 1'000'000).ptr;
  *point = '.';
  std::string id;
  id.reserve(event.size() + 1 + static_cast<std::size_t>(end - digits));
  id.append(event).push_back('-');
  id.append(digits, static_cast<std::size_t>(end - digits));
  return id;
}

}  // namespace

std::string StimulusRecord::id() const {
  return text.empty() && !event.empty() ? name_with_time(event, time) : text;
}

void LogRing::keep_stimulus() {
  stimulus_at_ = stimulus_count_++;
  stimuli_[stimulus_at_ % stimuli_.size()] = std::move(pending_);
}

std::vector<Worker::StoryLine> LogRing::story(std::span<const Key> keys,
                                              std::span<const std::string> stimuli,
                                              std::vector<Key> known) const {
  known.insert(known.end(), keys.begin(), keys.end());
  known.insert(known.end(), forgotten_.begin(), forgotten_.end());
  std::unordered_map<std::uint64_t, const Key*> by_hash;
  for (const Key& key : known) by_hash.emplace(key.hash(), &key);
  std::vector<Worker::StoryLine> story;
  const auto from = line_count_ > lines_.size() ? line_count_ - lines_.size() : 0;
  for (auto number = from; number < line_count_; ++number) {
    const Line& line = lines_[number % lines_.size()];
    const StimulusRecord& stimulus = stimuli_[line.stimulus % stimuli_.size()];
    const auto key = by_hash.find(line.key_hash);
    if (key == by_hash.end()) continue;
    auto id = stimulus.id();
    if (std::ranges::find(keys, *key->second) == keys.end() &&
        std::ranges::find(stimuli, id) == stimuli.end())
      continue;
    story.push_back({*key->second, line.start, line.finish, std::move(id), stimulus.time});
  }
  return story;
}

}  // namespace rask::worker
