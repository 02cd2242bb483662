#pragma once
// A shared, immutable run of bytes: what arrives from a socket, and what leaves by one.
//
// Copying a Buffer copies a pointer. A slice keeps its whole block alive. Safe to hand to another
// thread (the count is atomic); the bytes never change after construction.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace rask::wire {

class Buffer {
 public:
  Buffer() = default;

  static Buffer copy_of(std::string_view bytes);
  static Buffer own(std::string&& bytes);
  // Bytes that `owner` keeps alive (a vector in a task's result, a mapped file): no copy.
  static Buffer alias(std::string_view bytes, std::shared_ptr<const void> owner) {
    return Buffer{bytes, std::move(owner)};
  }

  std::string_view view() const { return bytes_; }
  // Asks the cache for the first bytes: somebody is about to read them.
  void prefetch() const {
    for (std::size_t at = 0; at < std::min<std::size_t>(bytes_.size(), 256); at += 64)
      __builtin_prefetch(bytes_.data() + at);
  }
  const char* data() const { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  // REQUIRES offset + size <= this->size().
  Buffer slice(std::size_t offset, std::size_t size) const;
  // A slice by the view of a part of this buffer, as parsers find it.
  Buffer slice(std::string_view part) const { return Buffer{part, owner_}; }

  const std::shared_ptr<const void>& owner() const { return owner_; }
  bool operator==(const Buffer& other) const { return bytes_ == other.bytes_; }

 private:
  Buffer(std::string_view bytes, std::shared_ptr<const void> owner)
      : bytes_(bytes), owner_(std::move(owner)) {}

  std::string_view bytes_;
  std::shared_ptr<const void> owner_;
};

}  // namespace rask::wire
