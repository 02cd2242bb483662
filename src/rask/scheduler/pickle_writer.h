#pragma once
// Pickles of objects, opcode by opcode. Private to the room. Opcodes: Lib/pickletools.py of
// CPython.
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "rask/graph/key.h"
#include "rask/wire/msgpack.h"

namespace rask::scheduler {

inline constexpr char kMark = '(';
inline constexpr char kTuple = 't';
inline constexpr char kReduce = 'R';
inline constexpr char kBuild = 'b';
inline constexpr char kNil = 'N';
inline constexpr char kEmptyTuple = ')';
inline constexpr char kEmptyDict = '}';
inline constexpr char kSetItems = 'u';
inline constexpr char kEmptySet = '\x8f';
inline constexpr char kAddItems = '\x90';
inline constexpr char kNewObject = '\x81';
inline constexpr char kPop = '0';

class PickleWriter {
 public:
  PickleWriter() : out_("\x80\x05") {}

  PickleWriter& op(char opcode) {
    out_ += opcode;
    return *this;
  }
  PickleWriter& text(std::string_view text) {
    out_ += 'X';
    append_little_endian(text.size(), 4);
    out_ += text;
    return *this;
  }
  PickleWriter& bytes(std::string_view bytes) {
    out_ += 'B';
    append_little_endian(bytes.size(), 4);
    out_ += bytes;
    return *this;
  }
  PickleWriter& integer(std::int64_t value) {
    const bool is_short = value >= INT32_MIN && value <= INT32_MAX;
    out_ += is_short ? "J" : "\x8a\x08";
    append_little_endian(static_cast<std::uint64_t>(value), is_short ? 4 : 8);
    return *this;
  }
  PickleWriter& real(double value) {
    out_ += 'G';
    const auto bits = std::bit_cast<std::uint64_t>(value);
    for (int shift = 56; shift >= 0; shift -= 8) out_ += static_cast<char>(bits >> shift);
    return *this;
  }
  // The object on top of the stack, under that number; and that object again.
  PickleWriter& put(std::uint32_t memo) {
    out_ += 'r';
    append_little_endian(memo, 4);
    return *this;
  }
  PickleWriter& get(std::uint32_t memo) {
    out_ += 'j';
    append_little_endian(memo, 4);
    return *this;
  }
  PickleWriter& raw(std::string_view opcodes) {
    out_ += opcodes;
    return *this;
  }
  PickleWriter& global(std::string_view module, std::string_view name) {
    text(module).text(name);
    return op('\x93');
  }
  PickleWriter& key(const Key& key) {
    wire::Reader reader{key.msgpack()};
    value(reader);
    return *this;
  }
  std::string take() {
    out_ += '.';
    return std::move(out_);
  }

 private:
  void append_little_endian(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i) out_ += static_cast<char>(value >> (8 * i));
  }
  void value(wire::Reader& reader) {
    switch (reader.peek()) {
      case wire::Type::text:
        text(reader.text());
        break;
      case wire::Type::binary:
        bytes(reader.binary());
        break;
      case wire::Type::integer:
        integer(reader.integer());
        break;
      case wire::Type::real:
        real(reader.real());
        break;
      case wire::Type::array: {
        op(kMark);
        for (auto count = reader.array(); count > 0; --count) value(reader);
        op(kTuple);
        break;
      }
      default:
        reader.skip();
        op(kNil);
    }
  }

  std::string out_;
};

}  // namespace rask::scheduler
