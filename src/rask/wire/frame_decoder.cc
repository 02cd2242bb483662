#include <algorithm>
#include <cstring>

#include "rask/base/assert.h"
#include "rask/wire/block.h"
#include "rask/wire/message.h"

namespace rask::wire {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kFirstBlockBytes = std::size_t{16} << 10;
constexpr std::size_t kSharedBlockBytes = std::size_t{256} << 10;  // Larger messages get their own.
constexpr std::size_t kReadBytesMin = 4096;
constexpr std::size_t kShardBytes = std::size_t{64} << 20;  // distributed.comm.shard
// Address space that a large part of a message gets at once; beyond it, the part is copied as it
// grows, so that peers that lie cannot use up the addresses either.
constexpr std::uint64_t kReservedBytesMax = std::uint64_t{4} << 30;

std::uint64_t read_u64(const char* at) {
  std::uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

Error corrupt(std::string text) { return Error{ErrorCode::corrupt_message, std::move(text)}; }

}  // namespace

struct FrameDecoder::State {
  Limits limits;

  // Small messages: bytes [begin, end) of the block have come and not been given out.
  Block block;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t block_bytes = kFirstBlockBytes;  // Grows while reads fill it.
  std::uint64_t needed = 2 * kWord;            // Fewer bytes than that: nothing to do yet.
  std::size_t offered = 0;                     // By prepare().

  // A large message: regions of frames, each read into a block of its own.
  bool assembling = false;
  std::vector<std::uint64_t> lengths;
  Frames frames;         // Of the regions that are complete.
  std::size_t last = 0;  // Index behind the frames of this region.
  Block region;
  std::uint64_t region_bytes = 0;
  std::size_t region_filled = 0;

  std::size_t available() const { return end - begin; }

  Result<std::optional<Message>> next_small();
  Result<std::uint64_t> frame_bytes(std::uint64_t total, std::uint64_t count) const;
  Message slice_message(std::uint64_t count);
  Result<std::optional<Message>> begin_large(std::uint64_t count);
  Result<std::optional<Message>> next_large();
  bool begin_region();
  bool region_has_room();
  void end_region();
  void make_room();
};

// The bytes of all frames, when the prelude at `begin` makes sense.
Result<std::uint64_t> FrameDecoder::State::frame_bytes(std::uint64_t total,
                                                       std::uint64_t count) const {
  const char* const at = block.data + begin + 2 * kWord;
  const std::uint64_t prelude = (1 + count) * kWord;
  std::uint64_t bytes = 0;
  bool total_fits = total == prelude;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t length = read_u64(at + i * kWord);
    if (length > limits.message_bytes_max - bytes) return corrupt("message larger than the limit");
    bytes += length;
    total_fits |= total == prelude + bytes;
  }
  if (!total_fits) return corrupt("total length does not end with a frame");
  return bytes;
}

Message FrameDecoder::State::slice_message(std::uint64_t count) {
  const char* const lengths_at = block.data + begin + 2 * kWord;
  std::size_t offset = begin + (2 + count) * kWord;
  Frames message;
  message.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::size_t length = read_u64(lengths_at + i * kWord);
    message.push_back(block.part(offset, length));
    offset += length;
  }
  begin = offset;
  needed = 2 * kWord;
  return Message{std::move(message)};
}

Result<std::optional<Message>> FrameDecoder::State::next_small() {
  if (available() < needed) return std::optional<Message>{};
  const std::uint64_t total = read_u64(block.data + begin);
  const std::uint64_t count = read_u64(block.data + begin + kWord);
  if (count > limits.frame_count_max) return corrupt("more frames than the limit");
  if (total > limits.message_bytes_max) return corrupt("message larger than the limit");
  const std::uint64_t prelude = (2 + count) * kWord;
  if (total < prelude - kWord) return corrupt("total length shorter than its lengths");
  if (available() < prelude) {
    needed = prelude;
    return std::optional<Message>{};
  }
  RASK_TRY(const std::uint64_t bytes, frame_bytes(total, count));
  if (bytes > limits.message_bytes_max - prelude) return corrupt("message larger than the limit");
  const std::uint64_t whole = prelude + bytes;
  if (available() >= whole) return std::optional{slice_message(count)};
  if (whole > kSharedBlockBytes) return begin_large(count);
  needed = whole;
  return std::optional<Message>{};
}

Result<std::optional<Message>> FrameDecoder::State::begin_large(std::uint64_t count) {
  lengths.resize(count);
  std::memcpy(lengths.data(), block.data + begin + 2 * kWord, count * kWord);
  begin += (2 + count) * kWord;
  needed = 2 * kWord;
  frames.clear();
  frames.reserve(count);
  last = 0;
  assembling = true;
  if (!begin_region()) return corrupt("no memory for a message that large");
  return next_large();
}

