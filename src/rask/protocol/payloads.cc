#include "rask/protocol/payloads.h"

namespace rask::protocol {

bool is_none(const Payload& payload) {
  if (payload.kind != Payload::Kind::inlined)
    return payload.header.empty() && payload.frames.empty();
  if (payload.frames.empty()) return true;
  const auto bytes = payload.frames.front().view();
  return bytes.empty() || bytes == "\xc0";
}

Payload inlined(const wire::Value& value) {
  Payload payload;
  payload.kind = Payload::Kind::inlined;
  payload.frames = wire::encode(value);
  return payload;
}

Payload payload_in(const wire::Value& field) {
  const auto* payload = field.get_if<Payload>();
  return payload != nullptr ? *payload : inlined(field);
}

Result<wire::Value> tree(const Payload& payload) {
  if (is_none(payload)) return wire::Value{};
  if (payload.kind != Payload::Kind::inlined) return wire::Value{payload};
  return wire::Message{payload.frames}.parse();
}

Payload PayloadReader::read(wire::Reader& reader) {
  if (reader.nil()) return {};
  auto payload = message_->payload(reader);
  if (!reader.ok()) return {};
  const bool is_inlined = payload.kind == Payload::Kind::inlined;
  // A serialized payload has its header beside its frames, an inlined message its root among them.
  const auto taken = is_inlined ? payload.frames.size() - 1 : payload.frames.size() + 1;
  if (taken > frames_left_) {
    reader.fail();
    return {};
  }
  frames_left_ -= taken;
  return payload;
}

std::size_t write_payload(wire::MessageWriter& writer, const Payload& payload) {
  if (is_none(payload)) {
    writer.root().nil();
    return 0;
  }
  writer.payload(payload);
  const bool stands_in_root = payload.kind == Payload::Kind::inlined && payload.frames.size() == 1;
  return stands_in_root ? 0 : payload.header.size() + payload.nbytes();
}

}  // namespace rask::protocol
