#include "rask/wire/msgpack.h"

#include <algorithm>

#include "rask/base/assert.h"

namespace rask::wire {

static_assert(std::endian::native == std::endian::little, "rask runs on little-endian machines");

namespace {
constexpr std::size_t kFirstBlock = 512;
constexpr std::size_t kCapacityKept = std::size_t{256} << 10;
constexpr std::size_t kCountMax = std::numeric_limits<std::uint32_t>::max();
}  // namespace

// ---- Writer -------------------------------------------------------------------------------------

void Writer::grow(std::size_t bytes) {
  const std::size_t used = size();
  const std::size_t wanted = std::max({used + bytes, block_.capacity * 2, capacity_next_});
  Block block = make_block(std::max(wanted, kFirstBlock));
  if (used > 0) std::memcpy(block.data, block_.data, used);
  block_ = std::move(block);
  next_ = block_.data + used;
  limit_ = block_.data + block_.capacity;
}

void Writer::integer_negative(std::int64_t value) {
  if (value >= INT8_MIN) {
    put(0xd0, static_cast<std::uint8_t>(value));
  } else if (value >= INT16_MIN) {
    put(0xd1, static_cast<std::uint16_t>(value));
  } else if (value >= INT32_MIN) {
    put(0xd2, static_cast<std::uint32_t>(value));
  } else {
    put(0xd3, static_cast<std::uint64_t>(value));
  }
}

void Writer::integer_wide(std::uint64_t value) {
  if (value <= UINT8_MAX) {
    put(0xcc, static_cast<std::uint8_t>(value));
  } else if (value <= UINT16_MAX) {
    put(0xcd, static_cast<std::uint16_t>(value));
  } else if (value <= UINT32_MAX) {
    put(0xce, static_cast<std::uint32_t>(value));
  } else {
    put(0xcf, value);
  }
}

void Writer::text_long(std::string_view value) {
  RASK_ASSERT(value.size() <= kCountMax);
  if (value.size() <= UINT8_MAX) {
    put(0xd9, static_cast<std::uint8_t>(value.size()));
  } else if (value.size() <= UINT16_MAX) {
    put(0xda, static_cast<std::uint16_t>(value.size()));
  } else {
    put(0xdb, static_cast<std::uint32_t>(value.size()));
  }
  raw(value);
}

void Writer::binary(std::string_view value) {
  RASK_ASSERT(value.size() <= kCountMax);
  if (value.size() <= UINT8_MAX) {
    put(0xc4, static_cast<std::uint8_t>(value.size()));
  } else if (value.size() <= UINT16_MAX) {
    put(0xc5, static_cast<std::uint16_t>(value.size()));
  } else {
    put(0xc6, static_cast<std::uint32_t>(value.size()));
  }
  raw(value);
}

void Writer::ext(std::int8_t code, std::string_view value) {
  RASK_ASSERT(value.size() <= kCountMax);
  const std::size_t size = value.size();
  if (std::has_single_bit(size) && size <= 16) {
    byte(static_cast<std::uint8_t>(0xd4 + std::countr_zero(size)));
  } else if (size <= UINT8_MAX) {
    put(0xc7, static_cast<std::uint8_t>(size));
  } else if (size <= UINT16_MAX) {
    put(0xc8, static_cast<std::uint16_t>(size));
  } else {
    put(0xc9, static_cast<std::uint32_t>(size));
  }
  byte(static_cast<std::uint8_t>(code));
  raw(value);
}

void Writer::count_long(std::uint8_t head16, std::size_t count) {
  RASK_ASSERT(count <= kCountMax);
  if (count <= UINT16_MAX) {
    put(head16, static_cast<std::uint16_t>(count));
  } else {
    put(static_cast<std::uint8_t>(head16 + 1), static_cast<std::uint32_t>(count));
  }
}

std::size_t Writer::array_open() {
  const std::size_t opened_at = size();
  put(0xdd, std::uint32_t{0});
  return opened_at;
}

void Writer::array_close(std::size_t opened_at, std::uint32_t count) {
  RASK_ASSERT(opened_at + 5 <= size() && block_.data[opened_at] == '\xdd');
  const std::uint32_t big_endian = __builtin_bswap32(count);
  std::memcpy(block_.data + opened_at + 1, &big_endian, sizeof big_endian);
}

const std::string& Writer::bytes() const {
  copy_.assign(view());
  return copy_;
}

std::string Writer::take() {
  std::string bytes{view()};
  clear();
  return bytes;
}

Buffer Writer::take_buffer() {
  Buffer buffer = Buffer::alias(view(), std::move(block_.owner));
  capacity_next_ = std::min(std::bit_ceil(buffer.size()), kCapacityKept);
  block_ = {};
  next_ = limit_ = nullptr;
  return buffer;
}

void Writer::truncate(std::size_t size) {
  RASK_ASSERT(size <= this->size());
  next_ = block_.data + size;
}

void Writer::swap(Writer& other) noexcept {
  std::swap(block_, other.block_);
  std::swap(next_, other.next_);
  std::swap(limit_, other.limit_);
  std::swap(capacity_next_, other.capacity_next_);
}

// ---- Reader -------------------------------------------------------------------------------------

template <class Unsigned>
Unsigned Reader::take() {
  if (left() < sizeof(Unsigned)) {
    fail();
    return 0;
  }
  return load<Unsigned>();
}

std::int64_t Reader::integer_long() {
  if (next_ == end_) {
    fail();
    return 0;
  }
  if (head() >= 0xe0) return static_cast<std::int8_t>(*next_++);
  switch (head()) {
    case 0xd0:
      ++next_;
      return static_cast<std::int8_t>(take<std::uint8_t>());
    case 0xd1:
      ++next_;
      return static_cast<std::int16_t>(take<std::uint16_t>());
    case 0xd2:
      ++next_;
      return static_cast<std::int32_t>(take<std::uint32_t>());
    case 0xd3:
      ++next_;
      return static_cast<std::int64_t>(take<std::uint64_t>());
    default: {
      const std::uint64_t value = integer_unsigned_long();
      if (value <= std::uint64_t{INT64_MAX}) return static_cast<std::int64_t>(value);
      fail();
      return 0;
    }
  }
}

std::uint64_t Reader::integer_unsigned_long() {
  if (next_ == end_) {
    fail();
    return 0;
  }
  switch (head()) {
    case 0xcc:
      ++next_;
      return take<std::uint8_t>();
    case 0xcd:
      ++next_;
      return take<std::uint16_t>();
    case 0xce:
      ++next_;
      return take<std::uint32_t>();
    case 0xcf:
      ++next_;
      return take<std::uint64_t>();
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: {  // Some packers write small numbers signed.
      const std::int64_t value = integer_long();
      if (value >= 0) return static_cast<std::uint64_t>(value);
      fail();
      return 0;
    }
    default:
      fail();
      return 0;
  }
}

double Reader::real_other() {
  if (next_ == end_) {
    fail();
    return 0;
  }
  switch (head()) {
    case 0xca:
      ++next_;
      return static_cast<double>(std::bit_cast<float>(take<std::uint32_t>()));
    case 0xcb:
      fail();  // Cut: the whole of it is read in the header.
      return 0;
    case 0xcf:
      return static_cast<double>(integer_unsigned_long());
    default:
      return static_cast<double>(integer());
  }
}

std::string_view Reader::text_long() {
  if (peek() != Type::text) {
    fail();
    return {};
  }
  return text_or_binary();
}

std::string_view Reader::text_or_binary() {
  if (next_ == end_) {
    fail();
    return {};
  }
  const std::uint8_t first = head();
  ++next_;
  if ((first & 0xe0) == 0xa0) return chunk(first & 0x1f);
  switch (first) {
    case 0xc4:
    case 0xd9:
      return chunk(take<std::uint8_t>());
    case 0xc5:
    case 0xda:
      return chunk(take<std::uint16_t>());
    case 0xc6:
    case 0xdb:
      return chunk(take<std::uint32_t>());
    default:
      fail();
      return {};
  }
}

Ext Reader::ext() {
  if (peek() != Type::ext) {
    fail();
    return {};
  }
  const std::uint8_t first = head();
  ++next_;
  std::size_t size = 0;
  switch (first) {
    case 0xc7:
      size = take<std::uint8_t>();
      break;
    case 0xc8:
      size = take<std::uint16_t>();
      break;
    case 0xc9:
      size = take<std::uint32_t>();
      break;
    default:
      size = std::size_t{1} << (first - 0xd4);
  }
  const auto code = static_cast<std::int8_t>(take<std::uint8_t>());
  const std::string_view bytes = chunk(size);
  return failed_ ? Ext{} : Ext{code, bytes};
}

std::uint32_t Reader::array_long() {
  if (peek() != Type::array) {
    fail();
    return 0;
  }
  const bool wide = head() == 0xdd;
  ++next_;
  const std::uint32_t count = wide ? take<std::uint32_t>() : take<std::uint16_t>();
  return checked(count, count);
}

std::uint32_t Reader::map_long() {
  if (peek() != Type::map) {
    fail();
    return 0;
  }
  const bool wide = head() == 0xdf;
  ++next_;
  const std::uint32_t count = wide ? take<std::uint32_t>() : take<std::uint16_t>();
  return checked(count, std::size_t{count} * 2);
}

// As skip() for one head whose first byte does not say enough. What is cut fails here too.
bool Reader::skip_long(std::uint64_t& pending) {
  switch (peek()) {
    case Type::text:
    case Type::binary:
      text_or_binary();
      break;
    case Type::array:
      pending += array();
      break;
    case Type::map:
      pending += std::uint64_t{map()} * 2;
      break;
    case Type::ext:
      ext();
      break;
    default:
      fail();
  }
  return !failed_;
}

namespace {

// What the first byte alone says of a value: its bytes, up to the values inside. 0 bytes: more
// must be read to know.
struct Step {
  std::uint8_t bytes = 0;
  std::uint8_t inside = 0;
};

constexpr std::array<Step, 256> make_steps() {
  std::array<Step, 256> steps{};
  for (std::size_t i = 0; i < 256; ++i) {
    const auto low = static_cast<std::uint8_t>(i & 15);
    switch (internal::kTypes[i]) {
      case Type::nil:
      case Type::boolean:
        steps[i] = {1, 0};
        break;
      case Type::integer:
        steps[i].bytes = i < 0x80 || i >= 0xe0 ? 1 : static_cast<std::uint8_t>(1 + (1 << (i & 3)));
        break;
      case Type::real:
        steps[i].bytes = i == 0xca ? 5 : 9;
        break;
      case Type::text:
        if (i < 0xc0) steps[i].bytes = static_cast<std::uint8_t>(1 + (i & 31));
        break;
      case Type::array:
        if (i < 0xa0) steps[i] = {1, low};
        break;
      case Type::map:
        if (i < 0x90) steps[i] = {1, static_cast<std::uint8_t>(2 * low)};
        break;
      default:
        break;
    }
  }
  return steps;
}
constexpr std::array<Step, 256> kSteps = make_steps();

}  // namespace

std::string_view Reader::skip() {
  const char* const begin = next_;
  // Counts instead of recursion: depth costs nothing, and a count is at most the bytes left.
  for (std::uint64_t pending = 1; pending > 0; --pending) {
    if (next_ == end_) fail();
    if (failed_) return {};
    const auto step = kSteps[head()];
    if (step.bytes != 0 && step.bytes <= left()) [[likely]] {
      next_ += step.bytes;
      pending += step.inside;
    } else if (!skip_long(pending)) {
      return {};
    }
  }
  return {begin, static_cast<std::size_t>(next_ - begin)};
}

bool Reader::skip_flat_array() {
  if (next_ == end_ || (head() & 0xf0) != 0x90) return false;
  const char* at = next_ + 1;
  for (int left = head() & 0x0f; left > 0; --left) {
    if (at == end_) return false;
    const auto first = static_cast<std::uint8_t>(*at);
    std::ptrdiff_t size = 1;
    if ((first & 0xe0) == 0xa0)
      size = 1 + (first & 0x1f);
    else if (first == 0xd9 && end_ - at >= 2)
      size = 2 + static_cast<std::uint8_t>(at[1]);
    else if (first == 0xcc || first == 0xcd)
      size = first == 0xcc ? 2 : 3;
    else if (first >= 0x80)
      return false;
    if (size > end_ - at) return false;
    at += size;
  }
  next_ = at;
  return true;
}

}  // namespace rask::wire
