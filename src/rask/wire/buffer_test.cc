#include "rask/wire/buffer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "rask/wire/block.h"

namespace rask::wire {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST(Buffer, slice_keeps_its_block_alive) {
  Buffer slice;
  {
    const Buffer whole = Buffer::own(std::string(1000, 'a') + "tail");
    slice = whole.slice(1000, 4);
    EXPECT_EQ(slice.owner(), whole.owner());
  }
  EXPECT_EQ(slice.view(), "tail");
}

TEST(Buffer, copies_short_text_and_takes_over_long) {
  std::string text(1000, 'x');
  const char* const at = text.data();
  EXPECT_EQ(Buffer::own(std::move(text)).data(), at);
  EXPECT_EQ(Buffer::own("short").view(), "short");
  EXPECT_TRUE(Buffer::copy_of("").empty());
}

TEST(Buffer, alias_lives_as_long_as_its_owner_is_held) {
  auto owner = std::make_shared<std::string>("bytes");
  Buffer alias = Buffer::alias(*owner, owner);
  EXPECT_EQ(owner.use_count(), 2);
  alias = {};
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(BufferDeathTest, slice_outside_is_a_bug) {
  const Buffer buffer = Buffer::copy_of("abc");
  EXPECT_DEATH((void)buffer.slice(2, 2), "broken invariant");
}

TEST(Block, large_blocks_are_reused_when_the_last_buffer_dies) {
  release_spare_blocks();
  Buffer part = make_block(4 * kMiB).part(kMiB, 10);
  EXPECT_EQ(spare_block_bytes(), 0u);
  const char* const at = part.data() - kMiB;
  part = {};
  EXPECT_EQ(spare_block_bytes(), 4 * kMiB);
  EXPECT_EQ(make_block(3 * kMiB + 1).data, at);  // Nearly as large.
  EXPECT_EQ(make_block(8 * kMiB).capacity, 8 * kMiB);
  release_spare_blocks();
  EXPECT_EQ(spare_block_bytes(), 0u);
}

TEST(Block, a_much_smaller_need_does_not_take_a_large_spare) {
  release_spare_blocks();
  (void)make_block(64 * kMiB);
  EXPECT_EQ(make_block(2 * kMiB).capacity, 2 * kMiB);
  EXPECT_GE(spare_block_bytes(), 64 * kMiB);
  release_spare_blocks();
}

TEST(Block, spares_are_bounded) {
  release_spare_blocks();
  {
    std::vector<Block> blocks;
    for (int i = 0; i < 40; ++i) blocks.push_back(make_block(16 * kMiB));  // Untouched: no memory.
  }
  EXPECT_LE(spare_block_bytes(), kSpareBytesMax);
  EXPECT_GE(spare_block_bytes(), kSpareBytesMax - 16 * kMiB);
  (void)make_block(2 * kSpareBytesMax);
  EXPECT_LE(spare_block_bytes(), kSpareBytesMax);
  release_spare_blocks();
}

TEST(Block, absurd_sizes_give_no_block) {
  EXPECT_EQ(try_make_block(SIZE_MAX / 8).data, nullptr);
  EXPECT_EQ(try_make_block(SIZE_MAX).data, nullptr);
}

TEST(Block, unique_until_a_part_is_held) {
  const Block block = make_block(100);
  EXPECT_TRUE(block.unique());
  const Buffer part = block.part(0, 1);
  EXPECT_FALSE(block.unique());
}

// Threads take and give back blocks of the same sizes; none may be given to two of them.
TEST(Block, threads_share_the_spares_without_sharing_a_block) {
  const auto work = [](char mark) {
    for (int i = 0; i < 200; ++i) {
      const Block block = make_block(kMiB + static_cast<std::size_t>(i % 3) * kMiB);
      std::memset(block.data, mark, 4096);
      std::this_thread::yield();
      for (int at = 0; at < 4096; at += 512) ASSERT_EQ(block.data[at], mark);
    }
  };
  std::vector<std::thread> threads;
  for (char mark = 'a'; mark < 'e'; ++mark) threads.emplace_back(work, mark);
  for (auto& thread : threads) thread.join();
  release_spare_blocks();
  EXPECT_EQ(spare_block_bytes(), 0u);
}

}  // namespace
}  // namespace rask::wire
