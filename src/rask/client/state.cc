#include "rask/client/state.h"

#include "rask/base/assert.h"

namespace rask {

std::string_view to_string(Status status) {
  switch (status) {
    case Status::pending:
      return "pending";
    case Status::finished:
      return "finished";
    case Status::error:
      return "error";
    case Status::lost:
      return "lost";
    case Status::cancelled:
      return "cancelled";
  }
  return "unknown";
}

namespace internal {

FutureState* KeyTable::find(const Key& key) const {
  if (slots_.empty()) return nullptr;
  const std::size_t mask = slots_.size() - 1;
  const std::uint64_t hash = key.hash();
  for (std::size_t at = hash & mask; slots_[at].state != nullptr; at = (at + 1) & mask)
    if (slots_[at].hash == hash && slots_[at].state->key == key) return slots_[at].state;
  return nullptr;
}

void KeyTable::insert(FutureState* state) {
  if ((size_ + 1) * 2 > slots_.size()) grow();
  put({state->key.hash(), state});
  state->in_table = true;
  ++size_;
}

void KeyTable::put(Slot slot) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = slot.hash & mask;
  while (slots_[at].state != nullptr) at = (at + 1) & mask;
  slots_[at] = slot;
}

void KeyTable::erase(FutureState* state) {
  RASK_ASSERT(state->in_table);
  const std::size_t mask = slots_.size() - 1;
  std::size_t hole = state->key.hash() & mask;
  while (slots_[hole].state != state) hole = (hole + 1) & mask;
  slots_[hole] = {};
  state->in_table = false;
  --size_;
  // Those behind that could have stood in the hole move up, or they would not be found any more.
  for (std::size_t at = (hole + 1) & mask; slots_[at].state != nullptr; at = (at + 1) & mask) {
    const std::size_t distance_home = (at - slots_[at].hash) & mask;
    const std::size_t distance_hole = (at - hole) & mask;
    if (distance_home < distance_hole) continue;
    slots_[hole] = std::exchange(slots_[at], Slot{});
    hole = at;
  }
}

void KeyTable::grow() {
  std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old)
    if (slot.state != nullptr) put(slot);
}

FutureState* Slab::take() {
  if (free_.empty()) {
    chunks_.push_back(std::make_unique<FutureState[]>(kChunk));
    free_.reserve(chunks_.size() * kChunk);
    for (std::size_t i = kChunk; i > 0; --i) free_.push_back(&chunks_.back()[i - 1]);
  }
  FutureState* state = free_.back();
  free_.pop_back();
  return state;
}

void Slab::give_back(FutureState* state) {
  RASK_ASSERT(state->watchers == nullptr && !state->in_table);
  state->key = Key{};
  state->status.store(Status::pending, std::memory_order_relaxed);
  state->release_queued = false;
  state->worker = kNoWorker;
  state->value.clear();
  state->failure = nullptr;
  free_.push_back(state);
}

}  // namespace internal
}  // namespace rask
