#pragma once
// The result of a task as a worker holds it: a native object, or the frames that came from
// elsewhere.
//
// Within one worker tasks hand objects to each other as they are. A value becomes bytes when it
// leaves the process:
//
//   small, no maps in it   MessagePack in the message itself          (Payload::Kind::inlined)
//   nothing beside it      {"serializer": "msgpack"} and one frame    every Dask peer reads that
//   large runs of bytes    {"serializer": "rask"}, the MessagePack, then the runs, not copied
//
// Immutable and safe to share between threads; a copy copies pointers.
#include <memory>
#include <string>
#include <string_view>

#include "rask/base/result.h"
#include "rask/graph/codec.h"
#include "rask/wire/payload.h"

namespace rask {

class TaskValue {
 public:
  TaskValue() = default;  // No value: empty() is true.

  template <Encodable T>
  static TaskValue of(T value) {
    return share(std::make_shared<const T>(std::move(value)));
  }
  template <Encodable T>
  static TaskValue share(std::shared_ptr<const T> object) {
    return TaskValue{&value_type<T>(), std::move(object)};
  }
  // What a task without a result gives: nil, Python's None.
  static TaskValue none() { return of(std::monostate{}); }
  // As it came. Decoded when somebody asks, once.
  static TaskValue from_payload(wire::Payload payload);

  bool empty() const { return type_ == nullptr && remote_ == nullptr; }

  // The value as a T: the object itself when it is one, else read from the frames.
  //   errors   corrupt_message: cannot be read as a T; says what was expected and what was found.
  //            invalid_argument: a Python object that is no plain data.
  template <Encodable T>
  Result<std::shared_ptr<const T>> as() const {
    RASK_TRY(std::shared_ptr<const void> object, as(value_type<T>()));
    return std::static_pointer_cast<const T>(std::move(object));
  }
  Result<std::shared_ptr<const void>> as(const ValueType& type) const;

  // What a peer is sent. `plain_only`: nothing that a stock peer cannot read.
  //   REQUIRES !empty().
  wire::Payload to_payload(bool plain_only = false) const;

  std::size_t nbytes() const;  // About what it takes in memory.
  std::string type_name()
      const;  // "std::vector<double>"; the serializer's name for foreign objects

 private:
  struct Remote;
  TaskValue(const ValueType* type, std::shared_ptr<const void> object)
      : type_(type), object_(std::move(object)) {}

  const ValueType* type_ = nullptr;  // Of object_; null for frames.
  std::shared_ptr<const void> object_;
  std::shared_ptr<const Remote> remote_;
};

// A value as the bytes that a peer is sent.
wire::Payload encode_payload(const ValueType& type, const std::shared_ptr<const void>& object,
                             bool plain_only);

// A payload in a form that a Decoder reads: unpacked, joined, and out of pickle.
struct ReadablePayload {
  wire::Buffer root;
  std::vector<wire::Buffer> frames;
};
//   errors   invalid_argument: a Python object that is no plain data; names its serializer.
Result<ReadablePayload> readable_payload(const wire::Payload& payload);

// The name of the C++ type that the payload's header gives, or of its serializer.
std::string payload_type_name(const wire::Payload& payload);

// Reads a payload as a T.   errors: as TaskValue::as
template <Encodable T>
Result<T> decode_payload(const wire::Payload& payload) {
  RASK_TRY(const ReadablePayload readable, readable_payload(payload));
  Decoder decoder{readable.root, readable.frames};
  T value{};
  if (decode(decoder, value)) return value;
  return decoder.error().with_context("cannot read " + payload_type_name(payload) + " as " +
                                      rask::type_name<T>());
}

}  // namespace rask
