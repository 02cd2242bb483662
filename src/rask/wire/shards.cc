// split() and merged() of compression.h: frames in shards, and whole again.
#include <algorithm>
#include <cstring>

#include "rask/base/assert.h"
#include "rask/wire/block.h"
#include "rask/wire/compression.h"
#include "rask/wire/header.h"

namespace rask::wire {
namespace {

constexpr std::string_view kCounts = "split-num-sub-frames";
constexpr std::string_view kOffsets = "split-offsets";
constexpr std::string_view kCompressionField = "compression";
constexpr std::string_view kFrameCount = "num-sub-frames";

Error corrupt(std::string_view what) {
  return Error{ErrorCode::corrupt_message, "shards: " + std::string{what}};
}

bool is_map(const Buffer& header) {
  Reader reader{header.view()};
  return reader.peek() == Type::map && !reader.skip().empty() && reader.at_end();
}

// The list of numbers in a field; empty when it is bad or not there.
std::vector<std::size_t> numbers(const Buffer& header, std::string_view field) {
  std::vector<std::size_t> out;
  std::optional<Reader> reader = find_field(header.view(), field);
  if (!reader) return out;
  for (std::uint32_t left = reader->array(); left > 0 && reader->ok(); --left) {
    out.push_back(reader->integer_unsigned());
  }
  if (!reader->ok()) out.clear();
  return out;
}

Writer encoded(const std::vector<std::size_t>& values) {
  Writer out;
  out.array(values.size());
  for (const std::size_t value : values) out.integer_unsigned(value);
  return out;
}

Writer no_compression(std::size_t frames) {
  Writer out;
  out.array(frames);
  for (std::size_t i = 0; i < frames; ++i) out.nil();
  return out;
}

Writer encoded(std::size_t value) {
  Writer out;
  out.integer_unsigned(value);
  return out;
}

// One buffer of frames [begin, end): themselves when they lie side by side.
Buffer join(const Buffer* begin, const Buffer* end) {
  if (begin == end) return {};
  if (end - begin == 1) return *begin;
  std::size_t bytes = 0;
  bool adjacent = true;
  const char* expected = begin->data();
  for (const Buffer* frame = begin; frame != end; ++frame) {
    adjacent &= frame->owner() == begin->owner() && frame->data() == expected;
    bytes += frame->size();
    expected = frame->data() + frame->size();
  }
  if (adjacent) return begin->slice(std::string_view{begin->data(), bytes});
  const Block block = make_block(bytes);
  char* to = block.data;
  for (const Buffer* frame = begin; frame != end; ++frame) {
    if (!frame->empty()) std::memcpy(to, frame->data(), frame->size());
    to += frame->size();
  }
  return block.part(0, bytes);
}

}  // namespace

Payload split(const Payload& payload, std::size_t shard_bytes) {
  RASK_ASSERT(shard_bytes > 0);
  const bool large = std::any_of(payload.frames.begin(), payload.frames.end(),
                                 [&](const Buffer& frame) { return frame.size() > shard_bytes; });
  if (payload.kind != Payload::Kind::serialized || !large) return payload;
  if (!is_map(payload.header) || find_field(payload.header.view(), kCounts)) return payload;
  const Result<Payload> plain = decompressed(payload);
  if (!plain.ok()) return payload;

  Payload out{payload.kind, {}, {}};
  std::vector<std::size_t> counts;
  std::vector<std::size_t> offsets;
  for (const Buffer& frame : plain.value().frames) {
    offsets.push_back(out.frames.size());
    std::size_t at = 0;
    do {
      const std::size_t size = std::min(shard_bytes, frame.size() - at);
      out.frames.push_back(frame.slice(at, size));
      at += size;
    } while (at < frame.size());
    counts.push_back(out.frames.size() - offsets.back());
  }
  out.header =
      with_fields(payload.header, {{kCounts, encoded(counts).view()},
                                   {kOffsets, encoded(offsets).view()},
                                   {kCompressionField, no_compression(out.frames.size()).view()},
                                   {kFrameCount, encoded(out.frames.size()).view()}});
  return out;
}

Result<Payload> merged(const Payload& payload) {
  if (payload.kind != Payload::Kind::serialized) return decompressed(payload);
  if (!is_map(payload.header)) return corrupt("header is no map");
  RASK_TRY(Payload plain, decompressed(payload));
  if (!find_field(plain.header.view(), kCounts)) return plain;
  const std::vector<std::size_t> counts = numbers(plain.header, kCounts);
  const std::vector<std::size_t> offsets = numbers(plain.header, kOffsets);
  if (counts.size() != offsets.size()) return corrupt("counts and offsets differ");

  Payload out{payload.kind, {}, {}};
  const std::size_t frames = plain.frames.size();
  std::size_t frames_left = frames;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (offsets[i] > frames || counts[i] > frames - offsets[i]) return corrupt("no such frame");
    if (counts[i] > frames_left) return corrupt("a frame is used twice");
    frames_left -= counts[i];
    const Buffer* const begin = plain.frames.data() + offsets[i];
    out.frames.push_back(join(begin, begin + counts[i]));
  }
  out.header =
      with_fields(plain.header, {{kCounts, {}},
                                 {kOffsets, {}},
                                 {kCompressionField, no_compression(out.frames.size()).view()},
                                 {kFrameCount, encoded(out.frames.size()).view()}});
  return out;
}

}  // namespace rask::wire
