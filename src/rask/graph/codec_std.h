#pragma once
// Codecs of the standard types and of aggregates. Part of codec.h; include that.
#include <array>
#include <concepts>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "rask/graph/aggregate.h"
#include "rask/graph/codec.h"
#include "rask/wire/value.h"

namespace rask {

// ---- Scalars ------------------------------------------------------------------------------------

template <>
struct Codec<bool> {
  static void encode(Encoder& out, bool value) { out.boolean(value); }
  static bool decode(Decoder& in, bool& value) { return in.boolean(value); }
};

template <std::integral T>
struct Codec<T> {
  static void encode(Encoder& out, T value) {
    if constexpr (std::is_signed_v<T>)
      out.integer(static_cast<std::int64_t>(value));
    else
      out.integer_unsigned(static_cast<std::uint64_t>(value));
  }
  static bool decode(Decoder& in, T& value) {
    std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t> wide = 0;
    if constexpr (std::is_signed_v<T>) {
      if (!in.integer(wide)) return false;
    } else {
      if (!in.integer_unsigned(wide)) return false;
    }
    if (!std::in_range<T>(wide)) return in.fail("an integer that fits, not one out of range");
    value = static_cast<T>(wide);
    return true;
  }
};

// char is a number here: std::in_range does not take it.
template <>
struct Codec<char> {
  static void encode(Encoder& out, char value) { out.integer(value); }
  static bool decode(Decoder& in, char& value) {
    std::int64_t wide = 0;
    if (!in.integer(wide)) return false;
    if (wide < std::numeric_limits<char>::min() || wide > std::numeric_limits<char>::max())
      return in.fail("a char, not an integer out of range");
    value = static_cast<char>(wide);
    return true;
  }
};

template <std::floating_point T>
struct Codec<T> {
  static void encode(Encoder& out, T value) { out.real(static_cast<double>(value)); }
  static bool decode(Decoder& in, T& value) {
    double wide = 0;
    if (!in.real(wide)) return false;
    value = static_cast<T>(wide);
    return true;
  }
};

template <class T>
  requires std::is_enum_v<T>
struct Codec<T> {
  using Number = std::underlying_type_t<T>;
  static void encode(Encoder& out, T value) {
    Codec<Number>::encode(out, static_cast<Number>(value));
  }
  static bool decode(Decoder& in, T& value) {
    Number number{};
    if (!Codec<Number>::decode(in, number)) return false;
    value = static_cast<T>(number);
    return true;
  }
};

template <>
struct Codec<std::monostate> {
  static void encode(Encoder& out, std::monostate) { out.nil(); }
  static bool decode(Decoder& in, std::monostate&) { return in.nil() || in.fail("nil"); }
};

template <>
struct Codec<std::string> {
  static void encode(Encoder& out, const std::string& value) { out.text(value); }
  static bool decode(Decoder& in, std::string& value) {
    std::string_view text;
    if (!in.text(text)) return false;
    value.assign(text);
    return true;
  }
  static std::size_t nbytes(const std::string& value) { return sizeof(value) + value.capacity(); }
};

template <>
struct Codec<Bytes> {
  static void encode(Encoder& out, const Bytes& value) { out.bytes(value); }
  static bool decode(Decoder& in, Bytes& value) { return in.bytes(value); }
  static std::size_t nbytes(const Bytes& value) { return sizeof(value) + value.size(); }
};

template <>
struct Codec<Key> {  // As its text; for tables of keys.
  static void encode(Encoder& out, const Key& value) { out.text(value.str()); }
  static bool decode(Decoder& in, Key& value) {
    std::string_view text;
    if (!in.text(text)) return false;
    value = Key{text};
    return true;
  }
};

// Any plain data, as Python sends it.
template <>
struct Codec<wire::Value> {
  static void encode(Encoder& out, const wire::Value& value) { out.value(value); }
  static bool decode(Decoder& in, wire::Value& value) { return in.value(value); }
};

// ---- Containers ---------------------------------------------------------------------------------

namespace internal {

template <class T>
concept ByteLike =
    std::same_as<T, unsigned char> || std::same_as<T, std::byte> || std::same_as<T, char>;
template <class T>
concept Number =
    std::is_arithmetic_v<T> && !std::same_as<T, bool> && !ByteLike<T> && sizeof(T) <= 8;
template <class T>
concept Map = requires {
  typename T::key_type;
  typename T::mapped_type;
};
template <class T>
concept Set = requires { typename T::key_type; } && !Map<T>;
template <class T>
concept Sequence = requires(T& items, typename T::value_type item) {
  items.push_back(std::move(item));
  items.begin();
  items.size();
  items.clear();
} && !std::same_as<T, std::string>;

template <class Range>
std::string_view memory_of(const Range& items) {
  return {reinterpret_cast<const char*>(items.data()),
          items.size() * sizeof(typename Range::value_type)};
}

// One number of another format as T; false when it does not fit.
template <Number T, class Source>
bool convert_number(const char* memory, T& out) {
  Source value{};
  std::memcpy(&value, memory, sizeof(Source));
  if constexpr (std::is_integral_v<T>) {
    if constexpr (std::is_floating_point_v<Source>)
      return false;
    else if (!std::in_range<T>(value))
      return false;
  }
  out = static_cast<T>(value);
  return true;
}

template <Number T>
using NumberReader = bool (*)(const char*, T&);

template <Number T>
NumberReader<T> number_reader(NumberFormat format) {
  switch (format.kind * 16 + format.size) {
    case 'i' * 16 + 1:
      return &convert_number<T, std::int8_t>;
    case 'i' * 16 + 2:
      return &convert_number<T, std::int16_t>;
    case 'i' * 16 + 4:
      return &convert_number<T, std::int32_t>;
    case 'i' * 16 + 8:
      return &convert_number<T, std::int64_t>;
    case 'u' * 16 + 1:
      return &convert_number<T, std::uint8_t>;
    case 'u' * 16 + 2:
      return &convert_number<T, std::uint16_t>;
    case 'u' * 16 + 4:
      return &convert_number<T, std::uint32_t>;
    case 'u' * 16 + 8:
      return &convert_number<T, std::uint64_t>;
    case 'f' * 16 + 4:
      return &convert_number<T, float>;
    case 'f' * 16 + 8:
      return &convert_number<T, double>;
    default:
      return nullptr;
  }
}

// Numbers of a frame into memory for as many; they are copied at once when their format is T's.
template <Number T>
bool copy_numbers(Decoder& in, std::string_view memory, NumberFormat format, T* out) {
  if (format == number_format<T>()) {
    if (!memory.empty()) std::memcpy(out, memory.data(), memory.size());
    return true;
  }
  const NumberReader<T> read = number_reader<T>(format);
  if (read == nullptr) return in.fail("numbers of a known format");
  const std::size_t count = memory.size() / format.size;
  for (std::size_t i = 0; i < count; ++i) {
    if (!read(memory.data() + i * format.size, out[i]))
      return in.fail("numbers that fit " + type_name<T>() + ", not others") || in.in_item(i);
  }
  return true;
}

template <class Range>
void encode_items(Encoder& out, const Range& items) {
  out.array(items.size());
  for (const auto& item : items) {
    using Item = typename Range::value_type;
    rask::encode<Item>(out, item);
  }
}

template <class Range>
std::size_t nbytes_of_items(const Range& items) {
  using Item = typename Range::value_type;
  if constexpr (std::is_arithmetic_v<Item>) return items.size() * sizeof(Item);
  std::size_t total = 0;
  for (const auto& item : items) total += nbytes_of<Item>(item);
  return total;
}

}  // namespace internal

template <internal::Sequence T>
  requires Encodable<typename T::value_type>
struct Codec<T> {
  using Item = typename T::value_type;
  static constexpr bool kContiguous = requires(T& items) {
    items.data();
    items.resize(1);
  };

