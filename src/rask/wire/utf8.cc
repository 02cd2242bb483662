#include "rask/wire/utf8.h"

#include <cstddef>
#include <cstdint>

#include "rask/base/assert.h"

namespace rask::wire {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t i) {
  return static_cast<std::uint8_t>(text[i]);
}

// The bytes of the character at the start; 0 when there is none.
std::size_t character_size(std::string_view text, Surrogates surrogates) {
  const std::uint8_t first = byte_at(text, 0);
  if (first < 0x80) return 1;
  const std::size_t size = first < 0xc2   ? 0
                           : first < 0xe0 ? 2
                           : first < 0xf0 ? 3
                           : first < 0xf5 ? 4
                                          : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte_at(text, i) & 0xc0) != 0x80) return 0;
  }
  const std::uint8_t second = byte_at(text, 1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool too_large = first == 0xf4 && second > 0x8f;
  const bool surrogate = first == 0xed && second > 0x9f && surrogates == Surrogates::refuse;
  return overlong || too_large || surrogate ? 0 : size;
}

// The length of the part at the start that is UTF-8.
std::size_t good_prefix(std::string_view text, Surrogates surrogates) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t size = character_size(text.substr(at), surrogates);
    if (size == 0) break;
    at += size;
  }
  return at;
}

}  // namespace

bool is_utf8(std::string_view text, Surrogates surrogates) {
  return good_prefix(text, surrogates) == text.size();
}

std::string clean_utf8(std::string_view text, Surrogates surrogates) {
  std::string out;
  out.reserve(text.size());
  for (;;) {
    const std::size_t good = good_prefix(text, surrogates);
    out += text.substr(0, good);
    if (good == text.size()) return out;
    out += "\xef\xbf\xbd";
    text.remove_prefix(good + 1);
  }
}

void append_utf8(std::string& out, char32_t code) {
  RASK_ASSERT(code <= 0x10ffff);
  const auto tail = [&](unsigned shift) {
    out += static_cast<char>(0x80 | ((code >> shift) & 0x3f));
  };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xf0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace rask::wire
