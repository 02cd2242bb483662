#pragma once
// A payload's header: a MessagePack map of which the wire needs to read and set a few fields, and
// passes on the others as they came. Source: distributed/protocol/serialize.py.
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

#include "rask/wire/buffer.h"
#include "rask/wire/msgpack.h"

namespace rask::wire {

// A reader at the value of a field; nullopt when the header is no map or has no such field.
std::optional<Reader> find_field(std::string_view header, std::string_view name);

// "num-sub-frames"; nullopt when the header is bad or does not have it.
std::optional<std::uint64_t> frame_count_of(std::string_view header);
// The header itself when its "num-sub-frames" is `count`, or a copy in which it is.
// REQUIRES a header that is a map.
Buffer with_frame_count(const Buffer& header, std::size_t count);

// A copy with fields set to encoded values, in place or at the end; an empty value takes the field
// away. REQUIRES a header that is a map.
struct Field {
  std::string_view name;
  std::string_view encoded;
};
Buffer with_fields(const Buffer& header, std::initializer_list<Field> fields);

}  // namespace rask::wire
