#pragma once
// An object that Dask serialised: header and frames, from whoever made it. Passed on as it came.
#include <string>
#include <string_view>
#include <vector>

#include "rask/wire/buffer.h"

namespace rask::wire {

struct Payload {
  enum class Kind : unsigned char {
    serialized,  // "__Serialized__": header has "serializer", frames hold the object
    pickled,     // "__Pickled__": header has "pickled-obj", frames are its buffers
    // rask's own: MessagePack that stands in the message itself. One frame; when marks in it name
    // payloads of their own, the frames are a whole message, root first. No frame: nil.
    inlined,
  };
  Kind kind = Kind::serialized;
  Buffer header;  // MessagePack, a map. Empty for inlined.
  std::vector<Buffer> frames;

  // Bytes of all frames, as they are (compressed or not).
  std::size_t nbytes() const;
  bool operator==(const Payload&) const = default;
};

// A pickle without buffers as a "__Pickled__" payload, and the pickle in one (empty: there is
// none). Source: distributed/protocol/serialize.py, ToPickle.
Payload pickled_payload(std::string_view pickle);
std::string_view pickle_of(const Payload& payload);
// The same as a "__Serialized__" payload, which nobody on its way takes apart. Source:
// to_serialize.
Payload serialized_pickle(std::string pickle);

}  // namespace rask::wire
