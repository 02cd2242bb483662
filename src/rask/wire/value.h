#pragma once
// A MessagePack value as a tree, for messages where speed does not matter (RPC requests, identity).
//
// Python's sets, enums and tuples in Dask's messages are maps with marks ("__Set__", "__Enum__") or
// arrays. A Payload is an object that Dask serialised beside the message ("__Serialized__",
// "__Pickled__"): opaque, carried along.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rask/base/result.h"
#include "rask/wire/msgpack.h"
#include "rask/wire/payload.h"

namespace rask::wire {

class Value {
 public:
  using Array = std::vector<Value>;
  using Map = std::vector<std::pair<Value, Value>>;  // In the order of the wire.
  struct Binary {
    std::string bytes;
    bool operator==(const Binary&) const = default;
  };

  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool value) : data_(value) {}
  Value(int value) : data_(std::int64_t{value}) {}
  Value(std::int64_t value) : data_(value) {}
  Value(std::uint64_t value);  // Kept as int64 where it fits.
  Value(std::uint32_t value) : data_(std::int64_t{value}) {}
  Value(double value) : data_(value) {}
  Value(const char* value) : data_(std::string{value}) {}
  Value(std::string value) : data_(std::move(value)) {}
  Value(std::string_view value) : data_(std::string{value}) {}
  Value(Binary value) : data_(std::move(value)) {}
  Value(Array value) : data_(std::move(value)) {}
  Value(Map value) : data_(std::move(value)) {}
  Value(Payload value) : data_(std::move(value)) {}
  static Value object(std::initializer_list<std::pair<const char*, Value>> fields);

  bool is_nil() const { return std::holds_alternative<std::monostate>(data_); }
  // The content, or nullptr when it is of another type.
  template <class T>
  const T* get_if() const {
    return std::get_if<T>(&data_);
  }
  template <class T>
  T* get_if() {
    return std::get_if<T>(&data_);
  }
  template <class T, class... Args>
  T& emplace(Args&&... args) {  // Makes it one of these; what it was is gone.
    return data_.template emplace<T>(std::forward<Args>(args)...);
  }

  // The field of a map with a text key; a nil value when this is no map or has no such field.
  const Value& operator[](std::string_view field) const;
  void set(std::string_view field, Value value);  // Makes this a map if it is nil.

  // Lenient reads: `fallback` for another type. Integers and reals convert.
  bool as_bool(bool fallback = false) const;
  std::int64_t as_int(std::int64_t fallback = 0) const;
  double as_real(double fallback = 0) const;
  std::string_view as_text(std::string_view fallback = {}) const;  // text or binary
  const Array& as_array() const;  // also the items of a "__Set__"; empty for another type
  const Map& as_map() const;

  bool operator==(const Value&) const = default;

 private:
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Binary,
               Array, Map, Payload>
      data_;
};

// One line for logs and error texts, shaped like Python's repr. Long values are cut.
std::string to_string(const Value& value);

}  // namespace rask::wire
