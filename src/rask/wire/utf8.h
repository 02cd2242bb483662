#pragma once
// Text that Python peers can read: MessagePack and pickle text must be UTF-8, and one byte that is
// not ends their connection.
#include <string>
#include <string_view>

namespace rask::wire {

enum class Surrogates : unsigned char {
  refuse,  // As MessagePack: no half of a pair.
  keep,    // As pickle ("surrogatepass").
};

bool is_utf8(std::string_view text, Surrogates surrogates = Surrogates::refuse);
// The text with U+FFFD in the place of each byte that is not UTF-8.
std::string clean_utf8(std::string_view text, Surrogates surrogates = Surrogates::refuse);

void append_utf8(std::string& out, char32_t code);  // REQUIRES code <= 0x10ffff.

}  // namespace rask::wire
