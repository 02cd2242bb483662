#pragma once
// Parts of messages that look the same in both styles. Readers fail the wire::Reader on a wrong
// type.
#include <cstdint>
#include <string>
#include <vector>

#include "rask/protocol/messages.h"
#include "rask/wire/msgpack.h"

namespace rask::protocol {

// A count on the wire is a claim: beyond this many items memory grows as they come.
inline constexpr std::size_t kReserveMax = std::size_t{1} << 20;
inline constexpr std::size_t kReserveStringsMax = 1024;

// Text, binary, a number, or a tuple of these, nested at most kKeyDepthMax deep (who prints a key
// walks into it).
inline constexpr int kKeyDepthMax = 16;
Key read_key(wire::Reader& reader);
void write_key(wire::Writer& writer, const Key& key);  // nil for no key
// A list, or Python's set: {"__Set__": True, "as-list": […]}.
void read_keys(wire::Reader& reader, std::vector<Key>& out);
void write_keys(wire::Writer& writer, const std::vector<Key>& keys);

void read_texts(wire::Reader& reader, std::vector<std::string>& out);  // A list or a set.
void write_texts(wire::Writer& writer, const std::vector<std::string>& texts);

void read_resources(wire::Reader& reader, Resources& out);
void write_resources(wire::Writer& writer, const Resources& resources);

// Two or three numbers or more; reals are rounded down. A stock scheduler gives a task that was
// submitted from inside a task a generation a hundredth before its parent's.
void read_priority(wire::Reader& reader, Priority& out);
void write_priority(wire::Writer& writer, const Priority& priority);

// What is left out of a message where it may be.
inline bool is_empty(const std::string& value) { return value.empty(); }
inline bool is_empty(std::int64_t value) { return value == 0; }
inline bool is_empty(const Resources& value) { return value.empty(); }
inline bool is_empty(const std::vector<std::string>& value) { return value.empty(); }

}  // namespace rask::protocol
