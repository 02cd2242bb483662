#pragma once
// Small, flat containers for tables of millions of tasks. Everything here is about bytes and order:
// nothing hashes pointers, nothing allocates for the common size, iteration order is insertion
// order.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "rask/base/assert.h"
#include "rask/graph/key.h"

namespace rask::scheduler {

constexpr std::uint32_t kNone = 0xffff'ffff;  // No task, no worker, no place.

// A vector of 16 bytes for trivial items of 8; the first lies inside.
template <class T>
class SmallVector {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) == 8);

 public:
  SmallVector() = default;
  SmallVector(SmallVector&& other) noexcept { swap(other); }
  SmallVector& operator=(SmallVector&& other) noexcept {
    swap(other);
    return *this;
  }
  ~SmallVector() { clear(); }

  std::uint32_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return capacity_ == 1 ? &one_ : many_; }
  const T* data() const { return capacity_ == 1 ? &one_ : many_; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](std::uint32_t index) { return data()[index]; }
  const T& operator[](std::uint32_t index) const { return data()[index]; }
  const T& back() const { return data()[size_ - 1]; }

  void push_back(T item) {
    if (size_ == capacity_) grow(capacity_ == 1 ? 4 : capacity_ * 2);
    data()[size_++] = item;
  }
  void pop_back() {
    if (--size_ == 0) clear();
  }
  void reserve(std::size_t count) {
    if (count > capacity_) grow(static_cast<std::uint32_t>(count));
  }
  void clear() {
    if (capacity_ != 1) std::free(many_);
    size_ = 0;
    capacity_ = 1;
  }
  std::size_t heap_bytes() const { return capacity_ == 1 ? 0 : capacity_ * sizeof(T); }

 private:
  void swap(SmallVector& other) {
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(raw_, other.raw_);
  }
  void grow(std::uint32_t capacity) {
    auto* grown = static_cast<T*>(std::malloc(capacity * sizeof(T)));
    RASK_ASSERT(grown != nullptr);
    std::memcpy(grown, data(), size_ * sizeof(T));
    if (capacity_ != 1) std::free(many_);
    many_ = grown;
    capacity_ = capacity;
  }

  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 1;
  union {
    std::uint64_t raw_ = 0;
    T one_;
    T* many_;
  };
};

// Ids in the order they were added; each id's owner remembers its place, so removal is O(1). Holes
// are closed when they outnumber the rest.
class Roster {
 public:
  std::uint32_t add(std::uint32_t id) {
    items_.push_back(id);
    ++live_;
    return static_cast<std::uint32_t>(items_.size() - 1);
  }
  // `move(id, place)` is told each new place when the holes are closed.
  template <class Move>
  void remove(std::uint32_t place, Move&& move) {
    RASK_ASSERT(place < items_.size() && items_[place] != kNone);
    items_[place] = kNone;
    --live_;
    while (!items_.empty() && items_.back() == kNone) items_.pop_back();
    if (items_.size() > 32 && items_.size() > 2 * std::size_t{live_}) close_holes(move);
  }
  std::uint32_t size() const { return live_; }
  bool empty() const { return live_ == 0; }
  std::uint32_t at(std::uint32_t place) const {
    return place < items_.size() ? items_[place] : kNone;
  }
  void clear() {
    items_.clear();
    live_ = 0;
  }
  std::vector<std::uint32_t> ids() const {
    std::vector<std::uint32_t> out;
    out.reserve(live_);
    for (const auto id : items_) {
      if (id != kNone) out.push_back(id);
    }
    return out;
  }
  std::span<const std::uint32_t> with_holes() const { return items_; }

 private:
  template <class Move>
  void close_holes(Move& move) {
    std::uint32_t place = 0;
    for (const auto id : items_) {
      if (id == kNone) continue;
      items_[place] = id;
      move(id, place++);
    }
    items_.resize(place);
  }

  std::vector<std::uint32_t> items_;
  std::uint32_t live_ = 0;
};

// Records that stay where they are, by dense number; the numbers of freed ones are used again.
template <class T>
class Slab {
 public:
  static constexpr std::uint32_t kChunkBits = 10;
  static constexpr std::uint32_t kChunk = 1u << kChunkBits;

