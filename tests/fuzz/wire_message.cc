// A TCP stream whose messages are taken apart and put together as the engine does: marks, headers,
// compressed frames, shards.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "rask/base/assert.h"
#include "rask/wire/compression.h"
#include "rask/wire/message.h"

namespace {

using namespace rask::wire;

constexpr std::size_t kUnpackedMax = std::size_t{1} << 22;

void use(const Payload& payload) {
  if (payload.kind == Payload::Kind::inlined) return;
  if (!decompressed(payload, kUnpackedMax).ok()) return;
  const auto whole = merged(payload);
  if (!whole.ok()) return;
  RASK_ASSERT(merged(whole.value()).value().frames == whole.value().frames);
  const auto back = merged(compressed(split(whole.value(), 100), Compression::lz4));
  RASK_ASSERT(back.ok() && back.value().frames == whole.value().frames);
}

// Each value at the top, moved to a new message; what the new one says is what the old one said.
void pass_through(const Message& message) {
  Reader reader{message.root()};
  MessageWriter writer;
  const bool batch = reader.peek() == Type::array;
  const std::uint32_t count = batch ? reader.array() : 1;
  if (batch) writer.root().array(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const Payload payload = message.payload(reader);
    if (!reader.ok()) return;
    use(payload);
    writer.payload(payload);
  }
  const auto before = message.parse();
  const auto after = Message{writer.take()}.parse();
  if (!before.ok() || !after.ok()) return;
  RASK_ASSERT(encode(before.value()) == encode(after.value()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes{reinterpret_cast<const char*>(data), size};
  Limits limits;
  limits.message_bytes_max = std::uint64_t{1} << 24;
  FrameDecoder decoder{limits};
  while (!bytes.empty()) {
    const FrameDecoder::Space space = decoder.prepare();
    const std::size_t n = std::min(space.size, bytes.size());
    std::memcpy(space.data, bytes.data(), n);
    decoder.commit(n);
    bytes.remove_prefix(n);
    for (;;) {
      auto next = decoder.next();
      if (!next.ok()) return 0;
      if (!next.value()) break;
      pass_through(*next.value());
    }
  }
  return 0;
}
