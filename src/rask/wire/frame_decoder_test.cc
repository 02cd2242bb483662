#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <random>

#include "rask/wire/block.h"
#include "rask/wire/message.h"

namespace rask::wire {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::string on_the_wire(const Frames& frames) {
  std::string bytes = frames_prelude(frames);
  for (const Buffer& frame : frames) bytes += frame.view();
  return bytes;
}

std::string words(std::initializer_list<std::uint64_t> values) {
  std::string bytes;
  for (const std::uint64_t value : values) {
    char raw[8];
    std::memcpy(raw, &value, 8);
    bytes.append(raw, 8);
  }
  return bytes;
}

// Feeds all bytes, `step` at most at a time, and collects the messages.
std::vector<Message> decode(FrameDecoder& decoder, std::string_view bytes, std::size_t step) {
  std::vector<Message> messages;
  while (!bytes.empty()) {
    const FrameDecoder::Space space = decoder.prepare();
    EXPECT_GT(space.size, 0u);
    const std::size_t n = std::min({space.size, step, bytes.size()});
    std::memcpy(space.data, bytes.data(), n);
    decoder.commit(n);
    bytes.remove_prefix(n);
    for (;;) {
      auto next = decoder.next();
      EXPECT_TRUE(next.ok());
      if (!next.ok() || !next.value()) break;
      messages.push_back(*std::move(next).value());
    }
  }
  return messages;
}

ErrorCode decode_error(const std::string& bytes, Limits limits = {}) {
  FrameDecoder decoder{limits};
  const FrameDecoder::Space space = decoder.prepare();
  EXPECT_GE(space.size, bytes.size());
  std::memcpy(space.data, bytes.data(), bytes.size());
  decoder.commit(bytes.size());
  const auto next = decoder.next();
  return next.ok() ? ErrorCode::task_failed : next.error().code;
}

Frames random_frames(std::mt19937& random) {
  const std::size_t large = random() % 40 == 0 ? 2 * kMiB : random() % 10 == 0 ? 300'000 : 2000;
  Frames frames;
  for (std::size_t count = random() % 6; count > 0; --count) {
    frames.push_back(
        Buffer::own(std::string(random() % large, static_cast<char>('a' + random() % 26))));
  }
  return frames;
}

// Whatever the pieces in which the bytes come, the messages are those that were sent.
TEST(FrameDecoder, any_pieces_give_the_same_messages) {
  std::mt19937 random{1};
  std::vector<Frames> sent;
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    sent.push_back(random_frames(random));
    bytes += on_the_wire(sent.back());
  }
  for (const std::size_t step : {97u, 4096u, 1'000'003u, 1u << 30}) {
    FrameDecoder decoder;
    const std::vector<Message> messages = decode(decoder, bytes, step);
    ASSERT_EQ(messages.size(), sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(messages[i].frames(), sent[i]) << i;
    EXPECT_FALSE(decoder.mid_message());
  }
}

TEST(FrameDecoder, byte_by_byte) {
  const Frames frames{Buffer::copy_of("root"), Buffer{}, Buffer::copy_of("x")};
  FrameDecoder decoder;
  const std::string bytes = on_the_wire(frames);
  EXPECT_TRUE(decode(decoder, bytes.substr(0, bytes.size() - 1), 1).empty());
  EXPECT_TRUE(decoder.mid_message());
  EXPECT_EQ(decode(decoder, bytes.substr(bytes.size() - 1), 1).size(), 1u);
  EXPECT_FALSE(decoder.mid_message());
}

TEST(FrameDecoder, small_messages_of_one_read_share_a_block) {
  const std::string one = on_the_wire({Buffer::copy_of("small")});
  FrameDecoder decoder;
  const std::vector<Message> messages = decode(decoder, one + one + one, kMiB);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0].frames()[0].owner(), messages[2].frames()[0].owner());
}

TEST(FrameDecoder, memory_is_reused_once_nobody_holds_it) {
  const std::string one = on_the_wire({Buffer::copy_of("small")});
  FrameDecoder decoder;
  const char* const first = decode(decoder, one, kMiB)[0].frames()[0].data();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(decode(decoder, one, kMiB)[0].frames()[0].data(), first);
  }
  const std::vector<Message> held = decode(decoder, one, kMiB);
  EXPECT_NE(decode(decoder, one, kMiB)[0].frames()[0].data(), first);
  EXPECT_EQ(held[0].frames()[0].view(), "small");
}

TEST(FrameDecoder, large_frame_is_contiguous_and_frames_of_many_objects_are_not_tied) {
  const Buffer large = Buffer::own(std::string(64 * kMiB + 5, 'x'));
  const Frames frames{Buffer::copy_of("root"), large, large, Buffer::copy_of("end")};
  FrameDecoder decoder;
  const std::vector<Message> messages = decode(decoder, on_the_wire(frames), 3 * kMiB);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].frames(), frames);
}