  static void encode(Encoder& out, const T& items) {
    if constexpr (kContiguous && internal::ByteLike<Item>) {
      out.binary(internal::memory_of(items));
    } else {
      if constexpr (kContiguous && internal::Number<Item>)
        if (out.numbers(internal::memory_of(items), number_format<Item>())) return;
      internal::encode_items(out, items);
    }
  }

  static bool decode(Decoder& in, T& items) {
    items.clear();
    if constexpr (kContiguous && internal::ByteLike<Item>) {
      if (in.peek() != wire::Type::array) {
        std::string_view bytes;
        if (!in.text(bytes)) return false;
        items.resize(bytes.size());
        if (!bytes.empty()) std::memcpy(items.data(), bytes.data(), bytes.size());
        return true;
      }
    }
    if constexpr (kContiguous && internal::Number<Item>) {
      std::string_view memory;
      NumberFormat format;
      if (in.numbers(memory, format)) {
        items.resize(memory.size() / format.size);
        return internal::copy_numbers(in, memory, format, items.data());
      }
    }
    return decode_items(in, items);
  }

  static std::size_t nbytes(const T& items) { return sizeof(T) + internal::nbytes_of_items(items); }

 private:
  static bool decode_items(Decoder& in, T& items) {
    std::uint32_t count = 0;
    if (!in.array(count)) return false;
    // A lying header may promise as many items as there are bytes: grow no faster than they come.
    if constexpr (requires { items.reserve(count); })
      items.reserve(std::min<std::size_t>(count, sizeof(Item) <= 16 ? count : 1024));
    for (std::uint32_t i = 0; i < count; ++i) {
      Item item{};
      if (!rask::decode<Item>(in, item)) return in.in_item(i);
      items.push_back(std::move(item));
    }
    return true;
  }
};

template <class Item, std::size_t N>
  requires Encodable<Item>
struct Codec<std::array<Item, N>> {
  static void encode(Encoder& out, const std::array<Item, N>& items) {
    if constexpr (internal::Number<Item>)
      if (out.numbers(internal::memory_of(items), number_format<Item>())) return;
    internal::encode_items(out, items);
  }
  static bool decode(Decoder& in, std::array<Item, N>& items) {
    if constexpr (internal::Number<Item>) {
      std::string_view memory;
      NumberFormat format;
      if (in.numbers(memory, format)) {
        if (memory.size() / format.size != N) return in.fail("a list of another size, not this");
        return internal::copy_numbers(in, memory, format, items.data());
      }
    }
    if (!in.array_of(N)) return false;
    for (std::size_t i = 0; i < N; ++i)
      if (!rask::decode<Item>(in, items[i])) return in.in_item(i);
    return true;
  }
  static std::size_t nbytes(const std::array<Item, N>& items) {
    return internal::nbytes_of_items(items);
  }
};

template <internal::Set T>
  requires Encodable<typename T::key_type>
struct Codec<T> {
  using Item = typename T::key_type;
  static void encode(Encoder& out, const T& items) { internal::encode_items(out, items); }
  static bool decode(Decoder& in, T& items) {
    items.clear();
    std::uint32_t count = 0;
    if (!in.array(count)) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      Item item{};
      if (!rask::decode<Item>(in, item)) return in.in_item(i);
      items.insert(items.end(), std::move(item));
    }
    return true;
  }
  static std::size_t nbytes(const T& items) {
    return sizeof(T) + internal::nbytes_of_items(items) + items.size() * 4 * sizeof(void*);
  }
};

