#pragma once
// Payloads of messages: "no payload", values that stand in the message itself, and their trees.
//
// An inlined payload has its MessagePack in frames[0]. When marks of out-of-band objects are inside
// it (a log event that carries an array, say), its frames are a whole wire message of their own,
// root first: see wire::Payload. tree() reads both.
#include "rask/base/result.h"
#include "rask/protocol/messages.h"
#include "rask/wire/message.h"
#include "rask/wire/value.h"

namespace rask::protocol {

// Nothing, or Python's None. Payload{} and an inlined nil are the same on the wire; what is read is
// always Payload{}.
bool is_none(const Payload& payload);

// A tree as an inlined payload, and back. The tree of a serialized or pickled payload is that
// payload.
//   errors   corrupt_message: not one MessagePack value
Payload inlined(const wire::Value& value);
// What stands in a tree where peers may put a payload or plain data.
Payload payload_in(const wire::Value& field);
Result<wire::Value> tree(const Payload& payload);
inline Result<wire::Value> tree(const OtherMessage& message) { return tree(message.whole); }

// Reads the payloads of one wire message. Each frame may belong to one payload only, else a few
// bytes could name a large message many times.
class PayloadReader {
 public:
  explicit PayloadReader(const wire::Message& message)
      : message_(&message), frames_left_(message.frames().size()) {}

  const wire::Message& message() const { return *message_; }
  // What stands at `reader`: a mark's payload, an inlined slice of the root, or Payload{} for nil.
  //   fails the reader   as wire::Message::payload; a frame that was given out before
  Payload read(wire::Reader& reader);

 private:
  const wire::Message* message_;
  std::size_t frames_left_;
};

// Writes it at this place, nil for none. Returns the bytes that went into frames beside the root.
//   REQUIRES an inlined payload to hold one well-formed MessagePack value.
std::size_t write_payload(wire::MessageWriter& writer, const Payload& payload);

}  // namespace rask::protocol
