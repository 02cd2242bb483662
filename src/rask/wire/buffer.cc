#include "rask/wire/buffer.h"

#include <cstring>

#include "rask/base/assert.h"
#include "rask/wire/block.h"

namespace rask::wire {
namespace {
constexpr std::size_t kCopyRatherThanOwn = 64;  // One allocation either way; a copy is denser.
}  // namespace

Buffer Buffer::copy_of(std::string_view bytes) {
  if (bytes.empty()) return {};
  const Block block = make_block(bytes.size());
  std::memcpy(block.data, bytes.data(), bytes.size());
  return block.part(0, bytes.size());
}

Buffer Buffer::own(std::string&& bytes) {
  if (bytes.size() <= kCopyRatherThanOwn) return copy_of(bytes);
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  const std::string_view view = *owner;
  return Buffer{view, std::move(owner)};
}

Buffer Buffer::slice(std::size_t offset, std::size_t size) const {
  RASK_ASSERT(offset <= bytes_.size() && size <= bytes_.size() - offset);
  return Buffer{bytes_.substr(offset, size), owner_};
}

}  // namespace rask::wire
