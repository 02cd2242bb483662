#pragma once
// What a client knows of each task whose future somebody holds. Internal to this room; Future<T> is
// the public face.
//
// States lie in slabs that the Core owns; a FutureRef counts. The table finds them by key.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rask/graph/failure.h"
#include "rask/graph/key.h"

namespace rask {

//   pending -> finished | error | cancelled      finished -> lost -> finished
enum class Status : std::uint8_t { pending, finished, error, lost, cancelled };
std::string_view to_string(Status status);

namespace internal {

class Core;
struct FutureState;

// Told once when a task is done: finished, failed or cancelled. Called with the core's lock held.
struct Watcher {
  virtual ~Watcher() = default;
  virtual void on_done(FutureState& state) = 0;
  Watcher* next = nullptr;
};

inline constexpr std::uint32_t kNoWorker = ~std::uint32_t{0};

// Why there is no result. Shared, immutable.
struct Failure {
  TaskFailure failure;  // Of a task that threw.
  std::string worker;
  std::string reason;  // Of a cancelled one.
  std::string message;
};

struct FutureState {
  Core* core = nullptr;
  Key key;
  std::atomic<std::uint32_t> count{0};  // FutureRefs. The step to 0 is taken with the lock held.
  std::atomic<Status> status{Status::pending};
  bool in_table = false;  // Else its key may belong to another state by now.
  bool release_queued = false;
  std::uint32_t worker = kNoWorker;  // Who holds the result, as the Core numbers workers.
  std::string value;                 // MessagePack of a small result that came with the news of it.
  std::shared_ptr<const Failure> failure;
  Watcher* watchers = nullptr;

  bool done() const {
    const Status now = status.load(std::memory_order_acquire);
    return now != Status::pending && now != Status::lost;
  }
};

void release(FutureState* state);  // One reference less.

// Keeps a task wanted: when the last goes, the scheduler is told that its result can go too.
class FutureRef {
 public:
  FutureRef() = default;
  // Takes over one reference that was counted already.
  explicit FutureRef(FutureState* counted) : state_(counted) {}
  FutureRef(const FutureRef& other) : state_(other.state_) {
    if (state_ != nullptr) state_->count.fetch_add(1, std::memory_order_relaxed);
  }
  FutureRef(FutureRef&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  FutureRef& operator=(FutureRef other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~FutureRef() {
    if (state_ != nullptr) release(state_);
  }

  FutureState* get() const { return state_; }
  FutureState* operator->() const { return state_; }
  explicit operator bool() const { return state_ != nullptr; }

 private:
  FutureState* state_ = nullptr;
};

// States by key: open addressing, linear probing, no tombstones.
class KeyTable {
 public:
  FutureState* find(const Key& key) const;
  void insert(FutureState* state);  // REQUIRES !find(state->key)
  void erase(FutureState* state);   // REQUIRES that it is there.
  std::size_t size() const { return size_; }
  template <class Function>
  void for_each(Function&& function) const {
    for (const Slot& slot : slots_)
      if (slot.state != nullptr) function(*slot.state);
  }

 private:
  // The hash lies here too, so that a look past others touches no other memory.
  struct Slot {
    std::uint64_t hash = 0;
    FutureState* state = nullptr;
  };
  void put(Slot slot);
  void grow();

  std::vector<Slot> slots_;  // A power of two, at most half full.
  std::size_t size_ = 0;
};

// Hands out states; their memory is never given back before the slab's end.
class Slab {
 public:
  FutureState* take();
  void give_back(FutureState* state);
  template <class Function>
  void for_each(Function&& function) const {  // Of those that were taken and have a key.
    for (const auto& chunk : chunks_)
      for (std::size_t i = 0; i < kChunk; ++i)
        if (!chunk[i].key.empty()) function(chunk[i]);
  }

 private:
  static constexpr std::size_t kChunk = 1024;
  std::vector<std::unique_ptr<FutureState[]>> chunks_;
  std::vector<FutureState*> free_;
};

}  // namespace internal
}  // namespace rask
