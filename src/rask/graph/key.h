#pragma once
// The name of a task: text, bytes, an integer, a real, or tuples of these, as Dask allows.
//
// A Key holds its canonical MessagePack bytes, shared and immutable: copying one copies a pointer,
// equality compares bytes, the hash is computed once. What arrives on the wire is what leaves.
#include <atomic>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace rask {

std::uint64_t hash_bytes(std::string_view bytes);  // XXH3, 64 bits: fast, not for adversaries.

class Key {
 public:
  Key() = default;  // No key: empty() is true.
  explicit Key(std::string_view text);
  static Key integer(std::int64_t value);
  // REQUIRES one well-formed MessagePack value (as wire::Reader::skip() gives it).
  static Key from_msgpack(std::string_view encoded);

  Key(const Key& other) : block_(other.block_) { retain(); }
  Key(Key&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Key& operator=(const Key& other) {
    Key copy{other};
    std::swap(block_, copy.block_);
    return *this;
  }
  Key& operator=(Key&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Key() { release(); }

  bool empty() const { return block_ == nullptr; }
  std::string_view msgpack() const {  // Empty for no key.
    return block_ == nullptr ? std::string_view{} : std::string_view{block_->bytes(), block_->size};
  }
  void prefetch() const { __builtin_prefetch(block_); }
  std::uint64_t hash() const { return block_ == nullptr ? 0 : block_->hash; }  // hash_bytes(…)

  // For people and logs: the text itself, or the shape that Python's str() gives: ('x', 0, 1).
  std::string str() const;
  // True and the text without its MessagePack header, when the key is text.
  bool is_text() const;
  std::string_view text() const;  // REQUIRES is_text().

  bool operator==(const Key& other) const {
    return block_ == other.block_ || (hash() == other.hash() && msgpack() == other.msgpack());
  }
  std::strong_ordering operator<=>(const Key& other) const { return msgpack() <=> other.msgpack(); }

 private:
  // One allocation a key: count, length and hash, and the bytes behind them.
  struct Block {
    std::atomic<std::uint32_t> count;
    std::uint32_t size;
    std::uint64_t hash;

    char* bytes() { return reinterpret_cast<char*>(this + 1); }
  };
  explicit Key(Block* block) : block_(block) {}
  static Block* make_block(std::string_view encoded);
  static void destroy(Block* block);
  void retain() const {
    if (block_ != nullptr) block_->count.fetch_add(1, std::memory_order_relaxed);
  }
  void release() {
    if (block_ == nullptr) return;
    // Whoever has the only reference needs no atomic step: nobody else can make another.
    if (block_->count.load(std::memory_order_acquire) == 1 ||
        block_->count.fetch_sub(1, std::memory_order_acq_rel) == 1)
      destroy(block_);
    block_ = nullptr;
  }

  Block* block_ = nullptr;
};

// The prefix under which tasks of one kind are counted and timed: "inc-1234" is "inc".
//   source   dask.utils.key_split
std::string key_split(const Key& key);
std::string key_split(std::string_view text);

}  // namespace rask

template <>
struct std::hash<rask::Key> {
  std::size_t operator()(const rask::Key& key) const noexcept { return key.hash(); }
};