// Chooses the frames of the next region, and moves into it what has come of them already.
bool FrameDecoder::State::begin_region() {
  region_bytes = 0;
  while (last < lengths.size()) {
    const std::uint64_t length = lengths[last++];
    region_bytes += length;
    if (region_bytes >= kLargeBlockBytes && length < kShardBytes) break;
  }
  region_filled = 0;
  region = try_make_block(std::min(region_bytes, kReservedBytesMax));
  if (region.data == nullptr) return false;
  const std::size_t come = std::min<std::uint64_t>(available(), region_bytes);
  if (come > 0) std::memcpy(region.data, block.data + begin, come);
  begin += come;
  region_filled = come;
  return true;
}

bool FrameDecoder::State::region_has_room() {
  if (region_filled < std::min<std::uint64_t>(region.capacity, region_bytes)) return true;
  Block larger = try_make_block(std::min<std::uint64_t>(region_bytes, region.capacity * 2));
  if (larger.data == nullptr) return false;
  std::memcpy(larger.data, region.data, region_filled);
  region = std::move(larger);
  return true;
}

void FrameDecoder::State::end_region() {
  std::size_t offset = 0;
  while (frames.size() < last) {
    const std::size_t length = lengths[frames.size()];
    frames.push_back(region.part(offset, length));
    offset += length;
  }
  region = {};
}

Result<std::optional<Message>> FrameDecoder::State::next_large() {
  while (region_filled == region_bytes) {
    end_region();
    if (last == lengths.size()) {
      assembling = false;
      lengths = {};
      return std::optional{Message{std::exchange(frames, {})}};
    }
    if (!begin_region()) return corrupt("no memory for a message that large");
  }
  if (!region_has_room()) return corrupt("no memory for a message that large");
  return std::optional<Message>{};
}

// Makes space behind `end` for what the next step needs, in this block or a fresh one.
void FrameDecoder::State::make_room() {
  const std::size_t tail = available();
  // The prelude of a message may claim to be long: memory doubles as it really comes.
  const std::size_t goal = std::min<std::uint64_t>(needed, std::max(2 * tail, kSharedBlockBytes));
  const bool fits = block.data != nullptr && begin + goal <= block.capacity &&
                    block.capacity - end >= std::min(kReadBytesMin, block.capacity / 2);
  if (fits && (begin == 0 || tail > 0)) return;
  const std::size_t wanted = std::max(block_bytes, goal + kReadBytesMin);
  if (block.data != nullptr && block.capacity >= wanted && block.unique()) {
    if (tail > 0) std::memmove(block.data, block.data + begin, tail);
  } else if (fits) {
    return;
  } else {
    Block fresh = make_block(wanted);
    if (tail > 0) std::memcpy(fresh.data, block.data + begin, tail);
    block = std::move(fresh);
  }
  begin = 0;
  end = tail;
}

FrameDecoder::FrameDecoder(Limits limits) : state_(std::make_unique<State>()) {
  state_->limits = limits;
}

FrameDecoder::~FrameDecoder() = default;

FrameDecoder::Space FrameDecoder::prepare() {
  State& s = *state_;
  if (s.assembling) {
    const std::uint64_t room = std::min<std::uint64_t>(s.region.capacity, s.region_bytes);
    RASK_ASSERT(s.region_filled < room);  // next() has made room, or the message is complete.
    const std::uint64_t step = std::max<std::uint64_t>(s.limits.allocation_step_bytes, 1);
    s.offered = std::min<std::uint64_t>(room - s.region_filled, step);
    return {s.region.data + s.region_filled, s.offered};
  }
  s.make_room();
  s.offered = s.block.capacity - s.end;
  return {s.block.data + s.end, s.offered};
}

void FrameDecoder::commit(std::size_t bytes_read) {
  State& s = *state_;
  RASK_ASSERT(bytes_read <= s.offered);
  if (s.assembling) {
    s.region_filled += bytes_read;
  } else {
    s.end += bytes_read;
    if (bytes_read == s.offered) s.block_bytes = std::min(kSharedBlockBytes, s.block_bytes * 2);
  }
  s.offered -= bytes_read;
}

Result<std::optional<Message>> FrameDecoder::next() {
  return state_->assembling ? state_->next_large() : state_->next_small();
}

bool FrameDecoder::mid_message() const { return state_->assembling || state_->available() > 0; }

}  // namespace rask::wire
