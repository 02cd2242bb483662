#include "rask/graph/value.h"

#include <atomic>
#include <utility>

#include "rask/graph/actor_class.h"
#include "rask/wire/compression.h"
#include "rask/wire/pickle.h"

namespace rask {
namespace {

// Larger values travel beside the message, so that they are not copied into it.
constexpr std::size_t kInlineBytesMax = 1024;

struct Header {
  std::string_view serializer;
  std::string_view type;    // "rask-type"; empty: unknown
  std::string_view pickle;  // "pickled-obj" of a pickled payload
  bool packed = false;      // Compressed or cut into pieces.
};

// Whether a field that lists something for each frame says anything else than "nothing done".
bool is_packed(std::string_view field, wire::Reader& reader) {
  if (reader.nil()) return false;
  bool packed = false;
  const std::uint32_t count = reader.array();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const bool one = field != "compression" && reader.peek() == wire::Type::integer;
    if (one)
      packed |= reader.integer() != 1;
    else if (!reader.nil())
      reader.skip(), packed = true;
  }
  return packed;
}

Header read_header(const wire::Payload& payload) {
  Header header;
  if (payload.header.empty()) return header;
  wire::Reader reader{payload.header.view()};
  const std::uint32_t count = reader.map();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    if (reader.peek() != wire::Type::text) {
      reader.skip(), reader.skip();
      continue;
    }
    const std::string_view field = reader.text();
    if (field == "serializer" && reader.peek() == wire::Type::text)
      header.serializer = reader.text();
    else if (field == "rask-type" && reader.peek() == wire::Type::text)
      header.type = reader.text();
    else if (field == "pickled-obj")
      header.pickle = reader.binary();
    else if (field == "compression" || field == "split-num-sub-frames")
      header.packed |= is_packed(field, reader);
    else
      reader.skip();
  }
  return header;
}

std::string joined(const std::vector<wire::Buffer>& frames) {
  std::string text;
  for (const wire::Buffer& frame : frames) text.append(frame.view());
  return text;
}

Result<ReadablePayload> from_pickle(std::string_view pickle) {
  wire::Writer writer;
  if (const auto actor = pickled_actor(pickle)) {
    Encoder out{writer};
    encode(out, *actor);
    return ReadablePayload{wire::Buffer::own(writer.take()), {}};
  }
  RASK_TRY(const wire::Value tree, wire::read_pickle(pickle));
  Encoder{writer}.value(tree);
  return ReadablePayload{wire::Buffer::own(writer.take()), {}};
}

Result<ReadablePayload> from_serialized(const wire::Payload& payload, const Header& header) {
  if (payload.frames.empty()) return Error{ErrorCode::corrupt_message, "a value without frames"};
  if (header.serializer == "rask")
    return ReadablePayload{payload.frames[0], {payload.frames.begin() + 1, payload.frames.end()}};
  if (header.serializer == "msgpack") {
    if (payload.frames.size() == 1) return ReadablePayload{payload.frames[0], {}};
    return ReadablePayload{wire::Buffer::own(joined(payload.frames)), {}};
  }
  if (header.serializer == "pickle") {
    if (payload.frames.size() == 1) return from_pickle(payload.frames[0].view());
    return Error{ErrorCode::invalid_argument,
                 "a Python object with buffers of its own cannot be read in C++; send plain data"};
  }
  if (header.serializer == "error")
    return Error{ErrorCode::invalid_argument,
                 "the value could not be serialized where it was made: " + joined(payload.frames)};
  return Error{ErrorCode::invalid_argument, "a Python object of Dask's serializer \"" +
                                                std::string{header.serializer} +
                                                "\" cannot be read in C++; send plain data"};
}

}  // namespace

// Frames, and the object once they have been read as their own type. Then the frames go: the bytes
// can be made again, and memory is for one of the two.
struct TaskValue::Remote {
  explicit Remote(wire::Payload value) : payload(std::move(value)) {}

  struct Content {
    wire::Payload payload;
    const ValueType* type = nullptr;
    std::shared_ptr<const void> object;
  };
  Content content() const {
    lock();
    Content copy{type == nullptr ? payload : wire::Payload{}, type, object};
    busy.clear(std::memory_order_release);
    return copy;
  }
  void replace(const ValueType& new_type, const std::shared_ptr<const void>& new_object) const {
    wire::Payload old;  // Freed outside.
    lock();
    if (type == nullptr) {
      std::swap(old, payload);
      type = &new_type;
      object = new_object;
    }
    busy.clear(std::memory_order_release);
  }
  // Held for the copy of a few pointers.
  void lock() const {
    while (busy.test_and_set(std::memory_order_acquire)) {
    }
  }

  mutable std::atomic_flag busy = ATOMIC_FLAG_INIT;
  mutable wire::Payload payload;
  mutable const ValueType* type = nullptr;
  mutable std::shared_ptr<const void> object;
};

TaskValue TaskValue::from_payload(wire::Payload payload) {
  TaskValue value;
  value.remote_ = std::make_shared<const Remote>(std::move(payload));
  return value;
}