  std::uint32_t add() {
    if (!free_.empty()) {
      const auto id = free_.back();
      free_.pop_back();
      return id;
    }
    if (end_ % kChunk == 0) chunks_.push_back(std::make_unique<T[]>(kChunk));
    return end_++;
  }
  void remove(std::uint32_t id) {
    (*this)[id] = T{};
    free_.push_back(id);
  }
  T& operator[](std::uint32_t id) { return chunks_[id >> kChunkBits][id & (kChunk - 1)]; }
  const T& operator[](std::uint32_t id) const {
    return chunks_[id >> kChunkBits][id & (kChunk - 1)];
  }
  std::uint32_t end() const { return end_; }  // One more than the highest number ever used.
  std::size_t size() const { return end_ - free_.size(); }

 private:
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t end_ = 0;
};

// From a 64-bit hash to an id: open addressing, linear probing, 8 bytes a slot, no tombstones. The
// caller compares what the id stands for. It is made of many small tables that grow by themselves:
// one large one would stop the scheduler for tens of milliseconds when it grows beyond a million.
class HashTable {
 public:
  template <class Same>
  std::uint32_t find(std::uint64_t hash, Same&& same) const {
    return part(hash).find(hash, std::forward<Same>(same));
  }
  // REQUIRES that it is not in yet.
  void insert(std::uint64_t hash, std::uint32_t id) { part(hash).insert(hash, id); }
  // REQUIRES that it is in.
  void erase(std::uint64_t hash, std::uint32_t id) { part(hash).erase(hash, id); }
  std::size_t size() const {
    std::size_t count = 0;
    for (const auto& part : parts_) count += part.count;
    return count;
  }
  void prefetch(std::uint64_t hash) const { part(hash).prefetch(hash); }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t id = kNone;
  };
  struct Part {
    std::vector<Slot> slots = std::vector<Slot>(16);
    std::size_t count = 0;

    std::size_t mask() const { return slots.size() - 1; }
    template <class Same>
    std::uint32_t find(std::uint64_t hash, Same&& same) const {
      const auto tag = static_cast<std::uint32_t>(hash);
      for (auto at = tag & mask(); slots[at].id != kNone; at = (at + 1) & mask()) {
        if (slots[at].tag == tag && same(slots[at].id)) return slots[at].id;
      }
      return kNone;
    }
    void insert(std::uint64_t hash, std::uint32_t id) {
      if ((count + 1) * 4 > slots.size() * 3) grow();
      place({static_cast<std::uint32_t>(hash), id});
      ++count;
    }
    void erase(std::uint64_t hash, std::uint32_t id);
    void prefetch(std::uint64_t hash) const {
      __builtin_prefetch(&slots[static_cast<std::uint32_t>(hash) & mask()]);
    }
    void place(Slot slot) {
      auto at = slot.tag & mask();
      while (slots[at].id != kNone) at = (at + 1) & mask();
      slots[at] = slot;
    }
    void grow() {
      std::vector<Slot> old(slots.size() * 2);
      old.swap(slots);
      for (const auto& slot : old) {
        if (slot.id != kNone) place(slot);
      }
    }
  };
  static constexpr int kPartBits = 6;
  static std::size_t number(std::uint64_t hash) { return hash >> (64 - kPartBits); }
  Part& part(std::uint64_t hash) { return parts_[number(hash)]; }
  const Part& part(std::uint64_t hash) const { return parts_[number(hash)]; }

  std::array<Part, 1u << kPartBits> parts_;
};

inline void HashTable::Part::erase(std::uint64_t hash, std::uint32_t id) {
  auto hole = static_cast<std::uint32_t>(hash) & mask();
  while (slots[hole].id != id) {
    RASK_ASSERT(slots[hole].id != kNone);
    hole = (hole + 1) & mask();
  }
  // Close the hole with the next slots that may stand there, so that no probe stops too early.
  for (auto at = (hole + 1) & mask(); slots[at].id != kNone; at = (at + 1) & mask()) {
    const auto home = slots[at].tag & mask();
    if (((at - home) & mask()) < ((at - hole) & mask())) continue;
    slots[hole] = slots[at];
    hole = at;
  }
  slots[hole] = Slot{};
  --count;
}

// Numbers kept sorted: sets of workers, small, read often.
class SortedIds {
 public:
  bool contains(std::uint32_t id) const;
  void insert(std::uint32_t id);
  void erase(std::uint32_t id);
  bool empty() const { return ids_.empty(); }
  std::size_t size() const { return ids_.size(); }
  auto begin() const { return ids_.begin(); }
  auto end() const { return ids_.end(); }
  std::uint32_t operator[](std::size_t index) const { return ids_[index]; }
  const std::vector<std::uint32_t>& ids() const { return ids_; }

 private:
  std::vector<std::uint32_t> ids_;
};

}  // namespace rask::scheduler
