#pragma once
// A Dask message: one MessagePack frame, and beside it the frames of the objects that it refers to.
//
//   message  = frame0 frame*          frame0: MessagePack; {"__Serialized__": i} stands for the
//                                     payload whose header is frame i and whose frames follow it
//   on TCP   = u64 total  u64 count  u64 length*count  frames      (little endian)
//
// Source: distributed/protocol/core.py (dumps, loads), protocol/utils.py (pack_frames_prelude),
// comm/tcp.py (TCP.write, TCP.read).
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rask/base/result.h"
#include "rask/wire/msgpack.h"
#include "rask/wire/payload.h"
#include "rask/wire/value.h"

namespace rask::wire {

using Frames = std::vector<Buffer>;

// Builds a message. The MessagePack goes through root(); payloads go through payload().
class MessageWriter {
 public:
  Writer& root() { return root_; }
  // Writes the mark {"__Serialized__": i} (or "__Pickled__") at this place and keeps the frames.
  // "num-sub-frames" in the header is set right if it is not. An inlined payload writes its bytes
  // here; an empty one, or a payload without a header, writes nil.
  void payload(const Payload& payload);
  void value(const Value& value);  // A tree, payloads inside it included.

  bool empty() const { return root_.size() == 0; }
  std::size_t frame_count() const { return 1 + frames_.size(); }
  // All frames, root first. The writer is empty afterwards.
  Frames take();

 private:
  Writer root_;
  Frames frames_;  // Without the root: frame i of the message is frames_[i - 1].
};

// Reads a message. Holds the frames; what it gives out refers to them.
class Message {
 public:
  Message() = default;
  explicit Message(Frames frames) : frames_(std::move(frames)) {}

  std::string_view root() const { return frames_.empty() ? std::string_view{} : frames_[0].view(); }
  const Frames& frames() const { return frames_; }
  Frames take_frames() && { return std::move(frames_); }

  // Reads what stands at `reader` as a payload: a mark becomes the payload whose frames it names;
  // any other value becomes an inlined payload that shares the root's memory (but for one with
  // marks inside, which is copied together with references to the frames that it needs).
  //   fails the reader   the mark names frames that are not there, or its header is no map.
  Payload payload(Reader& reader) const;

  // The whole root (or the value at `reader`) as a tree with its payloads.
  //   errors   corrupt_message: bad MessagePack, nested deeper than Reader::kDepthMax, bytes behind
  //            the value, a payload mark that names no frame.
  Result<Value> parse() const;
  std::optional<Value> value(Reader& reader) const;  // nullopt: the reader failed

 private:
  class Parser;
  std::optional<Payload> marked(Reader& reader) const;

  Frames frames_;
};

// Encodes a tree as a message of its own.
Frames encode(const Value& value);

// ---- TCP framing -----------------------------------------------------------------------------

// The bytes that go before the frames on a TCP stream: total, count and lengths. The total is what
// the peer reads at once; a stock peer reads frames behind it into memory of their own, so the
// total ends before the second large buffer, as in _add_frames_header.
std::string frames_prelude(const Frames& frames);

struct Limits {
  std::uint64_t message_bytes_max = std::uint64_t{1} << 40;  // A whole message.
  std::uint64_t frame_count_max = std::uint64_t{1} << 26;
  // A peer that has said that many bytes will come gets memory in steps of at most this size as
  // they come (until then there is only address space), so that a lying header costs us nothing.
  std::uint64_t allocation_step_bytes = std::uint64_t{64} << 20;
};

// Cuts a byte stream into messages, in whatever pieces the bytes come. Pure.
//
//   loop: span = decoder.prepare(); n = read(span); decoder.commit(n); while (m = decoder.next()) …
//
// Small messages of one read share one block. A large message is read straight into blocks of its
// own, and its frames are slices of them (no copy): frames of 1 MiB and more do not share a block
// with what follows, so that each can be freed alone, unless they are the shards of one object.
class FrameDecoder {
 public:
  explicit FrameDecoder(Limits limits = {});
  ~FrameDecoder();
  FrameDecoder(const FrameDecoder&) = delete;
  FrameDecoder& operator=(const FrameDecoder&) = delete;

  struct Space {
    char* data;
    std::size_t size;  // > 0
  };
  Space prepare();  // REQUIRES that next() has given nullopt since the last commit().
  void commit(std::size_t bytes_read);

  // The next whole message; nullopt when more bytes are needed.
  //   errors   corrupt_message: a length that contradicts the total, or a limit exceeded. The
  //   stream
  //            cannot go on after an error.
  Result<std::optional<Message>> next();

  // Bytes of a message that has begun and not ended (to tell a clean end from a cut one).
  bool mid_message() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace rask::wire
