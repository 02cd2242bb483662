#pragma once
// MessagePack, written and read without a tree in between.
//
// Writer appends to a block of its own; Reader walks over bytes that somebody else owns. Nothing
// here allocates but the output. Source: the MessagePack specification (spec.md of
// msgpack/msgpack).
//
// A Reader never throws and never reads outside its bytes: the first thing that is not as asked
// makes it fail(), and from then on every read gives zero, empty or false. Check ok() once, at the
// end of a message.
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "rask/wire/block.h"

namespace rask::wire {

enum class Type : std::uint8_t { nil, boolean, integer, real, text, binary, array, map, ext, none };

class Writer {
 public:
  Writer() = default;
  Writer(Writer&& other) noexcept { swap(other); }
  Writer& operator=(Writer&& other) noexcept {
    swap(other);
    return *this;
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() = default;

  void nil() { byte(0xc0); }
  void boolean(bool value) { byte(value ? 0xc3 : 0xc2); }
  void integer(std::int64_t value) {
    if (value >= 0) {
      integer_unsigned(static_cast<std::uint64_t>(value));
    } else if (value >= -32) {
      byte(static_cast<std::uint8_t>(value));
    } else {
      integer_negative(value);
    }
  }
  void integer_unsigned(std::uint64_t value) {
    if (value < 0x80) {
      byte(static_cast<std::uint8_t>(value));
    } else {
      integer_wide(value);
    }
  }
  void real(double value) { put(0xcb, std::bit_cast<std::uint64_t>(value)); }
  void text(std::string_view value) {
    if (value.size() < 32) {
      head_and_bytes(static_cast<std::uint8_t>(0xa0 | value.size()), value);
    } else {
      text_long(value);
    }
  }
  void binary(std::string_view value);
  void ext(std::int8_t code, std::string_view value);
  void array(std::size_t count) {  // then `count` values
    if (count < 16) {
      byte(static_cast<std::uint8_t>(0x90 | count));
    } else {
      count_long(0xdc, count);
    }
  }
  void map(std::size_t count) {  // then `count` pairs
    if (count < 16) {
      byte(static_cast<std::uint8_t>(0x80 | count));
    } else {
      count_long(0xde, count);
    }
  }
  // Bytes that are MessagePack already.
  void raw(std::string_view encoded) {
    if (encoded.empty()) return;
    std::memcpy(room(encoded.size()), encoded.data(), encoded.size());
    next_ += encoded.size();
  }
  // An array header of fixed width, whose count is set later: for counts not known yet.
  std::size_t array_open();
  void array_close(std::size_t opened_at, std::uint32_t count);

  std::string_view view() const { return {block_.data, size()}; }  // Until the next write.
  const std::string& bytes() const;                                // As view(), in a copy.
  std::string take();
  Buffer take_buffer();  // As take(), without copying.
  std::size_t size() const { return static_cast<std::size_t>(next_ - block_.data); }
  void clear() { next_ = block_.data; }
  void truncate(std::size_t size);

 private:
  char* room(std::size_t bytes) {
    if (static_cast<std::size_t>(limit_ - next_) < bytes) [[unlikely]]
      grow(bytes);
    return next_;
  }
  void byte(std::uint8_t value) {
    *room(1) = static_cast<char>(value);
    ++next_;
  }
  template <class Unsigned>
  void put(std::uint8_t head, Unsigned value) {
    char* out = room(1 + sizeof value);
    *out = static_cast<char>(head);
    if constexpr (sizeof value == 8) value = __builtin_bswap64(value);
    if constexpr (sizeof value == 4) value = __builtin_bswap32(value);
    if constexpr (sizeof value == 2) value = __builtin_bswap16(value);
    std::memcpy(out + 1, &value, sizeof value);
    next_ += 1 + sizeof value;
  }
  void head_and_bytes(std::uint8_t head, std::string_view value) {
    char* out = room(1 + value.size());
    *out = static_cast<char>(head);
    if (!value.empty()) std::memcpy(out + 1, value.data(), value.size());
    next_ += 1 + value.size();
  }
  void grow(std::size_t bytes);
  void integer_negative(std::int64_t value);
  void integer_wide(std::uint64_t value);
  void text_long(std::string_view value);
  void count_long(std::uint8_t head16, std::size_t count);
  void swap(Writer& other) noexcept;

  Block block_;
  char* next_ = nullptr;
  char* limit_ = nullptr;
  std::size_t capacity_next_ = 0;  // For the block after this one: as the last.
  mutable std::string copy_;       // For bytes().
};

struct Ext {
  std::int8_t code = 0;
  std::string_view bytes;
};

namespace internal {
constexpr std::array<Type, 256> make_types() {
  std::array<Type, 256> types{};
  for (std::size_t i = 0; i < 256; ++i) {
    types[i] = i < 0x80 || i >= 0xe0                   ? Type::integer
               : i < 0x90                              ? Type::map
               : i < 0xa0                              ? Type::array
               : i < 0xc0                              ? Type::text
               : i == 0xc0                             ? Type::nil
               : i == 0xc1                             ? Type::none
               : i <= 0xc3                             ? Type::boolean
               : i <= 0xc6                             ? Type::binary
               : i <= 0xc9 || (i >= 0xd4 && i <= 0xd8) ? Type::ext
               : i <= 0xcb                             ? Type::real
               : i <= 0xd3                             ? Type::integer
               : i <= 0xdb                             ? Type::text
               : i <= 0xdd                             ? Type::array
                                                       : Type::map;
  }
  return types;
}
inline constexpr std::array<Type, 256> kTypes = make_types();
}  // namespace internal

class Reader {
 public:
  static constexpr int kDepthMax = 128;

