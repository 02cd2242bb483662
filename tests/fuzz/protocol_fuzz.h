#pragma once
// What the four protocol targets share: input to wire message, and what must hold for what was
// read.
//
//   input = u8 frame_count  (u16 size)*frame_count  frames  root        (little endian, cut to fit)
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "rask/base/assert.h"
#include "rask/protocol/codec.h"

namespace rask::protocol {

inline wire::Message message_of(std::string_view input) {
  const auto take = [&input](std::size_t size) {
    const auto part = input.substr(0, size);
    input.remove_prefix(part.size());
    return part;
  };
  const auto take_number = [&take](std::size_t size) {
    std::size_t number = 0;
    const auto bytes = take(size);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      number |= std::size_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    return number;
  };
  std::vector<std::size_t> sizes(take_number(1) % 16);
  for (auto& size : sizes) size = take_number(2);
  wire::Frames frames(1);
  for (const auto size : sizes) frames.push_back(wire::Buffer::copy_of(take(size)));
  frames[0] = wire::Buffer::copy_of(input);
  return wire::Message{std::move(frames)};
}

// What was read can be written in both styles, and read and written again it is the same bytes.
template <class Variant, class Read>
int check(const std::uint8_t* data, std::size_t size, const Read& read) {
  const auto message = message_of({reinterpret_cast<const char*>(data), size});
  bool ends = false;
  const Result<std::vector<Variant>> messages = read(message, &ends);
  if (!messages.ok()) return 0;
  for (const auto style : {Style::plain, Style::dense}) {
    Batch batch{style};
    for (const Variant& one : messages.value()) batch.add(one);
    const wire::Message first{batch.take()};
    const Result<std::vector<Variant>> again = read(first, nullptr);
    RASK_ASSERT(again.ok() && again.value().size() == messages.value().size());
    for (const Variant& one : again.value()) batch.add(one);
    RASK_ASSERT(batch.take() == first.frames());
  }
  return 0;
}

}  // namespace rask::protocol
