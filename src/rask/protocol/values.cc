#include "rask/protocol/values.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace rask::protocol {

namespace {

// A key's block counts its bytes in 32 bits; no name is anywhere near that.
constexpr std::size_t kKeyBytesMax = std::size_t{1} << 24;

bool is_plain_key(wire::Type type) {
  return type == wire::Type::text || type == wire::Type::binary || type == wire::Type::integer ||
         type == wire::Type::real || type == wire::Type::boolean;
}

// A text as it stands on the wire, with its header; one with a longer header than it needs gets the
// short one, so that equal texts are equal keys.
Key text_key(std::string_view text) {
  const char* const begin = text.data();
  if (text.size() < 32) {
    if (begin[-1] == static_cast<char>(0xa0 | text.size()))
      return Key::from_msgpack({begin - 1, text.size() + 1});
  } else if (text.size() < 256 && begin[-2] == '\xd9') {
    return Key::from_msgpack({begin - 2, text.size() + 2});
  }
  return Key{text};
}

// One item of a tuple, or the tuple itself. Fails the reader at what is no part of a key.
void skip_key_part(wire::Reader& reader, int depth) {
  const auto type = reader.peek();
  if (type != wire::Type::array) {
    if (is_plain_key(type) || type == wire::Type::nil)
      reader.skip();
    else
      reader.fail();
    return;
  }
  if (depth == kKeyDepthMax) return reader.fail();
  const auto count = reader.array();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) skip_key_part(reader, depth + 1);
}

// Enters the list inside {"__Set__": True, "as-list": […]}; a list is entered as it is. Returns the
// number of items. For a set, `after` says how many pairs follow the list.
std::uint32_t open_list(wire::Reader& reader, std::uint32_t& pairs_after) {
  pairs_after = 0;
  if (reader.peek() != wire::Type::map) return reader.array();
  const auto pair_count = reader.map();
  for (std::uint32_t i = 0; i < pair_count && reader.ok(); ++i) {
    const bool is_list =
        reader.peek() == wire::Type::text && wire::Reader{reader}.text() == "as-list";
    reader.skip();
    if (is_list) {
      pairs_after = pair_count - i - 1;
      return reader.array();
    }
    reader.skip();
  }
  reader.fail();
  return 0;
}

void close_list(wire::Reader& reader, std::uint32_t pairs_after) {
  for (std::uint64_t i = 0; i < 2 * std::uint64_t{pairs_after} && reader.ok(); ++i) reader.skip();
}

std::int64_t read_whole_number(wire::Reader& reader) {
  if (reader.peek() == wire::Type::integer) return reader.integer();
  const double value = std::floor(reader.real());
  constexpr double kLimit = 9223372036854774784.0;  // The largest double below 2^63.
  if (std::isnan(value)) {
    reader.fail();
    return 0;
  }
  return static_cast<std::int64_t>(std::clamp(value, -kLimit, kLimit));
}

}  // namespace

Key read_key(wire::Reader& reader) {
  if (reader.peek() == wire::Type::text) [[likely]] {
    const auto text = reader.text();
    if (text.size() > kKeyBytesMax) reader.fail();
    return reader.ok() ? text_key(text) : Key{};
  }
  if (reader.peek() == wire::Type::nil) reader.fail();  // Good inside a tuple only.
  const auto begin = reader;
  if (!reader.skip_flat_array()) skip_key_part(reader, 0);
  const auto encoded = reader.since(begin);
  if (!encoded.empty() && encoded.size() <= kKeyBytesMax) return Key::from_msgpack(encoded);
  reader.fail();
  return {};
}

void write_key(wire::Writer& writer, const Key& key) {
  if (key.empty())
    writer.nil();
  else
    writer.raw(key.msgpack());
}

void read_keys(wire::Reader& reader, std::vector<Key>& out) {
  std::uint32_t pairs_after = 0;
  const auto count = open_list(reader, pairs_after);
  out.reserve(std::min<std::size_t>(count, kReserveMax));
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) out.push_back(read_key(reader));
  close_list(reader, pairs_after);
}

void write_keys(wire::Writer& writer, const std::vector<Key>& keys) {
  writer.array(keys.size());
  for (const auto& key : keys) write_key(writer, key);
}

void read_texts(wire::Reader& reader, std::vector<std::string>& out) {
  std::uint32_t pairs_after = 0;
  const auto count = open_list(reader, pairs_after);
  out.reserve(std::min<std::size_t>(count, kReserveStringsMax));
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) out.emplace_back(reader.text());
  close_list(reader, pairs_after);
}

void write_texts(wire::Writer& writer, const std::vector<std::string>& texts) {
  writer.array(texts.size());
  for (const auto& text : texts) writer.text(text);
}

void read_resources(wire::Reader& reader, Resources& out) {
  if (reader.nil()) return;
  const auto count = reader.map();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const auto name = reader.text();
    out.insert_or_assign(std::string{name}, reader.real());
  }
}

void write_resources(wire::Writer& writer, const Resources& resources) {
  if (resources.empty()) return writer.nil();
  writer.map(resources.size());
  for (const auto& [name, amount] : resources) {
    writer.text(name);
    writer.real(amount);
  }
}

void read_priority(wire::Reader& reader, Priority& out) {
  const auto count = reader.array();
  std::int64_t* const places[] = {&out.user, &out.generation, &out.order};
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const auto value = read_whole_number(reader);
    if (i < 3) *places[i] = value;
  }
}

void write_priority(wire::Writer& writer, const Priority& priority) {
  writer.array(3);
  writer.integer(priority.user);
  writer.integer(priority.generation);
  writer.integer(priority.order);
}

}  // namespace rask::protocol