  explicit Reader(std::string_view bytes) : next_(bytes.data()), end_(next_ + bytes.size()) {}

  Type peek() const {  // none at the end of the bytes or after a failure
    return next_ == end_ ? Type::none : internal::kTypes[head()];
  }
  bool ok() const { return !failed_; }
  bool at_end() const { return next_ == end_; }
  void fail() {
    failed_ = true;
    next_ = end_;
  }

  bool nil() {  // Skips a nil and says true; anything else stays and gives false. Never fails.
    if (next_ == end_ || head() != 0xc0) return false;
    ++next_;
    return true;
  }
  bool boolean() {
    if (next_ == end_ || (head() & 0xfe) != 0xc2) {
      fail();
      return false;
    }
    return *next_++ & 1;
  }
  std::int64_t integer() {  // Fails above INT64_MAX.
    if (next_ != end_ && head() < 0x80) [[likely]]
      return static_cast<std::int64_t>(*next_++);
    return integer_long();
  }
  std::uint64_t integer_unsigned() {
    if (next_ != end_ && head() < 0x80) [[likely]]
      return static_cast<std::uint64_t>(*next_++);
    return integer_unsigned_long();
  }
  double real() {  // Takes integers too.
    if (left() >= 9 && head() == 0xcb) [[likely]] {
      ++next_;
      return std::bit_cast<double>(load<std::uint64_t>());
    }
    return real_other();
  }
  std::string_view text() {
    if (next_ != end_ && (head() & 0xe0) == 0xa0) [[likely]] {
      const std::size_t size = head() & 0x1f;
      ++next_;
      return chunk(size);
    }
    return text_long();
  }
  // Skips this text, of at most 31 bytes, and says true; anything else stays and gives false.
  [[gnu::always_inline]] bool skip_text(std::string_view expected) {
    const auto size = expected.size();
    if (left() <= size || head() != (0xa0 | size)) return false;
    if (std::memcmp(next_ + 1, expected.data(), size) != 0) return false;
    next_ += 1 + size;
    return true;
  }
  std::string_view binary() { return text_or_binary(); }  // Takes text too, as from old peers.
  std::string_view text_or_binary();
  Ext ext();
  // The number of values (or pairs) that follow; at most the bytes left, so that a lying header
  // cannot make a caller reserve memory.
  std::uint32_t array() {
    if (next_ != end_ && (head() & 0xf0) == 0x90) [[likely]] {
      const std::uint32_t count = head() & 0x0f;
      ++next_;
      return checked(count, count);
    }
    return array_long();
  }
  std::uint32_t map() {
    if (next_ != end_ && (head() & 0xf0) == 0x80) [[likely]] {
      const std::uint32_t count = head() & 0x0f;
      ++next_;
      return checked(count, std::size_t{count} * 2);
    }
    return map_long();
  }

  // Walks over one whole value and gives its bytes.
  std::string_view skip();
  // Skips an array of short texts and small numbers, as collections name their tasks, and says
  // true; anything else stays and gives false.
  bool skip_flat_array();
  // The bytes from where `before`, a copy of this reader, stood. Empty after a failure.
  std::string_view since(const Reader& before) const {
    return failed_ ? std::string_view{}
                   : std::string_view{before.next_, static_cast<std::size_t>(next_ - before.next_)};
  }

 private:
  std::uint8_t head() const { return static_cast<std::uint8_t>(*next_); }
  std::size_t left() const { return static_cast<std::size_t>(end_ - next_); }
  std::string_view chunk(std::size_t size) {
    if (size > left()) [[unlikely]] {
      fail();
      return {};
    }
    const std::string_view bytes{next_, size};
    next_ += size;
    return bytes;
  }
  std::uint32_t checked(std::uint32_t count, std::size_t bytes_least) {
    if (bytes_least > left()) [[unlikely]] {
      fail();
      return 0;
    }
    return count;
  }
  template <class Unsigned>
  Unsigned load() {  // REQUIRES the bytes are there.
    Unsigned value;
    std::memcpy(&value, next_, sizeof value);
    next_ += sizeof value;
    if constexpr (sizeof value == 8) value = __builtin_bswap64(value);
    if constexpr (sizeof value == 4) value = __builtin_bswap32(value);
    if constexpr (sizeof value == 2) value = __builtin_bswap16(value);
    return value;
  }
  template <class Unsigned>
  Unsigned take();  // After the head byte; 0 and failed when the bytes are not there.
  bool skip_long(std::uint64_t& pending);
  std::int64_t integer_long();
  std::uint64_t integer_unsigned_long();
  double real_other();
  std::string_view text_long();
  std::uint32_t array_long();
  std::uint32_t map_long();

  const char* next_;
  const char* end_;
  bool failed_ = false;
};

}  // namespace rask::wire
