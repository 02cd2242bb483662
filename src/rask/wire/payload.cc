#include "rask/wire/payload.h"

#include "rask/wire/header.h"

namespace rask::wire {

std::size_t Payload::nbytes() const {
  std::size_t sum = 0;
  for (const Buffer& frame : frames) sum += frame.size();
  return sum;
}

Payload pickled_payload(std::string_view pickle) {
  Writer header;
  header.map(2);
  header.text("pickled-obj");
  header.binary(pickle);
  header.text("num-sub-frames");
  header.integer(0);
  return {.kind = Payload::Kind::pickled, .header = Buffer::own(header.take()), .frames = {}};
}

Payload serialized_pickle(std::string pickle) {
  Writer header;
  header.map(2);
  header.text("serializer");
  header.text("pickle");
  header.text("writeable");
  header.array(0);
  return {.kind = Payload::Kind::serialized,
          .header = Buffer::own(header.take()),
          .frames = {Buffer::own(std::move(pickle))}};
}

std::string_view pickle_of(const Payload& payload) {
  if (payload.kind != Payload::Kind::pickled) return {};
  auto reader = find_field(payload.header.view(), "pickled-obj");
  return reader.has_value() ? reader->binary() : std::string_view{};
}

}  // namespace rask::wire