template <internal::Map T>
  requires Encodable<typename T::key_type> && Encodable<typename T::mapped_type>
struct Codec<T> {
  using Name = typename T::key_type;
  using Item = typename T::mapped_type;
  static void encode(Encoder& out, const T& items) {
    out.map(items.size());
    for (const auto& [name, item] : items) {
      rask::encode<Name>(out, name);
      rask::encode<Item>(out, item);
    }
  }
  static bool decode(Decoder& in, T& items) {
    items.clear();
    std::uint32_t count = 0;
    if (!in.map(count)) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      Name name{};
      Item item{};
      if (!rask::decode<Name>(in, name)) return in.in_item(i) || in.in_item(" key ");
      if (!rask::decode<Item>(in, item)) return in.in_item(i);
      items.emplace_hint(items.end(), std::move(name), std::move(item));
    }
    return true;
  }
  static std::size_t nbytes(const T& items) {
    std::size_t total = sizeof(T) + items.size() * 4 * sizeof(void*);
    for (const auto& [name, item] : items) total += nbytes_of<Name>(name) + nbytes_of<Item>(item);
    return total;
  }
};

// ---- Sums and products --------------------------------------------------------------------------

namespace internal {

// Types that are nil themselves sometimes: inside an optional they need a mark of their own.
template <class T>
inline constexpr bool kCanBeNil =
    std::is_same_v<T, std::monostate> || std::is_same_v<T, wire::Value>;
template <class T>
inline constexpr bool kCanBeNil<std::optional<T>> = true;

template <class Tuple, std::size_t... I>
void encode_fields(Encoder& out, const Tuple& fields, std::index_sequence<I...>) {
  out.array(sizeof...(I));
  (rask::encode<std::remove_cvref_t<std::tuple_element_t<I, Tuple>>>(out, std::get<I>(fields)),
   ...);
}

template <class Tuple, std::size_t... I>
bool decode_fields(Decoder& in, Tuple& fields, std::index_sequence<I...>) {
  if (!in.array_of(sizeof...(I))) return false;
  return (
      (rask::decode<std::remove_cvref_t<std::tuple_element_t<I, Tuple>>>(in, std::get<I>(fields)) ||
       in.in_item(I)) &&
      ...);
}

template <class Tuple>
using Indices = std::make_index_sequence<std::tuple_size_v<std::remove_const_t<Tuple>>>;

template <class Tuple>
std::size_t nbytes_of_fields(const Tuple& fields) {
  return std::apply(
      [](const auto&... field) {
        return (std::size_t{0} + ... + nbytes_of<std::remove_cvref_t<decltype(field)>>(field));
      },
      fields);
}

template <class T>
struct TupleCodec {
  static void encode(Encoder& out, const T& fields) {
    internal::encode_fields(out, fields, Indices<T>{});
  }
  static bool decode(Decoder& in, T& fields) {
    return internal::decode_fields(in, fields, Indices<T>{});
  }
  static std::size_t nbytes(const T& fields) { return nbytes_of_fields(fields); }
};

}  // namespace internal

