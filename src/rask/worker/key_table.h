#pragma once
// Key -> dense id: open addressing over the keys that the task records own. Internal to the room.
#include <bit>
#include <cstdint>
#include <vector>

#include "rask/base/assert.h"
#include "rask/base/ids.h"
#include "rask/graph/key.h"

namespace rask::worker {

// Linear probing with backward shift: no tombstones, so a table that churns stays as fast as new.
class KeyTable {
 public:
  KeyTable() : slots_(64) {}

  // The id under `key`. `key_of(TaskId)` gives the key of an id that is in the table.
  template <typename KeyOf>
  const TaskId* find(const Key& key, const KeyOf& key_of) const {
    const auto tag = tag_of(key);
    for (std::size_t i = tag & mask();; i = (i + 1) & mask()) {
      const Slot& slot = slots_[i];
      if (!slot.used) return nullptr;
      if (slot.tag == tag && key_of(slot.id) == key) return &slot.id;
    }
  }

  // REQUIRES that the key is not in the table.
  void insert(const Key& key, TaskId id) {
    if ((count_ + 1) * 4 > slots_.size() * 3) grow();
    put({tag_of(key), id, true});
    ++count_;
  }

  // REQUIRES that the key is in the table under this id.
  void erase(const Key& key, TaskId id) {
    std::size_t hole = tag_of(key) & mask();
    while (slots_[hole].id != id) {
      RASK_ASSERT(slots_[hole].used);
      hole = (hole + 1) & mask();
    }
    RASK_ASSERT(slots_[hole].used);
    for (std::size_t i = (hole + 1) & mask(); slots_[i].used; i = (i + 1) & mask()) {
      const std::size_t home = slots_[i].tag & mask();
      if (((i - home) & mask()) < ((i - hole) & mask())) continue;
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole] = {};
    --count_;
  }

  std::size_t count() const { return count_; }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    TaskId id{};
    bool used = false;
  };

  static std::uint32_t tag_of(const Key& key) { return static_cast<std::uint32_t>(key.hash()); }
  std::size_t mask() const { return slots_.size() - 1; }

  void put(Slot slot) {
    std::size_t i = slot.tag & mask();
    while (slots_[i].used) i = (i + 1) & mask();
    slots_[i] = slot;
  }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.used) put(slot);
    }
  }

  std::vector<Slot> slots_;  // A power of two.
  std::size_t count_ = 0;
};

}  // namespace rask::worker
