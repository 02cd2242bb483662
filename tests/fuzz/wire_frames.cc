// Any bytes as a TCP stream: the messages do not depend on the pieces in which the bytes come. The
// first byte chooses the pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "rask/base/assert.h"
#include "rask/wire/message.h"

namespace {

using rask::wire::FrameDecoder;
using rask::wire::Frames;

struct Outcome {
  std::vector<Frames> messages;
  bool failed = false;
  bool mid_message = false;
  bool operator==(const Outcome&) const = default;
};

Outcome decode(std::string_view bytes, std::size_t step) {
  rask::wire::Limits limits;
  limits.message_bytes_max = std::uint64_t{1} << 30;
  limits.frame_count_max = 1 << 16;
  FrameDecoder decoder{limits};
  Outcome outcome;
  while (!bytes.empty()) {
    const FrameDecoder::Space space = decoder.prepare();
    RASK_ASSERT(space.size > 0);
    const std::size_t n = std::min({space.size, step, bytes.size()});
    std::memcpy(space.data, bytes.data(), n);
    decoder.commit(n);
    bytes.remove_prefix(n);
    for (;;) {
      auto next = decoder.next();
      outcome.failed = !next.ok();
      if (outcome.failed) return outcome;
      if (!next.value()) break;
      outcome.messages.push_back(std::move(*next.value()).take_frames());
    }
  }
  outcome.mid_message = decoder.mid_message();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data + 1), size - 1};
  const Outcome whole = decode(bytes, SIZE_MAX);
  RASK_ASSERT(decode(bytes, std::size_t{data[0]} + 1) == whole);
  for (const Frames& frames : whole.messages) {
    std::string wire = rask::wire::frames_prelude(frames);
    for (const auto& frame : frames) wire += frame.view();
    RASK_ASSERT((decode(wire, SIZE_MAX) == Outcome{{frames}, false, false}));
  }
  return 0;
}
