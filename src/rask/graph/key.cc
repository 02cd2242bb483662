#include "rask/graph/key.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "rask/base/assert.h"
#include "rask/wire/msgpack.h"
#include "rask/wire/value.h"

namespace rask {

std::uint64_t hash_bytes(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

Key::Block* Key::make_block(std::string_view encoded) {
  void* memory = ::operator new(sizeof(Block) + encoded.size());
  auto* block =
      new (memory) Block{1, static_cast<std::uint32_t>(encoded.size()), hash_bytes(encoded)};
  std::memcpy(block->bytes(), encoded.data(), encoded.size());
  return block;
}

Key::Key(std::string_view text) {
  // The canonical header of a text is its shortest one, as every MessagePack writer chooses it.
  if (text.size() < 32) {
    char encoded[32];
    encoded[0] = static_cast<char>(0xa0 | text.size());
    std::memcpy(encoded + 1, text.data(), text.size());
    block_ = make_block({encoded, text.size() + 1});
    return;
  }
  wire::Writer writer;
  writer.text(text);
  block_ = make_block(writer.bytes());
}

Key Key::integer(std::int64_t value) {
  wire::Writer writer;
  writer.integer(value);
  return Key{make_block(writer.bytes())};
}

Key Key::from_msgpack(std::string_view encoded) { return Key{make_block(encoded)}; }

void Key::destroy(Block* block) {
  const auto bytes = sizeof(Block) + block->size;
  block->~Block();
  ::operator delete(block, bytes);
}

bool Key::is_text() const { return wire::Reader{msgpack()}.peek() == wire::Type::text; }

std::string_view Key::text() const {
  wire::Reader reader{msgpack()};
  RASK_ASSERT(reader.peek() == wire::Type::text);
  return reader.text();
}

namespace {

void append_str(wire::Reader& reader, std::string& out, bool nested) {
  switch (reader.peek()) {
    case wire::Type::text: {
      const auto text = reader.text();
      if (nested)
        out.append("'").append(text).append("'");
      else
        out.append(text);
      break;
    }
    case wire::Type::binary:
      out.append("b'").append(reader.binary()).append("'");
      break;
    case wire::Type::integer:
      out.append(std::to_string(reader.integer()));
      break;
    case wire::Type::real: {
      out.append(wire::to_string(wire::Value{reader.real()}));
      break;
    }
    case wire::Type::array: {
      const auto count = reader.array();
      out.append("(");
      for (std::uint32_t i = 0; i < count; ++i) {
        if (i > 0) out.append(", ");
        append_str(reader, out, true);
      }
      out.append(count == 1 ? ",)" : ")");
      break;
    }
    default:
      out.append("?");
      reader.skip();
  }
}

bool is_hex(std::string_view text) {
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

bool is_alpha(std::string_view text) {
  for (const char c : text) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) return false;
  }
  return !text.empty();
}

// "-" begins a word of the name only when letters follow; a number, a hash or a uuid ends the name.
bool continues_name(std::string_view word) {
  if (!is_alpha(word)) return false;
  return !(word.size() == 8 && is_hex(word));
}

// "('x" and "_(x)": the first word without the punctuation that Python's repr puts around it.
std::string_view first_name(std::string_view word) {
  if (word.empty() || is_alpha(word.substr(0, 1))) return word;
  word = word.substr(0, word.find(','));
  constexpr std::string_view kPunctuation = "_'()\"";
  const auto begin = word.find_first_not_of(kPunctuation);
  if (begin == std::string_view::npos) return {};
  return word.substr(begin, word.find_last_not_of(kPunctuation) - begin + 1);
}

// "<module.submodule.myclass object at 0x…": the class's own name.
std::string_view class_name(std::string_view repr) {
  repr.remove_prefix(1);
  repr = repr.substr(0, repr.find_first_of(" >"));
  const auto dot = repr.rfind('.');
  return dot == std::string_view::npos ? repr : repr.substr(dot + 1);
}

}  // namespace

std::string Key::str() const {
  std::string out;
  wire::Reader reader{msgpack()};
  append_str(reader, out, false);
  return out;
}

std::string key_split(std::string_view text) {
  auto dash = std::min(text.find('-'), text.size());
  std::string result{first_name(text.substr(0, dash))};
  while (dash < text.size()) {
    const auto from = dash + 1;
    dash = std::min(text.find('-', from), text.size());
    const auto word = text.substr(from, dash - from);
    if (!continues_name(word)) break;
    result.append("-").append(word);
  }
  if (result.size() == 32 && is_hex(result)) return "data";
  if (result.empty()) return "Other";
  if (result.front() == '<') return std::string{class_name(result)};
  return result;
}

std::string key_split(const Key& key) {
  wire::Reader reader{key.msgpack()};
  while (reader.peek() == wire::Type::array && reader.array() > 0) {  // The first item names it.
  }
  const auto type = reader.peek();
  if (type == wire::Type::text || type == wire::Type::binary)
    return key_split(reader.text_or_binary());
  return "Other";
}

}  // namespace rask
