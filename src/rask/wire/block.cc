#include "rask/wire/block.h"

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <new>

#include "rask/base/assert.h"

namespace rask::wire {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kGranularity = std::size_t{256} << 10;

std::size_t round_up(std::size_t size, std::size_t unit) { return (size + unit - 1) / unit * unit; }

// Memory aligned for huge pages; null when there is none. Not reserved: pages come when touched.
char* map_memory(std::size_t capacity) {
  void* mapped = ::mmap(nullptr, capacity + kHugePage, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(mapped);
  const std::size_t offset = reinterpret_cast<std::uintptr_t>(begin) % kHugePage;
  const std::size_t head = offset == 0 ? 0 : kHugePage - offset;
  if (head > 0) ::munmap(begin, head);
  if (kHugePage > head) ::munmap(begin + head + capacity, kHugePage - head);
  ::madvise(begin + head, capacity, MADV_HUGEPAGE);  // Advice: a kernel without it is as good.
  return begin + head;
}

// What the first bytes of a spare block say of it.
struct Spare {
  std::size_t capacity;
};

// A bounded bag of memory that was used before, without locks: a slot is taken by exchange, so each
// block has one owner at any time.
class SpareBag {
 public:
  // Memory of at least `size` and not much more; null when there is none.
  Spare* take(std::size_t size) {
    if (bytes_.load(std::memory_order_relaxed) < size) return nullptr;
    for (auto& slot : slots_) {
      if (slot.load(std::memory_order_relaxed) == nullptr) continue;
      Spare* spare = slot.exchange(nullptr, std::memory_order_acquire);
      if (spare == nullptr) continue;
      if (spare->capacity >= size && spare->capacity <= size + size / 2 + kHugePage) {
        bytes_.fetch_sub(spare->capacity, std::memory_order_relaxed);
        return spare;
      }
      store(spare);
    }
    return nullptr;
  }

  void put(char* data, std::size_t capacity) {
    if (capacity > kSpareBytesMax) {
      ::munmap(data, capacity);
      return;
    }
    // The oldest make room, so that a change of sizes does not leave the bag full of useless ones.
    const std::size_t room = kSpareBytesMax - capacity;
    for (std::size_t tries = 0; tries < slots_.size() && bytes() > room; ++tries) evict();
    bytes_.fetch_add(capacity, std::memory_order_relaxed);
    store(::new (data) Spare{capacity});
  }

  void clear() {
    for (std::size_t i = 0; i < slots_.size(); ++i) evict();
  }

  std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  void store(Spare* spare) {
    for (auto& slot : slots_) {
      Spare* empty = nullptr;
      if (slot.compare_exchange_strong(empty, spare, std::memory_order_release,
                                       std::memory_order_relaxed)) {
        return;
      }
    }
    drop(spare);
  }

  void evict() {
    auto& slot = slots_[hand_.fetch_add(1, std::memory_order_relaxed) % slots_.size()];
    if (Spare* spare = slot.exchange(nullptr, std::memory_order_acquire)) drop(spare);
  }

  void drop(Spare* spare) {
    const std::size_t capacity = spare->capacity;
    bytes_.fetch_sub(capacity, std::memory_order_relaxed);
    ::munmap(spare, capacity);
  }

  std::array<std::atomic<Spare*>, 64> slots_{};
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> hand_{0};
};

constinit SpareBag spare_bag;

struct LargeMemory {
  LargeMemory(char* memory, std::size_t size) : data(memory), capacity(size) {}
  LargeMemory(const LargeMemory&) = delete;
  LargeMemory& operator=(const LargeMemory&) = delete;
  ~LargeMemory() { spare_bag.put(data, capacity); }

  char* data;
  std::size_t capacity;
};

Block make_large(std::size_t size) {
  if (size > SIZE_MAX / 4) return {};
  const std::size_t wanted = round_up(size, kGranularity);
  char* data = nullptr;
  std::size_t capacity = wanted;
  if (Spare* spare = spare_bag.take(wanted)) {
    capacity = spare->capacity;
    data = reinterpret_cast<char*>(spare);
  } else {
    data = map_memory(wanted);
  }
  if (data == nullptr) return {};
  return {data, capacity, std::make_shared<LargeMemory>(data, capacity)};
}

}  // namespace

Buffer Block::part(std::size_t offset, std::size_t size) const {
  RASK_ASSERT(offset <= capacity && size <= capacity - offset);
  return Buffer::alias({data + offset, size}, owner);
}

bool Block::unique() const {
  if (owner.use_count() != 1) return false;
  // use_count() orders nothing. Taking and dropping one more reference does: after it, what other
  // threads read before they dropped theirs has been read.
  std::shared_ptr<void> ordering = owner;
  ordering.reset();
  return true;
}

Block make_block(std::size_t size) {
  if (size >= kLargeBlockBytes) {
    Block block = make_large(size);
    if (block.data == nullptr) throw std::bad_alloc{};
    return block;
  }
  auto memory = std::make_shared_for_overwrite<char[]>(size);
  char* const data = memory.get();
  return {data, size, std::shared_ptr<void>{std::move(memory), data}};
}

Block try_make_block(std::size_t size) noexcept {
  try {
    return make_block(size);
  } catch (const std::bad_alloc&) {
    return {};
  }
}

void release_spare_blocks() { spare_bag.clear(); }
std::size_t spare_block_bytes() { return spare_bag.bytes(); }

}  // namespace rask::wire
