// Any bytes as MessagePack: no crash, no read outside, and what was understood survives a round
// trip.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rask/base/assert.h"
#include "rask/wire/message.h"
#include "rask/wire/value.h"

namespace {

using rask::wire::Buffer;
using rask::wire::Message;
using rask::wire::Reader;
using rask::wire::Type;

// Reads as the first byte of each value says, so that all typed reads see all bytes.
void read_typed(std::string_view bytes) {
  Reader reader{bytes};
  while (reader.ok() && !reader.at_end()) {
    switch (reader.peek()) {
      case Type::nil:
        reader.nil();
        break;
      case Type::boolean:
        reader.boolean();
        break;
      case Type::integer: {
        Reader other = reader;
        other.integer_unsigned();
        other = reader;
        other.real();
        reader.integer();
        break;
      }
      case Type::real:
        reader.real();
        break;
      case Type::text:
        reader.text();
        break;
      case Type::binary:
        reader.binary();
        break;
      case Type::array:
        reader.array();
        break;
      case Type::map:
        reader.map();
        break;
      case Type::ext:
        reader.ext();
        break;
      case Type::none:
        reader.fail();
        break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  read_typed(bytes);
  Reader walker{bytes};
  const std::string_view first = walker.skip();
  RASK_ASSERT(!walker.ok() || first.size() <= size);

  const Message message{{Buffer::copy_of(bytes)}};
  const auto tree = message.parse();
  if (!tree.ok()) return 0;
  RASK_ASSERT(walker.ok() && first.size() == size);
  (void)rask::wire::to_string(tree.value());
  const auto once = rask::wire::encode(tree.value());
  const auto again = Message{once}.parse();
  RASK_ASSERT(again.ok() && rask::wire::encode(again.value()) == once);
  return 0;
}