TEST(FrameDecoder, large_frames_can_be_freed_one_by_one) {
  const Buffer large = Buffer::own(std::string(2 * kMiB, 'x'));
  const Frames frames{Buffer::copy_of("root"), large, large};
  FrameDecoder decoder;
  const std::vector<Message> messages = decode(decoder, on_the_wire(frames), kMiB);
  ASSERT_EQ(messages.size(), 1u);
  const Frames& got = messages[0].frames();
  EXPECT_EQ(got, frames);
  EXPECT_EQ(got[0].owner(), got[1].owner());
  EXPECT_NE(got[1].owner(), got[2].owner());
}

// The shards of one object lie side by side, so that joining them copies nothing.
TEST(FrameDecoder, full_shards_are_read_side_by_side) {
  const Buffer shard = Buffer::own(std::string(64 * kMiB, 'x'));
  const Frames frames{shard, Buffer::copy_of("rest")};
  FrameDecoder decoder;
  const std::vector<Message> messages = decode(decoder, on_the_wire(frames), 64 * kMiB);
  ASSERT_EQ(messages.size(), 1u);
  const Frames& got = messages[0].frames();
  EXPECT_EQ(got[0].data() + got[0].size(), got[1].data());
  EXPECT_EQ(got[0].owner(), got[1].owner());
}

TEST(FrameDecoder, a_header_that_lies_gets_space_in_steps) {
  Limits limits;
  limits.allocation_step_bytes = kMiB;
  FrameDecoder decoder{limits};
  const std::uint64_t claimed = std::uint64_t{1} << 38;
  EXPECT_TRUE(decode(decoder, words({16 + claimed, 1, claimed}), kMiB).empty());
  EXPECT_LE(decoder.prepare().size, kMiB);
  EXPECT_TRUE(decode(decoder, std::string(5 * kMiB, 'x'), kMiB).empty());
  EXPECT_TRUE(decoder.mid_message());
}

TEST(FrameDecoder, many_lying_peers_do_not_use_up_the_addresses) {
  const std::uint64_t claimed = (std::uint64_t{1} << 40) - 1024;
  std::vector<std::unique_ptr<FrameDecoder>> decoders;
  for (int i = 0; i < 100; ++i) {
    decoders.push_back(std::make_unique<FrameDecoder>());
    EXPECT_TRUE(decode(*decoders.back(), words({16 + claimed, 1, claimed}), kMiB).empty());
  }
}

TEST(FrameDecoder, a_claimed_count_costs_nothing_until_it_comes) {
  FrameDecoder decoder;
  const std::uint64_t count = std::uint64_t{1} << 26;
  EXPECT_TRUE(decode(decoder, words({8 + 8 * count, count}), kMiB).empty());
  EXPECT_LE(decoder.prepare().size, kMiB);
}

TEST(FrameDecoder, many_frames_need_a_long_prelude) {
  const Frames frames(100'000, Buffer::copy_of("x"));
  for (const std::size_t step : {5000u, 1u << 30}) {
    FrameDecoder decoder;
    const std::vector<Message> messages = decode(decoder, on_the_wire(frames), step);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].frames(), frames);
  }
}

TEST(FrameDecoder, lengths_that_contradict_the_total_are_corrupt) {
  EXPECT_EQ(decode_error(words({15, 1, 5})), ErrorCode::corrupt_message);  // Too short for them.
  EXPECT_EQ(decode_error(words({16 + 4, 1, 5})), ErrorCode::corrupt_message);  // Cuts a frame.
  EXPECT_EQ(decode_error(words({16 + 6, 1, 5})), ErrorCode::corrupt_message);  // Beyond the end.
  EXPECT_EQ(decode_error(words({24, 2, UINT64_MAX, 2})), ErrorCode::corrupt_message);
  EXPECT_EQ(decode_error(words({UINT64_MAX, 1, 5})), ErrorCode::corrupt_message);
  EXPECT_EQ(decode_error(words({16, UINT64_MAX, 5})), ErrorCode::corrupt_message);
}

TEST(FrameDecoder, limits_hold_exactly) {
  Limits limits;
  limits.message_bytes_max = 24 + 10;
  EXPECT_EQ(decode_error(words({16 + 10, 1, 10}), limits), ErrorCode::task_failed);  // No error.
  EXPECT_EQ(decode_error(words({16 + 11, 1, 11}), limits), ErrorCode::corrupt_message);
  EXPECT_EQ(decode_error(words({16, 1, 11}), limits), ErrorCode::corrupt_message);
  limits = {};
  limits.frame_count_max = 2;
  EXPECT_EQ(decode_error(words({24, 2, 0, 0}), limits), ErrorCode::task_failed);
  EXPECT_EQ(decode_error(words({32, 3, 0, 0, 0}), limits), ErrorCode::corrupt_message);
}

// A stock peer's total may end before the last frames: those it wants to be read on their own.
TEST(FrameDecoder, frames_behind_the_total_belong_to_the_message) {
  const std::string bytes = words({24 + 2, 2, 2, 3}) + "ab" + "cde";
  FrameDecoder decoder;
  const std::vector<Message> messages = decode(decoder, bytes + bytes, 7);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[1].frames()[1].view(), "cde");
}

TEST(FrameDecoder, no_frames_at_all_is_an_empty_message) {
  FrameDecoder decoder;
  const std::vector<Message> messages = decode(decoder, words({8, 0}), 100);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].root(), "");
}

}  // namespace
}  // namespace rask::wire
