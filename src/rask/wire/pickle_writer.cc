#include "rask/wire/pickle_writer.h"

#include <bit>
#include <utility>

#include "rask/base/assert.h"
#include "rask/wire/utf8.h"

namespace rask::wire {

std::string PickleWriter::take() && {
  out_ += '.';
  return std::move(out_);
}

void PickleWriter::little_endian(std::uint64_t value, std::size_t bytes) {
  out_.append(reinterpret_cast<const char*>(&value), bytes);
}

void PickleWriter::sized(std::string_view bytes, char op8, char op32, char op64) {
  const bool tiny = bytes.size() <= UINT8_MAX;
  const bool small = bytes.size() <= UINT32_MAX;
  out_ += tiny ? op8 : small ? op32 : op64;
  little_endian(bytes.size(), tiny ? 1 : small ? 4 : 8);
  out_ += bytes;
}

void PickleWriter::integer(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (value >= 0 && value <= UINT8_MAX) {
    out_ += 'K';
    little_endian(bits, 1);
  } else if (value >= 0 && value <= UINT16_MAX) {
    out_ += 'M';
    little_endian(bits, 2);
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    out_ += 'J';
    little_endian(bits, 4);
  } else {
    out_ += "\x8a\x08";
    little_endian(bits, 8);
  }
}

void PickleWriter::integer_unsigned(std::uint64_t value) {
  if (value <= INT64_MAX) return integer(static_cast<std::int64_t>(value));
  out_ += "\x8a\x09";  // LONG1 of nine bytes: the last says that it is positive.
  little_endian(value, 8);
  out_ += '\0';
}

void PickleWriter::real(double value) {
  out_ += 'G';
  little_endian(__builtin_bswap64(std::bit_cast<std::uint64_t>(value)), 8);
}

void PickleWriter::text(std::string_view text) {
  if (is_utf8(text, Surrogates::keep)) {
    sized(text, '\x8c', 'X', '\x8d');
  } else {
    sized(clean_utf8(text, Surrogates::keep), '\x8c', 'X', '\x8d');
  }
}

void PickleWriter::tuple(int items) {
  static constexpr char kOpcodes[] = {')', '\x85', '\x86', '\x87'};
  RASK_ASSERT(items >= 0 && items <= 3);
  out_ += kOpcodes[items];
}

void PickleWriter::global(std::string_view module, std::string_view name) {
  text(module);
  text(name);
  out_ += '\x93';  // STACK_GLOBAL
}

std::uint32_t PickleWriter::memoize() {
  out_ += '\x94';
  return memo_count_++;
}

void PickleWriter::get(std::uint32_t memo) {
  const bool tiny = memo <= UINT8_MAX;
  out_ += tiny ? 'h' : 'j';
  little_endian(memo, tiny ? 1 : 4);
}

}  // namespace rask::wire
