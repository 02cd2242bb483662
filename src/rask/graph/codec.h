#pragma once
// C++ values to and from MessagePack, in a shape that plain Python reads: numbers, text, lists,
// maps.
//
//   bool, integers, enums, reals     boolean, integer, real
//   std::string                      text; binary when it is no UTF-8
//   rask::Bytes, vectors of bytes    binary
//   containers, tuples, aggregates   array;  maps: map;  optional: nil or the value
//   variant                          [index, value]
//   ext 1                            (in arguments of tasks) a dependency: the MessagePack of its
//   key ext 2                            a frame beside the MessagePack: u32 index, and for numbers
//   the
//                                    kind ('i', 'u', 'f') and size in bytes of an item
//
// A type's owner gives it a codec by specialising rask::Codec<T>:
//
//   template <> struct rask::Codec<Colour> {
//     static void encode(rask::Encoder& out, const Colour& c) { rask::encode(out, c.rgb()); }
//     static bool decode(rask::Decoder& in, Colour& c) { … return rask::decode(in, …); }
//   };
#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "rask/base/result.h"
#include "rask/graph/key.h"
#include "rask/graph/type_name.h"
#include "rask/wire/buffer.h"
#include "rask/wire/message.h"
#include "rask/wire/msgpack.h"

namespace rask {

inline constexpr std::int8_t kKeyExt = 1;
inline constexpr std::int8_t kFrameExt = 2;
// Runs of bytes from this size on lie in frames of their own, where frames are allowed.
inline constexpr std::size_t kFrameBytesMin = 4096;

// A run of bytes that is not copied on its way: a file, an image, a page.
class Bytes {
 public:
  Bytes() = default;
  explicit Bytes(wire::Buffer buffer) : buffer_(std::move(buffer)) {}
  explicit Bytes(std::string bytes) : buffer_(wire::Buffer::own(std::move(bytes))) {}

  std::string_view view() const { return buffer_.view(); }
  std::size_t size() const { return buffer_.size(); }
  const wire::Buffer& buffer() const { return buffer_; }
  bool operator==(const Bytes&) const = default;

 private:
  wire::Buffer buffer_;
};

// The kind and size of numbers in a frame.
struct NumberFormat {
  char kind = 0;  // 'i', 'u', 'f'; 0: bytes
  std::uint8_t size = 1;
  bool operator==(const NumberFormat&) const = default;
};
template <class T>
constexpr NumberFormat number_format() {
  const char kind = std::is_floating_point_v<T> ? 'f' : std::is_signed_v<T> ? 'i' : 'u';
  return {kind, static_cast<std::uint8_t>(sizeof(T))};
}

class Encoder {
 public:
  // With `frames`, large runs of bytes go there and refer to the memory that `owner` keeps alive;
  // they are copied when there is no owner.
  explicit Encoder(wire::Writer& writer, wire::Frames* frames = nullptr,
                   std::shared_ptr<const void> owner = nullptr)
      : writer_(writer), frames_(frames), owner_(std::move(owner)) {}

  void use_frames(wire::Frames* frames) { frames_ = frames; }

  void nil() { writer_.nil(); }
  void boolean(bool value) { writer_.boolean(value); }
  void integer(std::int64_t value) { writer_.integer(value); }
  void integer_unsigned(std::uint64_t value) { writer_.integer_unsigned(value); }
  void real(double value) { writer_.real(value); }
  void text(std::string_view value);  // Binary when it is no UTF-8.
  void binary(std::string_view value);
  void bytes(const Bytes& value);
  void array(std::size_t count) { writer_.array(count); }
  void map(std::size_t count) {
    has_maps_ = true;
    writer_.map(count);
  }
  void key(const Key& key) { writer_.ext(kKeyExt, key.msgpack()); }
  void value(const wire::Value& value);  // A tree without payloads.
  // False when numbers must be written one by one.
  bool numbers(std::string_view memory, NumberFormat format);

  // Python's peers give maps a meaning of their own in some places.
  bool has_maps() const { return has_maps_; }

 private:
  bool fits_frame(std::size_t size) const { return frames_ != nullptr && size >= kFrameBytesMin; }
  void frame(wire::Buffer bytes, NumberFormat format);

  wire::Writer& writer_;
  wire::Frames* frames_;
  std::shared_ptr<const void> owner_;
  bool has_maps_ = false;
};

class Decoder;
// Copies the next value, with what lies in frames written out item by item: for peers that know no
// frames. False when the decoder failed.
bool copy_without_frames(Decoder& in, Encoder& out);

struct ValueType;

// Where the values of dependencies come from while arguments are read.
class Resolver {
 public:
  virtual ~Resolver() = default;
  virtual Result<std::shared_ptr<const void>> resolve(const Key& key, const ValueType& type) = 0;
};

// Reads values. The first thing that is not as asked ends it: every read gives false from then on,
// and error() says what was wanted and where.
class Decoder {
 public:
  // `root` holds the MessagePack; Bytes share its memory.
  explicit Decoder(const wire::Buffer& root, std::span<const wire::Buffer> frames = {},
                   Resolver* resolver = nullptr)
      : root_(root), frames_(frames), reader_(root.view()), resolver_(resolver) {}