Result<ReadablePayload> readable_payload(const wire::Payload& payload) {
  if (payload.kind == wire::Payload::Kind::inlined) {
    if (payload.frames.empty()) return Error{ErrorCode::corrupt_message, "an empty value"};
    return ReadablePayload{payload.frames[0], {}};
  }
  const Header header = read_header(payload);
  if (payload.kind == wire::Payload::Kind::pickled) return from_pickle(header.pickle);
  if (!header.packed) return from_serialized(payload, header);
  RASK_TRY(const wire::Payload unpacked, wire::decompressed(payload));
  RASK_TRY(const wire::Payload whole, wire::merged(unpacked));
  return from_serialized(whole, header);
}

std::string payload_type_name(const wire::Payload& payload) {
  if (payload.kind == wire::Payload::Kind::inlined) return "a plain value";
  if (payload.kind == wire::Payload::Kind::pickled) return "a pickled Python object";
  const Header header = read_header(payload);
  if (!header.type.empty()) return std::string{header.type};
  if (header.serializer == "msgpack") return "a plain value";
  return "a Python object (" + std::string{header.serializer} + ")";
}

namespace {

// The payload as an object of that type. null and the error in `why` when it cannot be.
std::shared_ptr<const void> decode_object(const ReadablePayload& readable, const ValueType& type,
                                          Error& why) {
  Decoder decoder{readable.root, readable.frames};
  std::shared_ptr<const void> object = type.decode(decoder);
  if (object == nullptr) why = decoder.error();
  return object;
}

}  // namespace

Result<std::shared_ptr<const void>> TaskValue::as(const ValueType& type) const {
  RASK_ASSERT(!empty());
  if (type_ != nullptr && *type_ == type) return object_;
  const Remote::Content content =
      remote_ != nullptr ? remote_->content() : Remote::Content{{}, type_, object_};
  if (content.type != nullptr && *content.type == type) return content.object;
  const wire::Payload payload = content.type == nullptr
                                    ? content.payload
                                    : encode_payload(*content.type, content.object, false);
  const std::string found =
      content.type == nullptr ? std::string{} : "a value of type " + content.type->name();
  const auto explain = [&](Error error) {
    const std::string what = found.empty() ? payload_type_name(payload) : found;
    return std::move(error).with_context("expected " + type.name() + ", found " + what);
  };
  auto readable = readable_payload(payload);
  if (!readable.ok()) return explain(readable.error());
  Error why{ErrorCode::corrupt_message, ""};
  std::shared_ptr<const void> object = decode_object(readable.value(), type, why);
  if (object == nullptr) return explain(std::move(why));
  if (content.type == nullptr && payload.kind == wire::Payload::Kind::serialized &&
      read_header(payload).type == type.name())
    remote_->replace(type, object);
  return object;
}

wire::Payload encode_payload(const ValueType& type, const std::shared_ptr<const void>& object,
                             bool plain_only) {
  wire::Writer writer;
  wire::Frames frames;
  Encoder encoder{writer, plain_only ? nullptr : &frames, object};
  type.encode(encoder, object.get());
  wire::Payload payload;
  wire::Buffer root = wire::Buffer::own(writer.take());
  if (frames.empty() && root.size() <= kInlineBytesMax && !encoder.has_maps()) {
    payload.kind = wire::Payload::Kind::inlined;
  } else {
    payload.kind = wire::Payload::Kind::serialized;
    payload.header = type.header(!frames.empty());
  }
  payload.frames.reserve(1 + frames.size());
  payload.frames.push_back(std::move(root));
  for (wire::Buffer& frame : frames) payload.frames.push_back(std::move(frame));
  return payload;
}

wire::Payload TaskValue::to_payload(bool plain_only) const {
  RASK_ASSERT(!empty());
  if (type_ != nullptr) return encode_payload(*type_, object_, plain_only);
  Remote::Content content = remote_->content();
  if (content.type != nullptr) return encode_payload(*content.type, content.object, plain_only);
  const bool framed = content.payload.kind == wire::Payload::Kind::serialized &&
                      read_header(content.payload).serializer == "rask";
  if (!plain_only || !framed) return std::move(content.payload);
  // Frames that only rask reads, for a stock peer: as one MessagePack value, read without its type.
  auto readable = readable_payload(content.payload);
  if (!readable.ok()) return std::move(content.payload);
  wire::Writer writer;
  Encoder encoder{writer};
  Decoder decoder{readable.value().root, readable.value().frames};
  if (!copy_without_frames(decoder, encoder)) return std::move(content.payload);
  wire::Payload plain;
  plain.header = internal::value_header(false, payload_type_name(content.payload));
  plain.frames.push_back(wire::Buffer::own(writer.take()));
  return plain;
}

std::size_t TaskValue::nbytes() const {
  if (type_ != nullptr) return type_->nbytes(object_.get());
  if (remote_ == nullptr) return 0;
  const Remote::Content content = remote_->content();
  return content.type != nullptr ? content.type->nbytes(content.object.get())
                                 : content.payload.nbytes();
}

std::string TaskValue::type_name() const {
  if (type_ != nullptr) return type_->name();
  if (remote_ == nullptr) return "nothing";
  const Remote::Content content = remote_->content();
  return content.type != nullptr ? content.type->name() : payload_type_name(content.payload);
}

}  // namespace rask
