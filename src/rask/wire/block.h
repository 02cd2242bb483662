#pragma once
// Fresh memory to fill: what a Buffer's bytes are before they stop changing.
//
// Blocks of 1 MiB and more come from the system and are kept for the next one when the last Buffer
// that refers to them dies: the page faults of fresh memory cost more than the copy into it.
#include <cstddef>
#include <memory>

#include "rask/wire/buffer.h"

namespace rask::wire {

struct Block {
  char* data = nullptr;
  std::size_t capacity = 0;
  std::shared_ptr<void> owner;

  // A Buffer of a part that has been filled. REQUIRES offset + size <= capacity.
  Buffer part(std::size_t offset, std::size_t size) const;
  // Nobody else refers to the block, and whoever did has finished reading it.
  bool unique() const;
};

inline constexpr std::size_t kLargeBlockBytes = std::size_t{1} << 20;
inline constexpr std::size_t kSpareBytesMax = std::size_t{256} << 20;

// Uninitialised memory of at least `size` bytes. Physical memory comes as the bytes are touched.
//   throws   std::bad_alloc
Block make_block(std::size_t size);
// As make_block, without the exception: `data` is null when there is no memory (of address space).
Block try_make_block(std::size_t size) noexcept;

// Gives the memory kept for reuse back to the system (memory pressure, tests). Any thread.
void release_spare_blocks();
std::size_t spare_block_bytes();

}  // namespace rask::wire