  wire::Type peek() const { return reader_.peek(); }
  bool nil() { return reader_.nil(); }  // Skips a nil and says true; anything else stays.
  bool boolean(bool& out);
  bool integer(std::int64_t& out);
  bool integer_unsigned(std::uint64_t& out);
  bool real(double& out);
  bool text(std::string_view& out);  // Text or binary, in the MessagePack or in a frame.
  bool bytes(Bytes& out);
  bool array(std::uint32_t& count);
  bool array_of(std::uint32_t count);  // Exactly that many.
  bool map(std::uint32_t& count);
  bool value(wire::Value& out);
  // Numbers in a frame: the frame and the format of its items. False, without failing, when the
  // next value is something else.
  bool numbers(std::string_view& memory, NumberFormat& format);

  // Non-null when the next value is a dependency.
  Resolver* resolver_here() const {
    return resolver_ == nullptr || reader_.peek() != wire::Type::ext ? nullptr : dependency_ahead();
  }
  std::shared_ptr<const void> dependency(const ValueType& type);  // null: failed

  // Around the fields of a struct, which may hold structs of its own kind.
  bool enter() { return ++depth_ <= wire::Reader::kDepthMax || fail("less nesting"); }
  void leave() { --depth_; }

  // Fails with what was wanted at this place; false, to be returned.
  bool fail(std::string_view wanted);
  // Says in which item the failure was; called from the inside out. False, to be returned.
  bool in_item(std::size_t index);
  bool in_item(std::string_view name);

  bool ok() const { return !failed_; }
  bool at_end() const { return reader_.at_end(); }
  // REQUIRES !ok().
  Error error() const;

 private:
  Resolver* dependency_ahead() const;
  bool frame(wire::Buffer& bytes, NumberFormat& format);

  const wire::Buffer& root_;
  std::span<const wire::Buffer> frames_;
  wire::Reader reader_;
  Resolver* resolver_;
  bool failed_ = false;
  int depth_ = 0;
  std::string wanted_;
  std::string path_;
};

// Specialised for each type that can cross. See the top of this file.
template <class T>
struct Codec;

// Types that can be arguments and results of tasks.
template <class T>
concept Encodable = requires(Encoder& out, Decoder& in, const T& value, T& target) {
  Codec<T>::encode(out, value);
  { Codec<T>::decode(in, target) } -> std::same_as<bool>;
};

template <Encodable T>
void encode(Encoder& out, const T& value) {
  Codec<T>::encode(out, value);
}

// What a value takes in memory, about: like Dask's sizeof.
template <class T>
std::size_t nbytes_of(const T& value) {
  if constexpr (requires { Codec<T>::nbytes(value); })
    return Codec<T>::nbytes(value);
  else
    return sizeof(T);
}

// What the engine must know of a type to pass its values around.
struct ValueType {
  const std::string& (*name)();
  const std::type_info* type;
  void (*encode)(Encoder&, const void*);
  std::shared_ptr<const void> (*decode)(Decoder&);  // null: failed
  std::size_t (*nbytes)(const void*);
  // The header of its payloads: {"serializer": "rask" or "msgpack", "rask-type": name}.
  const wire::Buffer& (*header)(bool with_frames);

  bool operator==(const ValueType& other) const { return this == &other || *type == *other.type; }
};

template <Encodable T>
const ValueType& value_type();

namespace internal {

wire::Buffer value_header(bool with_frames, std::string_view type);

// Leaked: threads that outlive main() may still send values.
template <class T>
const wire::Buffer& value_header_of(bool with_frames) {
  static const auto& plain = *new wire::Buffer(value_header(false, type_name<T>()));
  static const auto& framed = *new wire::Buffer(value_header(true, type_name<T>()));
  return with_frames ? framed : plain;
}

}  // namespace internal

template <Encodable T>
bool decode(Decoder& in, T& out) {
  if (in.resolver_here() != nullptr) [[unlikely]] {
    if constexpr (requires { Codec<T>::from_dependency(in, out); })
      return Codec<T>::from_dependency(in, out);
    const auto object = std::static_pointer_cast<const T>(in.dependency(value_type<T>()));
    if (object == nullptr) return false;
    if constexpr (std::copyable<T>) out = *object;
    return std::copyable<T> || in.fail("a type that can be copied");
  }
  return Codec<T>::decode(in, out);
}

template <Encodable T>
const ValueType& value_type() {
  static constexpr ValueType type{
      &type_name<T>,
      &typeid(T),
      [](Encoder& out, const void* value) { Codec<T>::encode(out, *static_cast<const T*>(value)); },
      [](Decoder& in) -> std::shared_ptr<const void> {
        auto value = std::make_shared<T>();
        return Codec<T>::decode(in, *value) ? std::move(value) : nullptr;
      },
      [](const void* value) { return nbytes_of(*static_cast<const T*>(value)); },
      &internal::value_header_of<T>};
  return type;
}

}  // namespace rask

#include "rask/graph/codec_std.h"  // IWYU pragma: export
