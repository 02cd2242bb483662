#include "rask/wire/header.h"

#include <algorithm>

#include "rask/base/assert.h"

namespace rask::wire {
namespace {
constexpr std::string_view kFrameCount = "num-sub-frames";
}  // namespace

std::optional<Reader> find_field(std::string_view header, std::string_view name) {
  Reader reader{header};
  for (std::uint32_t left = reader.map(); left > 0 && reader.ok(); --left) {
    const bool found = reader.peek() == Type::text ? reader.text() == name : reader.skip().empty();
    if (found) return reader.peek() == Type::none ? std::nullopt : std::optional{reader};
    reader.skip();
  }
  return std::nullopt;
}

std::optional<std::uint64_t> frame_count_of(std::string_view header) {
  std::optional<Reader> reader = find_field(header, kFrameCount);
  if (!reader) return std::nullopt;
  const std::uint64_t count = reader->integer_unsigned();
  if (!reader->ok()) return std::nullopt;
  return count;
}

Buffer with_frame_count(const Buffer& header, std::size_t count) {
  if (frame_count_of(header.view()) == count) return header;
  Writer encoded;
  encoded.integer_unsigned(count);
  return with_fields(header, {{kFrameCount, encoded.view()}});
}

Buffer with_fields(const Buffer& header, std::initializer_list<Field> fields) {
  Writer pairs;
  std::size_t count = 0;
  const auto put = [&](const Field& field) {
    if (field.encoded.empty()) return;
    pairs.text(field.name);
    pairs.raw(field.encoded);
    ++count;
  };
  std::uint64_t placed = 0;  // A bit for each field that stood in the header.
  Reader reader{header.view()};
  for (std::uint32_t left = reader.map(); left > 0; --left) {
    Reader at_key = reader;
    const std::string_view key = reader.skip();
    const std::string_view value = reader.skip();
    RASK_ASSERT(reader.ok());
    const std::string_view name = at_key.text();
    const auto* field = std::find_if(fields.begin(), fields.end(), [&](const Field& candidate) {
      return at_key.ok() && candidate.name == name;
    });
    if (field == fields.end()) {
      pairs.raw(key);
      pairs.raw(value);
      ++count;
    } else if (const std::uint64_t bit = std::uint64_t{1} << (field - fields.begin());
               (placed & bit) == 0) {
      placed |= bit;
      put(*field);
    }
  }
  RASK_ASSERT(reader.ok());
  for (const Field& field : fields) {
    if ((placed >> (&field - fields.begin()) & 1) == 0) put(field);
  }
  Writer out;
  out.map(count);
  out.raw(pairs.view());
  return out.take_buffer();
}

}  // namespace rask::wire