template <class... Fields>
  requires(Encodable<Fields> && ...)
struct Codec<std::tuple<Fields...>> : internal::TupleCodec<std::tuple<Fields...>> {};

template <class First, class Second>
  requires Encodable<First> && Encodable<Second>
struct Codec<std::pair<First, Second>> : internal::TupleCodec<std::pair<First, Second>> {
  static std::size_t nbytes(const std::pair<First, Second>& pair) {
    return nbytes_of(pair.first) + nbytes_of(pair.second);
  }
};

template <class T>
  requires Encodable<T>
struct Codec<std::optional<T>> {
  static void encode(Encoder& out, const std::optional<T>& value) {
    if (!value.has_value()) return out.nil();
    if constexpr (internal::kCanBeNil<T>) out.array(1);
    rask::encode<T>(out, *value);
  }
  static bool decode(Decoder& in, std::optional<T>& value) {
    value.reset();
    if (in.nil()) return true;
    if (internal::kCanBeNil<T> && !in.array_of(1)) return false;
    return rask::decode<T>(in, value.emplace());
  }
  static std::size_t nbytes(const std::optional<T>& value) {
    return sizeof(value) + (value.has_value() ? nbytes_of(*value) : 0);
  }
};

template <class... Choices>
  requires(Encodable<Choices> && ...)
struct Codec<std::variant<Choices...>> {
  using Variant = std::variant<Choices...>;
  static void encode(Encoder& out, const Variant& value) {
    out.array(2);
    out.integer_unsigned(value.index());
    std::visit([&](const auto& v) { rask::encode<std::remove_cvref_t<decltype(v)>>(out, v); },
               value);
  }
  static bool decode(Decoder& in, Variant& value) {
    std::uint64_t index = 0;
    if (!in.array_of(2) || !in.integer_unsigned(index)) return false;
    return decode_choice(in, value, index, std::index_sequence_for<Choices...>{});
  }
  static std::size_t nbytes(const Variant& value) {
    return sizeof(value) + std::visit([](const auto& v) { return nbytes_of(v); }, value);
  }

 private:
  template <std::size_t... I>
  static bool decode_choice(Decoder& in, Variant& value, std::uint64_t index,
                            std::index_sequence<I...>) {
    bool good = false;
    const bool known = ((index == I && (good = decode_as<I>(in, value), true)) || ...);
    return known ? good || in.in_item(1) : in.fail("the index of a choice, not one too large");
  }
  template <std::size_t I>
  static bool decode_as(Decoder& in, Variant& value) {
    return rask::decode<std::variant_alternative_t<I, Variant>>(in, value.template emplace<I>());
  }
};

// A dependency that stays where it is: a task that takes many of them copies none.
template <class T>
  requires Encodable<T>
struct Codec<std::shared_ptr<const T>> {
  using Pointer = std::shared_ptr<const T>;
  static void encode(Encoder& out, const Pointer& value) {
    static const T kEmpty{};
    rask::encode<T>(out, value == nullptr ? kEmpty : *value);
  }
  static bool decode(Decoder& in, Pointer& value) {
    value = std::static_pointer_cast<const T>(value_type<T>().decode(in));
    return value != nullptr;
  }
  // The object itself, without a copy.
  static bool from_dependency(Decoder& in, Pointer& value) {
    value = std::static_pointer_cast<const T>(in.dependency(value_type<T>()));
    return value != nullptr;
  }
  static std::size_t nbytes(const Pointer& value) {
    return sizeof(value) + (value == nullptr ? 0 : nbytes_of(*value));
  }
};

// ---- Aggregates ---------------------------------------------------------------------------------

namespace internal {

template <class T>
concept PlainStruct =
    std::is_class_v<T> && std::is_aggregate_v<T> && !Map<T> && !Set<T> && !Sequence<T> &&
    std::is_default_constructible_v<T> && (std::is_empty_v<T> || kFieldCount<T> > 0);

template <class... Fields>
consteval bool all_encodable(const std::tuple<Fields&...>*) {
  return (Encodable<std::remove_cv_t<Fields>> && ...);
}

}  // namespace internal

template <internal::PlainStruct T>
struct Codec<T> {
  static void encode(Encoder& out, const T& value) {
    const auto fields = internal::tie_fields(value);
    static_assert(internal::all_encodable(static_cast<decltype(&fields)>(nullptr)),
                  "rask: a field of this struct cannot cross to another process: give its type a "
                  "rask::Codec");
    internal::encode_fields(out, fields, internal::Indices<decltype(fields)>{});
  }
  static bool decode(Decoder& in, T& value) {
    auto fields = internal::tie_fields(value);
    if (!in.enter()) return false;
    const bool good = internal::decode_fields(in, fields, internal::Indices<decltype(fields)>{});
    in.leave();
    return good;
  }
  static std::size_t nbytes(const T& value) {
    return internal::nbytes_of_fields(internal::tie_fields(value));
  }
};

}  // namespace rask
